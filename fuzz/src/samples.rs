//! One of each, valid: seeds of the corpora.

use crate::made::{batch, configured, electors, founders, snapshot};
use crate::raft_samples;
use bytes::{Bytes, BytesMut};
use quorate_consensus::raft::{Configuration, LogId, Msg, Pin, Record};
use quorate_core::{JournalId, NodeId, wire};
use quorate_scheduler::mirror::msg::{Ack, Delta, MirrorMsg};

/// Raft messages.
pub fn messages() -> Vec<Msg> {
    raft_samples::messages().into_iter().map(|(_, message)| message).collect()
}

/// Records of one journal, in an order that replays.
pub fn records() -> Vec<Record> {
    let pin = |node: u64| Record::Pinned(Pin { node: NodeId(node), journal: JournalId(u128::from(node)) });
    let joint = Configuration { incoming: electors(1, [1, 4]), outgoing: Some(electors(0, 1..=3)) };
    vec![
        Record::Founded { voters: vec![NodeId(1), NodeId(2), NodeId(3)] },
        pin(1),
        pin(2),
        pin(3),
        Record::AllMet,
        Record::Hard { term: 1, vote: Some(NodeId(2)) },
        Record::Entries(configured(1, 1, &founders())),
        Record::Entries(batch(2, 1, &[b"one", b"two", b"three"])),
        Record::Hard { term: 2, vote: None },
        Record::Entries(configured(4, 2, &joint)),
        Record::Entries(batch(5, 2, &[b"other", b"more"])),
        Record::Snapshot(snapshot(LogId::new(1, 3), b"state")),
        Record::Begins(LogId::new(1, 3)),
        Record::Joined { group: 9 },
    ]
}

/// Messages of a mirror.
pub fn mirror() -> Vec<MirrorMsg> {
    let changes = vec![(0, Some(Bytes::from_static(b"term"))), (300, None), (u64::MAX, Some(Bytes::new()))];
    let delta =
        Delta { to_life: 2, life: 3, stream: 1, number: 500, base: 1000, upto: 1003, latest: 1003, changes };
    let ack = Ack { life: 3, stream: 1, my_life: 2, echo: 500, have: 1003, gap: true };
    vec![MirrorMsg::Delta(delta), MirrorMsg::Ack(ack)]
}

/// As it goes over the wire or to the disk.
pub fn encoded<T: quorate_core::Wire>(value: &T) -> Vec<u8> {
    wire::encode(value, &mut BytesMut::new()).to_vec()
}
