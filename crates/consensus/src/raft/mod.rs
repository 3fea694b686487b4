//! Raft: one log, agreed on by a majority (Ongaro and Ousterhout, "In Search of an Understandable Consensus
//! Algorithm", 2014; section numbers here are the extended paper's, "thesis" is Ongaro's, 2014).
//!
//! The paper in short. Time is cut into **terms**; each has at most one **leader**, elected by a majority, each
//! voter giving one vote a term and none to a candidate whose log is behind its own. The leader appends what
//! is proposed to its log and sends it on; a follower accepts entries only behind one that it has in common
//! with the leader, so two logs that agree on an entry agree on all before it. What a majority has on disk in
//! the leader's own term is **committed**, with everything before it, and never changes; every later leader
//! has it, since the majorities that committed and that elected it share a voter. Committed commands are
//! applied in order. A **snapshot** stands for a prefix of the log that is no longer kept.
//!
//! What is here beyond the paper's figure 2: **pre-vote** (a term is spent only when it would be won),
//! **check-quorum** (a leader that hears no majority, or whose disk stalls, stops leading), voters that hear a leader do not help
//! to depose it, **batching and pipelining** with in-flight limits, **ReadIndex** reads, snapshots in pieces,
//! voters known by their **journal** (one that lost its disk has no vote any more), replicas without a vote,
//! **witnesses**, which vote and hold no state, an **order of preference** of leaders, **transfer** of leadership, **change of voters** by joint consensus with weights and flexible quorums,
//! reads by **lease**.
//!
//! Many groups on a node are [`crate::groups`].
//!
//! [`Raft`] is the protocol and sees bytes only. [`RaftPort`] holds the application's
//! [`StateMachine`](quorate_core::StateMachine), its promises and its client sessions; [`RaftHandle`] is what
//! the application asks.

mod batch;
mod change;
mod cmd;
mod commands;
mod config;
mod configuration;
mod election;
mod folded;
mod follow;
mod founding;
mod history;
mod ids;
mod inner;
mod install;
mod joining;
mod leader;
mod lease;
mod log;
mod msg;
mod msg_wire;
mod mutation;
mod payload;
mod peer;
mod placing;
mod port;
mod preference;
mod pull;
mod quorum;
mod read;
mod record;
mod recovery;
mod replay;
mod rollback;
mod sending;
mod snapshot;
mod state;
mod step;
#[cfg(feature = "trace")]
pub mod trace;
mod transfer;
mod waiting;
mod witness;

use batch::OpenBatch;
pub use batch::{Batch, Entries, Entry, EntryKind};
pub use change::{Change, NotChanged};
pub use cmd::{Cmd, Event, NotRead, NotRestored};
pub use commands::{Commands, Gathered};
pub use config::{Founding, RaftConfig, RaftConfigError};
pub use configuration::{Configuration, ConfigurationError, Electors, Quorums, Voter};
pub(crate) use folded::{Folded, Shared, Waking};
pub use founding::FoundingStatus;
pub use ids::{Index, LogId, Term};
pub use log::Log;
pub use msg::{
    Append, AppendReply, Batches, Candidacy, Forward, ForwardReply, Msg, NotPlaced, Outcome, Pin, Pulled,
    SnapshotChunk, SnapshotReply, VoteReply,
};
#[cfg(not(feature = "mutations"))]
use mutation::Mutation;
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub(crate) use port::{Ask, FoldedPort, guarded};
pub use port::{
    NotTaken, QuorumReport, RaftHandle, RaftNotice, RaftPort, RaftStatus, Read, Session, SessionId,
    Stateless, WitnessHandle,
};
pub use record::{Record, Snapshot};
pub use recovery::{LostForGood, NotRecovered, Recovery, Remains, Survivor};
use state::Role;
pub use state::{Raft, RaftCounters};
