//! quorate coordinates many agents. An application adds it as a dependency, implements one small
//! [`Transport`](transport::Transport) (or takes one that is here), and its nodes can agree, know who is there, and get work
//! done, through crashes, partitions and lost messages, with nothing lost.
//!
//! Where things are:
//! * [`Node`]: what a node is made of, and where it runs.
//! * [`raft`]: a replicated state machine, its handle, its sessions.
//! * [`groups`]: thousands of them on a node, as one scope.
//! * [`work`]: task graphs over worker nodes: coordinators, workers, leases, placement.
//! * [`recovery`]: what to do when a quorum of its disks is gone for ever.
//! * [`transport`], [`journal`]: what connects a node with the world outside, and suites to test your own.
//! * `sim`: the same nodes in a world that replays from one integer (feature `sim`).
//!
//! ```
//! use quorate::{Applied, Node, NodeConfig, StateMachine, journal, transport::Loopback};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Counter(u64);
//!
//! impl StateMachine for Counter {
//!     type Command = u64;
//!     type Reply = u64;
//!     quorate::freeze_by_clone!();
//!     fn apply(&mut self, add: u64, _: Applied) -> u64 {
//!         self.0 += add;
//!         self.0
//!     }
//! }
//!
//! let mut node = Node::builder(1).found([1]).config(NodeConfig::memory());
//! let counter = node.raft("counter", Counter::default());
//! let transport = Loopback::new().transport(node.id(), node.inbox());
//! let running = node.start(transport, journal::in_memory())?;
//! // It waits for the first election.
//! assert_eq!(counter.propose(5).wait()?, 5);
//! running.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
pub mod recovery;
pub mod work;

pub use builder::{ConfigError, Node, NodeBuilder, NodeError, Problem};
pub use quorate_consensus::{groups, raft};
pub use quorate_core::{
    AgentId, Alarm, Applied, Assembly, Boot, ClusterId, Corrupt, Cx, Decider, Door, Failure, Input, Job,
    JournalId, LinkState, NoDecider, NodeId, Notice, Port, PortCx, Promise, Protocol, Reason, Rng, ScopeId,
    StateMachine, Ticket, Time, Wall, Wire, freeze_by_clone, promise,
};
pub use quorate_node::{Event, Events, Jobs, JournalMode, NoEvent, NodeConfig, NodeStatus, Running, Stopped};

pub use quorate_core as core;
pub use quorate_health as health;

/// What must survive a crash: the traits, memory, redb, and conformance suites.
pub mod journal {
    pub use quorate_journal::*;
    #[cfg(feature = "redb")]
    pub use quorate_journal_redb::*;

    /// A new journal in memory, which ends with its node. For one that outlives it, keep a [`MemoryDisk`].
    pub fn in_memory() -> MemoryJournal {
        use std::hash::{BuildHasher, RandomState};
        // Two nodes must not have one name, and none may come back under its old one: it is drawn, not given. The
        // hasher's keys are the operating system's chance.
        let half = || u128::from(RandomState::new().hash_one(0));
        MemoryDisk::new(crate::JournalId(half() << 64 | half())).open()
    }
}

/// The network: the one trait to implement, the inbox, a loopback, TCP, and a conformance suite.
pub mod transport {
    pub use quorate_transport::*;
    #[cfg(feature = "tcp")]
    pub use quorate_transport_tcp::*;
}

/// The simulator: the same nodes in a world that replays from one integer.
#[cfg(feature = "sim")]
pub mod sim {
    pub use quorate_sim::*;
}

/// The programs of the README, so that they are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
