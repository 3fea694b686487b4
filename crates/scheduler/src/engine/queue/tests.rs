//! The queue beside a slow twin that keeps one list and searches it for everything.

use super::*;
use proptest::prelude::*;

/// The slow twin: one list in order of arrival, searched for everything.
struct Twin {
    all: Vec<(u32, Class, u32, u64, Place)>,
    depth_max: usize,
    when_full: WhenFull,
}

impl Twin {
    fn queued(&self) -> usize {
        self.all.iter().filter(|e| e.4 == Place::Queued).count()
    }
    fn newest_of_lowest(&self) -> Option<usize> {
        let queued = self.all.iter().enumerate().filter(|(_, e)| e.4 == Place::Queued);
        queued.max_by_key(|(at, e)| (e.1, *at)).map(|(at, _)| at)
    }
    fn push(&mut self, task: u32, class: Class, rank: u32, since: u64) -> Option<u32> {
        let mut entry = (task, class, rank, since, Place::Queued);
        if self.queued() < self.depth_max {
            self.all.push(entry);
            return None;
        }
        match self.when_full {
            WhenFull::ShedLowest => {
                self.all.push(entry);
                self.newest_of_lowest().map(|at| self.all.remove(at).0)
            }
            WhenFull::ShedOldest => {
                self.all.push(entry);
                let all = self.all.iter().enumerate();
                let at = all.min_by_key(|(at, e)| (e.3, std::cmp::Reverse(e.1), *at)).unwrap().0;
                Some(self.all.remove(at).0)
            }
            _ => {
                match self.newest_of_lowest().filter(|at| self.all[*at].1 > class) {
                    Some(at) => {
                        // Of those that wait outside it is first of its class.
                        let mut other = self.all.remove(at);
                        other.4 = Place::Held;
                        self.all.insert(0, other);
                    }
                    None => entry.4 = Place::Held,
                }
                self.all.push(entry);
                None
            }
        }
    }
    fn admit(&mut self) -> Option<u32> {
        if self.queued() >= self.depth_max {
            return None;
        }
        let held = self.all.iter().enumerate().filter(|(_, e)| e.4 == Place::Held);
        let at = held.min_by_key(|(at, e)| (e.1, *at))?.0;
        let mut entry = self.all.remove(at);
        entry.4 = Place::Queued;
        self.all.push(entry);
        Some(entry.0)
    }
    fn order(&self) -> Vec<u32> {
        let mut queued: Vec<_> = self.all.iter().filter(|e| e.4 == Place::Queued).collect();
        queued.sort_by_key(|e| (e.1, std::cmp::Reverse(e.2), e.0));
        queued.iter().map(|e| e.0).collect()
    }
}

fn order(queue: &ReadyQueue) -> Vec<u32> {
    let mut seen = Vec::new();
    queue.visit(|task, _| {
        seen.push(task);
        Visit::Next
    });
    seen
}

proptest! {
    #[test]
    fn the_queue_does_what_its_slow_twin_does_and_is_bounded_in_every_mode(
        mode in 0usize..4,
        depth in 1u32..6,
        acts in prop::collection::vec((0u8..6, 0usize..4, 0u32..4), 0..120),
    ) {
        let when_full = [WhenFull::Block, WhenFull::Reject, WhenFull::ShedOldest, WhenFull::ShedLowest][mode];
        let mut queue = ReadyQueue::new(depth, when_full, 1 << 40);
        queue.resize(acts.len());
        let mut twin = Twin { all: Vec::new(), depth_max: depth as usize, when_full };
        for (number, (act, class, rank)) in acts.into_iter().enumerate() {
            let now = number as u64 / 3;
            match act {
                0..=3 => {
                    let (task, class) = (number as u32, Class::ALL[class]);
                    queue.push(task, class, rank, (rank % 2) as u16, now);
                    let shed = twin.push(task, class, rank, now);
                    prop_assert_eq!(queue.shed(), shed);
                }
                4 => {
                    let gone = twin.order().get(rank as usize).copied();
                    if let Some(gone) = gone {
                        queue.remove(gone);
                        twin.all.retain(|e| e.0 != gone);
                    }
                }
                _ => while let Some(task) = twin.admit() {
                    prop_assert_eq!(queue.admit(now), Some(task));
                },
            }
            prop_assert_eq!(order(&queue), twin.order());
            prop_assert!(queue.len() <= depth);
            prop_assert!(queue.is_sound(queue.slots.len()));
        }
    }
}

#[test]
fn aging_bounds_starvation() {
    let mut queue = ReadyQueue::new(1000, WhenFull::Block, 100);
    queue.resize(10_000);
    queue.push(0, Class::Low, 1, 0, 0);
    // One critical task comes and one task goes at every step: without aging the low one would never go.
    for now in 1..10_000 {
        queue.push(now, Class::Critical, u32::MAX, 0, u64::from(now));
        queue.age(u64::from(now), 100);
        let first = order(&queue)[0];
        queue.remove(first);
        if first == 0 {
            assert!((300..=500).contains(&now), "it went at {now}");
            return;
        }
    }
    panic!("the low task starved");
}

#[test]
fn those_who_wait_outside_age_too() {
    let mut queue = ReadyQueue::new(1, WhenFull::Block, 100);
    queue.resize(1000);
    queue.push(0, Class::Critical, 0, 0, 0);
    queue.push(1, Class::Low, 0, 0, 0);
    for now in 2..1000u32 {
        queue.push(now, Class::Critical, 0, 0, u64::from(now));
        queue.remove(order(&queue)[0]);
        queue.admit(u64::from(now));
        if order(&queue)[0] == 1 {
            assert!(now >= 300);
            return;
        }
    }
    panic!("the low task starved outside");
}

#[test]
fn needs_that_nobody_meets_do_not_stand_in_the_way() {
    let mut queue = ReadyQueue::new(10, WhenFull::Block, 100);
    queue.resize(4);
    for (task, needs) in [(0, 1), (1, 1), (2, 0), (3, 1)] {
        queue.push(task, Class::Normal, 10 - task, needs, 0);
    }
    let mut seen = Vec::new();
    queue.visit(|task, needs| {
        seen.push(task);
        if needs == 1 { Visit::SkipNeeds } else { Visit::Next }
    });
    assert_eq!(seen, [0, 2]);
}
