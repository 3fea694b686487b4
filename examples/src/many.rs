//! Thousands of groups on three simulated nodes, and what is measured of them.

use quorate::groups::{GroupId, Groups, GroupsConfig, GroupsHandle, GroupsPort};
use quorate::raft::{Founding, LogId};
use quorate::sim::{Settings, World};
use quorate::{Applied, Node, NodeId, ScopeId, StateMachine};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What each group replicates: a sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum(pub u64);

impl StateMachine for Sum {
    type Command = u64;
    type Reply = u64;
    quorate::freeze_by_clone!();
    fn apply(&mut self, add: u64, _: Applied) -> u64 {
        self.0 += add;
        self.0
    }
}

/// The scope that they are in.
pub const SUMS: ScopeId = ScopeId::new("groups", "sums", 0);

/// The nodes, all of which are members of every group.
pub const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// A world of three nodes with many groups.
#[derive(Debug)]
pub struct Many {
    /// The world.
    pub world: World<GroupsHandle<Sum>>,
    groups: u64,
}

/// The groups of these numbers, founded by all nodes.
pub fn founded(groups: u64) -> impl Iterator<Item = (GroupId, Founding)> {
    (0..groups).map(|group| (GroupId(group), Founding::Found(NODES.to_vec())))
}

impl Many {
    /// Nodes that have just started.
    pub fn new(seed: u64, groups: u64, config: GroupsConfig) -> Many {
        let world = World::with(Settings::default(), seed, NODES, move |id| {
            let mut node = Node::builder(id);
            let sums = node.groups_with("sums", founded(groups), |_| Sum::default(), config.clone());
            // These settings are valid.
            #[allow(clippy::expect_used)]
            (node.build().expect("a valid node"), sums)
        });
        Many { world, groups }
    }

    /// The groups on a node, while it runs.
    pub fn on(&self, id: NodeId) -> Option<&Groups> {
        self.world.host(id)?.protocol(SUMS)
    }

    /// The state of a group on a node, and the last entry applied to it.
    pub fn state(&self, id: NodeId, group: u64) -> Option<(&Sum, LogId)> {
        self.world.host(id)?.port::<GroupsPort<Sum>>(SUMS)?.state(GroupId(group))
    }

    /// Runs until this is so, and says how long that took; `None` if it was not so in time.
    pub fn until(&mut self, limit: Duration, is_so: impl Fn(&Many) -> bool) -> Option<Duration> {
        let begun = self.world.now();
        while !is_so(self) {
            if self.world.now() - begun >= limit || self.world.violation().is_some() {
                return None;
            }
            self.world.run_for(Duration::from_millis(5));
        }
        Some(self.world.now() - begun)
    }

    /// Whether everything sleeps on every node that runs.
    pub fn is_asleep(&self) -> bool {
        let mut all = NODES.iter().filter_map(|id| self.on(*id));
        // Those of a build are opened some in each step.
        all.all(|groups| !groups.is_empty() && groups.asleep() == groups.len())
    }

    /// Who leads a group, of the nodes that run; the one of the newest term.
    pub fn leader(&self, group: u64) -> Option<NodeId> {
        let looks = NODES.iter().filter_map(|id| Some((*id, self.on(*id)?.look(GroupId(group))?)));
        let leaders = looks.filter(|(_, look)| look.leads).map(|(id, look)| (look.term, id));
        leaders.max().map(|(_, id)| id)
    }

    /// How many groups are led, by nodes that run.
    pub fn led(&self) -> usize {
        (0..self.groups).filter(|group| self.leader(*group).is_some()).count()
    }

    /// Has this node lead every group.
    pub fn have_lead(&mut self, node: NodeId) -> bool {
        for _ in 0..20 {
            let elsewhere: Vec<(u64, NodeId)> = (0..self.groups)
                .filter_map(|group| Some((group, self.leader(group)?)))
                .filter(|(_, leader)| *leader != node)
                .collect();
            if elsewhere.is_empty() && self.led() == self.groups as usize {
                return true;
            }
            for (group, leader) in elsewhere {
                // Whether it worked is seen in the next round.
                drop(self.world.app(leader).group(group).transfer(Some(node)));
            }
            self.world.run_for(Duration::from_millis(500));
        }
        false
    }
}
