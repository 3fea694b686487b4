//! What replicas tell each other. Kept small by value; what is rare is boxed.

use super::{Batch, Commands, Configuration, Index, LogId, Term};
use bytes::Bytes;
use quorate_core::{Class, Decoder, Encoder, JournalId, NodeId, Wire, WireError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages of one replicated log. `group` is the cluster's name, a digest of its founders and their disks: whoever is of
/// another is not spoken to.
#[derive(Clone, PartialEq, Debug)]
pub enum Msg {
    /// Would you vote for me in `term`? Asked before a term is spent (Raft thesis §9.6).
    PreVote(Candidacy),
    /// The answer. Promises nothing.
    PreVoteReply(VoteReply),
    /// Vote for me in `term` (Raft §5.2).
    Vote(Candidacy),
    /// The answer, once it is on disk.
    VoteReply(VoteReply),
    /// Entries, the commit index, and a heartbeat in one (Raft §5.3).
    Append(Append),
    /// The answer, once the entries are on disk.
    AppendReply(AppendReply),
    /// A piece of a snapshot (Raft §7).
    Snapshot(Box<SnapshotChunk>),
    /// How far the snapshot has come.
    SnapshotReply(SnapshotReply),
    /// Proposals that a follower passes on, once.
    Forward(Forward),
    /// Where in the log they were placed, or that they were not.
    ForwardReply(ForwardReply),
    /// Somebody without a vote wants the log: a newcomer, or a voter that lost its disk.
    Join,
    /// Somebody else leads: ask that one.
    LedBy {
        /// The cluster's name.
        group: u64,
        /// Who leads.
        leader: NodeId,
    },
    /// Under which journals the voters are known, once that is on disk.
    Pins {
        /// A digest of who founds, on whatever disks.
        founders: u64,
        /// Of all voters and their journals; `None` while some are not known.
        digest: Option<u64>,
        /// Whether an answer is wanted.
        ask: bool,
    },
    /// The leader of the term leads no more, by its own decision.
    Resigned {
        /// The cluster's name.
        group: u64,
        /// The term that it led.
        term: Term,
    },
    /// What stands behind this entry in your log?
    Pull {
        /// The cluster's name.
        group: u64,
        /// The entry.
        after: LogId,
    },
    /// The answer.
    Pulled(Pulled),
    /// Up to where must a linearizable read of the sender's have applied?
    ReadIndex {
        /// The cluster's name.
        group: u64,
        /// The sender's number for it.
        request: u64,
    },
    /// The answer, once a quorum has confirmed after the question came that this is the leader.
    ReadIndexReply {
        /// The number of the question.
        request: u64,
        /// The index, or why there is none.
        index: Result<Index, NotPlaced>,
    },
    /// Stand for election now: the leader hands over (thesis §3.10).
    TakeOver {
        /// The cluster's name.
        group: u64,
        /// The leader's term.
        term: Term,
    },
    /// Your disk was put back to an earlier copy: what you promise does not count.
    RolledBack {
        /// The cluster's name.
        group: u64,
        /// The journal that it is of. (In a box, or its alignment would make every message longer.)
        journal: Box<JournalId>,
    },
    /// Where there are witnesses: every voter with state has the log on disk up to here.
    Held {
        /// The cluster's name.
        group: u64,
        /// The leader's term.
        term: Term,
        /// The last such entry.
        upto: Index,
    },
}

impl Msg {
    /// The cluster that it is said in; `None` for what is asked before there is one, and for answers, which name what they
    /// answer.
    pub(super) fn group(&self) -> Option<u64> {
        match self {
            Msg::PreVote(m) | Msg::Vote(m) => Some(m.group),
            Msg::Append(m) => Some(m.group),
            Msg::Pulled(m) => Some(m.group),
            Msg::Snapshot(m) => Some(m.group),
            Msg::Forward(m) => Some(m.group),
            Msg::Pull { group, .. } | Msg::Resigned { group, .. } | Msg::LedBy { group, .. } => Some(*group),
            Msg::TakeOver { group, .. } | Msg::ReadIndex { group, .. } => Some(*group),
            Msg::RolledBack { group, .. } | Msg::Held { group, .. } => Some(*group),
            Msg::PreVoteReply(_) | Msg::VoteReply(_) | Msg::AppendReply(_) | Msg::SnapshotReply(_) => None,
            Msg::ForwardReply(_) | Msg::ReadIndexReply { .. } | Msg::Join | Msg::Pins { .. } => None,
        }
    }
}

/// A node stands for election.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidacy {
    /// The cluster's name.
    pub group: u64,
    /// The term it would lead.
    pub term: Term,
    /// Its last entry.
    pub last: LogId,
    /// The leader of the term before asked for it, so voters that hear that leader need not be loyal.
    pub handed_over: bool,
}

