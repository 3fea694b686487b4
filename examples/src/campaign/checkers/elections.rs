use super::{Changed, Rule};
use quorate::NodeId;
use quorate::raft::Term;
use std::collections::BTreeMap;

/// Election safety: at most one leader is elected in a term (Raft figure 3).
#[derive(Debug, Default)]
pub(super) struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
}

impl Rule for ElectionSafety {
    const NAME: &'static str = "election safety";

    fn check(&mut self, Changed { node, before, now, .. }: Changed<'_>) -> Result<(), String> {
        let Some(term) = now.leads.filter(|_| now.leads != before.leads) else { return Ok(()) };
        let known = self.leaders.entry(term).or_insert(node);
        match *known == node {
            true => Ok(()),
            false => Err(format!("{known} and {node} both lead term {term}")),
        }
    }
}
