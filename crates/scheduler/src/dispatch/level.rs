//! What the coordinators tell the workers: which leases each node holds. A level, not an event: told again after
//! every change, whole after a change of leader, and idempotent where it arrives.

use crate::engine::{Engine, Event, Lease, State};
use crate::graph::TaskId;
use quorate_core::{AgentId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Leases by worker node, as of the last change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseLevel {
    /// The term that this replica leads, or the last that it led. Of two levels for one node the higher term's
    /// counts.
    pub term: u64,
    /// Whether it leads. If not, `nodes` is empty, and this is only told when it stops.
    pub leads: bool,
    /// Whether a node that is not named holds nothing; else it holds what was said before.
    pub whole: bool,
    /// Every node whose leases changed, each with all of its leases.
    pub nodes: Vec<NodeLeases>,
}

/// The leases of one worker node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeLeases {
    /// Whose.
    pub node: NodeId,
    /// All of them. What it ran before and is not named here is over.
    pub leases: Vec<Granted>,
}

/// A lease, and what an agent must know to run it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// The right to run it.
    pub lease: Lease,
    /// Who runs it.
    pub agent: AgentId,
    /// The task's name.
    pub name: String,
    /// How long it should take.
    pub expected_ms: u32,
    /// Digests of what it was made from: `task_digest(name, inputs)` is its own.
    pub inputs: Vec<u64>,
    /// It was cancelled: to be stopped, and to be reported as stopped.
    pub cancel: bool,
}

/// What was published last.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    /// Number of the next event to look at; `None`: everything is to be told.
    cursor: Option<u64>,
    /// The node of each agent's slot, as it was told.
    homes: Vec<Option<NodeId>>,
}

impl Published {
    /// Everything is told next time.
    pub fn forget(&mut self) {
        self.cursor = None;
    }

    /// What changed since the last call, if anything did.
    pub fn next(&mut self, term: u64, engine: &Engine) -> Option<LeaseLevel> {
        let events = self.cursor.and_then(|cursor| engine.events_since(cursor));
        let whole = events.is_none();
        let mut changed: BTreeSet<NodeId> = BTreeSet::new();
        match events {
            None => {
                changed.extend(engine.nodes());
                self.homes.clear();
                for agent in engine.agents() {
                    self.set_home(agent.slot.0, Some(agent.node));
                }
            }
            Some(events) => {
                for event in events {
                    let Some(slot) = event.agent() else { continue };
                    let before = self.homes.get(slot.0 as usize).copied().flatten();
                    changed.extend(before);
                    if matches!(event, Event::AgentUp { .. } | Event::AgentGone { .. }) || before.is_none() {
                        let home = engine.agent(slot).map(|agent| agent.node);
                        changed.extend(home);
                        self.set_home(slot.0, home);
                    }
                }
            }
        }
        self.cursor = Some(engine.events_next());
        if changed.is_empty() && !whole {
            return None;
        }
        let nodes = changed.into_iter().map(|node| NodeLeases { node, leases: granted(engine, node) });
        Some(LeaseLevel { term, leads: true, whole, nodes: nodes.collect() })
    }

    fn set_home(&mut self, slot: u32, home: Option<NodeId>) {
        if slot as usize >= self.homes.len() {
            self.homes.resize(slot as usize + 1, None);
        }
        self.homes[slot as usize] = home;
    }
}

/// The leases of a node with what its agents must know.
pub fn granted(engine: &Engine, node: NodeId) -> Vec<Granted> {
    let graph = engine.graph();
    let one = |(lease, agent): (Lease, AgentId)| {
        let task: TaskId = lease.task;
        Granted {
            lease,
            agent,
            name: graph.name(task).to_owned(),
            expected_ms: graph.expected_ms(task),
            inputs: engine.input_digests(task),
            cancel: engine.state(task) == State::Cancelling,
        }
    };
    engine.leases_of(node).map(one).collect()
}