/// A voter's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoteReply {
    /// Granted: the term asked for. Refused: the voter's own, so that one that lags behind learns it.
    pub term: Term,
    /// Yes or no.
    pub granted: bool,
    /// The voter's last entry: one whose log is too short may pull it. None that hears a leader offers it.
    pub last: LogId,
}

/// A part of a log, lent to one that could not be elected with its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Pulled {
    /// The cluster's name.
    pub group: u64,
    /// The entry before; without entries, one that both may have.
    pub after: LogId,
    /// The last entry of the log that it is a part of.
    pub last: LogId,
    /// What stands behind it.
    pub batches: Batches,
}

/// A leader appends.
#[derive(Clone, PartialEq, Debug)]
pub struct Append {
    /// The cluster's name.
    pub group: u64,
    /// The leader's term.
    pub term: Term,
    /// The entry right before the first one sent.
    pub prev: LogId,
    /// The leader's commit index.
    pub commit: Index,
    /// Counts what the leader asked in this term; the answer names it again, so that a late answer to an old
    /// question confirms nothing about a new one.
    pub round: u64,
    /// What is appended.
    pub batches: Batches,
}

/// None, one, or many batches, without an allocation for the usual one.
#[derive(Clone, PartialEq, Debug)]
pub enum Batches {
    /// A heartbeat.
    None,
    /// The usual append.
    One(Batch),
    /// A follower catches up.
    Many(Arc<[Batch]>),
}

impl Batches {
    /// The batches in order.
    pub fn as_slice(&self) -> &[Batch] {
        match self {
            Batches::None => &[],
            Batches::One(batch) => std::slice::from_ref(batch),
            Batches::Many(batches) => batches,
        }
    }
}

impl From<Vec<Batch>> for Batches {
    fn from(mut batches: Vec<Batch>) -> Batches {
        match batches.len() {
            0 => Batches::None,
            1 => batches.pop().map_or(Batches::None, Batches::One),
            _ => Batches::Many(batches.into()),
        }
    }
}

/// A follower's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppendReply {
    /// The follower's term.
    pub term: Term,
    /// The round it answers.
    pub round: u64,
    /// What it says.
    pub outcome: Outcome,
}

/// What became of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// The log equals the leader's up to here, and is on disk up to here.
    Matched(Index),
    /// There is no such entry before the first one sent.
    Conflict {
        /// The `prev.index` that was refused: what matched since then is newer than this answer.
        refused: Index,
        /// The last entry that may match.
        hint: LogId,
    },
    /// The leader's term is over.
    Stale,
    /// As [`Outcome::Matched`], on the disk of a witness.
    Witnessed(Index),
}

/// A piece of a snapshot.
#[derive(Clone, PartialEq, Debug)]
pub struct SnapshotChunk {
    /// The cluster's name.
    pub group: u64,
    /// The leader's term.
    pub term: Term,
    /// The round, as in [`Append`].
    pub round: u64,
    /// The last entry that the snapshot stands for.
    pub last: LogId,
    /// Who decides as of that entry.
    pub configuration: Arc<Configuration>,
    /// Bytes of the whole.
    pub total: u64,
    /// CRC-32 of the configuration's encoding and of the whole.
    pub checksum: u32,
    /// Where this piece begins.
    pub offset: u64,
    /// CRC-32 of the piece.
    pub crc: u32,
    /// The piece; an empty one asks how far the follower has come.
    pub data: Bytes,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotReply {
    /// The follower's term.
    pub term: Term,
    /// The round it answers.
    pub round: u64,
    /// Which snapshot.
    pub last: LogId,
    /// The next byte wanted, everything before being stored; the total once all is there and being installed, and
    /// from one who does not want it.
    pub next: u64,
}

/// Proposals on their way to the leader.
#[derive(Clone, PartialEq, Debug)]
pub struct Forward {
    /// The cluster's name.
    pub group: u64,
    /// The follower's own number for the first command.
    pub first: u64,
    /// The commands.
    pub commands: Commands,
}

/// Where forwarded proposals stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ForwardReply {
    /// The follower's number for the first command.
    pub first: u64,
    /// How many commands there were.
    pub count: u32,
    /// The place of the first, the others being behind it; or why none has one.
    pub placed: Result<LogId, NotPlaced>,
}

