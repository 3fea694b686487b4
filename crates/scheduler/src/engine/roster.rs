//! Agents coming, going, suspected and trusted, and what becomes of their leases.

use super::Engine;
use super::agents::{Agent, AgentSlot, AgentSpec, AgentState};
use super::command::{Refused, Whom};
use super::event::Event;
use super::task::Lease;
use crate::graph::{NAME_BYTES_MAX, TaskId};
use quorate_core::{AgentId, NodeId};

/// Skills of one agent.
const SKILLS_MAX: usize = 64;

/// An agent as placement sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AgentView {
    /// Its place in the engine's table.
    pub slot: AgentSlot,
    /// Its name.
    pub id: AgentId,
    /// Who hosts it.
    pub node: NodeId,
    /// Leases that it holds.
    pub running: u32,
    /// Leases that it may hold; 0 while it is suspected.
    pub slots: u32,
    /// Number of its list of skills.
    pub profile: u32,
}

impl AgentView {
    /// Leases that it could take.
    pub fn free(&self) -> u32 {
        self.slots.saturating_sub(self.running)
    }
}

impl Engine {
    /// Agents of a node: new ones, others with new slots and skills, or such that moved here, whose leases go to
    /// others. Refused whole.
    pub fn register(&mut self, node: NodeId, agents: &[AgentSpec]) -> Result<bool, Refused> {
        let max = self.config.agents_max;
        let new = agents.iter().filter(|spec| self.agents.find(spec.id).is_none()).count();
        if self.agents.len() + new > max as usize {
            return Err(Refused::TooMany { what: "agents".into(), max });
        }
        let fits = |spec: &AgentSpec| {
            spec.skills.len() <= SKILLS_MAX
                && spec.skills.iter().all(|(name, _)| name.len() <= NAME_BYTES_MAX)
        };
        if !agents.iter().all(fits) {
            return Err(Refused::TooMany { what: "skills of an agent".into(), max: SKILLS_MAX as u32 });
        }
        if let Err((what, max)) = self.agents.has_room_for_skills(agents) {
            return Err(Refused::TooMany { what: what.into(), max: max as u32 });
        }
        for spec in agents {
            let profile = self.agents.profile(&spec.skills);
            let there = self.agents.find(spec.id);
            let stays = there.and_then(|slot| self.agents.get_mut(slot)).filter(|agent| agent.node == node);
            let slot = match (stays, there) {
                (Some(agent), Some(slot)) => {
                    agent.slots = spec.slots;
                    agent.profile = profile;
                    slot
                }
                (_, there) => {
                    if let Some(slot) = there {
                        self.drop_agent(slot, false);
                    }
                    self.agents.insert(node, spec, profile)
                }
            };
            self.events.push(Event::AgentUp { agent: AgentSlot(slot) });
        }
        self.propagate();
        Ok(!agents.is_empty())
    }

    /// Agents that leave in good order. Answers whether any was there.
    pub fn unregister(&mut self, agents: &[AgentId]) -> bool {
        let mut any = false;
        for id in agents {
            if let Some(slot) = self.agents.find(*id) {
                any = true;
                self.drop_agent(slot, false);
            }
        }
        self.propagate();
        any
    }

    /// They get no work, and their leases go to others: should they still finish, it is Stale. A task that this
    /// happens to too often is stopped.
    pub fn suspect(&mut self, whom: Whom) {
        for slot in self.slots_of(whom) {
            let Some(agent) = self.agents.turn(slot, AgentState::Suspected) else { continue };
            let held = std::mem::take(&mut agent.leases);
            agent.lost = held.clone();
            for task in held {
                self.transfer(task, true);
            }
            self.events.push(Event::AgentSuspected { agent: AgentSlot(slot) });
        }
        self.propagate();
    }

    /// They were there all along: they get work again, and what they held was not killed by them.
    pub fn trust(&mut self, whom: Whom) {
        for slot in self.slots_of(whom) {
            let Some(agent) = self.agents.turn(slot, AgentState::Up) else { continue };
            for task in std::mem::take(&mut agent.lost) {
                let now = self.task(task);
                now.kills = now.kills.saturating_sub(1);
            }
            self.events.push(Event::AgentUp { agent: AgentSlot(slot) });
        }
    }

