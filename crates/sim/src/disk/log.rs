//! The records of one scope on a disk: a base, and what was appended behind it.

use bytes::Bytes;
use quorate_core::Mark;
use std::collections::VecDeque;

/// One scope's records. Marks count from the first record of this life, whatever was compacted since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    base: Vec<Bytes>,
    tail: VecDeque<Bytes>,
    /// The mark of the last record that the base stands for.
    upto: u64,
}

impl Log {
    pub(super) fn append(&mut self, record: Bytes) {
        self.tail.push_back(record);
    }

    /// Replaces what is up to and with `upto`.
    pub(super) fn compact(&mut self, upto: Mark, base: Vec<Bytes>) {
        debug_assert!((self.marks().0..=self.marks().1).contains(&upto.0), "asserted by the disk");
        self.tail.drain(..(upto.0 - self.upto) as usize);
        self.upto = upto.0;
        self.base = base;
    }

    /// The mark up to which it is compacted, and that of the last record.
    pub(super) fn marks(&self) -> (u64, u64) {
        (self.upto, self.upto + self.tail.len() as u64)
    }

    /// A new life counts from one again: every record that is here has a mark of its own.
    pub(super) fn renumber(&mut self) {
        for record in self.base.drain(..).rev() {
            self.tail.push_front(record);
        }
        self.upto = 0;
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Bytes> {
        self.base.iter().chain(&self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(texts: &[&'static str]) -> Log {
        let mut log = Log::default();
        for text in texts {
            log.append(Bytes::from_static(text.as_bytes()));
        }
        log
    }

    #[test]
    fn a_base_stands_for_what_it_replaced_and_marks_keep_their_numbers() {
        let mut log = log(&["a", "b", "c", "d"]);
        log.compact(Mark(2), vec![Bytes::from_static(b"ab")]);
        log.compact(Mark(3), vec![Bytes::from_static(b"abc")]);
        assert_eq!(log.records().collect::<Vec<_>>(), ["abc", "d"]);
        log.renumber();
        log.compact(Mark(1), vec![Bytes::from_static(b"x"), Bytes::from_static(b"y")]);
        assert_eq!(log.records().collect::<Vec<_>>(), ["x", "y", "d"]);
    }
}