/// Why a proposal has no place in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NotPlaced {
    /// Asked of one that does not lead; who does, if it knows.
    NotLeader(Option<NodeId>),
    /// The leader has too much that is not committed.
    Busy,
    /// Longer than `entry_bytes_max`.
    TooLarge,
}

/// A voter's name: which node, on which journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    /// The node.
    pub node: NodeId,
    /// The journal that its votes are given under.
    pub journal: JournalId,
}

#[derive(Serialize, Deserialize)]
enum Part {
    PreVote(Candidacy),
    PreVoteReply(VoteReply),
    Vote(Candidacy),
    VoteReply(VoteReply),
    Append { group: u64, term: Term, prev: LogId, commit: Index, round: u64, batches: u32 },
    AppendReply(AppendReply),
    Snapshot(Box<ChunkHead>),
    SnapshotReply(SnapshotReply),
    Forward { group: u64, first: u64, count: u32 },
    ForwardReply(ForwardReply),
    Join,
    Pins { founders: u64, digest: Option<u64>, ask: bool },
    TakeOver { group: u64, term: Term },
    ReadIndex { group: u64, request: u64 },
    ReadIndexReply { request: u64, index: Result<Index, NotPlaced> },
    Pull { group: u64, after: LogId },
    Pulled { group: u64, after: LogId, last: LogId, batches: u32 },
    Resigned { group: u64, term: Term },
    LedBy { group: u64, leader: NodeId },
    RolledBack { group: u64, journal: JournalId },
    Held { group: u64, term: Term, upto: Index },
}

/// A [`SnapshotChunk`] without its piece.
#[derive(Serialize, Deserialize)]
struct ChunkHead {
    group: u64,
    term: Term,
    round: u64,
    last: LogId,
    configuration: Arc<Configuration>,
    total: u64,
    checksum: u32,
    offset: u64,
    crc: u32,
}

