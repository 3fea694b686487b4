//! State machines that panic now and then, on one node and not on the others.

use super::kv::Fuse;
use quorate::sim::World;
use quorate::{NodeId, Rng};

/// The path of a node that is restarted since its state machine panicked.
pub(super) const STARTED_ANEW: &str = "a node whose state machine panicked starts anew";

/// Lights a fuse, unless faults are `over`, and starts nodes anew whose state machine is gone.
pub(super) fn play<A>(
    world: &mut World<A>,
    fuses: &[Fuse],
    nodes: &[NodeId],
    over: bool,
    rng: &mut Rng,
    is_gone: impl Fn(&World<A>, NodeId) -> bool,
) {
    if fuses.is_empty() {
        return;
    }
    if !over
        && rng.chance(0.01)
        && let Some(fuse) = rng.pick(fuses)
    {
        fuse.light();
    }
    for id in nodes.iter().copied() {
        // Not at once: a node that votes and stores but cannot apply has to be lived with.
        if is_gone(world, id) && (over || rng.chance(0.02)) {
            world.sometimes(STARTED_ANEW);
            world.restart(id);
        }
    }
}
