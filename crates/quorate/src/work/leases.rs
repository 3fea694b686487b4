//! The levels that a coordinator tells worker nodes: what each shall run.

use super::levels::{HEAD, Told, encode, lease_key};
use crate::NodeId;
use bytes::Bytes;
use quorate_scheduler::LeaseLevel;
use quorate_scheduler::mirror::MirrorCmd;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes without a lease that are remembered. Well below the recipients that a mirror takes, so that new nodes find
/// room however many came and went before them.
const IDLE_MAX: usize = 8192;

/// What was told to whom.
#[derive(Default)]
pub(super) struct Leases {
    told: BTreeSet<NodeId>,
    /// Those of them that hold nothing, by when that was told first, and when.
    idle: BTreeSet<(u64, NodeId)>,
    idle_since: BTreeMap<NodeId, u64>,
    tellings: u64,
}

impl Leases {
    pub fn commands(&mut self, level: &LeaseLevel) -> Vec<MirrorCmd> {
        let head = || (HEAD, encode(&Told::Head { term: level.term, leads: level.leads }));
        let mut commands = Vec::new();
        self.tellings += 1;
        if level.whole || !level.leads {
            // Whoever is not named holds nothing under this leader; and whoever follows says nothing at all.
            let named: BTreeSet<NodeId> = level.nodes.iter().map(|node| node.node).collect();
            for to in self.told.difference(&named).copied().collect::<Vec<_>>() {
                commands.push(MirrorCmd::Replace { to, all: vec![head()] });
                self.note(to, true);
            }
        }
        for node in &level.nodes {
            let leases = node
                .leases
                .iter()
                .map(|granted| (lease_key(granted.lease), encode(&Told::Lease(granted.clone()))));
            let all: Vec<(u64, Bytes)> = std::iter::once(head()).chain(leases).collect();
            commands.push(MirrorCmd::Replace { to: node.node, all });
            self.note(node.node, node.leases.is_empty());
        }
        while self.idle.len() > IDLE_MAX
            && let Some((_, to)) = self.idle.pop_first()
        {
            // It was told long ago that it holds nothing; should it come back, it is told anew.
            self.idle_since.remove(&to);
            self.told.remove(&to);
            commands.push(MirrorCmd::Close { to });
        }
        commands
    }

    fn note(&mut self, node: NodeId, idle: bool) {
        self.told.insert(node);
        if idle {
            let since = *self.idle_since.entry(node).or_insert(self.tellings);
            self.idle.insert((since, node));
        } else if let Some(since) = self.idle_since.remove(&node) {
            self.idle.remove(&(since, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AgentId;
    use quorate_scheduler::dispatch::{Granted, NodeLeases};
    use quorate_scheduler::{Lease, TaskId};

    fn level(term: u64, nodes: &[(u64, u32)]) -> LeaseLevel {
        let node = |(node, leases): &(u64, u32)| {
            let lease = |task| Lease { task: TaskId(task), attempt: 1, epoch: term };
            let granted = |task| Granted {
                lease: lease(task),
                agent: AgentId(*node),
                name: String::new(),
                expected_ms: 1,
                inputs: Vec::new(),
                cancel: false,
            };
            NodeLeases { node: NodeId(*node), leases: (0..*leases).map(granted).collect() }
        };
        LeaseLevel { term, leads: true, whole: false, nodes: nodes.iter().map(node).collect() }
    }

    fn closed(commands: &[MirrorCmd]) -> Vec<u64> {
        let close = |command: &MirrorCmd| match command {
            MirrorCmd::Close { to } => Some(to.0),
            _ => None,
        };
        commands.iter().filter_map(close).collect()
    }

    #[test]
    fn nodes_that_came_and_went_are_forgotten_and_those_that_work_are_not() {
        let mut leases = Leases::default();
        assert_eq!(leases.commands(&level(1, &[(1, 2), (2, 1)])).len(), 2);
        let mut gone = Vec::new();
        for node in 0..2 * IDLE_MAX as u64 {
            leases.commands(&level(1, &[(100 + node, 1)]));
            gone.extend(closed(&leases.commands(&level(1, &[(100 + node, 0)]))));
        }
        let first: Vec<u64> = (100..100 + IDLE_MAX as u64).collect();
        assert_eq!(gone, first, "the longest idle go first");
        // A leader of a new term tells all that it remembers, and those that work are among them.
        let whole = LeaseLevel { whole: true, ..level(2, &[(1, 2)]) };
        let commands = leases.commands(&whole);
        assert_eq!(commands.len(), 1 + 1 + IDLE_MAX + 1);
        assert_eq!(closed(&commands), [first.len() as u64 + 100], "and one more holds nothing now");
        assert!(leases.told.contains(&NodeId(1)) && leases.told.contains(&NodeId(2)));
        assert_eq!(leases.idle.len(), leases.idle_since.len());
    }

    #[test]
    fn a_node_that_works_again_is_not_idle() {
        let mut leases = Leases::default();
        leases.commands(&level(1, &[(1, 0)]));
        assert_eq!(leases.idle.len(), 1);
        leases.commands(&level(1, &[(1, 3)]));
        assert!(leases.idle.is_empty() && leases.idle_since.is_empty());
    }
}
