//! Gives ready tasks to agents, and watches those that must show progress. Its picture of the agents follows the
//! engine's events; what was proposed and not applied is taken back by looking again.

use super::hint::Memory;
use super::placement::{Placement, Skills, TaskView};
use crate::Work;
use crate::engine::{Act, AgentSlot, Event, Lease, Visit};
use crate::graph::TaskId;
use quorate_core::{AgentId, Time};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    /// Number of the next event to look at; `None`: everything has to be looked at.
    cursor: Option<u64>,
    /// Agents that were given something by the last block, which may never have been applied.
    given: Vec<AgentSlot>,
    /// Free slots of all agents.
    free: Vec<u32>,
    free_total: u64,
    /// Leases that must show progress, and since when they were seen.
    watched: BTreeMap<Lease, Time>,
    watch_at: Option<Time>,
}

impl Roster {
    /// Follows what happened since the last call. Answers when the next attempt may have been idle for too long.
    pub fn sync(&mut self, state: &Work, placement: &mut impl Placement, now: Time) -> Time {
        let mut changed = std::mem::take(&mut self.given);
        match self.cursor.and_then(|cursor| state.events_since(cursor)) {
            None => {
                placement.clear();
                (self.free, self.free_total) = (Vec::new(), 0);
                self.watched.clear();
                changed = state.agents().map(|agent| agent.slot).collect();
                let leases = state.nodes().flat_map(|node| state.leases_of(node).map(|(lease, _)| lease));
                leases.collect::<Vec<_>>().into_iter().for_each(|lease| self.watch(state, lease, now));
            }
            Some(events) => {
                for event in events {
                    changed.extend(event.agent());
                    if let Event::Leased { task, .. } = event
                        && let Some((lease, _)) = state.lease(*task)
                    {
                        self.watch(state, lease, now);
                    }
                }
            }
        }
        self.cursor = Some(state.events_next());
        changed.sort_unstable();
        changed.dedup();
        for slot in changed {
            self.look(state, slot, placement);
        }
        self.watch_at.unwrap_or(Time::NEVER)
    }

    /// Tasks from the first of the queue on, each to the agent that the placement chooses.
    pub fn assign(
        &mut self,
        state: &Work,
        placement: &mut impl Placement,
        most: usize,
    ) -> Vec<(TaskId, AgentId)> {
        let mut pairs = Vec::new();
        if self.free_total == 0 {
            return pairs;
        }
        let skills = Skills::of(state);
        state.visit_ready(|task, needs| {
            if pairs.len() >= most || self.free_total == 0 {
                return Visit::Stop;
            }
            let view = TaskView { task, needs, expected_ms: state.graph().expected_ms(task) };
            let Some(slot) = placement.place(&view, skills) else { return Visit::SkipNeeds };
            let Some(mut agent) = state.agent(slot) else { return Visit::SkipNeeds };
            let Some(free) = self.free.get_mut(slot.0 as usize).filter(|free| **free > 0) else {
                // A placement of the user's own that answers one who is full.
                return Visit::SkipNeeds;
            };
            *free -= 1;
            agent.running = agent.slots - *free;
            self.free_total -= 1;
            self.given.push(slot);
            placement.set(&agent, skills);
            pairs.push((task, agent.id));
            Visit::Next
        });
        pairs
    }

    /// Ends the leases that show no progress; answers when to look again.
    pub fn expire_idle(&mut self, state: &Work, memory: &Memory, now: Time, acts: &mut Vec<Act>) -> Time {
        let mut again = Time::NEVER;
        self.watched.retain(|lease, seen| {
            if !state.is_live(*lease) {
                return false;
            }
            let Some(idle) = state.graph().policy(lease.task).timeouts.idle_ms else { return false };
            let holder = state.lease(lease.task).and_then(|(_, slot)| state.agent(slot));
            let node = holder.and_then(|agent| memory.nodes.get(&agent.node));
            let progress = node.and_then(|node| node.running.get(lease)).map(|(_, since)| *since);
            let due = progress.map_or(*seen, |since| since.max(*seen)) + Duration::from_millis(idle);
            if due <= now {
                acts.push(Act::Expire(*lease));
                // Should the block be lost, it is found again.
                again = again.min(now + Duration::from_millis(idle.max(1)));
            } else {
                again = again.min(due);
            }
            true
        });
        self.watch_at = (again != Time::NEVER).then_some(again);
        again
    }

    fn watch(&mut self, state: &Work, lease: Lease, now: Time) {
        let Some(idle) = state.graph().policy(lease.task).timeouts.idle_ms else { return };
        self.watched.insert(lease, now);
        let due = now + Duration::from_millis(idle);
        self.watch_at = Some(self.watch_at.map_or(due, |at| at.min(due)));
    }

    fn look(&mut self, state: &Work, slot: AgentSlot, placement: &mut impl Placement) {
        let at = slot.0 as usize;
        if at >= self.free.len() {
            self.free.resize(at + 1, 0);
        }
        let agent = state.agent(slot);
        let free = agent.map_or(0, |agent| agent.free());
        self.free_total = self.free_total - u64::from(self.free[at]) + u64::from(free);
        self.free[at] = free;
        match agent {
            Some(agent) => placement.set(&agent, Skills::of(state)),
            None => placement.remove(slot),
        }
    }
}
