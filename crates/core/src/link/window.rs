//! Which sequences of a session have been seen: the last 1,024 in a ring of bits (the sliding window of
//! RFC 4303 §3.4.3, with the ring of RFC 6479).

pub(super) const WINDOW: u64 = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The highest sequence seen; 0 when none was.
    highest: u64,
    /// Bit `s % WINDOW`: whether `s` was seen, for the `WINDOW` sequences up to `highest`.
    bits: [u64; (WINDOW / 64) as usize],
}

/// What became of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new, and from now on seen.
    Fresh,
    /// It was seen before.
    Twice,
    /// It is older than the window remembers.
    Old,
}

impl Window {
    pub(super) fn new() -> Window {
        Window { highest: 0, bits: [0; (WINDOW / 64) as usize] }
    }

    pub(super) fn note(&mut self, sequence: u64) -> Seen {
        if self.highest.saturating_sub(sequence) >= WINDOW {
            return Seen::Old;
        }
        if sequence > self.highest {
            if sequence - self.highest >= WINDOW {
                self.bits = [0; (WINDOW / 64) as usize];
            } else {
                // The places of the skipped ones still say what their predecessors a lap ago were.
                (self.highest + 1..sequence).for_each(|skipped| self.clear(skipped));
                self.clear(sequence);
            }
            self.highest = sequence;
        }
        let (word, bit) = place(sequence);
        if self.bits[word] & bit != 0 {
            return Seen::Twice;
        }
        self.bits[word] |= bit;
        Seen::Fresh
    }

    fn clear(&mut self, sequence: u64) {
        let (word, bit) = place(sequence);
        self.bits[word] &= !bit;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let at = sequence % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_a_set_that_forgets_nothing() {
        let mut rng = Rng::from_seed(5);
        for round in 0..50 {
            let (mut window, mut seen, mut highest) = (Window::new(), BTreeSet::new(), 0u64);
            for _ in 0..4000 {
                let spread = if round % 2 == 0 { 40 } else { 3000 };
                let sequence = (highest.saturating_sub(spread) + rng.within(0..2 * spread)).max(1);
                let expected = if sequence + WINDOW <= highest {
                    Seen::Old
                } else if seen.insert(sequence) {
                    Seen::Fresh
                } else {
                    Seen::Twice
                };
                assert_eq!(window.note(sequence), expected, "{sequence} after {highest}");
                highest = highest.max(sequence);
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_numbers_too() {
        let mut window = Window::new();
        assert_eq!(window.note(u64::MAX), Seen::Fresh);
        assert_eq!(window.note(u64::MAX), Seen::Twice);
        assert_eq!(window.note(u64::MAX - WINDOW + 1), Seen::Fresh);
        assert_eq!(window.note(u64::MAX - WINDOW), Seen::Old);
        assert_eq!(window.note(1), Seen::Old);
    }
}
