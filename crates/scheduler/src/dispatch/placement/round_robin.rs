//! Each agent in its turn. Who has no free slot is passed over; a newcomer, and one that was full, goes to the end.
//! So whoever comes or goes, nobody is served twice while another who could have been served was not.

use super::able::{ByNeeds, Choice};
use super::ring::Rings;
use super::{Placement, Skills, TaskView};
use crate::engine::{AgentSlot, AgentView};

/// Round robin placement.
#[derive(Clone, Debug, Default)]
pub struct RoundRobin(ByNeeds<Turns>);

#[derive(Clone, Debug, Default)]
struct Turns(Rings);

impl Choice for Turns {
    fn put(&mut self, agent: &AgentView, _: u16) {
        if self.0.queue_of(agent.slot).is_none() {
            self.0.push_back(0, agent.slot);
        }
    }

    fn take(&mut self, agent: AgentSlot) {
        self.0.remove(agent);
    }

    fn choose(&mut self) -> Option<AgentSlot> {
        let agent = self.0.first(0)?;
        self.0.remove(agent);
        self.0.push_back(0, agent);
        Some(agent)
    }
}

impl Placement for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }
    fn clear(&mut self) {
        *self = RoundRobin::default();
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
