//! Work that is added, changed, removed and cancelled while it runs. Each call does all of it or nothing.

use super::Engine;
use super::command::Refused;
use super::event::{Event, Why};
use super::queue::WhenFull;
use super::task::{State, Task};
use crate::graph::{Graph, GraphError, GraphSpec, Outcome, TaskId, TaskSpec, Verdict};
use std::ops::Range;
use std::sync::Arc;

/// Tasks before a new one whose rank may rise; see `Graph::raise_ranks`.
const RANKS_MAX: usize = 1024;

impl Engine {
    /// Takes in a graph whose tasks may wait for tasks that are there; answers the new numbers. What they wait for
    /// may have ended: then that counts at once.
    pub fn submit(&mut self, spec: &GraphSpec) -> Result<Range<u32>, Refused> {
        if !spec.is_sound()
            || !self.agents.has_room_for_needs(spec.policies().iter().map(|policy| policy.needs.as_slice()))
        {
            let why = if spec.is_sound() { GraphError::TooLarge } else { GraphError::Malformed };
            return Err(why.into());
        }
        let max = self.config.tasks_max;
        if self.tasks.len() + spec.len() > max as usize {
            return Err(Refused::TooMany { what: "tasks".into(), max });
        }
        if self.config.when_full == WhenFull::Reject {
            let room = self.queue.room();
            let ended = |name: &str| self.graph.find(name).is_some_and(|t| self.outcome(t).is_some());
            if spec.roots(ended) > room as usize {
                return Err(Refused::Full { room });
            }
        }
        let new = self.graph_mut().append(spec)?;
        for policy in &self.graph.policies()[self.needs.len()..] {
            self.needs.push(self.agents.needs_number(&policy.needs));
        }
        self.begin(new.clone());
        Ok(new)
    }

    /// Adds one task.
    pub fn add_task(&mut self, task: TaskSpec) -> Result<TaskId, Refused> {
        self.submit(&GraphSpec::new().task(task)).map(|new| TaskId(new.start))
    }

    /// `to` waits for `from`, too. A `from` that has ended counts at once; a `to` that has started is refused.
    /// Answers whether it did not wait before.
    pub fn add_edge(&mut self, from: &str, to: &str) -> Result<bool, Refused> {
        let (from, to) = (self.graph.require(from)?, self.graph.require(to)?);
        let there = self.graph.before(to).any(|before| before == from);
        self.must_not_have_started(to).or_else(|why| if there { Ok(()) } else { Err(why) })?;
        if !self.graph_mut().add_edge(from, to)? {
            return Ok(false);
        }
        let outcome = self.outcome(from);
        let now = self.task(to.0);
        now.open += 1;
        if let Some(outcome) = outcome {
            now.take(outcome);
        }
        let tasks = &self.tasks;
        Arc::make_mut(&mut self.graph)
            .raise_ranks(to, RANKS_MAX, |t| tasks[t.0 as usize].state == State::Waiting);
        self.judge_anew(to.0);
        self.propagate();
        Ok(true)
    }

    /// `to` does not wait for `from` any more; if that was the last, it may run. Refused once `from` has ended or
    /// `to` has started. Answers whether it waited.
    pub fn remove_edge(&mut self, from: &str, to: &str) -> Result<bool, Refused> {
        let (from, to) = (self.graph.require(from)?, self.graph.require(to)?);
        if !self.graph.before(to).any(|before| before == from) {
            return Ok(false);
        }
        self.must_not_have_started(to)?;
        if self.outcome(from).is_some() {
            return Err(Refused::AlreadyEnded { task: self.graph.name(from).into() });
        }
        self.graph_mut().remove_edge(from, to)?;
        self.task(to.0).open -= 1;
        self.judge_anew(to.0);
        self.propagate();
        Ok(true)
    }

