//! The tasks that may run and have no agent yet: four classes, in each the longest way to the end first, among
//! equals the one that came first. Bounded; what happens when it is full is [`WhenFull`].
//!
//! Each class has one ordered set for every combination of needs, so that tasks which no agent can run do not
//! stand in the way of others. A list in order of arrival finds the oldest, for aging and shedding; its entries are
//! checked against the task's slot, and those that say nothing any more are swept when they outnumber the rest.

use crate::graph::Class;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};

/// What happens to a task that may run while the queue is full. In every mode the queue stays within its bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum WhenFull {
    /// It waits outside until there is room: backpressure. One of a higher class changes places with the newest of
    /// the lowest class.
    #[default]
    Block,
    /// A new graph or task that would fill it is refused whole; what becomes ready later waits outside.
    Reject,
    /// The task that waits longest is cancelled.
    ShedOldest,
    /// The newest task of the lowest class is cancelled; it may be the one that came.
    ShedLowest,
}

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Place {
    /// Nowhere here.
    Out,
    /// Outside, until there is room.
    Held,
    /// In the queue.
    Queued,
}

/// 16 bytes a task.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Slot {
    since: u64,
    /// What it sorts by: less is earlier.
    order: u32,
    needs: u16,
    class: Class,
    place: Place,
}

const OUT: Slot = Slot { since: 0, order: 0, needs: 0, class: Class::Normal, place: Place::Out };

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ReadyQueue {
    /// By needs, then class: `order << 32 | task`.
    sets: Vec<BTreeSet<u64>>,
    slots: Vec<Slot>,
    /// By class: since when (the low half), who.
    arrived: [VecDeque<(u32, u32)>; 4],
    held: [VecDeque<(u32, u32)>; 4],
    /// Live entries of each class.
    queued: [u32; 4],
    held_count: u32,
    depth_max: u32,
    when_full: WhenFull,
    aging_ms: u64,
}

impl ReadyQueue {
    pub fn new(depth_max: u32, when_full: WhenFull, aging_ms: u64) -> ReadyQueue {
        ReadyQueue {
            sets: Vec::new(),
            slots: Vec::new(),
            arrived: Default::default(),
            held: Default::default(),
            queued: [0; 4],
            held_count: 0,
            depth_max: depth_max.max(1),
            when_full,
            aging_ms: aging_ms.max(1),
        }
    }

    /// Room for tasks up to this number.
    pub fn resize(&mut self, tasks: usize) {
        let more = tasks.saturating_sub(self.slots.len());
        if more > self.slots.len() / 4 {
            self.slots.reserve_exact(more);
        }
        self.slots.resize(tasks, OUT);
    }

    pub fn len(&self) -> u32 {
        self.queued.iter().sum()
    }

    pub fn held(&self) -> u32 {
        self.held_count
    }

    pub fn room(&self) -> u32 {
        self.depth_max.saturating_sub(self.len())
    }

    pub fn depths(&self) -> [u32; 4] {
        self.queued
    }

    pub fn place(&self, task: u32) -> Place {
        self.slots[task as usize].place
    }

    /// Puts a task in, or outside where there is no room and the mode is to wait. With shedding the queue may be one
    /// over its bound until [`ReadyQueue::shed`] was asked.
    pub fn push(&mut self, task: u32, class: Class, rank: u32, needs: u16, since: u64) -> Place {
        debug_assert_eq!(self.place(task), Place::Out, "a task in the queue twice");
        self.slots[task as usize] = Slot { since, order: u32::MAX - rank, needs, class, place: Place::Out };
        let sheds = matches!(self.when_full, WhenFull::ShedOldest | WhenFull::ShedLowest);
        if sheds || self.room() > 0 {
            self.enter(task);
        } else {
            match self.lowest_newest().filter(|other| self.slots[*other as usize].class > class) {
                Some(other) => {
                    self.leave(other);
                    self.hold(other, true);
                    self.enter(task);
                }
                None => self.hold(task, false),
            }
        }
        self.place(task)
    }

