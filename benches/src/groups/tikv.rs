//! raft-rs: a raw node a group, with its own storage in memory; each is looked at when something came in for it, as its documents
//! prescribe, and ticked once a heartbeat.

use super::{BYTES, Cluster, HEARTBEAT, KEPT, State};
use crate::raft_memory::{Replica, write_command};
use raft::eraftpb::Message;
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use std::time::Duration;

struct Tikv {
    /// Of each node the replicas of all groups.
    nodes: Vec<Vec<Replica>>,
    /// Of each group, as places.
    leaders: Vec<usize>,
    wire: Vec<(usize, Message)>,
    /// Which replicas have something to do: node, group.
    touched: Vec<(usize, usize)>,
    is_touched: Vec<Vec<bool>>,
    messages: u64,
}

pub fn make(groups: u64) -> Box<dyn Cluster> {
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let replica = |id: u64| {
        // A commit index travels with the next append, as ours does. A tick is a heartbeat.
        let config = Config {
            id,
            heartbeat_tick: 1,
            election_tick: 10,
            batch_append: true,
            skip_bcast_commit: true,
            max_size_per_msg: 4 << 20,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state((vec![1, 2, 3], vec![]));
        Replica::new(RawNode::new(&config, storage, &logger).unwrap())
    };
    let node = |id: u64| (0..groups).map(|_| replica(id)).collect();
    let mut tikv = Tikv {
        nodes: (1..=3).map(node).collect(),
        leaders: (0..groups as usize).map(|group| group % 3).collect(),
        wire: Vec::new(),
        touched: Vec::new(),
        is_touched: vec![vec![false; groups as usize]; 3],
        messages: 0,
    };
    for group in 0..groups as usize {
        let leader = tikv.leaders[group];
        tikv.nodes[leader][group].raft.campaign().unwrap();
        tikv.touch(leader, group);
    }
    tikv.settle();
    Box::new(tikv)
}

impl Tikv {
    fn touch(&mut self, node: usize, group: usize) {
        if !std::mem::replace(&mut self.is_touched[node][group], true) {
            self.touched.push((node, group));
        }
    }

    fn settle(&mut self) {
        let mut sent = Vec::new();
        loop {
            while let Some((node, group)) = self.touched.pop() {
                self.is_touched[node][group] = false;
                let replica = &mut self.nodes[node][group];
                while replica.raft.has_ready() {
                    replica.ready(&mut sent);
                }
                self.wire.extend(sent.drain(..).map(|message| (group, message)));
            }
            if self.wire.is_empty() {
                return;
            }
            for (group, message) in std::mem::take(&mut self.wire) {
                self.messages += 1;
                let to = message.to as usize - 1;
                self.nodes[to][group].raft.step(message).unwrap();
                self.touch(to, group);
            }
        }
    }
}

impl Cluster for Tikv {
    fn turn(&mut self, first: u64, count: u64) {
        for number in first..first + count {
            let group = (number % self.leaders.len() as u64) as usize;
            let leader = self.leaders[group];
            let mut command = vec![0; BYTES];
            write_command(number, &mut command);
            self.nodes[leader][group].raft.propose(Vec::new(), command).unwrap();
            self.touch(leader, group);
        }
        self.settle();
    }

    fn cut(&mut self) {
        for replica in self.nodes.iter_mut().flatten() {
            replica.cut(KEPT);
        }
    }

    fn finish(&mut self) {
        // A heartbeat carries the last commit index.
        for group in 0..self.leaders.len() {
            let leader = self.leaders[group];
            self.nodes[leader][group].raft.ping();
            self.touch(leader, group);
        }
        self.settle();
    }

    fn idle(&mut self, time: Duration) {
        for _ in 0..time.as_nanos() / HEARTBEAT.as_nanos() {
            for node in 0..self.nodes.len() {
                for group in 0..self.leaders.len() {
                    if self.nodes[node][group].raft.tick() {
                        self.touch(node, group);
                    }
                }
            }
            self.settle();
        }
    }

    fn messages(&self) -> u64 {
        self.messages
    }

    fn states(&self) -> Vec<State> {
        let all = |replicas: &Vec<Replica>| {
            replicas.iter().fold(State::default(), |sum, replica| sum.and(replica.state))
        };
        self.nodes.iter().map(all).collect()
    }
}
