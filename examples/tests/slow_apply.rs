//! A step is short whatever the application does: applying runs as a job, beside the node.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and what only they use")]

use quorate::raft::{RaftConfig, RaftHandle, RaftStatus};
use quorate::transport::Loopback;
use quorate::{Applied, Corrupt, Jobs, NoDecider, Node, NodeConfig, NodeId, Running, StateMachine, journal};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const APPLIES: u64 = 20;
const SLOW: Duration = Duration::from_millis(100);

/// Counts, and takes its time where it is told to.
struct Count {
    applied: u64,
    me: NodeId,
    slow: Arc<Mutex<Vec<NodeId>>>,
}

impl StateMachine for Count {
    type Command = ();
    type Reply = u64;
    type Frozen = u64;

    fn apply(&mut self, (): (), _: Applied) -> u64 {
        let is_slow = self.slow.lock().unwrap().contains(&self.me);
        if is_slow {
            std::thread::sleep(SLOW);
        }
        self.applied += 1;
        self.applied
    }
    fn freeze(&self) -> u64 {
        self.applied
    }
    fn restore(_: u64) -> Result<Self, Corrupt> {
        Err(Corrupt::new("no snapshot is taken here"))
    }
}

struct Three {
    nodes: BTreeMap<NodeId, (Running, RaftHandle<Count>)>,
    slow: Arc<Mutex<Vec<NodeId>>>,
}

impl Three {
    fn start(config: &NodeConfig) -> Three {
        let (network, slow) = (Loopback::new(), Arc::new(Mutex::new(Vec::new())));
        let mut nodes = BTreeMap::new();
        for id in [1, 2, 3].map(NodeId) {
            let mut node = Node::builder(id).found([1, 2, 3]).config(config.clone());
            // Patient, so that a busy machine is not taken for a lost leader: yet all applies together take longer.
            let patient = RaftConfig {
                election_timeout: Duration::from_millis(600),
                heartbeat: Duration::from_millis(60),
                ..RaftConfig::default()
            };
            let state = Count { applied: 0, me: id, slow: slow.clone() };
            let count = node.raft_with("count", state, NoDecider, patient);
            let transport = network.transport(id, node.inbox());
            nodes.insert(id, (node.start(transport, journal::in_memory()).unwrap(), count));
        }
        Three { nodes, slow }
    }

    fn leader(&self) -> NodeId {
        let leader = self.nodes[&NodeId(1)].1.leader().wait().unwrap();
        self.nodes[&leader].1.propose(()).wait().unwrap();
        // Everybody has heard of it.
        for (_, count) in self.nodes.values() {
            assert_eq!(count.leader().wait(), Ok(leader));
        }
        leader
    }

    fn status(&self) -> Vec<RaftStatus> {
        self.nodes.values().map(|(_, count)| count.status().wait().unwrap()).collect()
    }

    /// Term, leader and elections won so far, as each sees them.
    fn leadership(&self) -> Vec<(u64, Option<NodeId>, u64)> {
        self.status()
            .into_iter()
            .map(|status| (status.term, status.leader, status.counters.elected))
            .collect()
    }
}

#[test]
fn a_state_machine_that_takes_100_ms_to_apply_does_not_lose_leadership() {
    let three = Three::start(&NodeConfig::default());
    let leader = three.leader();
    let before = three.leadership();
    three.slow.lock().unwrap().extend([1, 2, 3].map(NodeId));
    let tickets: Vec<_> = (0..APPLIES).map(|_| three.nodes[&leader].1.propose(())).collect();
    for (number, ticket) in (2..).zip(tickets) {
        assert_eq!(ticket.wait(), Ok(number));
    }
    assert_eq!(three.leadership(), before, "terms only grow, so nothing happened in between either");
    assert!(before.iter().all(|(_, led_by, _)| *led_by == Some(leader)));
}

/// What the test above would show if applying kept a node from everything else.
#[test]
fn a_leader_that_applies_on_its_own_lane_is_replaced_meanwhile() {
    let three = Three::start(&NodeConfig { jobs: Jobs::Inline, ..NodeConfig::default() });
    let leader = three.leader();
    let term = three.status().iter().map(|status| status.term).max();
    three.slow.lock().unwrap().push(leader);
    let tickets: Vec<_> = (0..2 * APPLIES).map(|_| three.nodes[&leader].1.propose(())).collect();
    for ticket in tickets {
        // Committed or not: the leader's own answer is not what this is about.
        let _ = ticket.wait();
    }
    assert!(three.status().iter().map(|status| status.term).max() > term, "{:?}", three.leadership());
}
