//! The agent whose skills meet the needs best; among equals the one with the fewest leases, then the first. Logarithmic.

use super::able::{ByNeeds, Choice};
use super::{Placement, Skills, TaskView};
use crate::engine::{AgentSlot, AgentView};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Placement by capability.
#[derive(Clone, Debug, Default)]
pub struct CapabilityMatch(ByNeeds<Ranking>);

type Rank = (Reverse<u16>, u32, AgentSlot);

#[derive(Clone, Debug, Default)]
struct Ranking {
    best: BTreeSet<Rank>,
    ranks: Vec<Option<Rank>>,
}

impl Choice for Ranking {
    fn put(&mut self, agent: &AgentView, score: u16) {
        self.take(agent.slot);
        let rank = (Reverse(score), agent.running, agent.slot);
        let slot = agent.slot.0 as usize;
        if slot >= self.ranks.len() {
            self.ranks.resize(slot + 1, None);
        }
        self.ranks[slot] = Some(rank);
        self.best.insert(rank);
    }

    fn take(&mut self, agent: AgentSlot) {
        if let Some(rank) = self.ranks.get_mut(agent.0 as usize).and_then(Option::take) {
            self.best.remove(&rank);
        }
    }

    fn choose(&mut self) -> Option<AgentSlot> {
        self.best.first().map(|(_, _, slot)| *slot)
    }
}

impl Placement for CapabilityMatch {
    fn name(&self) -> &'static str {
        "capability-match"
    }
    fn clear(&mut self) {
        *self = CapabilityMatch::default();
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
