//! What must hold of every Raft scope after every simulated event. Each checker is a file, knows nothing of
//! the workload, and remembers what it needs, so that a step costs little.

mod audit;
mod committed;
mod elections;
mod matching;
mod monotone;
mod paths;

pub use audit::WorkAudit;
pub use committed::CommittedOnce;
pub use elections::ElectionSafety;
pub use matching::LogMatching;
pub use monotone::Monotone;
pub use paths::Paths;

use quorate::raft::{Batch, Index, Log, Raft, Term};
use quorate::sim::{Touch, World};
use quorate::{NodeId, ScopeId};

/// All of them, for one scope.
pub fn watch_raft<A: 'static>(world: &mut World<A>, scope: ScopeId) {
    world.invariant(Box::new(ElectionSafety::new(scope)));
    world.invariant(Box::new(LogMatching::new(scope)));
    world.invariant(Box::new(CommittedOnce::new(scope)));
    world.invariant(Box::new(Monotone::new(scope)));
    world.invariant(Box::new(Paths::new(scope)));
}

/// The replica that was touched, if it runs.
fn replica<A>(world: &World<A>, touch: Touch, scope: ScopeId) -> Option<&Raft> {
    world.host(touch.node)?.protocol::<Raft>(scope)
}

/// Index, term and a fingerprint of each entry from `first` on.
fn entries(log: &Log, first: Index) -> impl Iterator<Item = (Index, Term, u64)> + '_ {
    let last = log.last().index;
    let batches = log.batches_within(first, last);
    batches.flat_map(move |batch: &Batch| {
        let term = batch.term();
        batch.entries().filter(move |e| e.index >= first).map(move |e| (e.index, term, fingerprint(e.data)))
    })
}

/// FNV-1a 64.
fn fingerprint(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Who is touched first, second ...: a small table by node.
#[derive(Debug, Default)]
struct ByNode<T>(std::collections::BTreeMap<NodeId, T>);

impl<T: Default> ByNode<T> {
    fn of(&mut self, node: NodeId) -> &mut T {
        self.0.entry(node).or_default()
    }
}
