//! A bounded priority queue with aging, for whatever waits: asks, messages, work that is not a task of the
//! scheduler's graph.
//!
//! **Aging is arithmetic.** An item pushed at `now` in class `c` (critical 0 .. low 3) is due at
//! `now + c * aging`, and the queue pops what is due first. So nothing is ever re-sorted: each class is a plain
//! queue and a pop compares four heads.
//!
//! **Starvation bound.** What is pushed later than `now + c * aging` never passes the item. If `now` counts
//! pushes, the item is popped after at most `ahead + c * aging` others, where `ahead` is the depth it met.
//!
//! **Absent**: a clock. `now` is the caller's: a counter, or nanoseconds of [`crate::Time`].

mod limits;
mod priority_queue;
#[cfg(test)]
mod tests;

pub use limits::{Priority, QueueCounters, QueueLimits, WhenFull};
pub use priority_queue::{PriorityQueue, Pushed, Shed};
