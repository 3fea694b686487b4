use super::*;
use Priority::{Critical, High, Low, Normal};

/// The queue as one unsorted list: every answer by looking at everything.
struct Naive {
    limits: QueueLimits,
    /// (priority, pushed at, number)
    waiting: Vec<(Priority, u64, u32)>,
    control: Vec<u32>,
}

impl Naive {
    fn push(&mut self, priority: Priority, item: u32, now: u64) -> Pushed<u32> {
        if self.waiting.len() < self.limits.items_max {
            self.waiting.push((priority, now, item));
            return Pushed::Queued;
        }
        let victim = match self.limits.when_full {
            WhenFull::Block => return Pushed::GivenBack(item),
            WhenFull::Reject => return Pushed::Rejected(item),
            // Numbers grow with every push, so they tell who came first.
            WhenFull::ShedOldest => {
                self.waiting.iter().filter(|(p, ..)| *p >= priority).min_by_key(|(_, _, n)| *n)
            }
            WhenFull::ShedLowest => {
                self.waiting.iter().filter(|(p, ..)| *p > priority).max_by_key(|(p, _, n)| (*p, *n))
            }
        };
        match victim.copied() {
            None => Pushed::Shed(Shed { priority, item, newcomer: true }),
            Some(victim) => {
                self.waiting.retain(|w| *w != victim);
                self.waiting.push((priority, now, item));
                Pushed::Shed(Shed { priority: victim.0, item: victim.2, newcomer: false })
            }
        }
    }

    fn push_control(&mut self, item: u32) -> Pushed<u32> {
        if self.control.len() >= self.limits.control_max {
            return Pushed::GivenBack(item);
        }
        self.control.push(item);
        Pushed::Queued
    }

    fn pop(&mut self) -> Option<u32> {
        if !self.control.is_empty() {
            return Some(self.control.remove(0));
        }
        let due = |(p, at, n): &(Priority, u64, u32)| (at + self.limits.aging * *p as u64, *p, *n);
        let first = self.waiting.iter().copied().min_by_key(due)?;
        self.waiting.retain(|w| *w != first);
        Some(first.2)
    }
}

fn limits(when_full: WhenFull, aging: u64) -> QueueLimits {
    QueueLimits { items_max: 3, control_max: 1, when_full, aging }
}

/// What may happen: a push of each class, a control push, a pop, and a tick of time.
const MOVES: u32 = 7;

#[test]
fn every_short_script_ends_as_in_the_naive_queue() {
    for when_full in [WhenFull::Block, WhenFull::Reject, WhenFull::ShedOldest, WhenFull::ShedLowest] {
        for script in 0..MOVES.pow(6) {
            let mut queue = PriorityQueue::new(limits(when_full, 1));
            let mut naive = Naive { limits: limits(when_full, 1), waiting: Vec::new(), control: Vec::new() };
            let (mut now, mut left, mut high) = (0, script, 0);
            for item in 0..6 {
                match left % MOVES {
                    class @ 0..4 => {
                        let p = Priority::ALL[class as usize];
                        assert_eq!(queue.push(p, item, now), naive.push(p, item, now), "script {script}");
                    }
                    4 => assert_eq!(queue.push_control(item), naive.push_control(item), "script {script}"),
                    5 => assert_eq!(queue.pop(), naive.pop(), "script {script}"),
                    _ => now += 1,
                }
                left /= MOVES;
                high = high.max(naive.waiting.len() + naive.control.len());
                assert_eq!(queue.len(), naive.waiting.len() + naive.control.len());
                assert_eq!(queue.high_water(), high);
            }
            loop {
                let popped = queue.pop();
                assert_eq!(popped, naive.pop(), "script {script}");
                if popped.is_none() {
                    break;
                }
            }
        }
    }
}

