//! quorate coordinates many agents. An application adds it as a dependency, implements one small
//! [`Transport`](transport::Transport) (or takes one that is here), and its nodes can agree, know who is there, and get work
//! done, through crashes, partitions and lost messages, with nothing lost.
//!
//! Where things are:
//! * [`Node`]: what a node is made of, and where it runs.
//! * [`raft`]: a replicated state machine, its handle, its sessions.
//! * [`transport`], [`journal`]: what connects a node with the world outside, and suites to test your own.
//! * `sim`: the same nodes in a world that replays from one integer (feature `sim`).
//!
//! ```
//! use quorate::{Applied, Corrupt, JournalId, Node, NodeConfig, StateMachine, journal::MemoryDisk, transport::Loopback};
//!
//! #[derive(Default)]
//! struct Counter(u64);
//!
//! impl StateMachine for Counter {
//!     type Command = u64;
//!     type Reply = u64;
//!     type Frozen = u64;
//!     fn apply(&mut self, add: u64, _: Applied) -> u64 {
//!         self.0 += add;
//!         self.0
//!     }
//!     fn freeze(&self) -> u64 {
//!         self.0
//!     }
//!     fn restore(frozen: u64) -> Result<Self, Corrupt> {
//!         Ok(Counter(frozen))
//!     }
//! }
//!
//! let mut node = Node::builder(1).found([1]).config(NodeConfig::memory());
//! let counter = node.raft("counter", Counter::default());
//! let transport = Loopback::new().transport(node.id(), node.inbox());
//! let running = node.start(transport, MemoryDisk::new(JournalId(1)).open())?;
//! // A node that was just started leads after one election timeout.
//! let reply = loop {
//!     match counter.propose(5).wait() {
//!         Ok(reply) => break reply,
//!         Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
//!     }
//! };
//! assert_eq!(reply, 5);
//! running.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
pub mod work;

pub use builder::{ConfigError, Node, NodeBuilder, NodeError, Problem};
pub use quorate_consensus::raft;
pub use quorate_core::{
    AgentId, Applied, Assembly, Boot, ClusterId, Corrupt, Cx, Decider, Door, Failure, Input, Job, JournalId,
    LinkState, NoDecider, NodeId, Notice, Port, PortCx, Promise, Protocol, Reason, Rng, ScopeId,
    StateMachine, Ticket, Time, Wall, Wire, promise,
};
pub use quorate_node::{Event, Events, Jobs, JournalMode, NoEvent, NodeConfig, NodeStatus, Running, Stopped};

pub use quorate_core as core;
pub use quorate_health as health;

/// What must survive a crash: the traits, memory, redb, and conformance suites.
pub mod journal {
    pub use quorate_journal::*;
    #[cfg(feature = "redb")]
    pub use quorate_journal_redb::*;
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
