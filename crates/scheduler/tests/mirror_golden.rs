//! The bytes of every message of a mirror, as they are on the wire. A change here is a new wire version.
#![allow(clippy::unwrap_used, reason = "a test")]

use bytes::{Bytes, BytesMut};
use quorate_core::wire;
use quorate_scheduler::mirror::msg::{Ack, Delta, MirrorMsg};

fn samples() -> Vec<(&'static str, MirrorMsg)> {
    let changes = vec![(0, Some(Bytes::from_static(b"term"))), (300, None), (u64::MAX, Some(Bytes::new()))];
    let delta =
        Delta { to_life: 2, life: 3, stream: 1, number: 500, base: 1000, upto: 1003, latest: 1003, changes };
    let hello = Delta { to_life: 0, base: 0, upto: 0, changes: vec![], ..delta.clone() };
    let ack = Ack { life: 3, stream: 1, my_life: 2, echo: 500, have: 1003, gap: false };
    vec![
        ("delta", MirrorMsg::Delta(delta)),
        ("hello", MirrorMsg::Delta(hello)),
        ("ack", MirrorMsg::Ack(ack)),
        ("gap", MirrorMsg::Ack(Ack { have: 0, gap: true, ..ack })),
    ]
}

#[test]
fn the_bytes_of_every_message_stay_as_they_are() {
    let mut scratch = BytesMut::new();
    let mut lines = String::new();
    for (name, msg) in samples() {
        let bytes = wire::encode(&msg, &mut scratch);
        assert_eq!(wire::decode::<MirrorMsg>(bytes.clone()), Ok(msg), "{name}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines += &format!("{name}: {hex}\n");
    }
    assert_eq!(lines, include_str!("golden/mirror_v1.txt"));
}

#[test]
fn no_flipped_bit_and_no_cut_makes_a_decoder_panic() {
    let mut scratch = BytesMut::new();
    for (_, msg) in samples() {
        let bytes = wire::encode(&msg, &mut scratch);
        for cut in 0..bytes.len() {
            assert!(wire::decode::<MirrorMsg>(bytes.slice(..cut)).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // May be another message or none; the point is that it returns.
            let _ = wire::decode::<MirrorMsg>(Bytes::from(flipped));
        }
    }
}

#[test]
fn a_count_of_changes_that_lies_allocates_nothing() {
    let MirrorMsg::Delta(delta) = samples().remove(1).1 else { return };
    let bytes = wire::encode(&MirrorMsg::Delta(delta), &mut BytesMut::new());
    let mut lie = bytes[..bytes.len() - 1].to_vec();
    lie.extend_from_slice(&[0xff; 9]);
    lie.push(1);
    assert!(wire::decode::<MirrorMsg>(Bytes::from(lie)).is_err());
}
