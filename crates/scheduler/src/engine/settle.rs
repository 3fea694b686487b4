//! How tasks become ready and how they end: joins, fallbacks, the cascade to those who wait.

use super::event::{Event, Why};
use super::queue::Place;
use super::task::State;
use super::{Counts, Engine};
use crate::graph::{Outcome, TaskId, Verdict};

impl Engine {
    /// The task may run: into the queue, or outside while that is full.
    pub(super) fn release(&mut self, task: u32) {
        let (class, rank) = (self.graph.class(TaskId(task)), self.graph.rank_ms(TaskId(task)));
        let needs = self.needs[self.graph.policy_number(TaskId(task)) as usize];
        let stamp = self.stamp;
        let now = self.task(task);
        now.state = State::Ready;
        now.since = stamp;
        if now.born == super::timers::NEVER {
            now.born = stamp;
        }
        match self.queue.push(task, class, rank, needs, stamp) {
            Place::Queued => self.events.push(Event::Ready { task: TaskId(task) }),
            _ => self.events.push(Event::Held { task: TaskId(task) }),
        }
        self.arm(task);
        while let Some(shed) = self.queue.shed() {
            self.counts.shed += 1;
            self.settle(shed, State::Cancelled, Why::Shed);
        }
    }

    /// Lets those in who wait outside, as far as there is room.
    pub(super) fn admit(&mut self) {
        while let Some(task) = self.queue.admit(self.stamp) {
            self.events.push(Event::Ready { task: TaskId(task) });
        }
    }

    /// The task ended, once and for all. It is in no queue and has no lease.
    pub(super) fn settle(&mut self, task: u32, state: State, why: Why) {
        let standby = self.tasks[task as usize].state == State::Standby;
        self.finish(task, state, why);
        if standby {
            // Nobody waits for one that was never needed; whoever it stands in for goes past it.
            return;
        }
        let slot = self.graph.slot(TaskId(task)).0;
        let outcome = match state {
            State::Succeeded => Outcome::Succeeded,
            State::Skipped => Outcome::Skipped,
            State::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        let mut next = self.graph.fallback(TaskId(task));
        while let Some(fallback) = next {
            if self.tasks[fallback.0 as usize].state == State::Standby {
                match outcome {
                    Outcome::Failed => return self.release(fallback.0),
                    Outcome::Cancelled => self.finish(fallback.0, State::Cancelled, why),
                    _ => self.finish(fallback.0, State::Skipped, Why::NotNeeded),
                }
            }
            next = self.graph.fallback(fallback);
        }
        self.ended.push((slot, outcome));
    }

    /// Tells those who wait for what has ended, and those who wait for them.
    pub(super) fn propagate(&mut self) {
        while let Some((slot, outcome)) = self.ended.pop() {
            let mut at = 0;
            while let Some(to) = self.graph.after_at(TaskId(slot), at) {
                self.deliver(to, outcome);
                at += 1;
            }
        }
        self.admit();
    }

    /// How the slot of a task ended, if it did.
    pub(super) fn outcome(&self, task: TaskId) -> Option<Outcome> {
        let mut at = Some(self.graph.slot(task));
        let mut outcome = Outcome::Failed;
        while let Some(task) = at {
            outcome = match self.tasks[task.0 as usize].state {
                State::Succeeded => return Some(Outcome::Succeeded),
                State::Skipped if self.graph.slot(task) == task => return Some(Outcome::Skipped),
                State::Cancelled if self.graph.slot(task) == task => return Some(Outcome::Cancelled),
                state if state.is_final() => outcome,
                _ => return None,
            };
            at = self.graph.fallback(task);
        }
        Some(outcome)
    }

    pub(super) fn verdict(&self, task: u32) -> Verdict {
        let now = &self.tasks[task as usize];
        self.graph.join(TaskId(task)).verdict(now.open, now.succeeded, now.failed, now.skipped)
    }

    fn deliver(&mut self, to: TaskId, outcome: Outcome) {
        let now = self.task(to.0);
        if now.state != State::Waiting {
            // A join that fired early, or ended, does not care for the rest.
            return;
        }
        now.take(outcome);
        self.judge(to.0);
    }

    /// What a waiting task comes to now.
    pub(super) fn judge(&mut self, task: u32) {
        match self.verdict(task) {
            Verdict::Wait => {}
            Verdict::Run => self.release(task),
            Verdict::End(Outcome::Skipped) => self.settle(task, State::Skipped, Why::NotNeeded),
            Verdict::End(_) => self.settle(task, State::Cancelled, Why::Dependency),
        }
    }

    fn finish(&mut self, task: u32, state: State, why: Why) {
        let stamp = self.stamp;
        let now = self.task(task);
        assert!(!now.state.is_final(), "a task ended twice");
        now.state = state;
        now.why = why;
        now.since = stamp;
        self.open -= 1;
        let task = TaskId(task);
        let Counts { failed, cancelled, skipped, .. } = &mut self.counts;
        match state {
            State::Failed => {
                *failed += 1;
                self.events.push(Event::Failed { task, why });
            }
            State::Cancelled => {
                *cancelled += 1;
                self.events.push(Event::Cancelled { task, why });
            }
            State::Skipped => {
                *skipped += 1;
                self.events.push(Event::Skipped { task, why });
            }
            // Whoever commits has said so, with the lease.
            _ => {}
        }
    }
}
