//! Messages and records that are well formed and mean anything.

use crate::script::Script;
use bytes::Bytes;
use quorate_consensus::raft::{
    Append, AppendReply, Batch, Candidacy, Commands, Forward, ForwardReply, Index, LogId, Msg, NotPlaced,
    Outcome, Pin, Pulled, Raft, Record, Snapshot, SnapshotChunk, SnapshotReply, Term, VoteReply,
};
use quorate_core::{JournalId, NodeId, wire};

/// Entries of one term, each with its data; a single one without data is a leader's first.
pub fn batch(first: Index, term: Term, entries: &[&[u8]]) -> Batch {
    made(first, term, entries).expect("a batch that can be")
}

/// The same from numbers that may be none of a batch.
fn made(first: Index, term: Term, entries: &[&[u8]]) -> Option<Batch> {
    let mut body = Vec::new();
    for data in entries {
        body.push(data.len().min(0x7f) as u8);
        body.extend_from_slice(&data[..data.len().min(0x7f)]);
    }
    // Only a decoder makes a batch from outside: the fifth kind of record, its head, its body behind a length.
    let kind = u32::from(entries != [b""]);
    let head = (4u32, first, term, entries.len() as u32, kind, body.len() as u64);
    let bytes = [&[1u8][..], &postcard::to_stdvec(&head).unwrap(), &body].concat();
    match wire::decode(Bytes::from(bytes)).ok()? {
        Record::Entries(batch) => Some(batch),
        other => panic!("{other:?}"),
    }
}

/// What numbers may be close to.
#[derive(Clone, Copy)]
pub struct Near {
    /// The founding.
    pub group: u64,
    /// The term.
    pub term: Term,
    /// The last entry.
    pub last: LogId,
    /// The commit index.
    pub commit: Index,
    /// A leader's round.
    pub round: u64,
}

impl Near {
    /// A replica's own.
    pub fn of(raft: &Raft, round: u64) -> Near {
        Near { group: raft.group(), term: raft.term(), last: raft.last(), commit: raft.commit(), round }
    }

    fn id(&self, script: &mut Script<'_>) -> LogId {
        match script.below(4) {
            0 => self.last,
            1 => LogId::new(script.number(self.last.term), script.number(self.commit)),
            _ => LogId::new(script.number(self.last.term), script.number(self.last.index)),
        }
    }
}

/// Batches behind an entry, without a gap.
fn batches(script: &mut Script<'_>, prev: LogId) -> Vec<Batch> {
    let mut found: Vec<Batch> = Vec::new();
    for _ in 0..script.below(4) {
        let before = found.last().map_or(prev, Batch::last_id);
        let term = before.term.saturating_add(script.below(3) as u64);
        let data = script.bytes();
        let entries: Vec<&[u8]> = match script.below(5) {
            0 => vec![&b""[..]],
            count => vec![data; count],
        };
        let Some(batch) = before.index.checked_add(1).and_then(|first| made(first, term, &entries)) else {
            break;
        };
        found.push(batch);
    }
    found
}

/// A message.
pub fn message(script: &mut Script<'_>, near: &Near) -> Msg {
    let kind = script.below(22);
    let group = if script.below(16) == 15 { script.number(near.group) } else { near.group };
    let (term, round) = (script.number(near.term), near.round);
    match kind {
        0 => Msg::PreVote(Candidacy { group, term, last: near.id(script), handed_over: script.flag() }),
        1 => Msg::Vote(Candidacy { group, term, last: near.id(script), handed_over: script.flag() }),
        2 => Msg::PreVoteReply(VoteReply { term, granted: script.flag(), last: near.id(script) }),
        3 => Msg::VoteReply(VoteReply { term, granted: script.flag(), last: near.id(script) }),
        4..=6 => {
            let (prev, commit, round) = (near.id(script), script.number(near.commit), script.number(round));
            let batches = batches(script, prev).into();
            Msg::Append(Append { group, term, prev, commit, round, batches })
        }
        7 | 8 => {
            let outcome = match script.below(4) {
                0 | 1 => Outcome::Matched(script.number(near.last.index)),
                2 => Outcome::Conflict { refused: script.number(near.last.index), hint: near.id(script) },
                _ => Outcome::Stale,
            };
            Msg::AppendReply(AppendReply { term, round: script.number(round), outcome })
        }
        9 | 10 => {
            let data = script.bytes();
            let (total, offset) = match script.below(3) {
                0 => (script.number(data.len() as u64), script.number(0)),
                _ => (data.len() as u64, 0),
            };
            let checksum = if script.below(4) == 3 { 7 } else { crc32fast::hash(data) };
            let (round, last, data) = (script.number(round), near.id(script), Bytes::copy_from_slice(data));
            Msg::Snapshot(Box::new(SnapshotChunk { group, term, round, last, total, checksum, offset, data }))
        }
        11 => {
            let (round, last, next) = (script.number(round), near.id(script), script.number(4));
            Msg::SnapshotReply(SnapshotReply { term, round, last, next })
        }
        12 => {
            Msg::Forward(Forward { group, first: script.number(0), commands: Commands::one(script.bytes()) })
        }
        13 => {
            let placed = match script.below(5) {
                0 => Err(NotPlaced::Busy),
                1 => Err(NotPlaced::TooLarge),
                2 => Err(NotPlaced::NotLeader(None)),
                3 => Err(NotPlaced::NotLeader(Some(NodeId(script.number(1))))),
                _ => Ok(near.id(script)),
            };
            Msg::ForwardReply(ForwardReply {
                first: script.number(0),
                count: script.number(1) as u32,
                placed,
            })
        }
        14 => Msg::Pins { group, digest: script.flag().then(|| script.number(0)), ask: script.flag() },
        15 => {
            let after = near.id(script);
            Msg::Pulled(Pulled { group, after, batches: batches(script, after).into() })
        }
        16 => Msg::Pull { group, after: near.id(script) },
        17 => Msg::TakeOver { group, term },
        18 => Msg::Resigned { group, term },
        19 => Msg::ReadIndex { group, request: script.number(0) },
        20 => {
            let index =
                if script.flag() { Ok(script.number(near.commit)) } else { Err(NotPlaced::NotLeader(None)) };
            Msg::ReadIndexReply { request: script.number(0), index }
        }
        _ => Msg::Join,
    }
}

/// A record.
pub fn record(script: &mut Script<'_>, near: &Near) -> Option<Record> {
    Some(match script.below(10) {
        0 => {
            let count = script.below(5);
            Record::Founded { voters: (0..count).map(|_| NodeId(script.number(2))).collect() }
        }
        1 => Record::Joined { group: script.number(near.group) },
        2 => {
            let (node, journal) = (NodeId(script.number(1)), JournalId(script.number(1).into()));
            Record::Pinned(Pin { node, journal })
        }
        3 => {
            let vote = script.flag().then(|| NodeId(script.number(1)));
            Record::Hard { term: script.number(near.term), vote }
        }
        4..=6 => {
            let (id, data, count) = (near.id(script), script.bytes(), script.below(5));
            let entries = if count == 0 { vec![&b""[..]] } else { vec![data; count] };
            Record::Entries(made(id.index.checked_add(1)?, id.term, &entries)?)
        }
        7 => {
            let last = near.id(script);
            Record::Snapshot(Snapshot { last, data: Bytes::copy_from_slice(script.bytes()) })
        }
        8 => Record::Begins(near.id(script)),
        _ => Record::AllMet,
    })
}
