//! The agents as the engine knows them: data. Who hosts them, what they can do, how much they do at once, and which
//! leases they hold.

use crate::index::{Index, Keyed, hash};
use quorate_core::{AgentId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Different lists of skills, and different lists of needs, that are told apart.
pub const PROFILES_MAX: usize = 1 << 16;

/// Names of capabilities, of skills and needs together.
pub const CAPABILITIES_MAX: usize = 1 << 16;

/// An agent as its node announces it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentSpec {
    /// Its name, unique in the cluster.
    pub id: AgentId,
    /// Leases that it holds at once; 0 takes none.
    pub slots: u32,
    /// What it can do, and how well, in thousandths.
    pub skills: Vec<(String, u16)>,
}

impl AgentSpec {
    /// An agent with one slot that can do what needs nothing.
    pub fn new(id: AgentId) -> AgentSpec {
        AgentSpec { id, slots: 1, skills: Vec::new() }
    }

    /// With so many slots.
    pub fn slots(mut self, slots: u32) -> AgentSpec {
        self.slots = slots;
        self
    }

    /// With a skill, in thousandths.
    pub fn skill(mut self, name: impl Into<String>, per_mille: u16) -> AgentSpec {
        self.skills.push((name.into(), per_mille));
        self
    }
}

/// Where an agent stands in the engine's table. Used again once the agent is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AgentSlot(pub u32);

/// Whether an agent gets work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AgentState {
    /// It does.
    Up,
    /// Not while it is suspected; its leases were given to others.
    Suspected,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Agent {
    pub id: AgentId,
    pub node: NodeId,
    pub slots: u32,
    pub profile: u32,
    pub state: AgentState,
    /// Tasks whose leases it holds.
    pub leases: Vec<u32>,
    /// What it held when it was last suspected: taken back from those tasks' counts if it is trusted again.
    pub lost: Vec<u32>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Agents {
    table: Vec<Option<Agent>>,
    free: Vec<u32>,
    nodes: BTreeMap<NodeId, Home>,
    #[serde(skip)]
    index: ById,
    capabilities: BTreeMap<String, u32>,
    /// Lists of (capability, per mille), ascending.
    profiles: Vec<Vec<(u32, u16)>>,
    profile_numbers: BTreeMap<Vec<(u32, u16)>, u32>,
    /// Lists of capabilities, ascending; number 0 needs nothing.
    needs: Vec<Vec<u32>>,
    needs_numbers: BTreeMap<Vec<u32>, u16>,
}

/// The agents of one node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Home {
    slots: Vec<u32>,
    suspected: u32,
}

/// The index says nothing that the table does not.
#[derive(Clone, Default, Debug)]
struct ById(Index<AgentId>);

impl PartialEq for ById {
    fn eq(&self, _: &ById) -> bool {
        true
    }
}

impl Agents {
    pub fn find(&self, id: AgentId) -> Option<u32> {
        self.index.0.find(hash_of(id), &id, |slot| self.get(slot).is_some_and(|agent| agent.id == id))
    }

    pub fn get(&self, slot: u32) -> Option<&Agent> {
        self.table.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Agent> {
        self.table.get_mut(slot as usize)?.as_mut()
    }

    pub fn len(&self) -> usize {
        self.table.len() - self.free.len()
    }

    /// All agents, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Agent)> {
        self.table.iter().enumerate().filter_map(|(slot, agent)| Some((slot as u32, agent.as_ref()?)))
    }

    pub fn of_node(&self, node: NodeId) -> &[u32] {
        self.nodes.get(&node).map_or(&[], |home| home.slots.as_slice())
    }

    /// How many agents of a node are suspected.
    pub fn suspected_of(&self, node: NodeId) -> u32 {
        self.nodes.get(&node).map_or(0, |home| home.suspected)
    }

