//! A queue for large values that are handed on at once.

use std::fmt::{self, Debug};
use std::iter::Take;
use std::slice::IterMut;

/// Values in order: pushed one by one, then all taken.
///
/// Each is written right where it will stay. A vector that grows may run out of memory and then has to drop what it was
/// handed, so the compiler puts that together elsewhere first and copies it; and to read at once what was just written in
/// other pieces costs a dozen cycles. A commit of Raft hands on some twenty messages and records of a hundred bytes.
pub struct Slots<T> {
    /// Those from `len` on are empty.
    slots: Vec<Option<T>>,
    len: usize,
}

impl<T> Slots<T> {
    /// Puts one behind the others.
    #[inline(always)]
    pub fn push(&mut self, value: T) {
        let slot = match self.slots.get_mut(self.len) {
            Some(slot) => slot,
            None => grow(&mut self.slots),
        };
        debug_assert!(slot.is_none(), "a value was lent and not taken");
        // Nothing is there that would have to be dropped.
        std::mem::forget(slot.replace(value));
        self.len += 1;
    }

    /// Takes all, in order; what is not asked for is dropped. The memory is kept.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        Drain(self.lend())
    }

    /// Lends all, in order. Each has to be taken: one that is not is never dropped.
    pub(crate) fn lend(&mut self) -> Take<IterMut<'_, Option<T>>> {
        let len = std::mem::take(&mut self.len);
        self.slots.iter_mut().take(len)
    }

    /// Looks at all, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().take(self.len).flatten()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives memory back beyond that for so many.
    pub fn shrink_to(&mut self, kept: usize) {
        self.slots.truncate(kept.max(self.len));
        self.slots.shrink_to(kept);
    }
}

struct Drain<'a, T>(Take<IterMut<'a, Option<T>>>);

impl<T> Iterator for Drain<'_, T> {
    type Item = T;
    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.next()?.take()
    }
}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        self.0.by_ref().for_each(|slot| *slot = None);
    }
}

/// Makes room. That there is no memory for it ends the process, as it does everywhere; said like this, it can end nothing
/// less, so whoever writes a value need not be prepared to drop it.
#[cold]
extern "C" fn grow<T>(slots: &mut Vec<Option<T>>) -> &mut Option<T> {
    let len = slots.len();
    slots.resize_with((len * 2).max(8), || None);
    &mut slots[len]
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slots: Vec::new(), len: 0 }
    }
}

impl<T: Debug> Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn values_come_out_as_they_went_in_and_each_is_dropped_once() {
        let value = Rc::new(());
        let mut slots = Slots::default();
        for round in 0..3 {
            let pushed: Vec<usize> = (0..20 * round).collect();
            pushed.iter().for_each(|at| slots.push((*at, value.clone())));
            assert_eq!((slots.len(), slots.is_empty()), (pushed.len(), pushed.is_empty()));
            assert!(slots.iter().map(|(at, _)| *at).eq(pushed.iter().copied()));
            assert_eq!(Rc::strong_count(&value), 1 + pushed.len());
            assert!(slots.drain().map(|(at, _)| at).eq(pushed.iter().copied()));
            assert!(slots.is_empty() && slots.drain().next().is_none());
            assert_eq!(Rc::strong_count(&value), 1);
        }
        (0..5).for_each(|at| slots.push((at, value.clone())));
        assert_eq!(slots.drain().nth(1).map(|(at, _)| at), Some(1));
        assert_eq!(Rc::strong_count(&value), 1, "what was not asked for is dropped");
        slots.push((0, value.clone()));
        drop(slots);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn memory_is_kept_until_it_is_given_back_and_then_what_is_there_stays() {
        let mut slots = Slots::default();
        (0..100).for_each(|at| slots.push(at));
        assert_eq!(slots.drain().count(), 100);
        assert!(slots.slots.len() >= 100);
        (0..10).for_each(|at| slots.push(at));
        slots.shrink_to(4);
        assert!(slots.slots.capacity() < 100);
        (10..20).for_each(|at| slots.push(at));
        assert!(slots.drain().eq(0..20));
    }
}