    /// Takes a task out that has not started. It ends as cancelled, and those who wait for it see that: it is never
    /// taken for a success.
    pub fn remove_task(&mut self, task: &str) -> Result<(), Refused> {
        let task = self.graph.require(task)?;
        let now = &self.tasks[task.0 as usize];
        if now.state.is_final() {
            return Err(Refused::AlreadyEnded { task: self.graph.name(task).into() });
        }
        if now.attempt > 0 {
            return Err(Refused::AlreadyStarted { task: self.graph.name(task).into() });
        }
        self.queue.remove(task.0);
        self.settle(task.0, State::Cancelled, Why::Removed);
        self.propagate();
        Ok(())
    }

    /// Cancels a task. Where an agent runs it, the task ends once the agent has said that it stopped, was lost, or
    /// let `cancel_ms` pass.
    pub fn cancel(&mut self, task: &str) -> Result<(), Refused> {
        let task = self.graph.require(task)?;
        let stamp = self.stamp;
        let now = self.task(task.0);
        match now.state {
            state if state.is_final() => {
                return Err(Refused::AlreadyEnded { task: self.graph.name(task).into() });
            }
            State::Cancelling => {}
            State::Leased => {
                now.state = State::Cancelling;
                now.since = stamp;
                let (attempt, agent) = (now.attempt, super::AgentSlot(now.agent));
                self.events.push(Event::Cancelling { task, attempt, agent });
                self.arm(task.0);
            }
            _ => {
                self.queue.remove(task.0);
                self.settle(task.0, State::Cancelled, Why::Asked);
                self.propagate();
            }
        }
        Ok(())
    }

    fn begin(&mut self, new: Range<u32>) {
        let count = (new.end - new.start) as usize;
        if count > self.tasks.len() / 4 {
            self.tasks.reserve_exact(count);
        }
        self.queue.resize(new.end as usize);
        self.open += count as u32;
        for task in new.clone() {
            let mut now = Task::new(self.graph.before(TaskId(task)).len() as u32);
            if self.graph.slot(TaskId(task)).0 != task {
                now.state = State::Standby;
            }
            let old = self.graph.before(TaskId(task)).filter(|before| before.0 < new.start);
            for outcome in old.filter_map(|before| self.outcome(before)) {
                now.take(outcome);
            }
            self.tasks.push(now);
        }
        if new.start > 0 {
            let (tasks, graph) = (&self.tasks, Arc::make_mut(&mut self.graph));
            for task in new.clone() {
                let waits = |t: TaskId| t.0 < new.start && tasks[t.0 as usize].state == State::Waiting;
                graph.raise_ranks(TaskId(task), RANKS_MAX, waits);
            }
        }
        for task in new {
            if self.tasks[task as usize].state == State::Waiting {
                self.judge(task);
            }
        }
        self.propagate();
    }

    /// The graph, to change it. While a snapshot shares it, the first change of all makes a copy.
    fn graph_mut(&mut self) -> &mut Graph {
        Arc::make_mut(&mut self.graph)
    }

    /// A task whose dependencies were changed may have to wait again.
    fn judge_anew(&mut self, task: u32) {
        let ready = self.tasks[task as usize].state == State::Ready;
        match self.verdict(task) {
            Verdict::Run if ready => {}
            verdict => {
                if ready {
                    self.queue.remove(task);
                    self.task(task).state = State::Waiting;
                }
                if verdict != Verdict::Wait {
                    self.judge(task);
                }
            }
        }
    }

    fn must_not_have_started(&self, task: TaskId) -> Result<(), Refused> {
        let now = &self.tasks[task.0 as usize];
        match now.state {
            State::Waiting | State::Standby => Ok(()),
            State::Ready if now.attempt == 0 => Ok(()),
            _ => Err(Refused::AlreadyStarted { task: self.graph.name(task).into() }),
        }
    }

    /// How dependencies of a task ended, with the digests of those that succeeded.
    pub fn inputs(&self, task: TaskId) -> impl Iterator<Item = (TaskId, Option<Outcome>, Option<u64>)> {
        self.graph
            .before(self.graph.slot(task))
            .map(|before| (before, self.outcome(before), self.digest_of(before)))
    }
}