#[test]
fn aging_bounds_starvation() {
    // One low item, against an endless flood of critical ones that never lets the queue run dry.
    for aging in [0, 1, 10, 100] {
        let mut queue = PriorityQueue::new(QueueLimits { items_max: 8, aging, ..QueueLimits::default() });
        let mut pushes = 0;
        for _ in 0..4 {
            assert_eq!(queue.push(Critical, "flood", pushes), Pushed::Queued);
            pushes += 1;
        }
        let ahead = queue.len() as u64;
        assert_eq!(queue.push(Low, "patient", pushes), Pushed::Queued);
        let bound = ahead + 3 * aging;
        let mut passed = 0;
        loop {
            pushes += 1;
            assert_eq!(queue.push(Critical, "flood", pushes), Pushed::Queued);
            if queue.pop() == Some("patient") {
                break;
            }
            passed += 1;
            assert!(passed <= bound, "passed by {passed}, the bound is {bound}");
        }
        assert!(passed >= 3 * aging, "the bound is tight: {passed}");
    }
}

#[test]
fn without_aging_the_more_urgent_always_goes_first() {
    let mut queue = PriorityQueue::new(QueueLimits { aging: u64::MAX, ..QueueLimits::default() });
    for (p, now) in [(Low, 0), (Normal, 1), (High, 1 << 40), (Critical, u64::MAX)] {
        assert_eq!(queue.push(p, p, now), Pushed::Queued);
    }
    assert_eq!([(); 4].map(|()| queue.pop()), [Some(Critical), Some(High), Some(Normal), Some(Low)]);
}

#[test]
fn control_is_never_shed_and_goes_first() {
    let mut queue = PriorityQueue::new(limits(WhenFull::ShedLowest, 1));
    assert_eq!(queue.push_control(0), Pushed::Queued);
    for item in 1..=3 {
        assert_eq!(queue.push(Low, item, 0), Pushed::Queued);
    }
    let shed = Shed { priority: Low, item: 3, newcomer: false };
    assert_eq!(queue.push(Critical, 4, 0), Pushed::Shed(shed));
    assert_eq!(queue.push_control(5), Pushed::GivenBack(5), "its own bound");
    assert_eq!(queue.pop(), Some(0));
    assert_eq!(queue.pop(), Some(4));
    assert_eq!(queue.counters(), QueueCounters { queued: 5, popped: 2, given_back: 1, rejected: 0, shed: 1 });
}

#[test]
fn a_newcomer_never_sheds_what_is_more_urgent() {
    for when_full in [WhenFull::ShedOldest, WhenFull::ShedLowest] {
        let mut queue = PriorityQueue::new(limits(when_full, 1));
        (0..3).for_each(|item| assert_eq!(queue.push(High, item, 0), Pushed::Queued));
        let shed = Shed { priority: Normal, item: 9, newcomer: true };
        assert_eq!(queue.push(Normal, 9, 0), Pushed::Shed(shed));
        assert_eq!((queue.len(), queue.depth_of(High)), (3, 3));
    }
}

#[test]
fn what_was_cancelled_is_taken_out_and_its_room_is_free() {
    let mut queue = PriorityQueue::new(limits(WhenFull::Block, 1));
    (0..3).for_each(|item| assert_eq!(queue.push(Priority::ALL[item], item, 0), Pushed::Queued));
    assert!(queue.is_full());
    assert_eq!(queue.take_where(|item| *item != 1), [0, 2]);
    assert_eq!((queue.len(), queue.is_full()), (1, false));
    assert_eq!((queue.pop(), queue.pop()), (Some(1), None));
}

#[test]
fn time_that_goes_back_does_not_reorder_a_class() {
    let mut queue = PriorityQueue::new(QueueLimits { aging: 5, ..QueueLimits::default() });
    for (item, now) in [("first", 100), ("second", 3)] {
        assert_eq!(queue.push(Normal, item, now), Pushed::Queued);
    }
    assert_eq!((queue.pop(), queue.pop()), (Some("first"), Some("second")));
}

#[test]
fn a_queue_of_no_room_is_always_full() {
    for when_full in [WhenFull::ShedOldest, WhenFull::ShedLowest] {
        let mut queue = PriorityQueue::new(QueueLimits { items_max: 0, ..limits(when_full, 1) });
        assert!(matches!(queue.push(Critical, 1, 0), Pushed::Shed(Shed { newcomer: true, .. })));
        assert!(queue.is_empty());
    }
}
