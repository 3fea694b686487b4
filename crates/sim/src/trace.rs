//! Everything that happened, as one number; and, where somebody wants to read it, as lines of text.

use std::fmt;
use std::io::Write;

/// A hash over all events of a run: portable, so that two machines, debug and release, can compare theirs.
/// Not cryptographic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceHash(u64);

impl TraceHash {
    pub(crate) fn new(seed: u64) -> TraceHash {
        TraceHash(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// One multiplication a word: the trace is hashed at every event.
    pub(crate) fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        self.word(rest);
        self.word(bytes.len() as u64);
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Joins the hashes of many runs, in their order.
pub(crate) fn join(so_far: u64, next: u64) -> u64 {
    let mut hash = TraceHash(so_far);
    hash.word(next);
    hash.value()
}

/// Where lines go; nowhere, usually.
#[derive(Default)]
pub(crate) struct Lines(Option<Box<dyn Write>>);

impl Lines {
    pub(crate) fn to(writer: impl Write + 'static) -> Lines {
        Lines(Some(Box::new(writer)))
    }

    pub(crate) fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn line(&mut self, now: u64, text: fmt::Arguments<'_>) {
        if let Some(writer) = &mut self.0 {
            let written = writeln!(writer, "{:>6}.{:06} {text}", now / 1_000_000, now % 1_000_000);
            if written.is_err() {
                // Nobody reads any more; the run goes on.
                self.0 = None;
            }
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_wanted() { "Lines(on)" } else { "Lines(off)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_order_and_ends_apart_and_is_the_same_for_ever() {
        let hash = |parts: &[&[u8]]| {
            let mut hash = TraceHash::new(1);
            parts.iter().for_each(|part| hash.bytes(part));
            hash.value()
        };
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"c", b"ab"]));
        assert_ne!(hash(&[b"a\0"]), hash(&[b"a"]));
        // Recorded trace hashes rest on this.
        assert_eq!(hash(&[b"0123456789"]), HASH_OF_TEN_DIGITS);
    }

    const HASH_OF_TEN_DIGITS: u64 = 11_816_271_944_154_787_550;
}
