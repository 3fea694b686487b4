use super::{ByNode, entries, replica};
use quorate::ScopeId;
use quorate::raft::{Index, Raft, Term};
use quorate::sim::{Invariant, Touch, Touched, World};

/// State machine safety and leader completeness: what is committed at an index is committed there for ever, on
/// every replica, and every leader of a later term holds it (Raft figure 3).
#[derive(Debug)]
pub struct CommittedOnce {
    scope: ScopeId,
    /// Every entry that some replica called committed, from index 1. `None` where it was only seen inside a
    /// snapshot.
    committed: Vec<Option<Known>>,
    /// Each replica's commit index, and the term that it led, when it was looked at last.
    seen: ByNode<(Index, Option<Term>)>,
}

/// A committed entry.
#[derive(Clone, Copy, Debug)]
struct Known {
    term: Term,
    print: u64,
    /// The term in which a replica first called it committed; it was committed in that term or an earlier one.
    by: Term,
}

impl CommittedOnce {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        CommittedOnce { scope, committed: Vec::new(), seen: ByNode::default() }
    }

    fn at(&mut self, index: Index) -> &mut Option<Known> {
        let at = index as usize - 1;
        if self.committed.len() <= at {
            self.committed.resize(at + 1, None);
        }
        &mut self.committed[at]
    }

    /// A new leader must hold everything that was committed in terms before its own. (One that wins an older
    /// term late need not hold what a newer one committed.)
    fn check_complete(&self, raft: &Raft) -> Result<(), String> {
        let log = raft.log();
        let first = log.base().index + 1;
        for (index, known) in (1..).zip(&self.committed).skip(first as usize - 1) {
            let Some(Known { term, .. }) = known.filter(|known| known.by < raft.term()) else { continue };
            if log.term_at(index) != Some(term) {
                let has = log.term_at(index);
                return Err(format!(
                    "the leader of term {} holds {has:?} at {index}, where {term} is committed",
                    raft.term()
                ));
            }
        }
        Ok(())
    }
}

impl<A> Invariant<A> for CommittedOnce {
    fn name(&self) -> &str {
        "state machine safety"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        if touch.how != Touched::Stepped {
            *self.seen.of(touch.node) = (0, None);
        }
        let Some(raft) = replica(world, touch, self.scope) else { return Ok(()) };
        let (before, led) = *self.seen.of(touch.node);
        let leads = raft.is_leader().then(|| raft.term());
        let commit = raft.commit();
        *self.seen.of(touch.node) = (commit, leads);
        if leads.is_some() && leads != led {
            self.check_complete(raft)?;
        }
        if commit <= before {
            return Ok(());
        }
        let log = raft.log();
        if commit > log.last().index {
            return Err(format!(
                "{} calls {commit} committed and its log ends at {}",
                touch.node,
                log.last()
            ));
        }
        let first = (before + 1).max(log.base().index + 1);
        for (index, term, print) in entries(log, first).take_while(|(index, _, _)| *index <= commit) {
            let known = self.at(index);
            match known {
                None => *known = Some(Known { term, print, by: raft.term() }),
                Some(was) if (was.term, was.print) == (term, print) => was.by = was.by.min(raft.term()),
                Some(Known { term: was, .. }) => {
                    return Err(format!(
                        "{} commits term {term} at {index}, where term {was} was committed",
                        touch.node
                    ));
                }
            }
        }
        Ok(())
    }
}
