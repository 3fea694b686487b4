use super::replica;
use quorate::raft::Term;
use quorate::sim::{Invariant, Touch, World};
use quorate::{NodeId, ScopeId};
use std::collections::BTreeMap;

/// Election safety: at most one leader is elected in a term (Raft figure 3).
#[derive(Debug)]
pub struct ElectionSafety {
    scope: ScopeId,
    leaders: BTreeMap<Term, NodeId>,
}

impl ElectionSafety {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        ElectionSafety { scope, leaders: BTreeMap::new() }
    }
}

impl<A> Invariant<A> for ElectionSafety {
    fn name(&self) -> &str {
        "election safety"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let Some(raft) = replica(world, touch, self.scope).filter(|raft| raft.is_leader()) else {
            return Ok(());
        };
        let known = self.leaders.entry(raft.term()).or_insert(touch.node);
        match *known == touch.node {
            true => Ok(()),
            false => Err(format!("{known} and {} both lead term {}", touch.node, raft.term())),
        }
    }
}
