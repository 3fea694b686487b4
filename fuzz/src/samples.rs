//! One of each, valid: seeds of the corpora.

use crate::messages::batch;
use bytes::{Bytes, BytesMut};
use quorate_consensus::raft::{
    Append, AppendReply, Batches, Candidacy, Commands, Forward, ForwardReply, LogId, Msg, NotPlaced, Outcome,
    Pin, Pulled, Record, Snapshot, SnapshotChunk, SnapshotReply, VoteReply,
};
use quorate_core::{JournalId, NodeId, wire};
use quorate_scheduler::mirror::msg::{Ack, Delta, MirrorMsg};

/// Raft messages.
pub fn messages() -> Vec<Msg> {
    let candidacy = Candidacy { group: 9, term: 3, last: LogId::new(2, 300), handed_over: true };
    let append =
        |batches| Append { group: 9, term: 4, prev: LogId::new(3, 500), commit: 499, round: 70_000, batches };
    let reply = |outcome| Msg::AppendReply(AppendReply { term: 4, round: 70_000, outcome });
    let placed = |placed| Msg::ForwardReply(ForwardReply { first: 12, count: 3, placed });
    let chunk = SnapshotChunk {
        group: 9,
        term: 4,
        round: 3,
        last: LogId::new(3, 450),
        total: 10,
        checksum: 0xdead_beef,
        offset: 4,
        data: Bytes::from_static(b"state"),
    };
    let two = vec![batch(501, 3, &[b"one", b""]), batch(503, 4, &[b"three"])];
    vec![
        Msg::PreVote(candidacy),
        Msg::PreVoteReply(VoteReply { term: 3, granted: true, last: LogId::new(2, 7) }),
        Msg::Vote(candidacy),
        Msg::VoteReply(VoteReply { term: 3, granted: true, last: LogId::new(2, 7) }),
        Msg::Append(append(Batches::None)),
        Msg::Append(append(Batches::One(batch(501, 4, &[b""])))),
        Msg::Append(append(Batches::from(two))),
        reply(Outcome::Matched(501)),
        reply(Outcome::Conflict { refused: 500, hint: LogId::new(2, 130) }),
        reply(Outcome::Stale),
        Msg::Snapshot(Box::new(chunk)),
        Msg::SnapshotReply(SnapshotReply { term: 4, round: 3, last: LogId::new(3, 450), next: 9 }),
        Msg::Forward(Forward { group: 9, first: 12, commands: Commands::one(b"do it") }),
        placed(Ok(LogId::new(4, 505))),
        placed(Err(NotPlaced::NotLeader(Some(NodeId(300))))),
        placed(Err(NotPlaced::TooLarge)),
        Msg::Join,
        Msg::Pull { group: 9, after: LogId::new(3, 500) },
        Msg::Pulled(Pulled {
            group: 9,
            after: LogId::new(3, 500),
            batches: Batches::One(batch(501, 4, &[b"x"])),
        }),
        Msg::TakeOver { group: 9, term: 4 },
        Msg::Resigned { group: 9, term: 4 },
        Msg::ReadIndex { group: 9, request: 3 },
        Msg::ReadIndexReply { request: 3, index: Ok(500) },
        Msg::Pins { group: 9, digest: Some(7), ask: true },
    ]
}

/// Records of one journal, in an order that replays.
pub fn records() -> Vec<Record> {
    let pin = |node: u64| Record::Pinned(Pin { node: NodeId(node), journal: JournalId(u128::from(node)) });
    vec![
        Record::Founded { voters: vec![NodeId(1), NodeId(2), NodeId(3)] },
        pin(1),
        pin(2),
        pin(3),
        Record::AllMet,
        Record::Hard { term: 1, vote: Some(NodeId(2)) },
        Record::Entries(batch(1, 1, &[b""])),
        Record::Entries(batch(2, 1, &[b"one", b"two", b"three"])),
        Record::Hard { term: 2, vote: None },
        Record::Entries(batch(4, 2, &[b"other", b"more"])),
        Record::Snapshot(Snapshot { last: LogId::new(1, 3), data: Bytes::from_static(b"state") }),
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
