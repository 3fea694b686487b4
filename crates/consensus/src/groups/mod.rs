//! Many Raft groups on a node, as one scope.
//!
//! Each group is a [`Raft`](crate::raft::Raft) of its own: its voters, its log, its leader. What they share is what
//! would cost most if each had its own.
//!
//! * **One journal, one sync.** Replicas write into one sequence of records, so one mark says what is on disk for all. It is
//!   rewritten as a whole, some groups in each step; what is dead is never looked for.
//! * **One beat.** Heartbeats of all groups fall on the same times and leave as one message a node; so do their answers, and
//!   whatever else is small and leaves in one step. Each keeps its term and round, so what it proves is what it proves alone:
//!   rounds, check-quorum, leases and reads are those of a single group.
//! * **Sleep.** A group that has had nothing to do falls asleep on all its replicas by agreement. It sends nothing, wants no
//!   time, and is folded to less than a kilobyte. One beat between two nodes stands for all of them.
//! * **Paced elections.** When a node is lost, the groups that it led wake and elect, so many at a time.
//! * **Turns.** Groups that have something to do have their turns in the order in which their time came.
//!
//! [`Groups`] is the protocol, [`GroupsPort`] holds the state machines, [`GroupsHandle`] is what the application asks; for one
//! group it gives a [`RaftHandle`](crate::raft::RaftHandle) as a scope of one group has. [`group_of_key`] says which group a
//! key belongs to.
//!
//! What is absent: deciders; a group that moves from one scope to another; splitting and merging groups.

mod absent;
mod agenda;
mod beats;
mod cmd;
mod common;
mod config;
mod gate;
mod ids;
mod life;
mod loads;
mod msg;
mod mutation;
mod news;
mod port;
mod post;
mod record;
mod rewrite;
mod sleep;
mod state;
mod step;

pub use cmd::{Cmd, Event, NotCreated};
pub use config::{GroupsConfig, GroupsConfigError};
pub use ids::{GroupId, group_of_key};
pub use msg::{Beat, Claim, Committed, Digest, Doze, Msg};
#[cfg(not(feature = "mutations"))]
use mutation::GroupsMutation;
#[cfg(feature = "mutations")]
pub use mutation::GroupsMutation;
pub use port::{GroupsHandle, GroupsNotice, GroupsPort, GroupsStatus};
pub use record::Record;
pub use state::{GroupStatus, Groups, GroupsCounters};
