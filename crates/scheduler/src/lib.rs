//! Work for many agents.
//!
//! * [`graph`]: a validated task graph, usable with no cluster.

mod digest;
pub mod graph;

pub use digest::task_digest;
