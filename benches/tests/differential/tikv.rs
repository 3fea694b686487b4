//! raft-rs as a [`Replica`], with writes that may take their time: the asynchronous way through its ready states.

use super::replica::{Replica, Sent, bytes_of, command_of};
use raft::eraftpb::{Entry, HardState, Message};
use raft::storage::MemStorage;
use raft::{Config, GetEntriesContext, RawNode, StateRole, Storage};
use std::collections::VecDeque;

/// What was written: entries from index 1, term and vote.
#[derive(Default)]
pub struct Disk {
    entries: Vec<Entry>,
    hard: HardState,
}

/// A ready state that is to be written, and what may be said then.
struct Write {
    number: u64,
    entries: Vec<Entry>,
    hard: Option<HardState>,
    messages: Vec<Message>,
}

pub struct Tikv {
    id: u64,
    raft: RawNode<MemStorage>,
    disk: Disk,
    writes: VecDeque<Write>,
    hung: bool,
    committed: Vec<u64>,
}

/// Heartbeats in an election timeout, as ours has by default.
const TICKS: usize = 3;

impl Tikv {
    /// Does what its documents prescribe, until there is nothing more to do.
    fn settle(&mut self, sent: &mut Sent<Message>) {
        loop {
            while self.raft.has_ready() {
                let mut ready = self.raft.ready();
                post(ready.take_messages(), sent);
                self.apply(ready.take_committed_entries());
                let (entries, hard) = (ready.entries().clone(), ready.hs().cloned());
                // It must be readable before it is durable.
                self.raft.mut_store().wl().append(&entries).unwrap();
                if let Some(hard) = &hard {
                    self.raft.mut_store().wl().set_hardstate(hard.clone());
                }
                let messages = ready.take_persisted_messages();
                self.writes.push_back(Write { number: ready.number(), entries, hard, messages });
                self.raft.advance_append_async(ready);
                self.raft.advance_apply();
            }
            if self.hung || self.writes.is_empty() {
                return;
            }
            while let Some(Write { number, entries, hard, messages }) = self.writes.pop_front() {
                if let Some(first) = entries.first() {
                    self.disk.entries.truncate(first.index as usize - 1);
                }
                self.disk.entries.extend(entries);
                if let Some(hard) = hard {
                    self.disk.hard = hard;
                }
                self.raft.on_persist_ready(number);
                post(messages, sent);
            }
        }
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        self.committed.extend(entries.iter().filter_map(|entry| command_of(&entry.data)));
    }
}

fn post(messages: Vec<Message>, sent: &mut Sent<Message>) {
    sent.extend(messages.into_iter().map(|message| (message.to, message)));
}

impl Replica for Tikv {
    const NAME: &'static str = "raft-rs";
    type Msg = Message;
    type Disk = Disk;
    type Setup = ();

    fn start(id: u64, nodes: u64, _: u64, mut disk: Disk, (): &(), sent: &mut Sent<Message>) -> Tikv {
        let config = Config {
            id,
            election_tick: TICKS,
            heartbeat_tick: 1,
            // Nobody stands for election but when the schedule says so.
            min_election_tick: 1 << 30,
            max_election_tick: 1 << 31,
            max_size_per_msg: 1 << 20,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state(((1..=nodes).collect::<Vec<u64>>(), vec![]));
        // The commit index is not needed to be there, and may be ahead of the entries that were written.
        disk.hard.commit = disk.hard.commit.min(disk.entries.len() as u64);
        storage.wl().append(&disk.entries).unwrap();
        storage.wl().set_hardstate(disk.hard.clone());
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raft = RawNode::new(&config, storage, &logger).unwrap();
        let mut tikv = Tikv { id, raft, disk, writes: VecDeque::new(), hung: false, committed: Vec::new() };
        tikv.settle(sent);
        tikv
    }

    fn meet(&mut self, _: u64, _: u64, _: &mut Sent<Message>) {}

    fn receive(&mut self, _: u64, msg: Message, sent: &mut Sent<Message>) {
        self.raft.step(msg).unwrap();
        self.settle(sent);
    }

    fn propose(&mut self, command: u64, sent: &mut Sent<Message>) {
        self.raft.propose(Vec::new(), bytes_of(command).to_vec()).unwrap();
        self.settle(sent);
    }

    fn beat(&mut self, sent: &mut Sent<Message>) {
        self.raft.tick();
        self.settle(sent);
    }

    fn silence(&mut self) {
        for _ in 0..TICKS {
            if !self.leads() {
                self.raft.tick();
            }
        }
    }

    fn campaign(&mut self, sent: &mut Sent<Message>) {
        if !self.leads() {
            self.raft.campaign().unwrap();
            self.settle(sent);
        }
    }

    fn hang(&mut self, hung: bool, sent: &mut Sent<Message>) {
        self.hung = hung;
        self.settle(sent);
    }

    fn crash(self) -> Disk {
        self.disk
    }

    fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    fn log(&self) -> Vec<u64> {
        let store = self.raft.store();
        let last = store.last_index().unwrap();
        let entries = store.entries(1, last + 1, None, GetEntriesContext::empty(false)).unwrap();
        entries.iter().filter_map(|entry| command_of(&entry.data)).collect()
    }

    fn take_committed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.committed)
    }
}

impl std::fmt::Debug for Tikv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let raft = &self.raft.raft;
        let (log, lead) = (&raft.raft_log, if self.leads() { " leads" } else { "" });
        let (last, term) = (log.last_index(), log.last_term());
        write!(f, "{}{lead} term {} last {last}@{term} commit {}", self.id, raft.term, log.committed)
    }
}
