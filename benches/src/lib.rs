//! What quorate costs, beside its peers, measured in one run on one machine.
//!
//! * [`clock`], [`rounds`], [`report`]: the harness. Interleaved rounds, medians, one table and one JSON file a
//!   bench.
//! * [`allocations`]: allocations are counted in a process of their own, so that counting slows no timed one.
//! * [`raft_memory`]: agreement alone, no network and no disk.
//! * [`groups`]: thousands of groups, busy and idle.
//! * [`recovery`]: from the loss of a leader to the next commit, in simulated time.
//! * [`scheduler`]: tasks through the engine, and graphs into it. [`placement`]: which agent takes a task.
//!
//! What is deliberately absent: thresholds. A bench says what it measured; whether that is enough is said in
//! `docs/BENCHMARKS.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that cannot measure stops loudly; nothing here serves anybody"
)]

pub mod allocations;
pub mod clock;
pub mod end_to_end;
pub mod groups;
pub mod placement;
pub mod raft_memory;
pub mod recovery;
pub mod report;
pub mod rounds;
pub mod scheduler;
