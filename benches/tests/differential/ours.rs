//! Ours as a [`Replica`]. Two extensions that raft-rs has not are switched off by losing their messages: the pull of a
//! longer log by one that cannot be elected otherwise, and the word of a leader that resigns.

use super::replica::{Replica, Sent, bytes_of, command_of};
use quorate_consensus::raft::{
    Cmd, Commands, EntryKind, Event, Founding, Index, Msg, Raft, RaftConfig, Record,
};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};

/// The journal, and what the port is told.
#[derive(Default)]
pub struct Disk {
    synced: Vec<Record>,
    pending: Vec<Record>,
}

/// Bugs of the driver around the protocol, planted to see whether they are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DriverBug {
    /// Says that records are on disk before they are.
    DurableTooEarly,
    /// Loses every seventh command.
    SkipsCommands,
}

#[derive(Clone, Default)]
pub struct Setup {
    pub config: RaftConfig,
    pub bug: Option<DriverBug>,
}

pub struct Ours {
    id: u64,
    turn: Turn<Raft>,
    disk: Disk,
    hung: bool,
    bug: Option<DriverBug>,
    now: Time,
    rng: Rng,
    committed: Index,
    told: Index,
    config: RaftConfig,
}

struct Out<'a> {
    disk: &'a mut Disk,
    committed: &'a mut Index,
    sent: &'a mut Sent<Msg>,
}

impl Io<Raft> for Out<'_> {
    fn append(&mut self, record: Record) -> usize {
        self.disk.pending.push(record);
        1
    }
    fn compact(&mut self, _: Mark, _: Vec<Record>) {
        unreachable!("no snapshots are taken")
    }
    fn send(&mut self, to: Recipients, msg: Msg) {
        if !matches!(msg, Msg::Pull { .. } | Msg::Resigned { .. }) {
            self.sent.extend(to.as_slice().iter().map(|to| (to.0, msg.clone())));
        }
    }
    fn emit(&mut self, event: Event) {
        if let Event::Committed { upto } = event {
            *self.committed = upto;
        }
    }
}

fn boot(id: u64, life: u64) -> Boot {
    Boot { incarnation: life, journal: JournalId(id.into()) }
}

impl Ours {
    fn step(&mut self, input: Input<Raft>, sent: &mut Sent<Msg>) {
        self.turn_once(input, sent);
        self.sync(sent);
        // What a leader gathered leaves at once; its heartbeat waits for the schedule.
        for _ in 0..100 {
            if !self.leads() || self.turn.wake_at() > self.now {
                return;
            }
            self.turn_once(Input::Wake, sent);
            self.sync(sent);
        }
        panic!("a leader that is due again and again");
    }

    fn turn_once(&mut self, input: Input<Raft>, sent: &mut Sent<Msg>) {
        let mut out = Out { disk: &mut self.disk, committed: &mut self.committed, sent };
        self.turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
    }

    fn sync(&mut self, sent: &mut Sent<Msg>) {
        if self.hung && self.bug != Some(DriverBug::DurableTooEarly) {
            return;
        }
        while let Some(mark) = self.turn.sync_due() {
            if !self.hung {
                self.write();
            }
            self.turn_once(Input::Durable(mark), sent);
        }
    }

    fn write(&mut self) {
        let Disk { synced, pending } = &mut self.disk;
        synced.append(pending);
    }
}

impl Replica for Ours {
    const NAME: &'static str = "quorate";
    type Msg = Msg;
    type Disk = Disk;
    type Setup = Setup;

    fn start(id: u64, nodes: u64, life: u64, disk: Disk, setup: &Setup, sent: &mut Sent<Msg>) -> Ours {
        let voters = (1..=nodes).map(NodeId).collect();
        let raft = Raft::new(NodeId(id), setup.config.clone(), Founding::Found(voters)).unwrap();
        let mut turn = Turn::new(raft, TurnLimits::default());
        for record in &disk.synced {
            turn.replay(record.clone()).unwrap();
        }
        let mut ours = Ours {
            id,
            turn,
            disk,
            hung: false,
            bug: setup.bug,
            now: Time(1),
            rng: Rng::from_seed(id << 32 | life),
            committed: 0,
            told: 0,
            config: setup.config.clone(),
        };
        ours.step(Input::Start(boot(id, life)), sent);
        // After a start our voters give no vote for a timeout, and raft-rs's do: nothing is asked of either before it is over.
        ours.now = ours.now + ours.config.election_timeout;
        ours
    }

    fn meet(&mut self, peer: u64, life: u64, sent: &mut Sent<Msg>) {
        self.step(Input::Link { peer: NodeId(peer), state: LinkState::Up(boot(peer, life)) }, sent);
    }

    fn receive(&mut self, from: u64, msg: Msg, sent: &mut Sent<Msg>) {
        self.step(Input::Message { from: NodeId(from), msg }, sent);
    }

    fn propose(&mut self, command: u64, sent: &mut Sent<Msg>) {
        let commands = Commands::one(&bytes_of(command));
        if self.bug == Some(DriverBug::SkipsCommands) && command.is_multiple_of(7) {
            return;
        }
        self.step(Input::Command(Cmd::Propose { first: 0, commands }), sent);
    }

    fn beat(&mut self, sent: &mut Sent<Msg>) {
        self.now = self.now + self.config.heartbeat;
        if self.leads() {
            self.step(Input::Wake, sent);
        }
    }

    fn silence(&mut self) {
        if !self.leads() {
            self.now = self.now + self.config.election_timeout;
        }
    }

    fn campaign(&mut self, sent: &mut Sent<Msg>) {
        if !self.leads() {
            self.now = self.now.max(self.turn.wake_at());
            self.step(Input::Wake, sent);
        }
    }

    fn hang(&mut self, hung: bool, sent: &mut Sent<Msg>) {
        self.hung = hung;
        if !hung {
            self.write();
            // A sync that was asked for already, or the next.
            self.sync(sent);
        }
    }

    fn crash(mut self) -> Disk {
        self.disk.pending.clear();
        self.disk
    }

    fn leads(&self) -> bool {
        self.turn.protocol().is_leader()
    }

    fn log(&self) -> Vec<u64> {
        let log = self.turn.protocol().log();
        let batches =
            log.batches_within(1, log.last().index).filter(|batch| batch.kind() == EntryKind::Command);
        batches.flat_map(|batch| batch.entries()).filter_map(|entry| command_of(entry.data)).collect()
    }

    fn take_committed(&mut self) -> Vec<u64> {
        let first = std::mem::replace(&mut self.told, self.committed) + 1;
        let within = first..=self.committed;
        let batches = self.turn.protocol().log().batches_within(first, self.committed);
        let batches = batches.filter(|batch| batch.kind() == EntryKind::Command);
        let entries = batches.flat_map(|batch| batch.entries()).filter(|entry| within.contains(&entry.index));
        entries.filter_map(|entry| command_of(entry.data)).collect()
    }
}

impl std::fmt::Debug for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let raft = self.turn.protocol();
        let lead = if raft.is_leader() { " leads" } else { "" };
        write!(f, "{}{lead} term {} last {} commit {}", self.id, raft.term(), raft.last(), raft.commit())
    }
}
