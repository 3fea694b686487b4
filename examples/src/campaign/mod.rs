//! The simulator's campaigns: seed after seed, each a whole cluster under faults.

pub mod checkers;
pub mod kv;
mod raft;

pub use raft::run as run_raft;
