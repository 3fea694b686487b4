//! raft-rs, with pre-vote and check-quorum.

use super::net::{Node, Sent};
use super::{HEARTBEAT, TICK, TIMEOUT};
use quorate_core::{Rng, Time};
use raft::eraftpb::{Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use std::time::Duration;

pub struct Tikv {
    raft: RawNode<MemStorage>,
    rng: Rng,
    /// The election timeout that stands in it, in ticks.
    drawn: usize,
    due: Time,
    committed: u64,
}

fn ticks(time: Duration) -> usize {
    (time.as_nanos() / TICK.as_nanos()) as usize
}

impl Tikv {
    fn settle(&mut self, out: &mut Sent<Message>) {
        // It draws from a source that has no seed, and hardly ever what is drawn here: so it is drawn anew.
        if self.raft.raft.randomized_election_timeout() != self.drawn {
            self.drawn = ticks(TIMEOUT) + self.rng.index(ticks(TIMEOUT));
            self.raft.raft.set_randomized_election_timeout(self.drawn);
        }
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            post(ready.take_messages(), out);
            self.apply(ready.take_committed_entries());
            self.raft.mut_store().wl().append(ready.entries()).unwrap();
            if let Some(hard) = ready.hs() {
                self.raft.mut_store().wl().set_hardstate(hard.clone());
            }
            post(ready.take_persisted_messages(), out);
            let mut light = self.raft.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.raft.mut_store().wl().mut_hard_state().set_commit(commit);
            }
            post(light.take_messages(), out);
            self.apply(light.take_committed_entries());
            self.raft.advance_apply();
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for command in entries.iter().filter_map(|entry| entry.data.as_ref().try_into().ok()) {
            self.committed = u64::from_le_bytes(command);
        }
    }
}

fn post(messages: Vec<Message>, out: &mut Sent<Message>) {
    out.extend(messages.into_iter().map(|message| (message.to, message)));
}

impl Node for Tikv {
    type Msg = Message;

    fn new(id: u64, nodes: u64, mut rng: Rng) -> Tikv {
        let config = Config {
            id,
            election_tick: ticks(TIMEOUT),
            heartbeat_tick: ticks(HEARTBEAT),
            // Wide, to tell its draws from ours.
            min_election_tick: ticks(TIMEOUT),
            max_election_tick: 1 << 40,
            max_size_per_msg: 1 << 20,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state(((1..=nodes).collect::<Vec<u64>>(), vec![]));
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = RawNode::new(&config, storage, &logger).unwrap();
        let due = Time(rng.within(0..TICK.as_nanos() as u64));
        Tikv { raft, rng, drawn: 0, due, committed: 0 }
    }

    fn start(&mut self, _: Time, out: &mut Sent<Message>) {
        self.settle(out);
    }

    fn receive(&mut self, _: u64, msg: Message, _: Time, out: &mut Sent<Message>) {
        self.raft.step(msg).unwrap();
        self.settle(out);
    }

    fn due(&self) -> Time {
        self.due
    }

    fn fire(&mut self, _: Time, out: &mut Sent<Message>) {
        self.due = self.due + TICK;
        self.raft.tick();
        self.settle(out);
    }

    fn propose(&mut self, command: u64, _: Time, out: &mut Sent<Message>) {
        self.raft.propose(Vec::new(), command.to_le_bytes().to_vec()).unwrap();
        self.settle(out);
    }

    fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    fn committed(&self) -> u64 {
        self.committed
    }
}
