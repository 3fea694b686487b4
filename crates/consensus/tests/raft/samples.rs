//! One of each message and record, with a name: for golden files and as seeds to mutate.

use crate::made::{batch, configured, electors, entries, founders, snapshot};
use bytes::Bytes;
use quorate_consensus::raft::{
    Append, AppendReply, Batches, Candidacy, Commands, Configuration, Forward, ForwardReply, LogId, Msg,
    NotPlaced, Outcome, Pin, Pulled, Record, SnapshotChunk, SnapshotReply, VoteReply,
};
use quorate_core::{JournalId, NodeId};

/// One of each message.
pub fn messages() -> Vec<(&'static str, Msg)> {
    let handed_over = Candidacy { group: 1, term: 3, last: LogId::ZERO, handed_over: true };
    let candidacy =
        Candidacy { group: 0x1122_3344_5566_7788, term: 3, last: LogId::new(2, 300), handed_over: false };
    let append =
        |batches| Append { group: 9, term: 4, prev: LogId::new(3, 500), commit: 499, round: 70_000, batches };
    let reply = |outcome| Msg::AppendReply(AppendReply { term: 4, round: 70_000, outcome });
    let placed = |placed| Msg::ForwardReply(ForwardReply { first: 12, count: 3, placed });
    let chunk = SnapshotChunk {
        group: 9,
        term: 4,
        round: 3,
        last: LogId::new(3, 450),
        configuration: founders(),
        total: 10,
        checksum: 0xdead_beef,
        offset: 4,
        crc: 0x0bad_cafe,
        data: Bytes::from_static(b"state"),
    };
    let two = vec![batch(501, 3, &[b"one", b""]), batch(503, 4, &[b"three"])];
    vec![
        ("pre-vote", Msg::PreVote(candidacy)),
        ("pre-vote-reply-yes", Msg::PreVoteReply(VoteReply { term: 3, granted: true, last: LogId::ZERO })),
        ("pre-vote-reply-no", Msg::PreVoteReply(VoteReply { term: 7, granted: false, last: LogId::ZERO })),
        ("vote", Msg::Vote(candidacy)),
        ("vote-handed-over", Msg::Vote(handed_over)),
        ("vote-reply-yes", Msg::VoteReply(VoteReply { term: 3, granted: true, last: LogId::ZERO })),
        ("append-none", Msg::Append(append(Batches::None))),
        ("append-one", Msg::Append(append(Batches::One(entries(501, 4, 2))))),
        ("append-many", Msg::Append(append(Batches::from(two)))),
        ("append-reply-matched", reply(Outcome::Matched(501))),
        ("append-reply-conflict", reply(Outcome::Conflict { refused: 500, hint: LogId::new(2, 130) })),
        ("append-reply-stale", reply(Outcome::Stale)),
        ("append-reply-witnessed", reply(Outcome::Witnessed(501))),
        ("snapshot", Msg::Snapshot(Box::new(chunk))),
        (
            "snapshot-reply",
            Msg::SnapshotReply(SnapshotReply { term: 4, round: 3, last: LogId::new(3, 450), next: 9 }),
        ),
        ("forward", Msg::Forward(Forward { group: 9, first: 12, commands: Commands::one(b"do it") })),
        ("forward-reply-placed", placed(Ok(LogId::new(4, 505)))),
        ("forward-reply-not-leader", placed(Err(NotPlaced::NotLeader(None)))),
        ("forward-reply-leader", placed(Err(NotPlaced::NotLeader(Some(NodeId(300)))))),
        ("forward-reply-busy", placed(Err(NotPlaced::Busy))),
        ("forward-reply-too-large", placed(Err(NotPlaced::TooLarge))),
        ("join", Msg::Join),
        ("led-by", Msg::LedBy { group: 9, leader: NodeId(300) }),
        ("pins-unknown", Msg::Pins { founders: 9, digest: None, ask: true }),
        ("take-over", Msg::TakeOver { group: 9, term: 3 }),
        ("rolled-back", Msg::RolledBack { group: 9, journal: JournalId(u128::MAX - 300).into() }),
        ("held", Msg::Held { group: 9, term: 4, upto: 501 }),
        ("read-index", Msg::ReadIndex { group: 9, request: 300 }),
        ("read-index-reply", Msg::ReadIndexReply { request: 300, index: Ok(501) }),
        (
            "read-index-refused",
            Msg::ReadIndexReply { request: 300, index: Err(NotPlaced::NotLeader(Some(NodeId(300)))) },
        ),
        ("resigned", Msg::Resigned { group: 9, term: 3 }),
        ("pull", Msg::Pull { group: 9, after: LogId::new(3, 500) }),
        (
            "pulled-nothing",
            Msg::Pulled(Pulled {
                group: 9,
                after: LogId::new(2, 400),
                last: LogId::new(3, 500),
                batches: Batches::None,
            }),
        ),
        (
            "pulled",
            Msg::Pulled(Pulled {
                group: 9,
                after: LogId::new(3, 500),
                last: LogId::new(3, 501),
                batches: Batches::One(batch(501, 3, &[b"x"])),
            }),
        ),
        ("pins", Msg::Pins { founders: 9, digest: Some(0x1122_3344_5566_7788), ask: false }),
    ]
}

/// One of each record.
pub fn records() -> Vec<(&'static str, Record)> {
    let snapshot = snapshot(LogId::new(3, 450), b"state");
    let joint = Configuration { incoming: electors(8, [2, 4]), outgoing: Some(electors(7, 1..=3)) };
    vec![
        ("founded", Record::Founded { voters: vec![NodeId(1), NodeId(2), NodeId(300)] }),
        ("joined", Record::Joined { group: 0x1122_3344_5566_7788 }),
        ("pinned", Record::Pinned(Pin { node: NodeId(2), journal: JournalId(u128::MAX / 3) })),
        ("hard-no-vote", Record::Hard { term: 3, vote: None }),
        ("hard-vote", Record::Hard { term: 300, vote: Some(NodeId(2)) }),
        ("entries", Record::Entries(batch(7, 2, &[b"", b"two", b"three"]))),
        ("entry-configuration", Record::Entries(configured(10, 2, &joint))),
        ("snapshot", Record::Snapshot(snapshot.clone())),
        ("receiving", Record::Receiving(snapshot)),
        ("begins", Record::Begins(LogId::new(3, 450))),
        ("all-met", Record::AllMet),
        ("rolled-back", Record::RolledBack { journal: JournalId(u128::MAX - 300) }),
        ("witness", Record::Witness),
    ]
}
