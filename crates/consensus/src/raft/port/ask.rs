//! What handles ask a Raft scope, and what it tells observers.

use super::sessions::{Envelope, SessionId};
use crate::raft::{Change, Configuration, FoundingStatus, Index, LogId, RaftCounters, Term};
use quorate_core::{Decider, NodeId, Promise, Reason, StateMachine};
use std::sync::Arc;

/// How fresh a read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// Sees everything that was committed before it was asked (ReadIndex: one round trip). Of the leader only: any
    /// other replica rejects it and names the leader.
    Linearizable,
    /// As `Linearizable`, and without a round trip while the leader has a lease: for as long as clocks keep the bound that
    /// [`lease_drift_ppm`](crate::raft::RaftConfig::lease_drift_ppm) states. With clocks beyond it it may be stale.
    Lease,
    /// Just as linearizable, and of any replica: one that does not lead asks the leader up to where it must have
    /// applied, and waits until it has.
    Follower,
    /// Whatever this replica has applied, without asking anybody. After a restart it waits until what was committed before is
    /// applied, which takes a leader. One whose journal is empty shows its first state.
    Local,
}

/// A closure over the state, which settles its own promise.
pub type Reader<S> = Box<dyn FnOnce(Result<&S, Reason>) + Send>;

pub enum Ask<S: StateMachine, D: Decider<S>> {
    Propose { envelope: Envelope, command: S::Command, promise: Promise<S::Reply> },
    Open { promise: Promise<SessionId> },
    Read { policy: Read, reader: Reader<S> },
    Hints(Vec<D::Hint>),
    Status { promise: Promise<RaftStatus> },
    StepDown { promise: Promise<()> },
    Transfer { to: Option<NodeId>, promise: Promise<NodeId> },
    Change { change: Box<Change>, promise: Promise<Configuration> },
    Leader { promise: Promise<NodeId> },
    Verify { promise: Promise<QuorumReport> },
}

impl<S: StateMachine, D: Decider<S>> Ask<S, D> {
    /// Nothing of it happens.
    pub(crate) fn reject(self, why: Reason) {
        match self {
            Ask::Propose { promise, .. } => promise.reject(why),
            Ask::Open { promise } => promise.reject(why),
            Ask::Read { reader, .. } => reader(Err(why)),
            Ask::StepDown { promise } => promise.reject(why),
            Ask::Transfer { promise, .. } => promise.reject(why),
            Ask::Change { promise, .. } => promise.reject(why),
            Ask::Leader { promise } => promise.reject(why),
            Ask::Verify { promise } => promise.reject(why),
            Ask::Status { promise } => promise.reject(why),
            Ask::Hints(_) => {}
        }
    }
}

/// What a replica knows of itself.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct RaftStatus {
    /// Its name.
    pub node: NodeId,
    /// The name of the cluster that it is of; 0 while it is of none. See [`Raft::group`](crate::raft::Raft::group).
    pub group: u64,
    /// The current term.
    pub term: Term,
    /// Who leads it, as far as this replica knows.
    pub leader: Option<NodeId>,
    /// Whether this replica leads.
    pub leads: bool,
    /// The nodes that vote, both halves of a change included.
    pub voters: Vec<NodeId>,
    /// Who decides, with disks, weights and quorums; `None` before the founding is complete.
    pub configuration: Option<Configuration>,
    /// The voters that are known here to be witnesses: all of them on a leader, itself on a witness.
    pub witnesses: Vec<NodeId>,
    /// The last entry in the log.
    pub last: LogId,
    /// The last index known to be committed.
    pub commit: u64,
    /// The last entry applied; while a job has the state machine, the last one before it.
    pub applied: LogId,
    /// The entry that the last snapshot stands for.
    pub snapshot: LogId,
    /// Bytes of log in memory.
    pub log_bytes: usize,
    /// Requests that wait to be settled.
    pub waiting: usize,
    /// Client sessions that are open; while a job has the state machine, before it.
    pub sessions: usize,
    /// Snapshots of its own that could not be taken in this life.
    pub snapshots_not_taken: u64,
    /// Why the last one was not. While it says so the log is not compacted, and grows.
    pub not_taken: Option<NotTaken>,
    /// What the founding waits for; `None` once all founders have met.
    pub founding: Option<FoundingStatus>,
    /// Voters whose disk was put back to an earlier copy: they count no more, this node included, and each needs an empty
    /// journal.
    pub rolled_back: Vec<NodeId>,
    /// Why the scope takes nothing any more.
    pub poisoned: Option<String>,
    /// What happened in this life.
    pub counters: RaftCounters,
}

/// Whether a quorum can be reached, asked of any replica.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct QuorumReport {
    /// Who was asked.
    pub node: NodeId,
    /// The term, as it saw it when it was asked.
    pub term: Term,
    /// Who leads it, as it saw it then.
    pub leader: Option<NodeId>,
    /// The nodes that vote, both halves of a change included.
    pub voters: Vec<NodeId>,
    /// Those of them that it is linked to, on the disks by which they are known; itself, if it votes.
    pub linked: Vec<NodeId>,
    /// `None`: a quorum answered after the question, so somebody leads and can commit. Otherwise why nobody is known to.
    pub unconfirmed: Option<String>,
}

/// Why a snapshot was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize)]
#[non_exhaustive]
pub enum NotTaken {
    /// The state needs more bytes than [`snapshot_bytes_max`](crate::raft::RaftConfig::snapshot_bytes_max) allows: no replica would accept it.
    #[error("the state needs more bytes than snapshot_bytes_max, {bytes_max}")]
    TooLarge {
        /// The bound.
        bytes_max: u64,
    },
    /// It cannot be serialised, or its object cannot be written.
    #[error("{0}")]
    Unwritten(String),
}

/// What observers of a Raft scope learn.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RaftNotice {
    /// This replica was elected.
    Elected {
        /// The term.
        term: Term,
    },
    /// This replica leads and has applied everything that was committed before its term.
    Leading {
        /// The term.
        term: Term,
    },
    /// This replica stopped leading.
    Retired {
        /// The current term.
        term: Term,
    },
    /// Another replica leads, or none that is known.
    Following {
        /// The current term.
        term: Term,
        /// The leader.
        leader: Option<NodeId>,
    },
    /// What a step made of this replica.
    #[cfg(feature = "trace")]
    Transition(Box<crate::raft::trace::Transition>),
    /// Who decides from this entry on is committed. During a change there are two: the joint one, then the new one.
    Configured {
        /// The entry, or the one that a snapshot stands for.
        index: Index,
        /// Who decides.
        configuration: Arc<Configuration>,
    },
    /// The log up to here was replaced by a snapshot of this many bytes.
    Compacted {
        /// The last entry it stands for.
        at: LogId,
        /// Bytes.
        bytes: u64,
    },
    /// A snapshot could not be written; the log stays as it is, and there will be another try.
    NotTaken {
        /// The last entry it would have stood for.
        at: LogId,
        /// Why.
        why: NotTaken,
    },
    /// All founders have met, and all of them are witnesses: nothing is founded.
    OnlyWitnesses,
    /// The state was replaced by a leader's snapshot.
    Installed {
        /// The last entry it stands for.
        at: LogId,
    },
    /// A snapshot could not be restored; the state before stays.
    NotInstalled {
        /// Why.
        why: String,
    },
    /// The state machine panicked: this scope answers nothing any more.
    Poisoned {
        /// Its message.
        why: String,
    },
}
