//! Ours, with its default settings.

use super::net::{Node, Sent};
use super::{HEARTBEAT, TIMEOUT};
use quorate_consensus::raft::{Cmd, Commands, Event, Founding, Index, Msg, Raft, RaftConfig, Record};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};

pub struct Ours {
    id: u64,
    nodes: u64,
    turn: Turn<Raft>,
    rng: Rng,
    upto: Index,
    committed: u64,
}

struct Out<'a> {
    committed: &'a mut Index,
    sent: &'a mut Sent<Msg>,
}

impl Io<Raft> for Out<'_> {
    fn append(&mut self, _: Record) -> usize {
        0
    }
    fn compact(&mut self, _: Mark, _: Vec<Record>) {}
    fn send(&mut self, to: Recipients, msg: Msg) {
        self.sent.extend(to.as_slice().iter().map(|to| (to.0, msg.clone())));
    }
    fn emit(&mut self, event: Event) {
        if let Event::Committed { upto } = event {
            *self.committed = upto;
        }
    }
}

fn boot(id: u64) -> Boot {
    Boot { incarnation: 1, journal: JournalId(id.into()) }
}

impl Ours {
    fn step(&mut self, input: Input<Raft>, now: Time, sent: &mut Sent<Msg>) {
        let before = self.upto;
        let mut out = Out { committed: &mut self.upto, sent };
        self.turn.step(input, now, Wall(0), &mut self.rng, &mut out);
        while let Some(mark) = self.turn.sync_due() {
            self.turn.step(Input::Durable(mark), now, Wall(0), &mut self.rng, &mut out);
        }
        let log = self.turn.protocol().log();
        for index in before + 1..=self.upto {
            if let Some(command) = log.entry(index).and_then(|entry| entry.data.try_into().ok()) {
                self.committed = u64::from_le_bytes(command);
            }
        }
    }
}

impl Node for Ours {
    type Msg = Msg;

    fn new(id: u64, nodes: u64, rng: Rng) -> Ours {
        let config = RaftConfig::default();
        assert_eq!((config.election_timeout, config.heartbeat), (TIMEOUT, HEARTBEAT));
        let raft = Raft::new(NodeId(id), config, Founding::Found((1..=nodes).map(NodeId).collect())).unwrap();
        let turn = Turn::new(raft, TurnLimits::default());
        Ours { id, nodes, turn, rng, upto: 0, committed: 0 }
    }

    fn start(&mut self, now: Time, out: &mut Sent<Msg>) {
        self.step(Input::Start(boot(self.id)), now, out);
        let id = self.id;
        for peer in (1..=self.nodes).filter(|peer| *peer != id) {
            self.step(Input::Link { peer: NodeId(peer), state: LinkState::Up(boot(peer)) }, now, out);
        }
    }

    fn receive(&mut self, from: u64, msg: Msg, now: Time, out: &mut Sent<Msg>) {
        self.step(Input::Message { from: NodeId(from), msg }, now, out);
    }

    fn due(&self) -> Time {
        self.turn.wake_at()
    }

    fn fire(&mut self, now: Time, out: &mut Sent<Msg>) {
        self.step(Input::Wake, now, out);
    }

    fn propose(&mut self, command: u64, now: Time, out: &mut Sent<Msg>) {
        let commands = Commands::one(&command.to_le_bytes());
        self.step(Input::Command(Cmd::Propose { first: 0, commands }), now, out);
    }

    fn leads(&self) -> bool {
        self.turn.protocol().is_leader()
    }

    fn committed(&self) -> u64 {
        self.committed
    }
}