    /// They are gone.
    pub fn down(&mut self, whom: Whom) {
        // From the last: each is then found at once in its node's list.
        for slot in self.slots_of(whom).into_iter().rev() {
            self.drop_agent(slot, true);
        }
        self.propagate();
    }

    /// How many agents there are.
    pub fn agent_count(&self) -> usize {
        self.agents.len()
    }

    /// All agents.
    pub fn agents(&self) -> impl Iterator<Item = AgentView> {
        self.agents.iter().map(|(slot, agent)| view(slot, agent))
    }

    /// The agent in a place of the table.
    pub fn agent(&self, slot: AgentSlot) -> Option<AgentView> {
        self.agents.get(slot.0).map(|agent| view(slot.0, agent))
    }

    /// The agent of this name.
    pub fn find_agent(&self, id: AgentId) -> Option<AgentView> {
        self.agent(AgentSlot(self.agents.find(id)?))
    }

    /// Whether it gets work.
    pub fn agent_state(&self, slot: AgentSlot) -> Option<AgentState> {
        self.agents.get(slot.0).map(|agent| agent.state)
    }

    /// The agents of a node.
    pub fn agents_of(&self, node: NodeId) -> impl ExactSizeIterator<Item = AgentView> {
        self.agents
            .of_node(node)
            .iter()
            .filter_map(|slot| self.agent(AgentSlot(*slot)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// How many agents a node hosts, and how many of them are suspected.
    pub fn agent_count_of(&self, node: NodeId) -> (usize, usize) {
        (self.agents.of_node(node).len(), self.agents.suspected_of(node) as usize)
    }

    /// The nodes that host agents.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.agents.nodes()
    }

    /// The leases that the agents of a node hold, those that are being cancelled included.
    pub fn leases_of(&self, node: NodeId) -> impl Iterator<Item = (Lease, AgentId)> {
        let agents = self.agents.of_node(node).iter().filter_map(|slot| self.agents.get(*slot));
        agents.flat_map(|agent| {
            agent.leases.iter().map(|task| {
                let now = &self.tasks[*task as usize];
                (Lease { task: TaskId(*task), attempt: now.attempt, epoch: now.epoch }, agent.id)
            })
        })
    }

    /// Whether this node hosts this agent, with these slots and skills.
    pub fn hosts(&self, node: NodeId, spec: &AgentSpec) -> bool {
        let there = self.agents.find(spec.id).and_then(|slot| self.agents.get(slot));
        there.is_some_and(|agent| {
            agent.node == node
                && agent.slots == spec.slots
                && self.agents.known_profile(&spec.skills) == Some(agent.profile)
        })
    }

    /// How well an agent's skills meet the needs of this number, in thousandths.
    pub fn score(&self, needs: u16, profile: u32) -> u16 {
        self.agents.score(needs, profile)
    }

    /// The number of what a task needs.
    pub fn needs_of(&self, task: TaskId) -> u16 {
        self.needs[self.graph.policy_number(task) as usize]
    }

    fn drop_agent(&mut self, slot: u32, killed: bool) {
        let Some(agent) = self.agents.get_mut(slot) else { return };
        for task in std::mem::take(&mut agent.leases) {
            self.transfer(task, killed);
        }
        self.agents.remove(slot);
        self.events.push(Event::AgentGone { agent: AgentSlot(slot) });
    }

    fn slots_of(&self, whom: Whom) -> Vec<u32> {
        match whom {
            Whom::Agent(id) => self.agents.find(id).into_iter().collect(),
            Whom::Node(node) => self.agents.of_node(node).to_vec(),
        }
    }
}

fn view(slot: u32, agent: &Agent) -> AgentView {
    AgentView {
        slot: AgentSlot(slot),
        id: agent.id,
        node: agent.node,
        running: agent.leases.len() as u32,
        slots: if agent.state == AgentState::Up { agent.slots } else { 0 },
        profile: agent.profile,
    }
}
