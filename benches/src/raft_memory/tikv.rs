//! raft-rs with its own storage in memory, and the loop that its documents prescribe: ready, persist, send,
//! apply, advance. Batches are one proposal message of many entries.

use super::{Cluster, KEPT, Load, State, Way, state::write_command};
use crate::allocations::part;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

/// One replica, and what it has applied.
#[allow(missing_debug_implementations, reason = "a raw node has none")]
pub struct Replica {
    /// The raw node.
    pub raft: RawNode<MemStorage>,
    /// What it has applied.
    pub state: State,
}

struct Tikv {
    nodes: Vec<Replica>,
    leader: usize,
    wire: Vec<Message>,
    delivered: Vec<Message>,
    touched: Vec<bool>,
    messages: u64,
    bytes: usize,
    batched: bool,
}

pub fn with_defaults(load: &Load) -> Box<dyn Cluster> {
    make(load, Config::default())
}

/// Appends wait for one another in one message, and a commit index travels with the next append: what the other
/// two contenders do anyway.
pub fn tuned(load: &Load) -> Box<dyn Cluster> {
    make(load, Config { batch_append: true, skip_bcast_commit: true, ..Config::default() })
}

fn make(load: &Load, config: Config) -> Box<dyn Cluster> {
    let ids: Vec<u64> = (1..=load.nodes).collect();
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let node = |id: &u64| {
        // Room for a whole turn in one message, as the other contenders have.
        let config = Config { id: *id, max_size_per_msg: 4 << 20, ..config.clone() };
        let storage = MemStorage::new_with_conf_state((ids.clone(), vec![]));
        let raft = RawNode::new(&config, storage, &logger).unwrap();
        Replica::new(raft)
    };
    let mut tikv = Tikv {
        nodes: ids.iter().map(node).collect(),
        leader: 0,
        wire: Vec::new(),
        delivered: Vec::new(),
        touched: vec![false; ids.len()],
        messages: 0,
        bytes: load.bytes,
        batched: matches!(load.way, Way::Batched(_)),
    };
    tikv.nodes[0].raft.campaign().unwrap();
    tikv.touched[0] = true;
    tikv.settle();
    tikv.leader = tikv.nodes.iter().position(|node| node.raft.raft.state == StateRole::Leader).unwrap();
    tikv.finish();
    Box::new(tikv)
}

impl Replica {
    /// One that has applied nothing.
    pub fn new(raft: RawNode<MemStorage>) -> Replica {
        Replica { raft, state: State::default() }
    }

    /// Cuts its log; so many applied entries stay.
    pub fn cut(&mut self, kept: u64) {
        let upto = self.raft.raft.raft_log.applied.saturating_sub(kept);
        // Nothing before the first entry.
        if upto > 0 {
            self.raft.mut_store().wl().compact(upto).unwrap();
        }
    }

    /// Handles one ready state.
    pub fn ready(&mut self, wire: &mut Vec<Message>) {
        let mut ready = self.raft.ready();
        wire.append(&mut ready.take_messages());
        self.apply(ready.take_committed_entries());
        if !ready.entries().is_empty() {
            self.raft.mut_store().wl().append(ready.entries()).unwrap();
        }
        if let Some(hard) = ready.hs() {
            self.raft.mut_store().wl().set_hardstate(hard.clone());
        }
        wire.append(&mut ready.take_persisted_messages());
        let mut light = self.raft.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.raft.mut_store().wl().mut_hard_state().set_commit(commit);
        }
        wire.append(&mut light.take_messages());
        self.apply(light.take_committed_entries());
        self.raft.advance_apply();
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if !entry.data.is_empty() {
                self.state.apply(&entry.data);
            }
        }
    }
}

impl Tikv {
    fn settle(&mut self) {
        loop {
            for (at, (node, touched)) in self.nodes.iter_mut().zip(&mut self.touched).enumerate() {
                while std::mem::take(touched) && node.raft.has_ready() {
                    let counted = part(at == self.leader);
                    node.ready(&mut self.wire);
                    drop(counted);
                    *touched = true;
                }
            }
            if self.wire.is_empty() {
                return;
            }
            std::mem::swap(&mut self.wire, &mut self.delivered);
            for message in self.delivered.drain(..) {
                self.messages += 1;
                let to = message.to as usize - 1;
                let counted = part(to == self.leader);
                self.nodes[to].raft.step(message).unwrap();
                drop(counted);
                self.touched[to] = true;
            }
        }
    }

    fn command(&self, number: u64) -> Vec<u8> {
        let mut command = vec![0; self.bytes];
        write_command(number, &mut command);
        command
    }
}

impl Tikv {
    fn propose(&mut self, numbers: std::ops::Range<u64>) {
        if self.batched {
            let entry = |number| Entry { data: self.command(number).into(), ..Entry::default() };
            let entries: Vec<Entry> = numbers.map(entry).collect();
            let mut message = Message { from: self.leader as u64 + 1, ..Message::default() };
            message.set_msg_type(MessageType::MsgPropose);
            message.set_entries(entries.into());
            self.nodes[self.leader].raft.step(message).unwrap();
        } else {
            for number in numbers {
                let command = self.command(number);
                self.nodes[self.leader].raft.propose(Vec::new(), command).unwrap();
            }
        }
    }
}

impl Cluster for Tikv {
    fn turn(&mut self, first: u64, count: u64) {
        let counted = part(true);
        self.propose(first..first + count);
        drop(counted);
        self.touched[self.leader] = true;
        self.settle();
    }

    fn cut(&mut self) {
        for node in &mut self.nodes {
            node.cut(KEPT);
        }
    }

    fn finish(&mut self) {
        // A heartbeat carries the last commit index.
        self.nodes[self.leader].raft.ping();
        self.touched[self.leader] = true;
        self.settle();
    }

    fn messages(&self) -> u64 {
        self.messages
    }

    fn states(&self) -> Vec<State> {
        self.nodes.iter().map(|node| node.state).collect()
    }
}
