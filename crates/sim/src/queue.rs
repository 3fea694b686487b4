//! What is going to happen, in the order of simulated time; what falls on one instant keeps the order in which
//! it was planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that will happen. Small, since a heap moves its elements; what is large waits in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What is planned. In one number: for when, and behind how many others. No two have the same, so that a comparison
/// is one of numbers, and never looks at the event.
#[derive(Debug)]
struct Planned {
    order: u128,
    event: Event,
}

impl Planned {
    fn at(&self) -> u64 {
        (self.order >> 64) as u64
    }
}

impl Ord for Planned {
    /// The heap gives up its greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Planned) -> Ordering {
        other.order.cmp(&self.order)
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.order == other.order
    }
}

impl Eq for Planned {}

/// The order of things to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Planned>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.planned += 1;
        let order = u128::from(at) << 64 | u128::from(self.planned);
        self.heap.push(Planned { order, event });
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(Planned::at)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|planned| (planned.at(), planned.event))
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
