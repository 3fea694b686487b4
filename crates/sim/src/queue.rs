//! What is going to happen, in the order of simulated time; what falls on one instant keeps the order in which
//! it was planned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that will happen. Small, since a heap moves its elements; what is large waits in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A frame arrives: its place in the table of frames on their way.
    Frame(u32),
    /// A node's clock reaches a wake time.
    Wake(u32),
    /// A node takes what waits for it: asks, frames, ends of syncs.
    Turn(u32),
    /// A sync of a life ends.
    Synced { node: u32, life: u32 },
    /// A job of a life ends: its place in the life's table of jobs.
    Job { node: u32, life: u32, slot: u32 },
    /// A node that crashed starts again, unless somebody did that already.
    Restart { node: u32, life: u32 },
    /// A source of faults strikes, if its plan still holds.
    Strike { source: u32, plan: u32 },
    /// A fault that was inflicted ends.
    Relief(u32),
    /// A line of a plan's script is due, if its plan still holds.
    Script { line: u32, plan: u32 },
    /// Something that the user planned is due.
    Errand(u32),
}

/// Planned for when, behind how many others, and what.
type Planned = (u64, u64, Event);

/// The order of things to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Planned>>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, event)));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

/// Things that wait for their event, by place; places are used again.
#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    pub(crate) fn put(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(thing);
            return place;
        }
        self.places.push(Some(thing));
        let place = self.places.len() - 1;
        assert!(place < u32::MAX as usize, "more than four milliards of things wait");
        place as u32
    }

    pub(crate) fn take(&mut self, place: u32) -> Option<T> {
        let thing = self.places.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(thing)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_keeps_the_order_of_planning() {
        let mut queue = Queue::default();
        queue.push(5, Event::Wake(1));
        queue.push(5, Event::Frame(9));
        queue.push(3, Event::Turn(2));
        queue.push(5, Event::Wake(0));
        assert_eq!(queue.next_at(), Some(3));
        let order: Vec<Event> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, [Event::Turn(2), Event::Wake(1), Event::Frame(9), Event::Wake(0)]);
    }

    #[test]
    fn a_place_is_used_again_only_after_it_was_emptied() {
        let mut table = Table::default();
        let (a, b) = (table.put('a'), table.put('b'));
        assert_eq!(table.take(a), Some('a'));
        assert_eq!(table.take(a), None);
        assert_eq!(table.put('c'), a);
        assert_eq!((table.take(b), table.len()), (Some('b'), 1));
    }
}
