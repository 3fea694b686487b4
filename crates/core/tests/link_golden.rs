//! The bytes of a handshake and of two data frames, as every later version must still write and read them.
//! `QUORATE_GOLDEN=write cargo test -p quorate-core --test link_golden` writes the file anew: a change in it is a
//! new wire version, and says so in the changelog.

use bytes::Bytes;
use quorate_core::{
    Boot, Class, ClusterId, Identity, JournalId, Link, LinkLimits, NodeId, Received, Rng, ScopeId, Time,
};

fn link(node: u64) -> Link {
    let me = Identity {
        cluster: ClusterId(0xc0ffee),
        node: NodeId(node),
        boot: Boot { incarnation: 300 + node, journal: JournalId(u128::MAX - u128::from(node)) },
        scopes: vec![ScopeId::new("raft", "work", 0), ScopeId::new("swim", "members", node as u32)],
    };
    Link::new(me, LinkLimits::default())
}

fn transcript() -> String {
    let mut links = [link(1), link(2)];
    let mut rng = Rng::from_seed(11);
    let work = ScopeId::new("raft", "work", 0);
    let (now, mut out, mut text) = (Time(1), Vec::new(), String::new());
    let control = Bytes::from_static(b"a vote");
    let data = Bytes::from_static(b"a batch");
    links[0].send(&[NodeId(2)], work, Class::Control, &control, now, &mut rng, &mut out);
    links[0].send(&[NodeId(2)], work, Class::Data, &data, now, &mut rng, &mut out);
    let mut messages = Vec::new();
    while !out.is_empty() {
        let (to, frame) = out.remove(0);
        let whole = frame.to_bytes();
        let from = NodeId(3 - to.0);
        let kind = if whole[1] == 1 { "hello" } else { "data" };
        text.push_str(&format!("{from} to {to}, {kind}\n"));
        for line in whole.chunks(32) {
            text.push_str("   ");
            for byte in line {
                text.push_str(&format!(" {byte:02x}"));
            }
            text.push('\n');
        }
        let received = links[to.0 as usize - 1].receive(from, whole, now, &mut rng, &mut out);
        if let Received::Message { body, class, .. } = received {
            messages.push((class, body));
        }
    }
    assert_eq!(messages, [(Class::Control, control), (Class::Data, data)]);
    text
}

#[test]
fn the_bytes_of_a_handshake_and_of_data_are_those_of_the_first_version() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/link.txt");
    let now = transcript();
    if std::env::var_os("QUORATE_GOLDEN").is_some_and(|v| v == "write") {
        std::fs::write(path, &now).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(now, golden, "the wire has changed");
}
