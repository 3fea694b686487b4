//! Work for many agents.
//!
//! * [`graph`]: a validated task graph, usable with no cluster.
//! * [`engine`]: the scheduler as a value over it: leases, retries, fallbacks, timeouts, the queue.
//! * [`Local`]: a graph of closures, run in this process.
//! * [`Work`]: the engine as a replicated state machine. [`dispatch`]: what its leader decides.
//! * [`mirror`]: a keyed level kept the same on two nodes, for leases and reports.
//!
//! What is deliberately absent: clocks, threads, sockets, global chance, floats.

mod digest;
pub mod dispatch;
pub mod engine;
pub mod graph;
mod index;
mod local;
mod machine;
pub mod mirror;
#[cfg(feature = "mutations")]
mod mutation;
mod sequential;

pub use digest::task_digest;
pub use dispatch::{DispatchConfig, Dispatcher, Hint, LeaseLevel, Report};
pub use engine::{Command, Engine, EngineConfig, Lease, Reply};
pub use graph::{Graph, GraphSpec, TaskId, TaskSpec};
pub use local::{Inputs, Local, LocalError};
pub use machine::Work;
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use sequential::run_sequential;