    /// Puts one into another state; answers the agent if that is a change.
    pub fn turn(&mut self, slot: u32, state: AgentState) -> Option<&mut Agent> {
        let agent = self.table.get_mut(slot as usize)?.as_mut().filter(|agent| agent.state != state)?;
        agent.state = state;
        let home = self.nodes.get_mut(&agent.node)?;
        match state {
            AgentState::Suspected => home.suspected += 1,
            AgentState::Up => home.suspected -= 1,
        }
        Some(agent)
    }

    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// Puts in an agent that is not there.
    pub fn insert(&mut self, node: NodeId, spec: &AgentSpec, profile: u32) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.table.push(None);
            self.table.len() as u32 - 1
        });
        self.table[slot as usize] = Some(Agent {
            id: spec.id,
            node,
            slots: spec.slots,
            profile,
            state: AgentState::Up,
            leases: Vec::new(),
            lost: Vec::new(),
        });
        self.nodes.entry(node).or_default().slots.push(slot);
        self.index_in(slot, spec.id);
        slot
    }

    /// Takes out one whose leases were taken from it.
    pub fn remove(&mut self, slot: u32) -> Option<Agent> {
        // While its name still stands there.
        self.get(slot)?;
        self.index.0.remove(slot, &Names(&self.table));
        let agent = self.table.get_mut(slot as usize)?.take()?;
        debug_assert!(agent.leases.is_empty(), "an agent left with its leases");
        self.free.push(slot);
        if let Some(home) = self.nodes.get_mut(&agent.node) {
            home.suspected -= u32::from(agent.state == AgentState::Suspected);
            if let Some(at) = home.slots.iter().rposition(|other| *other == slot) {
                home.slots.swap_remove(at);
            }
            if home.slots.is_empty() {
                self.nodes.remove(&agent.node);
            }
        }
        Some(agent)
    }

    /// Whether these lists of what tasks need can be told apart from those that are there.
    pub fn has_room_for_needs<'a>(&self, lists: impl ExactSizeIterator<Item = &'a [String]> + Clone) -> bool {
        self.needs.len() + lists.len() < PROFILES_MAX
            && self.has_room_for_names(lists.flatten().map(String::as_str))
    }

    /// Whether these agents' lists of skills can be told apart; if not, what there is too much of, and its bound.
    pub fn has_room_for_skills(&self, agents: &[AgentSpec]) -> Result<(), (&'static str, usize)> {
        let names = agents.iter().flat_map(|spec| &spec.skills).map(|(name, _)| name.as_str());
        if !self.has_room_for_names(names) {
            return Err(("names of capabilities", CAPABILITIES_MAX));
        }
        if self.profiles.len() + agents.len() > PROFILES_MAX {
            // Many of one list are one list.
            let skills = agents.iter().map(|spec| spec.skills.as_slice());
            let new: BTreeSet<Vec<(&str, u16)>> =
                skills.filter(|skills| self.known_profile(skills).is_none()).map(by_name).collect();
            if self.profiles.len() + new.len() > PROFILES_MAX {
                return Err(("different lists of skills", PROFILES_MAX));
            }
        }
        Ok(())
    }

    fn has_room_for_names<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> bool {
        if self.capabilities.len() + names.clone().count() <= CAPABILITIES_MAX {
            return true;
        }
        let new: BTreeSet<&str> = names.filter(|name| !self.capabilities.contains_key(*name)).collect();
        self.capabilities.len() + new.len() <= CAPABILITIES_MAX
    }

    /// The number of a list of capabilities that tasks need.
    pub fn needs_number(&mut self, needs: &[String]) -> u16 {
        if self.needs.is_empty() {
            self.needs.push(Vec::new());
            self.needs_numbers.insert(Vec::new(), 0);
        }
        let mut list: Vec<u32> = needs.iter().map(|name| self.capability(name)).collect();
        list.sort_unstable();
        if let Some(number) = self.needs_numbers.get(&list) {
            return *number;
        }
        assert!(self.needs.len() < PROFILES_MAX, "nobody asked whether there is room");
        let number = self.needs.len() as u16;
        self.needs.push(list.clone());
        self.needs_numbers.insert(list, number);
        number
    }

    /// How well an agent's skills meet a list of needs: their mean, in thousandths, what it cannot do at all
    /// counted as 0; 1,000 where nothing is needed.
    pub fn score(&self, needs: u16, profile: u32) -> u16 {
        let Some(needs) = self.needs.get(usize::from(needs)).filter(|needs| !needs.is_empty()) else {
            return 1000;
        };
        let Some(skills) = self.profiles.get(profile as usize) else { return 0 };
        let found = needs.iter().filter_map(|need| {
            skills
                .binary_search_by_key(need, |(capability, _)| *capability)
                .ok()
                .map(|at| u32::from(skills[at].1))
        });
        (found.sum::<u32>() / needs.len() as u32) as u16
    }

    /// The lookup tables that do not travel.
    pub fn rebuild(&mut self) {
        self.index = ById::default();
        for slot in 0..self.table.len() as u32 {
            if let Some(id) = self.get(slot).map(|agent| agent.id) {
                self.index_in(slot, id);
            }
        }
    }

    pub fn is_sound(&self, tasks: usize) -> bool {
        let known = |task: &u32| (*task as usize) < tasks;
        let mut seen = 0;
        let at_home = |(node, home): (&NodeId, &Home)| {
            let agents = home.slots.iter().map(|slot| self.get(*slot));
            let suspected = |agent: &Agent| agent.state == AgentState::Suspected;
            agents.clone().all(|agent| agent.is_some_and(|agent| agent.node == *node))
                && agents.flatten().filter(|agent| suspected(agent)).count() == home.suspected as usize
        };
        self.nodes.iter().all(at_home)
            && self.free.iter().all(|slot| self.table.get(*slot as usize).is_some_and(Option::is_none))
            && self.free.len() <= self.table.len()
            && self.iter().all(|(_, agent)| {
                seen += 1;
                agent.leases.iter().chain(&agent.lost).all(known)
                    && (agent.profile as usize) < self.profiles.len()
            })
            && seen == self.len()
            && self.iter().all(|(slot, agent)| self.find(agent.id) == Some(slot))
            && self.nodes.values().map(|home| home.slots.len()).sum::<usize>() == seen
            && self.profiles.iter().all(|skills| skills.iter().all(|(_, per_mille)| *per_mille <= 1000))
    }

    /// The number of a list of skills, for which there is room.
    pub fn profile(&mut self, skills: &[(String, u16)]) -> u32 {
        let list = skills.iter().map(|(name, per_mille)| (self.capability(name), *per_mille)).collect();
        let list = in_order(list);
        if let Some(number) = self.profile_numbers.get(&list) {
            return *number;
        }
        assert!(self.profiles.len() < PROFILES_MAX, "nobody asked whether there is room");
        self.profiles.push(list.clone());
        self.profile_numbers.insert(list, self.profiles.len() as u32 - 1);
        self.profiles.len() as u32 - 1
    }

    /// The same for a list that some agent has or had.
    pub fn known_profile(&self, skills: &[(String, u16)]) -> Option<u32> {
        let known = |(name, per_mille): &(String, u16)| Some((*self.capabilities.get(name)?, *per_mille));
        let list: Option<Vec<(u32, u16)>> = skills.iter().map(known).collect();
        self.profile_numbers.get(&in_order(list?)).copied()
    }

    fn capability(&mut self, name: &str) -> u32 {
        if let Some(number) = self.capabilities.get(name) {
            return *number;
        }
        let number = self.capabilities.len() as u32;
        self.capabilities.insert(name.to_owned(), number);
        number
    }

    fn index_in(&mut self, slot: u32, id: AgentId) {
        self.index.0.insert(hash_of(id), slot, &Names(&self.table));
    }
}

