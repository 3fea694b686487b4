//! Which agent takes a task: chosen, booked, and given back when the task ends. Beside the straightforward way, which
//! looks at every agent for every task.
//!
//! Left out: the queue, the lease, agreement.

use quorate_core::{AgentId, NodeId};
use quorate_scheduler::dispatch::{CapabilityMatch, LeastLoaded, Placement, RoundRobin, Skills, TaskView};
use quorate_scheduler::engine::{AgentSlot, AgentSpec, AgentView, Engine, EngineConfig, Visit};
use quorate_scheduler::graph::{GraphSpec, TaskSpec};
use std::collections::VecDeque;

use crate::clock::thread_cpu_ns;

/// Said with every row.
pub const CONDITIONS: &str = "CPU time of one thread a task: an agent is chosen and its load raised, and the load of \
    the agent that was given work longest ago is lowered; two tasks an agent are out on average, agents have 16 slots";

/// Agents.
pub const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

const SLOTS: u32 = 16;
/// Lists of skills that differ.
const PROFILES: u32 = 16;

/// A way to choose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The fewest leases.
    LeastLoaded,
    /// In turn.
    RoundRobin,
    /// The skills that meet the needs best.
    Capability,
}

impl Way {
    /// All of them.
    pub const ALL: [Way; 3] = [Way::LeastLoaded, Way::RoundRobin, Way::Capability];

    /// What it is called in a table.
    pub fn name(self) -> &'static str {
        match self {
            Way::LeastLoaded => "least-loaded",
            Way::RoundRobin => "round robin",
            Way::Capability => "capability match",
        }
    }

    /// Nanoseconds a task with ours.
    pub fn ours(self, office: &Office, tasks: u32) -> f64 {
        match self {
            Way::LeastLoaded => office.run(&mut LeastLoaded::default(), self, tasks),
            Way::RoundRobin => office.run(&mut RoundRobin::default(), self, tasks),
            Way::Capability => office.run(&mut CapabilityMatch::default(), self, tasks),
        }
    }

    /// Nanoseconds a task when every agent is looked at.
    pub fn scan(self, office: &Office, tasks: u32) -> f64 {
        office.run(&mut Scan { way: self, agents: Vec::new(), last: 0 }, self, tasks)
    }
}

/// Agents that are there, and a task that needs nothing and one that needs something.
#[derive(Debug)]
pub struct Office {
    engine: Engine,
    plain: TaskView,
    skilled: TaskView,
}

impl Office {
    /// So many agents, with one of sixteen lists of skills each.
    pub fn new(agents: u32) -> Office {
        let mut engine = Engine::new(EngineConfig::default()).unwrap();
        let agent = |id: u32| {
            let level = 400 + (id % PROFILES) as u16 * 40;
            AgentSpec::new(AgentId(id.into())).slots(SLOTS).skill("a", level).skill("b", 1400 - level)
        };
        let agents: Vec<AgentSpec> = (0..agents).map(agent).collect();
        engine.register(NodeId(1), &agents).unwrap();
        let mut spec = GraphSpec::new();
        spec.add(TaskSpec::new("plain"));
        spec.add(TaskSpec::new("skilled").needs(["a", "b"]));
        engine.submit(&spec).unwrap();
        let mut views = Vec::new();
        engine.visit_ready(|task, needs| {
            views.push(TaskView { task, needs, expected_ms: 1 });
            Visit::Next
        });
        views.sort_by_key(|view| view.needs);
        Office { engine, plain: views[0], skilled: views[1] }
    }

    fn run(&self, placement: &mut impl Placement, way: Way, tasks: u32) -> f64 {
        let skills = Skills::of(&self.engine);
        let mut agents: Vec<AgentView> = self.engine.agents().collect();
        agents.iter().for_each(|agent| placement.set(agent, skills));
        let task = if way == Way::Capability { self.skilled } else { self.plain };
        let mut out: VecDeque<AgentSlot> = VecDeque::new();
        let mut place = |placement: &mut _| {
            if out.len() == 2 * agents.len()
                && let Some(slot) = out.pop_front()
            {
                book(placement, &mut agents, slot, skills, |running| running - 1);
            }
            let slot = Placement::place(placement, &task, skills).expect("somebody is free");
            book(placement, &mut agents, slot, skills, |running| running + 1);
            out.push_back(slot);
        };
        // As many as will be out.
        (0..2 * self.engine.agent_count()).for_each(|_| place(placement));
        let start = thread_cpu_ns();
        (0..tasks).for_each(|_| place(placement));
        (thread_cpu_ns() - start) as f64 / f64::from(tasks)
    }
}

fn book(
    placement: &mut impl Placement,
    agents: &mut [AgentView],
    slot: AgentSlot,
    skills: Skills<'_>,
    change: impl Fn(u32) -> u32,
) {
    let agent = &mut agents[slot.0 as usize];
    agent.running = change(agent.running);
    placement.set(agent, skills);
}

/// Looks at every agent for every task.
struct Scan {
    way: Way,
    agents: Vec<AgentView>,
    last: usize,
}

impl Placement for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }
    fn clear(&mut self) {
        self.agents.clear();
    }
    fn set(&mut self, agent: &AgentView, _: Skills<'_>) {
        match self.agents.get_mut(agent.slot.0 as usize) {
            Some(place) => *place = *agent,
            None => self.agents.push(*agent),
        }
    }
    fn remove(&mut self, _: AgentSlot) {}
    fn place(&mut self, task: &TaskView, skills: Skills<'_>) -> Option<AgentSlot> {
        let free = self.agents.iter().filter(|agent| agent.free() > 0);
        let found = match self.way {
            Way::LeastLoaded => free.min_by_key(|agent| agent.running),
            Way::RoundRobin => {
                let (before, after) = self.agents.split_at((self.last + 1).min(self.agents.len()));
                after.iter().chain(before).find(|agent| agent.free() > 0)
            }
            Way::Capability => free
                .filter(|agent| skills.is_able(task.needs, agent))
                .min_by_key(|agent| (std::cmp::Reverse(skills.score(task.needs, agent)), agent.running)),
        }?;
        self.last = found.slot.0 as usize;
        Some(found.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_places_every_task() {
        let office = Office::new(10);
        assert!(office.skilled.needs > 0);
        for way in Way::ALL {
            assert!(way.ours(&office, 100) >= 0.0);
            assert!(way.scan(&office, 100) >= 0.0);
        }
    }
}
