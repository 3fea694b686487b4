//! omnipaxos, whose election timeout is the length of its heartbeat round; messages are resent after 100 ms.

use super::TICK;
use super::net::{Node, Sent};
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, OmniPaxosConfig, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use quorate_core::{Rng, Time};

#[derive(Clone, Debug)]
pub struct Command(u64);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

pub struct Omni<const ROUND_MS: u64> {
    paxos: OmniPaxos<Command, MemoryStorage<Command>>,
    due: Time,
    applied: usize,
    committed: u64,
}

impl<const ROUND_MS: u64> Omni<ROUND_MS> {
    fn settle(&mut self, out: &mut Sent<Message<Command>>) {
        let mut messages = Vec::new();
        self.paxos.take_outgoing_messages(&mut messages);
        out.extend(messages.into_iter().map(|message| (message.get_receiver(), message)));
        if self.paxos.get_decided_idx() > self.applied {
            for entry in self.paxos.read_decided_suffix(self.applied).unwrap_or_default() {
                if let LogEntry::Decided(Command(command)) = entry {
                    self.committed = command;
                }
                self.applied += 1;
            }
        }
    }
}

impl<const ROUND_MS: u64> Node for Omni<ROUND_MS> {
    type Msg = Message<Command>;

    fn new(id: u64, nodes: u64, mut rng: Rng) -> Self {
        let ticks = ROUND_MS * 1_000_000 / TICK.as_nanos() as u64;
        let config = OmniPaxosConfig {
            cluster_config: ClusterConfig {
                configuration_id: 1,
                nodes: (1..=nodes).collect(),
                flexible_quorum: None,
            },
            server_config: ServerConfig {
                pid: id,
                election_tick_timeout: ticks,
                resend_message_tick_timeout: 100_000_000 / TICK.as_nanos() as u64,
                ..ServerConfig::default()
            },
        };
        let paxos = config.build(MemoryStorage::default()).unwrap();
        // Rounds of different nodes begin at different times.
        let due = Time(rng.within(0..ROUND_MS * 1_000_000));
        Omni { paxos, due, applied: 0, committed: 0 }
    }

    fn start(&mut self, _: Time, out: &mut Sent<Self::Msg>) {
        self.settle(out);
    }

    fn receive(&mut self, _: u64, msg: Self::Msg, _: Time, out: &mut Sent<Self::Msg>) {
        self.paxos.handle_incoming(msg);
        self.settle(out);
    }

    fn due(&self) -> Time {
        self.due
    }

    fn fire(&mut self, _: Time, out: &mut Sent<Self::Msg>) {
        self.due = self.due + TICK;
        self.paxos.tick();
        self.settle(out);
    }

    fn propose(&mut self, command: u64, _: Time, out: &mut Sent<Self::Msg>) {
        self.paxos.append(Command(command)).unwrap();
        self.settle(out);
    }

    fn leads(&self) -> bool {
        self.paxos.get_current_leader() == Some((self.paxos.get_pid(), true))
    }

    fn committed(&self) -> u64 {
        self.committed
    }
}
