use super::{ByNode, replica};
use quorate::raft::{Index, Term};
use quorate::sim::{Invariant, Touch, Touched, World};
use quorate::{NodeId, ScopeId};

/// Term and commit index never go back within a life, and a vote that was given in a term is never given to
/// somebody else in it.
#[derive(Debug)]
pub struct Monotone {
    scope: ScopeId,
    seen: ByNode<(Term, Option<NodeId>, Index)>,
}

impl Monotone {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        Monotone { scope, seen: ByNode::default() }
    }
}

impl<A> Invariant<A> for Monotone {
    fn name(&self) -> &str {
        "terms, votes and commits never go back"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let seen = self.seen.of(touch.node);
        if touch.how != Touched::Stepped {
            *seen = Default::default();
        }
        let Some(raft) = replica(world, touch, self.scope) else { return Ok(()) };
        let now = (raft.term(), raft.vote(), raft.commit());
        let (term, vote, commit) = std::mem::replace(seen, now);
        if now.0 < term || now.2 < commit {
            return Err(format!("{} went from term {term}, commit {commit} to {now:?}", touch.node));
        }
        if now.0 == term && vote.is_some() && now.1 != vote {
            return Err(format!(
                "{} took back its vote for {vote:?} in term {term}: {:?}",
                touch.node, now.1
            ));
        }
        Ok(())
    }
}