impl Wire for Msg {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Msg::PreVote(m) => to.part(&Part::PreVote(*m)),
            Msg::PreVoteReply(m) => to.part(&Part::PreVoteReply(*m)),
            Msg::Vote(m) => to.part(&Part::Vote(*m)),
            Msg::VoteReply(m) => to.part(&Part::VoteReply(*m)),
            Msg::AppendReply(m) => to.part(&Part::AppendReply(*m)),
            Msg::SnapshotReply(m) => to.part(&Part::SnapshotReply(*m)),
            Msg::ForwardReply(m) => to.part(&Part::ForwardReply(*m)),
            Msg::Join => to.part(&Part::Join),
            Msg::LedBy { group, leader } => to.part(&Part::LedBy { group: *group, leader: *leader }),
            Msg::Pins { founders, digest, ask } => {
                to.part(&Part::Pins { founders: *founders, digest: *digest, ask: *ask })
            }
            Msg::ReadIndex { group, request } => {
                to.part(&Part::ReadIndex { group: *group, request: *request })
            }
            Msg::ReadIndexReply { request, index } => {
                to.part(&Part::ReadIndexReply { request: *request, index: *index })
            }
            Msg::RolledBack { group, journal } => {
                to.part(&Part::RolledBack { group: *group, journal: **journal })
            }
            Msg::TakeOver { group, term } => to.part(&Part::TakeOver { group: *group, term: *term }),
            Msg::Held { group, term, upto } => {
                to.part(&Part::Held { group: *group, term: *term, upto: *upto })
            }
            Msg::Append(Append { group, term, prev, commit, round, batches }) => {
                let batches = batches.as_slice();
                let count = batches.len() as u32;
                let (group, term, prev, commit, round) = (*group, *term, *prev, *commit, *round);
                to.part(&Part::Append { group, term, prev, commit, round, batches: count });
                for batch in batches {
                    batch.encode(to);
                }
            }
            Msg::Resigned { group, term } => to.part(&Part::Resigned { group: *group, term: *term }),
            Msg::Pull { group, after } => to.part(&Part::Pull { group: *group, after: *after }),
            Msg::Pulled(Pulled { group, after, last, batches }) => {
                let (batches, group, after, last) = (batches.as_slice(), *group, *after, *last);
                to.part(&Part::Pulled { group, after, last, batches: batches.len() as u32 });
                batches.iter().for_each(|batch| batch.encode(to));
            }
            Msg::Snapshot(chunk) => {
                let SnapshotChunk { group, term, round, last, total, checksum, offset, crc, .. } = **chunk;
                let configuration = chunk.configuration.clone();
                let head =
                    ChunkHead { group, term, round, last, configuration, total, checksum, offset, crc };
                to.part(&Part::Snapshot(Box::new(head)));
                to.payload(&chunk.data);
            }
            Msg::Forward(Forward { group, first, commands }) => {
                to.part(&Part::Forward { group: *group, first: *first, count: commands.count() });
                to.payload(commands.as_bytes());
            }
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Msg, WireError> {
        Ok(match from.part()? {
            Part::PreVote(m) => Msg::PreVote(m),
            Part::PreVoteReply(m) => Msg::PreVoteReply(m),
            Part::Vote(m) => Msg::Vote(m),
            Part::VoteReply(m) => Msg::VoteReply(m),
            Part::AppendReply(m) => Msg::AppendReply(m),
            Part::SnapshotReply(m) => Msg::SnapshotReply(m),
            Part::ForwardReply(m) => Msg::ForwardReply(m),
            Part::Join => Msg::Join,
            Part::LedBy { group, leader } => Msg::LedBy { group, leader },
            Part::Pins { founders, digest, ask } => Msg::Pins { founders, digest, ask },
            Part::RolledBack { group, journal } => Msg::RolledBack { group, journal: journal.into() },
            Part::Resigned { group, term } => Msg::Resigned { group, term },
            Part::Pull { group, after } => Msg::Pull { group, after },
            Part::Pulled { group, after, last, batches } => {
                Msg::Pulled(Pulled { group, after, last, batches: decode_batches(after, batches, from)? })
            }
            Part::ReadIndex { group, request } => Msg::ReadIndex { group, request },
            Part::ReadIndexReply { request, index } => Msg::ReadIndexReply { request, index },
            Part::TakeOver { group, term } => Msg::TakeOver { group, term },
            Part::Held { group, term, upto } => Msg::Held { group, term, upto },
            Part::Append { group, term, prev, commit, round, batches } => {
                let batches = decode_batches(prev, batches, from)?;
                Msg::Append(Append { group, term, prev, commit, round, batches })
            }
            Part::Snapshot(head) => {
                let ChunkHead { group, term, round, last, configuration, total, checksum, offset, crc } =
                    *head;
                let data = from.payload()?;
                Msg::Snapshot(Box::new(SnapshotChunk {
                    group,
                    term,
                    round,
                    last,
                    configuration,
                    total,
                    checksum,
                    offset,
                    crc,
                    data,
                }))
            }
            Part::Forward { group, first, count } => {
                let commands = Commands::checked(count, from.payload()?)?;
                Msg::Forward(Forward { group, first, commands })
            }
        })
    }

    fn class(&self) -> Class {
        match self {
            Msg::Append(append) if !matches!(append.batches, Batches::None) => Class::Data,
            Msg::Snapshot(_) | Msg::Forward(_) | Msg::Pulled(_) => Class::Data,
            _ => Class::Control,
        }
    }
}

/// Batches must follow one another without gaps and their terms must not fall: what is refused here never
/// reaches the log.
fn decode_batches(prev: LogId, count: u32, from: &mut Decoder) -> Result<Batches, WireError> {
    let mut found = Vec::new();
    let mut before = prev;
    for _ in 0..count {
        let batch = Batch::decode(from)?;
        if before.index.checked_add(1) != Some(batch.first()) || batch.term() < before.term {
            return Err(WireError::Malformed("batches"));
        }
        before = batch.last_id();
        found.push(batch);
    }
    Ok(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_with_a_message_is_moved_without_a_call() {
        // What is longer than 128 bytes the compiler leaves to the library; a commit moves some twenty.
        assert!(size_of::<Msg>() <= 104 && size_of::<quorate_core::Effect<crate::raft::Raft>>() <= 128);
    }
}