    /// The task to be cancelled, if the queue is over its bound: taken out already.
    pub fn shed(&mut self) -> Option<u32> {
        if self.len() <= self.depth_max {
            return None;
        }
        let victim = match self.when_full {
            WhenFull::ShedOldest => self.oldest(),
            _ => self.lowest_newest(),
        }?;
        self.leave(victim);
        Some(victim)
    }

    /// Takes a task out, wherever it stands.
    pub fn remove(&mut self, task: u32) {
        match self.place(task) {
            Place::Out => {}
            Place::Held => {
                self.held_count -= 1;
                self.slots[task as usize].place = Place::Out;
            }
            Place::Queued => self.leave(task),
        }
    }

    /// Lets one in that waits outside, if there is room: the one of the highest class, counting a class for each
    /// aging time that it waited; answers who.
    pub fn admit(&mut self, now: u64) -> Option<u32> {
        if self.held_count == 0 || self.room() == 0 {
            return None;
        }
        let mut best: Option<(u64, u64, usize)> = None;
        for class in 0..4 {
            let Some(front) = self.front(class, true) else { continue };
            let since = self.slots[front as usize].since;
            let aged = (class as u64).saturating_sub(now.saturating_sub(since) / self.aging_ms);
            if best.is_none_or(|(effective, oldest, _)| (aged, since) < (effective, oldest)) {
                best = Some((aged, since, class));
            }
        }
        let (_, _, class) = best?;
        let task = self.front(class, true)?;
        self.held[class].pop_front();
        self.held_count -= 1;
        self.enter(task);
        Some(task)
    }

    /// Raises by a class what waited in one for the aging time, at most `most` tasks; in the new class it goes
    /// before whatever did not age. So a task waits for at most four aging times and those that aged before it.
    pub fn age(&mut self, now: u64, most: u32) {
        let mut left = most;
        for class in 0..4 {
            while left > 0
                && let Some(task) = self.front(class, false)
            {
                let slot = self.slots[task as usize];
                if now.saturating_sub(slot.since) < self.aging_ms {
                    break;
                }
                left -= 1;
                self.leave(task);
                self.arrived[class].pop_front();
                let class = Class::ALL[class.saturating_sub(1)];
                self.slots[task as usize] = Slot { since: now, order: 0, class, ..slot };
                self.enter(task);
            }
        }
    }

    /// Shows the tasks from first to last, with their needs, until `visit` says that it has enough.
    pub fn visit(&self, mut visit: impl FnMut(u32, u16) -> Visit) {
        if self.sets.len() == 4 {
            // Nothing needs anything: so it is most of the time, and nothing has to be merged.
            for key in self.sets.iter().flatten() {
                if visit(*key as u32, 0) != Visit::Next {
                    return;
                }
            }
            return;
        }
        let mut skipped = vec![false; self.sets.len() / 4];
        for class in (0..4).filter(|class| self.queued[*class] > 0) {
            let of_class = self.sets.iter().skip(class).step_by(4).enumerate();
            let mut heads: Vec<(u16, _)> = of_class
                .filter(|(needs, set)| !skipped[*needs] && !set.is_empty())
                .map(|(needs, set)| (needs as u16, set.iter().peekable()))
                .collect();
            loop {
                let keys = heads.iter_mut().enumerate();
                let least = keys.filter_map(|(at, (_, set))| set.peek().map(|key| (**key, at))).min();
                let Some((key, at)) = least else { break };
                heads[at].1.next();
                match visit(key as u32, heads[at].0) {
                    Visit::Next => {}
                    Visit::SkipNeeds => skipped[usize::from(heads.swap_remove(at).0)] = true,
                    Visit::Stop => return,
                }
            }
        }
    }

    pub fn bytes(&self) -> usize {
        let lists = self.arrived.iter().chain(&self.held).map(|list| list.capacity() * 8).sum::<usize>();
        // Nodes of a BTreeSet are about two thirds full.
        self.slots.capacity() * size_of::<Slot>()
            + lists
            + self.sets.iter().map(BTreeSet::len).sum::<usize>() * 13
    }

