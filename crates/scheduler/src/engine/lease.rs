//! Leases: given out, and ended by a result, a failure, a stop, time, or the loss of the agent.

use super::agents::AgentState;
use super::command::{Completion, NoLease};
use super::event::{Event, Why};
use super::task::{Lease, State};
use super::{AgentSlot, Engine};
use crate::digest;
use crate::graph::TaskId;
use quorate_core::AgentId;

/// Longest text of a failure that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 256;
/// Texts of failures that are kept.
const TEXTS_MAX: usize = 4096;

impl Engine {
    /// Gives the next attempt of a task to an agent, under the current epoch.
    pub fn assign(&mut self, task: TaskId, agent: AgentId) -> Result<Lease, NoLease> {
        let lease = self.try_assign(task, agent);
        if lease.is_err() {
            self.counts.unassigned += 1;
        }
        lease
    }

    fn try_assign(&mut self, task: TaskId, agent: AgentId) -> Result<Lease, NoLease> {
        if task.0 as usize >= self.tasks.len() || !self.is_queued(task) {
            return Err(NoLease::NotReady);
        }
        let slot = self.agents.find(agent).ok_or(NoLease::NotUp)?;
        let needs = self.needs[self.graph.policy_number(task) as usize];
        let least = self.config.match_per_mille;
        let agents = &mut self.agents;
        if needs > 0
            && let Some(holder) = agents.get(slot)
            && agents.score(needs, holder.profile) < least
        {
            return Err(NoLease::Unable);
        }
        let holder =
            agents.get_mut(slot).filter(|agent| agent.state == AgentState::Up).ok_or(NoLease::NotUp)?;
        if holder.leases.len() >= holder.slots as usize {
            return Err(NoLease::Busy);
        }
        holder.leases.push(task.0);
        self.queue.remove(task.0);
        let (epoch, stamp) = (self.epoch, self.stamp);
        let now = self.task(task.0);
        now.state = State::Leased;
        now.attempt += 1;
        now.epoch = epoch;
        now.agent = slot;
        now.since = stamp;
        let attempt = now.attempt;
        self.counts.attempts += 1;
        self.events.push(Event::Leased { task, attempt, agent: AgentSlot(slot) });
        self.arm(task.0);
        self.admit();
        Ok(Lease { task, attempt, epoch })
    }

    /// An attempt ended well.
    pub fn complete(&mut self, lease: Lease, digest: u64, result: Vec<u8>) -> Completion {
        if !self.is_live(lease) {
            if self.is_accepted_by_mutation(lease) {
                self.commit(lease, digest, result);
                self.propagate();
                return Completion::Committed;
            }
            return self.refuse(lease);
        }
        if self.state(lease.task) == State::Cancelling {
            self.end_lease(lease.task.0, Why::Asked);
            self.settle(lease.task.0, State::Cancelled, Why::Asked);
            self.propagate();
            return Completion::Cancelled;
        }
        self.commit(lease, digest, result);
        self.propagate();
        Completion::Committed
    }

    /// An attempt ended badly; answers whether the lease was the live one.
    pub fn fail(&mut self, lease: Lease, hopeless: bool, text: &str) -> bool {
        if !self.is_live(lease) {
            self.refuse(lease);
            return false;
        }
        self.keep_text(lease.task.0, text);
        self.give_up(lease.task.0, if hopeless { Why::Hopeless } else { Why::Reported });
        true
    }

    /// An attempt made no progress for too long.
    pub fn expire(&mut self, lease: Lease) -> bool {
        if !self.is_live(lease) {
            return false;
        }
        self.counts.expired += 1;
        self.give_up(lease.task.0, Why::IdleTimeout);
        true
    }

    /// The agent does not run it any more, as it was asked to.
    pub fn stopped(&mut self, lease: Lease) -> bool {
        if !self.is_live(lease) || self.state(lease.task) != State::Cancelling {
            return false;
        }
        self.give_up(lease.task.0, Why::Asked);
        true
    }

    /// Whether a completion under this lease would count.
    pub fn is_live(&self, lease: Lease) -> bool {
        let Some(now) = self.tasks.get(lease.task.0 as usize) else { return false };
        now.state.has_lease() && now.attempt == lease.attempt && now.epoch == lease.epoch
    }

    /// Whether the attempt of this lease is over: nothing that comes of it can change anything any more. False for
    /// one that was never given out, or not here yet.
    pub fn is_over(&self, lease: Lease) -> bool {
        self.tasks.get(lease.task.0 as usize).is_some_and(|now| {
            now.attempt > lease.attempt || now.attempt == lease.attempt && !now.state.has_lease()
        })
    }

    /// Whether the result of this very lease stands.
    pub fn is_committed(&self, lease: Lease) -> bool {
        self.tasks.get(lease.task.0 as usize).is_some_and(|now| {
            now.state == State::Succeeded && now.attempt == lease.attempt && now.epoch == lease.epoch
        })
    }

    /// Ends a live lease badly, for this reason, and tells those who wait.
    pub(super) fn give_up(&mut self, task: u32, why: Why) {
        let cancelling = self.tasks[task as usize].state == State::Cancelling;
        self.end_lease(task, why);
        if cancelling {
            self.settle(task, State::Cancelled, Why::Asked);
        } else {
            self.after_failure(task, why);
        }
        self.propagate();
    }

