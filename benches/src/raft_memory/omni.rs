//! omnipaxos with its own storage in memory. Each replica's outgoing messages are taken into one reused vector,
//! as its documents show. Batches are its own `batch_size`.

use super::{Cluster, KEPT, Load, State, Way, state::write_command};
use crate::allocations::part;
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

/// An entry type, and how a command becomes one.
trait Command: Entry + 'static {
    fn write(number: u64) -> Self;
    fn bytes(&self) -> &[u8];
}

/// The command itself.
#[derive(Clone, Debug)]
struct Inline<const N: usize>([u8; N]);

impl<const N: usize> Entry for Inline<N> {
    type Snapshot = NoSnapshot;
}

impl<const N: usize> Command for Inline<N> {
    fn write(number: u64) -> Self {
        let mut bytes = [0; N];
        write_command(number, &mut bytes);
        Inline(bytes)
    }
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A reference to it.
#[derive(Clone, Debug)]
struct Shared<const N: usize>(Bytes);

impl<const N: usize> Entry for Shared<N> {
    type Snapshot = NoSnapshot;
}

impl<const N: usize> Command for Shared<N> {
    fn write(number: u64) -> Self {
        let mut bytes = [0; N];
        write_command(number, &mut bytes);
        Shared(Bytes::copy_from_slice(&bytes))
    }
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

struct Node<T: Entry> {
    paxos: OmniPaxos<T, MemoryStorage<T>>,
    applied: usize,
    state: State,
}

struct Omni<T: Entry> {
    nodes: Vec<Node<T>>,
    leader: usize,
    wire: Vec<Message<T>>,
    /// Replicas that were told something since their messages were taken.
    touched: Vec<bool>,
    messages: u64,
}

pub fn by_value(load: &Load) -> Box<dyn Cluster> {
    match load.bytes {
        16 => make::<Inline<16>>(load),
        256 => make::<Inline<256>>(load),
        4096 => make::<Inline<4096>>(load),
        other => panic!("no entry type has {other} bytes"),
    }
}

pub fn as_bytes(load: &Load) -> Box<dyn Cluster> {
    match load.bytes {
        16 => make::<Shared<16>>(load),
        256 => make::<Shared<256>>(load),
        4096 => make::<Shared<4096>>(load),
        other => panic!("no entry type has {other} bytes"),
    }
}

fn make<T: Command>(load: &Load) -> Box<dyn Cluster> {
    let nodes: Vec<u64> = (1..=load.nodes).collect();
    let batch_size = match load.way {
        Way::Batched(count) => count as usize,
        Way::One | Way::Outstanding(_) => 1,
    };
    let node = |pid: &u64| {
        let cluster_config =
            ClusterConfig { configuration_id: 1, nodes: nodes.clone(), flexible_quorum: None };
        let server_config = ServerConfig { pid: *pid, batch_size, ..ServerConfig::default() };
        let config = OmniPaxosConfig { cluster_config, server_config };
        let paxos = config.build(MemoryStorage::default()).unwrap();
        Node { paxos, applied: 0, state: State::default() }
    };
    let mut omni: Omni<T> = Omni {
        nodes: nodes.iter().map(node).collect(),
        leader: 0,
        wire: Vec::new(),
        touched: vec![true; nodes.len()],
        messages: 0,
    };
    let leads = |node: &Node<T>| node.paxos.get_current_leader() == Some((node.paxos.get_pid(), true));
    while !omni.nodes.iter().any(leads) {
        for node in &mut omni.nodes {
            node.paxos.tick();
        }
        omni.touched.fill(true);
        omni.settle();
    }
    omni.leader = omni.nodes.iter().position(leads).unwrap();
    Box::new(omni)
}

impl<T: Command> Omni<T> {
    fn settle(&mut self) {
        while let Some(at) = self.touched.iter().position(|touched| *touched) {
            self.touched[at] = false;
            let counted = part(at == self.leader);
            self.nodes[at].paxos.take_outgoing_messages(&mut self.wire);
            drop(counted);
            for message in self.wire.drain(..) {
                self.messages += 1;
                let to = message.get_receiver() as usize - 1;
                let counted = part(to == self.leader);
                self.nodes[to].paxos.handle_incoming(message);
                drop(counted);
                self.touched[to] = true;
            }
        }
        for node in &mut self.nodes {
            node.apply();
        }
    }
}

impl<T: Command> Node<T> {
    fn apply(&mut self) {
        if self.paxos.get_decided_idx() <= self.applied {
            return;
        }
        for entry in self.paxos.read_decided_suffix(self.applied).unwrap_or_default() {
            if let LogEntry::Decided(entry) = entry {
                self.state.apply(entry.bytes());
            }
            self.applied += 1;
        }
    }
}

impl<T: Command> Cluster for Omni<T> {
    fn turn(&mut self, first: u64, count: u64) {
        for number in first..first + count {
            let _counted = part(true);
            self.nodes[self.leader].paxos.append(T::write(number)).unwrap();
        }
        self.touched[self.leader] = true;
        self.settle();
    }

    fn cut(&mut self) {
        let leader = &mut self.nodes[self.leader];
        leader.paxos.trim(Some(leader.applied - KEPT as usize)).unwrap();
        self.touched[self.leader] = true;
        self.settle();
    }

    fn finish(&mut self) {}

    fn messages(&self) -> u64 {
        self.messages
    }

    fn states(&self) -> Vec<State> {
        self.nodes.iter().map(|node| node.state).collect()
    }
}
