//! The log in memory: batches behind a base. Knows nothing of terms' rules; it only keeps what it is given
//! in one piece.

use super::{Batch, Entry, Index, LogId, Term};
use std::collections::VecDeque;

/// Entries after `base`, without gaps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The last entry that is no longer here: a snapshot stands for it and all before it.
    base: LogId,
    /// The last entry that is here, or the base: what is asked most often.
    last: LogId,
    batches: VecDeque<Batch>,
    /// Where each term begins: nearly always one, so that a term is known without a look at a batch.
    terms: VecDeque<LogId>,
    bytes: usize,
}

impl Log {
    /// The last entry that a snapshot stands for.
    pub fn base(&self) -> LogId {
        self.base
    }

    /// The last entry's name; the base's when there is none.
    pub fn last(&self) -> LogId {
        self.last
    }

    /// Bytes of all entries held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that they take in memory. Of many small batches that is much more.
    pub fn footprint(&self) -> usize {
        self.bytes + self.batches.len() * size_of::<Batch>()
    }

    /// The term of the entry at `index`; `None` before the base and after the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index < self.base.index || index > self.last().index {
            return None;
        }
        // Nearly always it is the last one.
        match self.terms.back() {
            Some(begin) if begin.index <= index => Some(begin.term),
            _ => {
                let behind = self.terms.partition_point(|begin| begin.index <= index);
                self.terms.get(behind.checked_sub(1)?).map(|begin| begin.term)
            }
        }
    }

    /// Whether the entry of that name is in the log (or is the base).
    pub fn has(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// Puts a batch right behind the last entry.
    #[inline]
    pub fn push(&mut self, batch: Batch) {
        assert_eq!(batch.first(), self.last().index + 1, "a gap in the log");
        if self.terms.back().is_none_or(|begin| begin.term != batch.term()) {
            self.terms.push_back(LogId::new(batch.term(), batch.first()));
        }
        self.bytes += batch.len();
        self.last = batch.last_id();
        self.batches.push_back(batch);
    }

    /// Takes away every entry from `index` on.
    pub fn truncate_from(&mut self, index: Index) {
        assert!(index > self.base.index, "what a snapshot stands for is never taken back");
        while let Some(last) = self.batches.back()
            && last.last() >= index
        {
            self.bytes -= last.len();
            let kept = last.upto(index - 1);
            self.batches.pop_back();
            if let Some(kept) = kept {
                self.bytes += kept.len();
                self.batches.push_back(kept);
                break;
            }
        }
        while self.terms.back().is_some_and(|begin| begin.index >= index) {
            self.terms.pop_back();
        }
        self.last = self.batches.back().map_or(self.base, Batch::last_id);
    }

    /// Forgets every entry up to and with `base`, which a snapshot stands for from now on. If the log does not
    /// hold that entry, it forgets all (Raft §7).
    pub fn rebase(&mut self, base: LogId) {
        if !self.has(base) {
            *self = Log { base, last: base, ..Log::default() };
            return;
        }
        let gone = self.batch_at(base.index + 1).unwrap_or(self.batches.len());
        self.bytes -= self.batches.drain(..gone).map(|batch| batch.len()).sum::<usize>();
        // Of the one that holds it the rest stays.
        if let Some(first) = self.batches.front_mut()
            && let Some(kept) = first.from(base.index + 1).filter(|_| first.first() <= base.index)
        {
            self.bytes -= first.len() - kept.len();
            *first = kept;
        }
        self.base = base;
        self.last = self.batches.back().map_or(base, Batch::last_id);
        // The term that the log now begins in may have begun before.
        while self.terms.get(1).is_some_and(|begin| begin.index <= base.index + 1) {
            self.terms.pop_front();
        }
        match self.terms.front_mut() {
            Some(_) if self.batches.is_empty() => self.terms.clear(),
            Some(begin) => begin.index = begin.index.max(base.index + 1),
            None => {}
        }
    }

    /// The batches that hold the entries from `first` on, the first one cut to begin there, as many as
    /// `bytes_max` allows; at least one if there is any.
    pub fn read(&self, first: Index, bytes_max: usize) -> Vec<Batch> {
        let Some(at) = self.batch_at(first) else { return Vec::new() };
        let mut found = Vec::new();
        let mut bytes = 0;
        for batch in self.batches.range(at..) {
            bytes += batch.len() + Batch::HEAD_BYTES_MAX;
            if bytes > bytes_max && !found.is_empty() {
                break;
            }
            found.extend(batch.from(first));
        }
        found
    }

    /// The batch that holds `index`, cut to begin there.
    pub fn batch_from(&self, index: Index) -> Option<Batch> {
        self.batches[self.batch_at(index)?].from(index)
    }

    /// All batches, lent.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter()
    }

    /// Batches with entries in `first..=last`, whole, lent.
    pub fn batches_within(&self, first: Index, last: Index) -> impl Iterator<Item = &Batch> {
        let at = self.batch_at(first).unwrap_or(self.batches.len());
        self.batches.range(at..).take_while(move |batch| batch.first() <= last)
    }

    /// The base of a log that keeps, of the batches up to the one that holds `last`, no more than so many bytes: whole ones only.
    pub fn base_within(&self, last: Index, bytes_max: usize) -> Index {
        if self.bytes <= bytes_max {
            return self.base.index;
        }
        let Some(at) = self.batch_at(last) else { return self.base.index };
        let mut bytes = 0;
        for batch in self.batches.range(..=at).rev() {
            bytes += batch.len();
            if bytes > bytes_max {
                return batch.last().min(last);
            }
        }
        self.base.index
    }

    /// The entry at `index`.
    pub fn entry(&self, index: Index) -> Option<Entry<'_>> {
        self.batches[self.batch_at(index)?].entries().find(|entry| entry.index == index)
    }

    /// The greatest index up to `index` whose term is at most `term`: where a conflict may lie (Raft §5.3, the
    /// optimisation at its end).
    pub fn last_upto(&self, index: Index, term: Term) -> LogId {
        // A peer may ask, so the way there must not be long. Terms do not fall along the log.
        let behind = self.terms.partition_point(|begin| begin.index <= index && begin.term <= term);
        let Some(begin) = behind.checked_sub(1).and_then(|at| self.terms.get(at)) else { return self.base };
        let end = self.terms.get(behind).map_or(self.last().index, |next| next.index - 1);
        LogId::new(begin.term, end.min(index))
    }

    /// Where the batch with the entry at `index` is. A batch has one entry at least, so the distance in entries
    /// from either end bounds the distance in batches: questions about the ends, which most are, cost nothing.
    fn batch_at(&self, index: Index) -> Option<usize> {
        let first = self.base.index + 1;
        if index > self.last.index || index < first {
            return None;
        }
        let end = self.batches.len() - 1;
        let mut low = end.saturating_sub((self.last.index - index) as usize);
        let mut high = end.min((index - first) as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.batches[middle].last() < index {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Commands, OpenBatch};

    fn batch(first: Index, term: Term, count: usize) -> Batch {
        let mut open = OpenBatch::default();
        for i in 0..count {
            open.push(Commands::one(&[i as u8]));
        }
        open.seal(first, term)
    }

    /// The same log as one term an index, read from the batches: the naive twin.
    fn terms(log: &Log) -> Vec<(Index, Term)> {
        let all: Vec<_> =
            log.batches.iter().flat_map(|b| b.entries().map(|entry| (entry.index, b.term()))).collect();
        for index in 0..=log.last().index + 2 {
            let (at, base) = (all.iter().find(|(i, _)| *i == index), log.base());
            let expected = at.map(|(_, term)| *term).or((index == base.index).then_some(base.term));
            assert_eq!(log.term_at(index), expected, "the term at {index}");
            assert_eq!(log.entry(index).map(|entry| entry.index), at.map(|(index, _)| *index));
        }
        all
    }

    fn sample() -> Log {
        let mut log = Log::default();
        log.push(batch(1, 1, 3));
        log.push(batch(4, 2, 1));
        log.push(batch(5, 4, 4));
        log
    }

    #[test]
    fn truncating_and_rebasing_anywhere_agree_with_the_naive_twin() {
        let all = terms(&sample());
        for cut in 1..=9 {
            let mut log = sample();
            log.truncate_from(cut);
            assert_eq!(terms(&log), all.iter().copied().filter(|(i, _)| *i < cut).collect::<Vec<_>>());
        }
        for (base, term) in all.clone() {
            let mut log = sample();
            log.rebase(LogId::new(term, base));
            assert_eq!(terms(&log), all.iter().copied().filter(|(i, _)| *i > base).collect::<Vec<_>>());
            assert_eq!(log.term_at(base), Some(term));
            assert_eq!(log.bytes(), log.read(base + 1, usize::MAX).iter().map(Batch::len).sum::<usize>());
        }
        let mut log = sample();
        log.rebase(LogId::new(9, 6));
        assert_eq!((log.last(), log.bytes()), (LogId::new(9, 6), 0));
        log.push(batch(7, 9, 2));
        log.push(batch(9, 10, 2));
        assert_eq!(terms(&log), [(7, 9), (8, 9), (9, 10), (10, 10)]);
        log.rebase(LogId::new(10, 10));
        let base = LogId::new(10, 10);
        assert_eq!(log, Log { base, last: base, ..Log::default() });
    }

    #[test]
    fn what_is_kept_in_so_many_bytes_is_whole_batches_and_as_many_as_fit() {
        let log = sample();
        for (last, bytes_max) in (1..=8).flat_map(|last| (0..20).map(move |bytes_max| (last, bytes_max))) {
            let base = log.base_within(last, bytes_max);
            // The naive twin: the lowest base that is the end of a batch, or nothing at all, with few enough bytes behind it.
            let kept = |base| -> usize {
                let whole = log.batches().filter(|b| b.first() > base && b.first() <= last);
                whole.map(Batch::len).sum()
            };
            let ends = [0].into_iter().chain(log.batches().map(Batch::last)).filter(|end| *end <= last);
            let expected = ends.chain([last]).find(|base| kept(*base) <= bytes_max);
            assert_eq!(Some(base), expected, "{bytes_max} bytes up to {last}");
        }
        assert_eq!(Log::default().base_within(3, 0), 0);
    }

    #[test]
    fn the_hint_of_a_conflict_is_the_last_entry_of_no_later_term() {
        let log = sample();
        assert_eq!(log.last_upto(8, 3), LogId::new(2, 4));
        assert_eq!(log.last_upto(8, 4), LogId::new(4, 8));
        assert_eq!(log.last_upto(2, 9), LogId::new(1, 2));
        assert_eq!(log.last_upto(8, 0), LogId::ZERO);
    }

    #[test]
    fn hints_agree_with_a_look_at_every_entry() {
        for base in [LogId::ZERO, LogId::new(1, 2), LogId::new(2, 4), LogId::new(4, 6), LogId::new(4, 8)] {
            let mut log = sample();
            log.rebase(base);
            let all = terms(&log);
            for (index, term) in (0..11).flat_map(|index| (0..6).map(move |term| (index, term))) {
                let found = all.iter().rev().find(|(i, t)| *i <= index && *t <= term);
                let expected = found.map_or(log.base(), |(i, t)| LogId::new(*t, *i));
                assert_eq!(log.last_upto(index, term), expected, "{index} {term} behind {base}");
            }
        }
    }
}
