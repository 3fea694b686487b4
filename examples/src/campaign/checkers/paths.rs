use super::{ByNode, replica};
use quorate::ScopeId;
use quorate::raft::RaftCounters;
use quorate::sim::{Invariant, Touch, Touched, World};

/// Not a rule but a witness: reports which recovery paths of Raft a run took, so that a campaign can fail if
/// one was never taken.
#[derive(Debug)]
pub struct Paths {
    scope: ScopeId,
    seen: ByNode<RaftCounters>,
}

/// A path's name, and how often it was taken.
type Path = (&'static str, fn(&RaftCounters) -> u64);

const PATHS: [Path; 13] = [
    ("a pre-vote round is held", |c| c.pre_campaigns),
    ("an election is held", |c| c.campaigns),
    ("a leader is elected", |c| c.elected),
    ("a vote is refused because a leader is heard", |c| c.sticky),
    ("a leader that hears no quorum steps down", |c| c.lost_quorum),
    ("a leader whose disk stalls steps down", |c| c.stalled_disk),
    ("an append is refused because logs differ", |c| c.conflicts),
    ("entries of a deposed leader are overwritten", |c| c.truncations),
    ("a snapshot is sent", |c| c.snapshots_sent),
    ("a snapshot is installed", |c| c.snapshots_installed),
    ("a log is compacted", |c| c.compactions),
    ("a proposal is forwarded", |c| c.forwarded),
    ("a read is confirmed by a round", |c| c.reads),
];

impl Paths {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        Paths { scope, seen: ByNode::default() }
    }

    /// The names that it reports.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PATHS.iter().map(|(name, _)| *name)
    }
}

impl<A> Invariant<A> for Paths {
    fn name(&self) -> &str {
        "recovery paths"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let seen = self.seen.of(touch.node);
        if touch.how != Touched::Stepped {
            *seen = RaftCounters::default();
        }
        let Some(raft) = replica(world, touch, self.scope) else { return Ok(()) };
        let now = raft.counters();
        if now != *seen {
            for (name, count) in PATHS {
                (count(seen)..count(&now)).for_each(|_| world.sometimes(name));
            }
            *seen = now;
        }
        Ok(())
    }
}
