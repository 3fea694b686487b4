//! The bytes of every message, as they are on the wire. A change here is a new wire version.

use bytes::{Bytes, BytesMut};
use quorate_core::{AgentId, wire};
use quorate_health::watch::msg::{Beat, CRASHED, WatchMsg};

fn samples() -> Vec<(&'static str, WatchMsg)> {
    let agents = vec![AgentId(1), AgentId(200), AgentId(70_000)];
    let (first, last) = (AgentId(0), AgentId(u64::MAX));
    let quiet = vec![(AgentId(1), 450), (AgentId(200), CRASHED)];
    let beat = Beat { incarnation: 3, version: 300, seq: 1000, part: 0, first, last, quiet };
    let calm = Beat { quiet: vec![], ..beat.clone() };
    let changes = vec![(AgentId(5), true), (AgentId(6), false)];
    vec![
        ("beat", WatchMsg::Beat(beat)),
        ("calm beat", WatchMsg::Beat(calm)),
        ("changes", WatchMsg::Changes { incarnation: 3, from: 298, changes }),
        ("want changes", WatchMsg::Want { incarnation: 3, have: 298, next: None }),
        ("want roster", WatchMsg::Want { incarnation: 3, have: 0, next: Some(AgentId(70_001)) }),
        ("roster", WatchMsg::Roster { incarnation: 3, version: 300, next: first, agents, last: true }),
    ]
}

#[test]
fn the_bytes_of_every_message_stay_as_they_are() {
    let mut scratch = BytesMut::new();
    let mut lines = String::new();
    for (name, msg) in samples() {
        let bytes = wire::encode(&msg, &mut scratch);
        assert_eq!(wire::decode::<WatchMsg>(bytes.clone()), Ok(msg), "{name}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines += &format!("{name}: {hex}\n");
    }
    assert_eq!(lines, include_str!("golden/watch_v1.txt"));
}

#[test]
fn no_flipped_bit_and_no_cut_makes_a_decoder_panic() {
    let mut scratch = BytesMut::new();
    for (_, msg) in samples() {
        let bytes = wire::encode(&msg, &mut scratch);
        for cut in 0..bytes.len() {
            assert!(wire::decode::<WatchMsg>(bytes.slice(..cut)).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // May be another message or none; the point is that it returns.
            let _ = wire::decode::<WatchMsg>(Bytes::from(flipped));
        }
    }
}
