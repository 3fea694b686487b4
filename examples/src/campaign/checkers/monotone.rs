use super::{Changed, Rule};

/// Term and commit index never go back within a life, and a vote that was given in a term is never given to
/// somebody else in it.
#[derive(Debug)]
pub(super) struct Monotone;

impl Rule for Monotone {
    const NAME: &'static str = "terms, votes and commits never go back";

    fn check(&mut self, Changed { node, before, now, .. }: Changed<'_>) -> Result<(), String> {
        if now.term < before.term || now.commit < before.commit {
            return Err(format!(
                "{node} went from term {}, commit {} to term {}, commit {}",
                before.term, before.commit, now.term, now.commit
            ));
        }
        if now.term == before.term && before.vote.is_some() && now.vote != before.vote {
            return Err(format!(
                "{node} took back its vote for {:?} in term {}: {:?}",
                before.vote, now.term, now.vote
            ));
        }
        Ok(())
    }
}