    pub fn is_sound(&self, tasks: usize) -> bool {
        let known = |entry: &(u32, u32)| (entry.1 as usize) < tasks;
        let mut queued = [0; 4];
        let mut held = 0;
        for (task, slot) in self.slots.iter().enumerate() {
            match slot.place {
                Place::Out => {}
                Place::Held => held += 1,
                Place::Queued => {
                    queued[slot.class as usize] += 1;
                    let set = self.sets.get(usize::from(slot.needs) * 4 + slot.class as usize);
                    if !set.is_some_and(|set| set.contains(&key(slot.order, task as u32))) {
                        return false;
                    }
                }
            }
        }
        self.slots.len() == tasks
            && self.sets.len().is_multiple_of(4)
            && self.arrived.iter().flatten().all(known)
            && self.held.iter().flatten().all(known)
            && self.queued == queued
            && self.held_count == held
            && self.sets.iter().map(BTreeSet::len).sum::<usize>() == self.len() as usize
    }

    fn enter(&mut self, task: u32) {
        let slot = &mut self.slots[task as usize];
        slot.place = Place::Queued;
        let set = usize::from(slot.needs) * 4 + slot.class as usize;
        if set >= self.sets.len() {
            self.sets.resize_with((set / 4 + 1) * 4, BTreeSet::new);
        }
        self.sets[set].insert(key(slot.order, task));
        let class = slot.class as usize;
        self.queued[class] += 1;
        self.arrived[class].push_back((slot.since as u32, task));
        if self.arrived[class].len() > 2 * self.queued[class] as usize + 64 {
            let slots = &self.slots;
            self.arrived[class].retain(|entry| is_live(slots, *entry, class, Place::Queued));
        }
    }

    fn leave(&mut self, task: u32) {
        let slot = &mut self.slots[task as usize];
        slot.place = Place::Out;
        self.sets[usize::from(slot.needs) * 4 + slot.class as usize].remove(&key(slot.order, task));
        self.queued[slot.class as usize] -= 1;
    }

    fn hold(&mut self, task: u32, first: bool) {
        let slot = &mut self.slots[task as usize];
        slot.place = Place::Held;
        let (class, entry) = (slot.class as usize, (slot.since as u32, task));
        self.held_count += 1;
        if first {
            self.held[class].push_front(entry);
        } else {
            self.held[class].push_back(entry);
        }
        if self.held[class].len() > 2 * self.held_count as usize + 64 {
            let slots = &self.slots;
            self.held[class].retain(|entry| is_live(slots, *entry, class, Place::Held));
        }
    }

    /// The one that came first into a class; entries before it that say nothing any more are dropped.
    fn front(&mut self, class: usize, held: bool) -> Option<u32> {
        let (list, place) = if held {
            (&mut self.held[class], Place::Held)
        } else {
            (&mut self.arrived[class], Place::Queued)
        };
        while let Some(entry) = list.front() {
            if is_live(&self.slots, *entry, class, place) {
                return Some(entry.1);
            }
            list.pop_front();
        }
        None
    }

    fn oldest(&mut self) -> Option<u32> {
        let fronts: Vec<u32> = (0..4).filter_map(|class| self.front(class, false)).collect();
        // Of two that came at once the lower class goes.
        fronts.into_iter().rev().min_by_key(|task| self.slots[*task as usize].since)
    }

    fn lowest_newest(&mut self) -> Option<u32> {
        for class in (0..4).rev() {
            while let Some(entry) = self.arrived[class].back() {
                if is_live(&self.slots, *entry, class, Place::Queued) {
                    return Some(entry.1);
                }
                self.arrived[class].pop_back();
            }
        }
        None
    }
}

/// What a visitor of the queue wants to see next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    /// The next task.
    Next,
    /// The next task whose needs are others than this one's.
    SkipNeeds,
    /// No more.
    Stop,
}

fn key(order: u32, task: u32) -> u64 {
    u64::from(order) << 32 | u64::from(task)
}

fn is_live(slots: &[Slot], (since, task): (u32, u32), class: usize, place: Place) -> bool {
    let slot = &slots[task as usize];
    slot.place == place && slot.class as usize == class && slot.since as u32 == since
}

#[cfg(test)]
mod tests;
