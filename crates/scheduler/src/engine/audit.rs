//! An independent look at the books: whether anything was committed twice or under the wrong lease, and whether
//! anything was lost. It reads what it checks from other places than those that decide.

use super::Engine;
use super::queue::Place;
use super::task::State;
use super::timers::NEVER;
use crate::graph::TaskId;

/// What the audit found. All of it is zero, or the engine is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Audit {
    /// Tasks whose result was taken more than once.
    pub committed_twice: u64,
    /// Results that were taken under another lease than the live one.
    pub unfenced: u64,
    /// Tasks that have not ended and for which nothing will ever happen.
    pub lost: u64,
    /// Leases of which task and agent say different things.
    pub leases_astray: u64,
    /// Tasks that ended otherwise than their dependencies allow.
    pub out_of_order: u64,
    /// Counts that do not add up.
    pub miscounted: u64,
}

impl Audit {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        *self == Audit::default()
    }
}

impl Engine {
    /// Checks everything: linear in tasks, edges and agents.
    pub fn audit(&self) -> Audit {
        let mut audit = Audit { unfenced: self.unfenced, ..Audit::default() };
        let mut ends = [0u64; 4];
        let mut held = 0;
        for task in self.graph.tasks() {
            let now = &self.tasks[task.0 as usize];
            audit.committed_twice += u64::from(now.commits > 1);
            match now.state {
                State::Succeeded => ends[0] += 1,
                State::Failed => ends[1] += 1,
                State::Cancelled => ends[2] += 1,
                State::Skipped => ends[3] += 1,
                _ => {}
            }
            let queued = self.queue.place(task.0) != Place::Out;
            audit.lost += u64::from(queued != (now.state == State::Ready));
            audit.lost += u64::from(match now.state {
                State::Waiting => now.open == 0 || self.graph.before(task).all(|b| self.outcome(b).is_some()),
                State::Standby => self.outcome(task).is_some(),
                State::BackingOff | State::Cancelling => now.armed == NEVER,
                _ => false,
            });
            if now.state.has_lease() {
                held += 1;
                let agent = self.agents.get(now.agent);
                audit.leases_astray += u64::from(!agent.is_some_and(|agent| agent.leases.contains(&task.0)));
            }
            audit.out_of_order += u64::from(now.attempt > 0 && !self.may_have_run(task));
        }
        let listed: usize = self.agents.iter().map(|(_, agent)| agent.leases.len()).sum();
        audit.leases_astray += u64::from(listed != held);
        let counts = &self.counts;
        let said = [counts.committed, counts.failed, counts.cancelled, counts.skipped];
        audit.miscounted += u64::from(said != ends);
        audit.miscounted +=
            u64::from(ends.iter().sum::<u64>() + u64::from(self.open) != self.tasks.len() as u64);
        audit
    }

    /// Whether the dependencies of one that ran allowed it.
    fn may_have_run(&self, task: TaskId) -> bool {
        use crate::graph::{Join, Outcome};
        let slot = self.graph.slot(task);
        let mut ends = self.graph.before(slot).map(|before| self.outcome(before));
        match self.graph.join(slot) {
            Join::All => ends.all(|end| end == Some(Outcome::Succeeded)),
            Join::NoneFailed => ends.all(|end| matches!(end, Some(Outcome::Succeeded | Outcome::Skipped))),
            Join::AllEnded => ends.all(|end| end.is_some()),
            Join::AtLeast(k) => ends.filter(|end| *end == Some(Outcome::Succeeded)).count() >= usize::from(k),
        }
    }
}
