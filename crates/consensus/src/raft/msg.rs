//! What replicas tell each other. Kept small by value; what is rare is boxed.

use super::{Batch, Commands, Configuration, Index, LogId, Term};
use bytes::Bytes;
use quorate_core::{JournalId, NodeId};
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_with_a_message_is_moved_without_a_call() {
        // What is longer than 128 bytes the compiler leaves to the library; a commit moves some twenty.
        assert!(size_of::<Msg>() <= 104 && size_of::<quorate_core::Effect<crate::raft::Raft>>() <= 128);
    }
}
