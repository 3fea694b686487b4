//! The agent that holds the fewest leases. Among equals the one that has been so for longest, which also spreads
//! short tasks evenly. Constant time: one queue of agents for each number of leases.

use super::able::{ByNeeds, Choice};
use super::ring::Rings;
use super::{Placement, Skills, TaskView};
use crate::engine::{AgentSlot, AgentView};

/// Loads that are told apart; more leases count as so many.
const LOADS_MAX: u32 = 4096;

/// Least-loaded placement.
#[derive(Clone, Debug, Default)]
pub struct LeastLoaded(ByNeeds<Buckets>);

#[derive(Clone, Debug, Default)]
struct Buckets {
    rings: Rings,
    /// No queue before this one has anybody.
    least: u32,
}

impl Choice for Buckets {
    fn put(&mut self, agent: &AgentView, _: u16) {
        let load = agent.running.min(LOADS_MAX - 1);
        if self.rings.queue_of(agent.slot) == Some(load) {
            return;
        }
        self.rings.remove(agent.slot);
        self.rings.push_back(load, agent.slot);
        self.least = self.least.min(load);
    }

    fn take(&mut self, agent: AgentSlot) {
        self.rings.remove(agent);
    }

    fn choose(&mut self) -> Option<AgentSlot> {
        while self.least < self.rings.queues() {
            if let Some(agent) = self.rings.first(self.least) {
                return Some(agent);
            }
            self.least += 1;
        }
        None
    }
}

impl Placement for LeastLoaded {
    fn name(&self) -> &'static str {
        "least-loaded"
    }
    fn clear(&mut self) {
        *self = LeastLoaded::default();
    }
    fn set(&mut self, agent: &AgentView, skills: Skills<'_>) {
        self.0.set(agent, skills);
    }
    fn remove(&mut self, agent: AgentSlot) {
        self.0.remove(agent);
    }
    fn place(&mut self, task: &TaskView, skills: Skills<'_>) -> Option<AgentSlot> {
        self.0.place(task, skills)
    }
}
