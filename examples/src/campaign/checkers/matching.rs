use super::{Changed, Rule, entries};
use quorate::raft::{Index, Term};
use std::collections::BTreeMap;

/// Log matching: two logs that hold an entry of the same index and term hold the same entry, and the same one
/// before it (Raft figure 3), so by induction the same log up to it. And a leader only appends.
#[derive(Debug, Default)]
pub(super) struct LogMatching {
    /// What was seen first at each index, from index 1 on: nearly always the only one.
    first: Vec<Option<(Term, Entry)>>,
    /// What was seen at an index under another term than the first.
    others: BTreeMap<(Index, Term), Entry>,
}

/// An entry's fingerprint, and the term of the entry before it.
type Entry = (u64, Option<Term>);

impl LogMatching {
    /// What is known under this name; from now on this, if nothing was.
    fn known(&mut self, index: Index, term: Term, entry: Entry) -> Entry {
        let at = index as usize - 1;
        if self.first.len() <= at {
            self.first.resize(at + 1, None);
        }
        match self.first[at].get_or_insert((term, entry)) {
            (first, known) if *first == term => *known,
            _ => *self.others.entry((index, term)).or_insert(entry),
        }
    }
}

impl Rule for LogMatching {
    const NAME: &'static str = "log matching";

    fn check(&mut self, Changed { node, raft, before, now }: Changed<'_>) -> Result<(), String> {
        if before.last == now.last {
            return Ok(());
        }
        let (log, last) = (raft.log(), before.last);
        let still = log.has(last);
        let goes_on = now.leads.is_some() && now.leads == before.leads;
        if goes_on && now.last.index > last.index && !(still || last.index < log.base().index) {
            return Err(format!("{node} leads term {} and took back its entry {last}", now.term));
        }
        // What was looked at before and is still there needs no second look.
        let first = if still { last.index + 1 } else { log.base().index + 1 };
        let mut prev = log.term_at(first - 1).filter(|_| first > 1);
        for (index, term, print) in entries(log, first) {
            let entry = (print, prev);
            let known = self.known(index, term, entry);
            if known != entry {
                return Err(format!(
                    "{node} holds another entry {index}@{term} (or another one before it): {entry:x?}, not {known:x?}"
                ));
            }
            prev = Some(term);
        }
        Ok(())
    }
}
