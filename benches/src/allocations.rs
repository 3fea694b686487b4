//! Allocations, counted by a second process: `count_allocations BENCH` runs the same work under a counting
//! allocator and prints one JSON object a contender and setting. The timed process keeps the system's allocator
//! as users have it.

use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use std::alloc::System;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What one unit of work allocated, on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allocations {
    /// The contender.
    pub who: String,
    /// The setting.
    pub row: String,
    /// Allocations and growths of one.
    pub count: f64,
    /// Of them, in the part that [`part`] names.
    pub part: f64,
    /// Bytes asked for.
    pub bytes: f64,
    /// Bytes still held when the work was done.
    pub held: f64,
}

/// Counts what `work` allocates, for each of `units`. All zeroes unless the counting allocator is installed.
pub fn count(who: &str, row: &str, units: u64, work: impl FnOnce()) -> Allocations {
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    work();
    let change = region.change();
    let each = |value: f64| value / units as f64;
    Allocations {
        who: who.into(),
        row: row.into(),
        count: each((change.allocations + change.reallocations) as f64),
        part: 0.0,
        bytes: each(change.bytes_allocated as f64),
        held: each(change.bytes_allocated as f64 - change.bytes_deallocated as f64),
    }
}

static COUNTS_PARTS: AtomicBool = AtomicBool::new(false);
static PART: AtomicUsize = AtomicUsize::new(0);

/// Counts what is allocated while it lives, if that belongs to the part that is of interest, say to a leader. Costs one
/// load where nobody counts, and moves nothing.
#[must_use]
pub struct Part(Option<Region<'static, System>>);

/// Begins a piece of work.
#[inline]
pub fn part(belongs: bool) -> Part {
    Part((belongs && COUNTS_PARTS.load(Relaxed)).then(|| Region::new(&INSTRUMENTED_SYSTEM)))
}

impl Drop for Part {
    #[inline]
    fn drop(&mut self) {
        if let Some(region) = &self.0 {
            let change = region.change();
            PART.fetch_add(change.allocations + change.reallocations, Relaxed);
        }
    }
}

/// What the parts of `work` allocate, for each of `units`.
pub fn counting_parts(units: u64, work: impl FnOnce()) -> f64 {
    PART.store(0, Relaxed);
    COUNTS_PARTS.store(true, Relaxed);
    work();
    COUNTS_PARTS.store(false, Relaxed);
    PART.load(Relaxed) as f64 / units as f64
}

/// Runs the counting program for one bench and reads what it prints.
pub fn of_bench(program: &Path, bench: &str) -> std::io::Result<Vec<Allocations>> {
    let output = Command::new(program).arg(bench).stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("{} {bench}: {}", program.display(), output.status)));
    }
    output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
}
