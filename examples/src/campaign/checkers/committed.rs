use super::{Changed, Rule, entries};
use quorate::raft::{Index, Raft, Term};

/// State machine safety and leader completeness: what is committed at an index is committed there for ever, on
/// every replica, and every leader of a later term holds it (Raft figure 3).
#[derive(Debug, Default)]
pub(super) struct CommittedOnce {
    /// Every entry that some replica called committed, from index 1. `None` where it was only seen inside a
    /// snapshot.
    committed: Vec<Option<Known>>,
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

impl Rule for CommittedOnce {
    const NAME: &'static str = "state machine safety";

    fn check(&mut self, Changed { node, raft, before, now }: Changed<'_>) -> Result<(), String> {
        if now.leads.is_some() && now.leads != before.leads {
            self.check_complete(raft)?;
        }
        if now.commit <= before.commit {
            return Ok(());
        }
        let log = raft.log();
        if now.commit > now.last.index {
            return Err(format!("{node} calls {} committed and its log ends at {}", now.commit, now.last));
        }
        let first = (before.commit + 1).max(log.base().index + 1);
        for (index, term, print) in entries(log, first).take_while(|(index, _, _)| *index <= now.commit) {
            let known = self.at(index);
            match known {
                None => *known = Some(Known { term, print, by: now.term }),
                Some(was) if (was.term, was.print) == (term, print) => was.by = was.by.min(now.term),
                Some(Known { term: was, .. }) => {
                    return Err(format!(
                        "{node} commits term {term} at {index}, where term {was} was committed"
                    ));
                }
            }
        }
        Ok(())
    }
}
