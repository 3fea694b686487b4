//! One structure for each list of needs, over the agents that are able: so that nobody searches among those that
//! are not. Made when such a task first comes.

use super::{Skills, TaskView};
use crate::engine::{AgentSlot, AgentView};
use std::collections::BTreeMap;

/// Lists of needs that have a structure at a time; one more makes room by dropping one, which costs a look at every
/// agent when it is needed again.
const STRUCTURES_MAX: usize = 64;

/// What a placement keeps over the agents that are able.
pub(super) trait Choice: Default {
    /// The agent is there, able, and has a free slot.
    fn put(&mut self, agent: &AgentView, score: u16);
    /// It is not there, or has no free slot.
    fn take(&mut self, agent: AgentSlot);
    /// The one to choose.
    fn choose(&mut self) -> Option<AgentSlot>;
}

#[derive(Clone, Debug, Default)]
pub(super) struct ByNeeds<C> {
    agents: Vec<Option<AgentView>>,
    /// What needs nothing is most of the work.
    any: C,
    able: BTreeMap<u16, C>,
}

impl<C: Choice> ByNeeds<C> {
    pub fn set(&mut self, agent: &AgentView, skills: Skills<'_>) {
        let slot = agent.slot.0 as usize;
        if slot >= self.agents.len() {
            self.agents.resize(slot + 1, None);
        }
        self.agents[slot] = Some(*agent);
        put(&mut self.any, 0, agent, skills);
        for (needs, choice) in &mut self.able {
            put(choice, *needs, agent, skills);
        }
    }

    pub fn remove(&mut self, agent: AgentSlot) {
        if let Some(place) = self.agents.get_mut(agent.0 as usize) {
            *place = None;
        }
        self.any.take(agent);
        self.able.values_mut().for_each(|choice| choice.take(agent));
    }

    pub fn place(&mut self, task: &TaskView, skills: Skills<'_>) -> Option<AgentSlot> {
        if task.needs == 0 {
            return self.any.choose();
        }
        if !self.able.contains_key(&task.needs) && self.able.len() >= STRUCTURES_MAX {
            self.able.pop_first();
        }
        let agents = &self.agents;
        let choice = self.able.entry(task.needs).or_insert_with(|| {
            let mut choice = C::default();
            agents.iter().flatten().for_each(|agent| put(&mut choice, task.needs, agent, skills));
            choice
        });
        choice.choose()
    }
}

fn put<C: Choice>(choice: &mut C, needs: u16, agent: &AgentView, skills: Skills<'_>) {
    if agent.free() > 0 && skills.is_able(needs, agent) {
        choice.put(agent, skills.score(needs, agent));
    } else {
        choice.take(agent.slot);
    }
}