    /// Takes the lease from an agent that is lost or leaves: the next attempt is another agent's.
    pub(super) fn transfer(&mut self, task: u32, killed: bool) {
        let kills_max = self.config.kills_max;
        self.end_lease(task, Why::AgentLost);
        let now = self.task(task);
        if now.state == State::Cancelling {
            return self.settle(task, State::Cancelled, Why::Asked);
        }
        if killed {
            now.kills = now.kills.saturating_add(1);
            if now.kills >= kills_max {
                return self.settle(task, State::Failed, Why::KilledWorkers);
            }
        }
        self.counts.transfers += 1;
        if self.past_deadline(task, self.stamp) {
            return self.settle(task, State::Failed, Why::Deadline);
        }
        self.release(task);
    }

    fn commit(&mut self, lease: Lease, digest: u64, result: Vec<u8>) {
        let task = lease.task.0;
        let now = &mut self.tasks[task as usize];
        // The tally asks for itself, not through what has just let the completion pass.
        let is_live = now.state == State::Leased && now.attempt == lease.attempt && now.epoch == lease.epoch;
        self.unfenced += u64::from(!is_live);
        now.commits = now.commits.saturating_add(1);
        if now.state.has_lease() {
            self.unlist(task);
        }
        self.queue.remove(task);
        let now = &mut self.tasks[task as usize];
        let agent = AgentSlot(now.agent);
        let first = now.state != State::Succeeded;
        now.digest = digest;
        self.counts.committed += 1;
        self.events.push(Event::Committed { task: lease.task, attempt: lease.attempt, agent });
        self.digest = self.digest.wrapping_add(digest::share(digest));
        let earned = u64::from(self.config.retries_earned_per_mille);
        self.budget = (self.budget + earned).min(u64::from(self.config.retry_budget) * 1000);
        self.keep_result(task, result);
        if first && !self.tasks[task as usize].state.is_final() {
            self.settle(task, State::Succeeded, Why::Nothing);
        }
    }

    fn after_failure(&mut self, task: u32, why: Why) {
        let retry = self.graph.policy(TaskId(task)).retry;
        let now = &self.tasks[task as usize];
        if self.past_deadline(task, self.stamp) {
            return self.settle(task, State::Failed, Why::Deadline);
        }
        if why == Why::Hopeless || now.retries >= retry.retries_max {
            return self.settle(task, State::Failed, why);
        }
        if self.budget < 1000 {
            return self.settle(task, State::Failed, Why::RetryBudget);
        }
        let draw = digest::mix(self.draw ^ u64::from(task) << 32 ^ u64::from(now.attempt));
        let until = self.stamp.saturating_add(retry.pause_ms(now.retries, draw));
        // Waiting for a retry that would come too late helps nobody.
        if self.past_deadline(task, until) {
            return self.settle(task, State::Failed, Why::Deadline);
        }
        self.budget -= 1000;
        self.counts.retries += 1;
        let stamp = self.stamp;
        let now = self.task(task);
        now.retries += 1;
        let retries = now.retries;
        if until == stamp {
            return self.release(task);
        }
        now.state = State::BackingOff;
        now.since = until;
        self.events.push(Event::BackingOff { task: TaskId(task), retries });
        self.arm(task);
    }

    pub(super) fn end_lease(&mut self, task: u32, why: Why) {
        self.unlist(task);
        let now = self.task(task);
        let (attempt, agent) = (now.attempt, AgentSlot(now.agent));
        self.events.push(Event::LeaseEnded { task: TaskId(task), attempt, agent, why });
    }

    fn unlist(&mut self, task: u32) {
        let slot = self.tasks[task as usize].agent;
        if let Some(agent) = self.agents.get_mut(slot)
            && let Some(at) = agent.leases.iter().position(|held| *held == task)
        {
            agent.leases.swap_remove(at);
        }
    }

    fn refuse(&mut self, lease: Lease) -> Completion {
        let (task, attempt) = (lease.task, lease.attempt);
        if self.is_committed(lease) {
            self.counts.duplicate += 1;
            self.events.push(Event::Duplicate { task, attempt });
            return Completion::Duplicate;
        }
        self.counts.stale += 1;
        self.events.push(Event::Stale { task, attempt });
        Completion::Stale
    }

    fn keep_result(&mut self, task: u32, result: Vec<u8>) {
        if result.is_empty() {
            return;
        }
        let len = result.len() as u64;
        if len > u64::from(self.config.result_bytes_max)
            || self.results_bytes + len > self.config.results_bytes_max
        {
            self.counts.results_dropped += 1;
            return;
        }
        self.results_bytes += len;
        if let Some(before) = self.results.insert(task, result) {
            self.results_bytes -= before as u64;
        }
    }

    fn keep_text(&mut self, task: u32, text: &str) {
        if text.is_empty() {
            return;
        }
        let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
        self.texts.insert(task, text[..end.unwrap_or(0)].to_owned());
        if self.texts.len() > TEXTS_MAX {
            self.texts.pop_first();
        }
    }

    #[cfg(feature = "mutations")]
    fn is_accepted_by_mutation(&self, lease: Lease) -> bool {
        let Some(now) = self.tasks.get(lease.task.0 as usize) else { return false };
        match self.config.mutation {
            Some(crate::Mutation::LeaseWithoutEpoch) => now.state == State::Leased,
            Some(crate::Mutation::StaleCompletionAccepted) => lease.attempt <= now.attempt,
            None => false,
        }
    }

    #[cfg(not(feature = "mutations"))]
    fn is_accepted_by_mutation(&self, _: Lease) -> bool {
        false
    }
}
