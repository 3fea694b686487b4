//! Times at which something is due, in a heap of four children. It holds hints, not truth: an entry says when to
//! look at a task, and the task itself knows whether anything is due. So nothing is ever taken out of the middle,
//! a task has one entry at a time beside those that earlier attempts left, and a jump of time fires nothing twice.

use serde::{Deserialize, Serialize};

/// Later than any stamp.
pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers(Vec<(u64, u32)>);

impl Timers {
    pub fn push(&mut self, due: u64, task: u32) {
        let mut at = self.0.len();
        self.0.push((due, task));
        while at > 0 {
            let parent = (at - 1) / 4;
            if self.0[parent] <= (due, task) {
                break;
            }
            self.0.swap(parent, at);
            at = parent;
        }
    }

    pub fn first(&self) -> Option<(u64, u32)> {
        self.0.first().copied()
    }

    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let first = self.first()?;
        let last = self.0.pop()?;
        if self.0.is_empty() {
            return Some(first);
        }
        let mut at = 0;
        loop {
            let children = 4 * at + 1..(4 * at + 5).min(self.0.len());
            let Some(least) = children.min_by_key(|child| self.0[*child]) else { break };
            if self.0[least] >= last {
                break;
            }
            self.0[at] = self.0[least];
            at = least;
        }
        self.0[at] = last;
        Some(first)
    }

    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, u32)>()
    }

    /// Whether it is a heap of tasks below `tasks`.
    pub fn is_sound(&self, tasks: usize) -> bool {
        self.0
            .iter()
            .enumerate()
            .all(|(at, entry)| (entry.1 as usize) < tasks && (at == 0 || self.0[(at - 1) / 4] <= *entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Rng;

    #[test]
    fn a_million_timers_come_out_in_order() {
        let mut rng = Rng::from_seed(3);
        let mut timers = Timers::default();
        for task in 0..1_000_000 {
            timers.push(rng.within(0..100_000), task);
        }
        assert!(timers.is_sound(1_000_000));
        let mut last = (0, 0);
        for _ in 0..1_000_000 {
            let next = timers.pop().unwrap();
            assert!(next > last);
            last = next;
        }
        assert_eq!(timers.pop(), None);
    }
}