/// The agents' names by slot, for the index.
struct Names<'a>(&'a [Option<Agent>]);

impl Keyed for Names<'_> {
    type Key = AgentId;
    fn hash_at(&self, slot: u32) -> u64 {
        hash_of(self.key_at(slot))
    }
    fn key_at(&self, slot: u32) -> AgentId {
        match self.0.get(slot as usize) {
            Some(Some(agent)) => agent.id,
            // Nobody asks: the index tells of slots in use.
            _ => AgentId(0),
        }
    }
}

/// The same list whatever numbers its capabilities will have.
fn by_name(skills: &[(String, u16)]) -> Vec<(&str, u16)> {
    in_order(skills.iter().map(|(name, per_mille)| (name.as_str(), *per_mille)).collect())
}

/// Ascending, each capability once; of one that is named twice the better.
fn in_order<C: Ord + Copy>(mut list: Vec<(C, u16)>) -> Vec<(C, u16)> {
    for (_, per_mille) in &mut list {
        *per_mille = (*per_mille).min(1000);
    }
    list.sort_unstable_by_key(|(capability, per_mille)| (*capability, std::cmp::Reverse(*per_mille)));
    list.dedup_by_key(|(capability, _)| *capability);
    list
}

fn hash_of(id: AgentId) -> u64 {
    hash(&id.0.to_le_bytes())
}
