//! Runs the work of one bench under a counting allocator. See [`quorate_benches::allocations`].

use quorate_benches::{raft_memory, scheduler};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> std::io::Result<()> {
    let bench = std::env::args().nth(1).unwrap_or_default();
    let counted = match bench.as_str() {
        "raft_memory" => raft_memory::allocations(),
        "scheduler" => scheduler::allocations(),
        other => return Err(std::io::Error::other(format!("no bench is called {other:?}"))),
    };
    for line in counted {
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}
