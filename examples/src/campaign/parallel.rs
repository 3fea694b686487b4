//! Seeds on several threads. A run knows nothing but its seed, so it comes to the same wherever it runs; their outcomes
//! are put back into the order of the seeds, so the report is the same too.

use quorate::sim::Outcome;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Hands the outcomes of these seeds on, in their order. An outcome is small, so that those behind a slow seed may wait.
pub(super) fn outcomes<T>(
    threads: NonZeroUsize,
    seeds: Range<u64>,
    one: &(impl Fn(u64) -> Outcome + Sync),
    gather: impl FnOnce(&mut dyn Iterator<Item = Outcome>) -> T,
) -> T {
    let next = AtomicU64::new(seeds.start);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (sender, next, end) = (sender.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more: the gatherer has given up.
                    if seed >= end || sender.send(Outcome::caught(seed, one)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut in_order = seeds.clone().map_while(|seed| {
            while !early.contains_key(&seed) {
                let outcome = receiver.recv().ok()?;
                early.insert(outcome.seed, outcome);
            }
            early.remove(&seed)
        });
        gather(&mut in_order)
    })
}
