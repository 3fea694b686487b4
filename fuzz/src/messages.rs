//! Messages and records that are well formed and mean anything.

use crate::made;
use crate::script::Script;
use bytes::Bytes;
use quorate_consensus::raft::{
    Append, AppendReply, Batch, Candidacy, Commands, Configuration, Electors, Forward, ForwardReply, Index,
    LogId, Msg, NotPlaced, Outcome, Pin, Pulled, Quorums, Raft, Record, Snapshot, SnapshotChunk,
    SnapshotReply, Term, VoteReply,
};
use quorate_core::quorum::Electorate;
use quorate_core::{JournalId, NodeId};
use std::sync::Arc;

/// Entries of one term, of numbers that may be none of a batch.
fn made(first: Index, term: Term, entries: &[&[u8]]) -> Option<Batch> {
    let fits = first > 0 && first.checked_add(entries.len() as u64).is_some();
    let short: Vec<&[u8]> = entries.iter().map(|data| &data[..data.len().min(0x7f)]).collect();
    fits.then(|| made::batch(first, term, &short))
}

/// Who may decide: some of five nodes, mostly on the disks that they run on.
fn electors(script: &mut Script<'_>) -> Electors {
    let nodes = 1 + script.below(31) as u64;
    let mut voters: Vec<_> =
        made::electors(0, (1..=5).filter(|id| nodes >> (id - 1) & 1 == 1)).voters().to_vec();
    voters[0].0.journal = JournalId(voters[0].0.journal.0 + u128::from(script.below(8) == 7) * 90);
    voters[0].1 += script.below(3) as u64;
    let voters = Electorate::new(script.short().into(), voters).unwrap();
    Electors::new(voters, Quorums::default()).unwrap()
}

/// Who decides, as one body or two.
fn configuration(script: &mut Script<'_>) -> Configuration {
    let outgoing = script.flag().then(|| electors(script));
    Configuration { incoming: electors(script), outgoing }
}

/// Mostly that of the founding.
fn of_snapshot(script: &mut Script<'_>, data: &Bytes) -> Arc<Configuration> {
    if data.len() % 4 == 3 { configuration(script).into() } else { made::founders() }
}

/// What numbers may be close to.
#[derive(Clone, Copy)]
pub struct Near {
    /// The cluster.
    pub group: u64,
    /// Who founds, as founders tell it.
    pub founders: u64,
    /// The term.
    pub term: Term,
    /// The last entry.
    pub last: LogId,
    /// The commit index.
    pub commit: Index,
    /// A leader's round.
    pub round: u64,
}

/// FNV-1a 64.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Near {
    /// A replica's own; before it is of a cluster, that which it is about to be of.
    pub fn of(raft: &Raft, round: u64) -> Near {
        let (term, last, commit) = (raft.term(), raft.last(), raft.commit());
        let founders = raft.voters();
        let names = fnv(founders.iter().flat_map(|id| id.0.to_le_bytes()));
        // Everybody's journal is named as the node is; see `Replica::meet`.
        let with_journals = founders
            .iter()
            .flat_map(|id| id.0.to_le_bytes().into_iter().chain(u128::from(id.0).to_le_bytes()));
        let group = if raft.group() == 0 { fnv(with_journals) } else { raft.group() };
        Near { group, founders: names, term, last, commit, round }
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
            4 if data.len() % 4 == 3 && before.index < u64::MAX - 1 => {
                found.push(made::configured(before.index + 1, term, &configuration(script)));
                continue;
            }
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
    let kind = script.below(24);
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
            let outcome = match script.below(5) {
                4 => Outcome::Witnessed(script.number(near.last.index)),
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
            let (round, last, data) = (script.number(round), near.id(script), Bytes::copy_from_slice(data));
            let crc = crc32fast::hash(&data);
            let whole = Snapshot::of(last, of_snapshot(script, &data), 1, data.len() as u64, crc);
            let checksum = if script.below(4) == 3 { 7 } else { whole.checksum };
            let configuration = whole.configuration;
            let chunk =
                SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, crc, data };
            Msg::Snapshot(Box::new(chunk))
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
        14 => Msg::Pins {
            founders: near.founders,
            digest: script.flag().then(|| script.number(near.group)),
            ask: script.flag(),
        },
        15 => {
            let (after, last) = (near.id(script), near.id(script));
            let batches = batches(script, after);
            // Mostly the end of what comes.
            let last = batches.last().map_or(last, |batch| last.max(batch.last_id()));
            Msg::Pulled(Pulled { group, after, last, batches: batches.into() })
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
        22 => Msg::RolledBack { group, journal: Box::new(JournalId(script.number(1).into())) },
        23 => Msg::Held { group, term, upto: script.number(near.commit) },
        21 if script.flag() => Msg::LedBy { group, leader: NodeId(script.number(1)) },
        _ => Msg::Join,
    }
}

/// A record.
pub fn record(script: &mut Script<'_>, near: &Near) -> Option<Record> {
    Some(match script.below(12) {
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
            let first = id.index.checked_add(1).filter(|first| *first < u64::MAX)?;
            match count {
                4 if data.len() % 4 == 3 => {
                    Record::Entries(made::configured(first, id.term, &configuration(script)))
                }
                _ => Record::Entries(made(first, id.term, &entries)?),
            }
        }
        7 => {
            let last = near.id(script);
            let data = Bytes::copy_from_slice(script.bytes());
            let configuration = of_snapshot(script, &data);
            let (total, crc) = (data.len() as u64, crc32fast::hash(&data));
            let snapshot = Snapshot::of(last, configuration, u64::from(crc), total, crc);
            if total % 2 == 1 { Record::Receiving(snapshot) } else { Record::Snapshot(snapshot) }
        }
        8 => Record::Begins(near.id(script)),
        9 => Record::RolledBack { journal: JournalId(script.number(1).into()) },
        10 => Record::Witness,
        _ => Record::AllMet,
    })
}
