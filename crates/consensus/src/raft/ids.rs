//! Names of places in the log.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A leadership, numbered. 0 before the first election.
pub type Term = u64;

/// A place in the log, from 1. 0 is the place before the first entry.
pub type Index = u64;

/// An entry's name: the term that proposed it and where. Compared lexicographically, term first (Raft §5.4.1);
/// comparing the parts one by one would let a long log of an old term beat a short one of a new term.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LogId {
    /// The term of the leader that proposed it.
    pub term: Term,
    /// Its index.
    pub index: Index,
}

impl LogId {
    /// Before the first entry.
    pub const ZERO: LogId = LogId { term: 0, index: 0 };

    /// The entry at `index` of `term`.
    pub fn new(term: Term, index: Index) -> LogId {
        LogId { term, index }
    }

    /// Whether a log can have come so far: a million entries a second for a hundred thousand years. What claims
    /// more is refused where it comes in, so that no place in a log is near the end of all numbers.
    pub(super) fn is_plausible(self) -> bool {
        self.index < 1 << 62
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}
