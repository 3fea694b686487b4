//! Why a task does not run, or how it ended.

use super::Engine;
use super::agents::AgentState;
use super::event::Why;
use super::queue::Place;
use super::task::{Lease, State};
use crate::graph::TaskId;
use quorate_core::AgentId;

/// Dependencies that are named.
const NAMED_MAX: usize = 8;

/// What a task is waiting for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Explanation {
    /// For dependencies that have not ended.
    WaitsFor {
        /// The first of them, by name.
        tasks: Vec<String>,
        /// How many there are.
        open: u32,
    },
    /// It stands in for another, which has not failed.
    StandsInFor {
        /// Which.
        task: String,
    },
    /// The queue is full.
    Backpressure {
        /// How many wait outside like it.
        held: u32,
    },
    /// Of the agents that are up none can do what it needs.
    NoCapableAgent {
        /// What it needs.
        needs: Vec<String>,
    },
    /// Those who could do it are busy.
    NoFreeAgent {
        /// How many could.
        capable: u32,
    },
    /// It could be given out; its turn comes with the next decision.
    NextInQueue,
    /// It pauses after a failed attempt.
    BackingOff {
        /// Stamp of its next try.
        until: u64,
        /// Why the attempt failed, if the agent said.
        text: String,
    },
    /// It runs.
    Leased {
        /// Under this lease.
        lease: Lease,
        /// By this agent.
        agent: Option<AgentId>,
        /// Since this stamp.
        since: u64,
    },
    /// It was cancelled and its agent was not heard yet.
    Cancelling {
        /// By whom it is run.
        agent: Option<AgentId>,
    },
    /// It has ended.
    Ended {
        /// How.
        state: State,
        /// Why.
        why: Why,
    },
}

impl Engine {
    /// What a task is waiting for. Looks at all agents where the task could run: for people, not for loops.
    pub fn explain(&self, task: TaskId) -> Explanation {
        let now = &self.tasks[task.0 as usize];
        let agent = self.agents.get(now.agent).map(|agent| agent.id);
        match now.state {
            State::Waiting => {
                let open = self.graph.before(task).filter(|before| self.outcome(*before).is_none());
                let tasks = open.take(NAMED_MAX).map(|before| self.graph.name(before).into()).collect();
                Explanation::WaitsFor { tasks, open: now.open }
            }
            State::Standby => {
                Explanation::StandsInFor { task: self.graph.name(self.graph.slot(task)).into() }
            }
            State::Ready if self.queue.place(task.0) == Place::Held => {
                Explanation::Backpressure { held: self.queue.held() }
            }
            State::Ready => self.explain_ready(task),
            State::BackingOff => Explanation::BackingOff {
                until: now.since,
                text: self.failure_text(task).unwrap_or_default().into(),
            },
            State::Leased => Explanation::Leased {
                lease: Lease { task, attempt: now.attempt, epoch: now.epoch },
                agent,
                since: now.since,
            },
            State::Cancelling => Explanation::Cancelling { agent },
            state => Explanation::Ended { state, why: now.why },
        }
    }

    fn explain_ready(&self, task: TaskId) -> Explanation {
        let needs = self.needs_of(task);
        let (mut capable, mut free) = (0, 0);
        for (_, agent) in self.agents.iter() {
            if agent.state == AgentState::Up
                && agent.slots > 0
                && self.agents.score(needs, agent.profile) >= self.config.match_per_mille
            {
                capable += 1;
                free += u32::from(agent.leases.len() < agent.slots as usize);
            }
        }
        match (capable, free) {
            (0, _) => Explanation::NoCapableAgent { needs: self.graph.policy(task).needs.clone() },
            (capable, 0) => Explanation::NoFreeAgent { capable },
            _ => Explanation::NextInQueue,
        }
    }
}
