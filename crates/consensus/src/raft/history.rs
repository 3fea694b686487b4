//! The configurations of the log: the one in force is the last that the log holds, committed or not (Raft §6), so one
//! whose entry is overwritten gives way to that before it.

use super::{Configuration, Index};
use quorate_core::JournalId;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Each configuration with the entry that it came by; the first one as of the snapshot, or of the founding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct History {
    known: VecDeque<(Index, Arc<Configuration>)>,
    /// The first one came by no entry that could be overwritten.
    settled: bool,
}

impl History {
    /// The one in force; `None` before the founding, and for one that joined and has nothing yet.
    pub fn in_force(&self) -> Option<&Arc<Configuration>> {
        self.known.back().map(|(_, configuration)| configuration)
    }

    /// The journals of everybody who votes in one that is known.
    pub fn voters(&self) -> BTreeSet<JournalId> {
        let bodies = self.known.iter().flat_map(|(_, configuration)| configuration.bodies());
        bodies.flat_map(|electors| electors.voters()).map(|(voter, _)| voter.journal).collect()
    }

    /// The entry that the one in force came by; 0 for that of the founding.
    pub fn since(&self) -> Index {
        self.known.back().map_or(0, |(index, _)| *index)
    }

    /// That of the founding, while nothing else stands for it.
    pub fn of_founding(&self) -> Option<&Arc<Configuration>> {
        self.known.front().filter(|(since, _)| *since == 0).map(|(_, configuration)| configuration)
    }

    /// All of them, in order, and whether the first one came by no entry that could be overwritten.
    pub fn into_parts(self) -> (VecDeque<(Index, Arc<Configuration>)>, bool) {
        (self.known, self.settled)
    }

    /// What [`History::into_parts`] was given.
    pub fn from_parts(known: VecDeque<(Index, Arc<Configuration>)>, settled: bool) -> History {
        History { known, settled }
    }

    /// The one as of this entry.
    pub fn at(&self, index: Index) -> Option<&Arc<Configuration>> {
        self.known.iter().rev().find(|(since, _)| *since <= index).map(|(_, configuration)| configuration)
    }

    /// Those that may decide when this much is committed: the last one that is, and all behind it, which may be taken back.
    pub fn undecided(&self, commit: Index) -> impl Iterator<Item = &Arc<Configuration>> {
        let behind = self.known.partition_point(|(since, _)| *since <= commit);
        self.known.range(behind.saturating_sub(1)..).map(|(_, configuration)| configuration)
    }

    /// The first one behind `from` that came by an entry up to `upto`.
    pub fn first_within(&self, from: Index, upto: Index) -> Option<(Index, &Arc<Configuration>)> {
        let (index, configuration) = self.known.iter().find(|(index, _)| *index > from)?;
        (*index <= upto).then_some((*index, configuration))
    }

    /// An entry of the log says so. One that the first one already stands for says nothing new.
    pub fn push(&mut self, index: Index, configuration: Arc<Configuration>) {
        if self.known.is_empty() || index > self.since() {
            self.known.push_back((index, configuration));
        }
    }

    /// The entries from `index` on are gone.
    pub fn truncate_from(&mut self, index: Index) {
        let kept = usize::from(self.settled);
        while self.known.len() > kept && self.since() >= index {
            self.known.pop_back();
        }
    }

    /// A snapshot stands for everything up to `index`. Those behind it stay.
    pub fn begin(&mut self, index: Index, configuration: Arc<Configuration>) {
        while self.known.front().is_some_and(|(since, _)| *since <= index) {
            self.known.pop_front();
        }
        self.known.push_front((index, configuration));
        self.settled = true;
    }

    /// A snapshot took the place of the whole log.
    pub fn replace(&mut self, index: Index, configuration: Arc<Configuration>) {
        self.known.clear();
        self.known.push_back((index, configuration));
        self.settled = true;
    }
}
