use super::{ByNode, entries, replica};
use quorate::ScopeId;
use quorate::raft::{Index, LogId, Term};
use quorate::sim::{Invariant, Touch, Touched, World};
use std::collections::BTreeMap;

/// Log matching: two logs that hold an entry of the same index and term hold the same entry, and the same one
/// before it (Raft figure 3), so by induction the same log up to it. And a leader only appends.
#[derive(Debug)]
pub struct LogMatching {
    scope: ScopeId,
    /// Entry name -> fingerprint, and the term of the entry before.
    known: BTreeMap<(Index, Term), (u64, Option<Term>)>,
    /// Each log's end when it was looked at last, and the term that was led then.
    seen: ByNode<(LogId, Option<Term>)>,
}

impl LogMatching {
    /// Of this scope.
    pub fn new(scope: ScopeId) -> Self {
        LogMatching { scope, known: BTreeMap::new(), seen: ByNode::default() }
    }
}

impl<A> Invariant<A> for LogMatching {
    fn name(&self) -> &str {
        "log matching"
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let seen = self.seen.of(touch.node);
        if touch.how != Touched::Stepped {
            *seen = (LogId::ZERO, None);
        }
        let Some(raft) = replica(world, touch, self.scope) else { return Ok(()) };
        let (log, last) = (raft.log(), raft.last());
        let leads = raft.is_leader().then(|| raft.term());
        let (before, led) = std::mem::replace(seen, (last, leads));
        if before == last {
            return Ok(());
        }
        if leads.is_some()
            && leads == led
            && last.index > before.index
            && !(log.has(before) || before.index < log.base().index)
        {
            return Err(format!(
                "{} leads term {} and took back its entry {before}",
                touch.node,
                raft.term()
            ));
        }
        // What was looked at before and is still there needs no second look.
        let first = if log.has(before) { before.index + 1 } else { log.base().index + 1 };
        let mut prev = log.term_at(first - 1).filter(|_| first > 1);
        for (index, term, print) in entries(log, first) {
            let known = self.known.entry((index, term)).or_insert((print, prev));
            if *known != (print, prev) {
                return Err(format!(
                    "{} holds another entry {index}@{term} (or another one before it)",
                    touch.node
                ));
            }
            prev = Some(term);
        }
        Ok(())
    }
}
