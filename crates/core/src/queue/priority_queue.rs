//! The queue itself: one plain queue a class, and one for control.

use super::{Priority, QueueCounters, QueueLimits, WhenFull};
use std::collections::VecDeque;

/// See the [module](super).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityQueue<T> {
    limits: QueueLimits,
    control: VecDeque<T>,
    classes: [VecDeque<Waiting<T>>; 4],
    /// Items in `classes`.
    depth: usize,
    high_water: usize,
    /// The latest `now` that was given; what comes with an earlier one counts as pushed at this.
    now: u64,
    pushes: u64,
    counters: QueueCounters,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting<T> {
    due: u64,
    /// Which push it was: the order in time across classes.
    push: u64,
    item: T,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an item that did not get in, or was shed, is in here"]
pub enum Pushed<T> {
    /// It waits.
    Queued,
    /// There is no room now; the caller keeps it and tries again.
    GivenBack(T),
    /// There is no room and it is refused for good.
    Rejected(T),
    /// This one, or the newcomer itself, was shed to stay within the bound. Whoever waits for it is to be told.
    Shed(Shed<T>),
}

/// An item that lost its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shed<T> {
    /// How urgent it was.
    pub priority: Priority,
    /// The item.
    pub item: T,
    /// Whether it is the one that was being pushed, so that nothing else changed.
    pub newcomer: bool,
}

impl<T> PriorityQueue<T> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> PriorityQueue<T> {
        PriorityQueue {
            limits,
            control: VecDeque::new(),
            classes: Default::default(),
            depth: 0,
            high_water: 0,
            now: 0,
            pushes: 0,
            counters: QueueCounters::default(),
        }
    }

    /// Pushes an item at `now`, which is in the unit of [`QueueLimits::aging`] and should not go back.
    pub fn push(&mut self, priority: Priority, item: T, now: u64) -> Pushed<T> {
        self.now = self.now.max(now);
        if self.depth < self.limits.items_max {
            self.enqueue(priority, item);
            return Pushed::Queued;
        }
        let victim = match self.limits.when_full {
            WhenFull::Block => {
                self.counters.given_back += 1;
                return Pushed::GivenBack(item);
            }
            WhenFull::Reject => {
                self.counters.rejected += 1;
                return Pushed::Rejected(item);
            }
            WhenFull::ShedOldest => self.oldest_not_above(priority),
            WhenFull::ShedLowest => self.lowest_below(priority),
        };
        self.counters.shed += 1;
        match victim {
            Some((priority_of, shed)) => {
                self.enqueue(priority, item);
                Pushed::Shed(Shed { priority: priority_of, item: shed, newcomer: false })
            }
            None => Pushed::Shed(Shed { priority, item, newcomer: true }),
        }
    }

    /// Pushes what keeps the system itself going. Popped before everything else, in order, and never shed; given
    /// back when `control_max` wait.
    pub fn push_control(&mut self, item: T) -> Pushed<T> {
        if self.control.len() >= self.limits.control_max {
            self.counters.given_back += 1;
            return Pushed::GivenBack(item);
        }
        self.control.push_back(item);
        self.counters.queued += 1;
        self.note_depth();
        Pushed::Queued
    }

    /// Takes what is due first: control, then by due time, of equals the more urgent.
    pub fn pop(&mut self) -> Option<T> {
        let item = match self.control.pop_front() {
            Some(item) => item,
            None => {
                let heads = self.classes.iter().enumerate();
                let due = heads.filter_map(|(class, queue)| Some((queue.front()?.due, class)));
                let (_, class) = due.min()?;
                self.depth -= 1;
                self.classes[class].pop_front()?.item
            }
        };
        self.counters.popped += 1;
        Some(item)
    }

    /// Takes out every item for which `unwanted` says yes, the most urgent class first, without counting it as
    /// popped or shed: for what was cancelled while it waited. Looks at all, so it costs the depth.
    pub fn take_where(&mut self, mut unwanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for queue in &mut self.classes {
            for waiting in std::mem::take(queue) {
                if unwanted(&waiting.item) {
                    taken.push(waiting.item);
                } else {
                    queue.push_back(waiting);
                }
            }
        }
        self.depth -= taken.len();
        taken
    }

    /// How many wait, control included.
    pub fn len(&self) -> usize {
        self.depth + self.control.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of this class wait.
    pub fn depth_of(&self, priority: Priority) -> usize {
        self.classes[priority.class()].len()
    }

    /// Whether one more item (not control) would meet the full queue's answer.
    pub fn is_full(&self) -> bool {
        self.depth >= self.limits.items_max
    }

    /// The most that ever waited at a time, control included.
    pub fn high_water(&self) -> usize {
        self.high_water
    }

    /// What it did so far.
    pub fn counters(&self) -> QueueCounters {
        self.counters
    }

    /// Its bounds.
    pub fn limits(&self) -> &QueueLimits {
        &self.limits
    }

    fn enqueue(&mut self, priority: Priority, item: T) {
        let class = priority.class();
        let due = self.now.saturating_add(self.limits.aging.saturating_mul(class as u64));
        self.pushes += 1;
        self.classes[class].push_back(Waiting { due, push: self.pushes, item });
        self.depth += 1;
        self.counters.queued += 1;
        self.note_depth();
    }

    fn note_depth(&mut self) {
        self.high_water = self.high_water.max(self.len());
    }

    fn oldest_not_above(&mut self, priority: Priority) -> Option<(Priority, T)> {
        let candidates = Priority::ALL[priority.class()..].iter();
        let (_, victim) =
            candidates.filter_map(|p| Some((self.classes[p.class()].front()?.push, *p))).min()?;
        self.depth -= 1;
        Some((victim, self.classes[victim.class()].pop_front()?.item))
    }

    fn lowest_below(&mut self, priority: Priority) -> Option<(Priority, T)> {
        let mut less = Priority::ALL[priority.class() + 1..].iter().rev();
        let victim = *less.find(|p| !self.classes[p.class()].is_empty())?;
        self.depth -= 1;
        Some((victim, self.classes[victim.class()].pop_back()?.item))
    }
}
