//! Ours: [`Groups`] in a [`Turn`], stepped by a driver that only moves values. The port is not part of it.

use super::{BYTES, Cluster, KEPT, State};
use crate::raft_memory::write_command;
use quorate_consensus::groups::{Cmd, Event, GroupId, Groups, GroupsConfig, Msg, Record};
use quorate_consensus::raft::{self, EntryKind, Founding, Gathered, Index, LogId, RaftConfig};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use std::collections::VecDeque;
use std::time::Duration;

struct Node {
    turn: Turn<Groups>,
    memory: Memory,
    /// Of each group.
    applied: Vec<Index>,
    state: State,
}

/// A journal in memory, and what the port is told.
#[derive(Default)]
struct Memory {
    base: Vec<Record>,
    records: VecDeque<Record>,
    compacted: u64,
    committed: Vec<(GroupId, Index)>,
}

struct Out<'a> {
    from: NodeId,
    memory: &'a mut Memory,
    wire: &'a mut VecDeque<(NodeId, NodeId, Msg)>,
}

impl Io<Groups> for Out<'_> {
    fn append(&mut self, record: Record) -> usize {
        self.memory.records.push_back(record);
        0
    }
    fn compact(&mut self, upto: Mark, base: Vec<Record>) {
        self.memory.records.drain(..(upto.0 - self.memory.compacted) as usize);
        self.memory.compacted = upto.0;
        self.memory.base = base;
    }
    fn send(&mut self, to: Recipients, msg: Msg) {
        if let Some((last, rest)) = to.as_slice().split_last() {
            for to in rest {
                self.wire.push_back((self.from, *to, msg.clone()));
            }
            self.wire.push_back((self.from, *last, msg));
        }
    }
    fn emit(&mut self, event: Event) {
        match event {
            Event::Of { group, event: raft::Event::Committed { upto } } => {
                self.memory.committed.push((group, upto))
            }
            Event::Of { event: raft::Event::Placed { placed: Err(why), .. }, .. } => {
                panic!("refused: {why:?}")
            }
            _ => {}
        }
    }
}

struct Ours {
    nodes: Vec<Node>,
    /// Of each group.
    leaders: Vec<NodeId>,
    wire: VecDeque<(NodeId, NodeId, Msg)>,
    now: Time,
    /// How long messages are under way.
    delay: Duration,
    rng: Rng,
    messages: u64,
    gathered: Gathered,
}

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

pub fn make(groups: u64) -> Box<dyn Cluster> {
    let boot = |id: NodeId| Boot { incarnation: 1, journal: JournalId(u128::from(id.0)) };
    let node = |id: NodeId| {
        let raft = RaftConfig { trailing_entries: KEPT, ..RaftConfig::default() };
        let mut all = Groups::new(id, GroupsConfig { raft, ..GroupsConfig::default() }).unwrap();
        (0..groups).for_each(|group| all.begin_with(GroupId(group), Founding::Found(NODES.to_vec())));
        let turn = Turn::new(all, TurnLimits::default());
        Node { turn, memory: Memory::default(), applied: vec![0; groups as usize], state: State::default() }
    };
    let mut ours = Ours {
        nodes: NODES.map(node).into(),
        leaders: Vec::new(),
        wire: VecDeque::new(),
        now: Time(1),
        delay: Duration::ZERO,
        rng: Rng::from_seed(groups),
        messages: 0,
        gathered: Gathered::default(),
    };
    NODES.iter().for_each(|id| ours.step(*id, Input::Start(boot(*id))));
    for id in NODES {
        for other in NODES.into_iter().filter(|other| *other != id) {
            ours.step(id, Input::Link { peer: other, state: LinkState::Up(boot(other)) });
        }
    }
    while ours.nodes.iter().map(|node| node.turn.protocol().led()).sum::<usize>() < groups as usize {
        ours.pass(Duration::from_millis(10));
    }
    let leads = |group, id: &NodeId| {
        let look = ours.nodes[id.0 as usize - 1].turn.protocol().look(GroupId(group));
        look.is_some_and(|look| look.leads)
    };
    ours.leaders = (0..groups).map(|group| NODES.into_iter().find(|id| leads(group, id)).unwrap()).collect();
    Box::new(ours)
}

impl Ours {
    /// One step and its effects.
    fn step(&mut self, id: NodeId, input: Input<Groups>) {
        let Node { turn, memory, applied, state } = &mut self.nodes[id.0 as usize - 1];
        let mut out = Out { from: id, memory, wire: &mut self.wire };
        turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        for (group, upto) in memory.committed.drain(..) {
            let applied = &mut applied[group.0 as usize];
            let Some(raft) = turn.protocol().raft(group).filter(|_| upto > *applied) else { continue };
            let first = *applied + 1;
            let batches = raft.log().batches_within(first, upto);
            for batch in batches.filter(|batch| batch.kind() == EntryKind::Command) {
                for entry in batch.entries().filter(|entry| (first..=upto).contains(&entry.index)) {
                    state.apply(entry.data);
                }
            }
            *applied = upto;
        }
    }

    /// Fires what is due, has the journals answer, and delivers everything, until nothing is left to do at this instant: as
    /// nodes do, which take all that waits and sync once then.
    fn settle(&mut self) {
        loop {
            while let Some(at) = self.nodes.iter().position(|node| node.turn.wake_at() <= self.now) {
                self.step(NODES[at], Input::Wake);
            }
            for id in NODES {
                if let Some(mark) = self.nodes[id.0 as usize - 1].turn.sync_due() {
                    self.step(id, Input::Durable(mark));
                }
            }
            let is_due = |node: &Node| node.turn.wake_at() <= self.now;
            if self.wire.is_empty() && !self.nodes.iter().any(is_due) {
                return;
            }
            self.now = self.now + self.delay;
            for (from, to, msg) in std::mem::take(&mut self.wire) {
                self.messages += 1;
                self.step(to, Input::Message { from, msg });
            }
        }
    }

    /// From one time at which somebody wants to be woken to the next.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.settle();
            let next = self.nodes.iter().map(|node| node.turn.wake_at()).min().unwrap_or(Time::NEVER);
            if next >= until {
                break;
            }
            self.now = self.now.max(next);
        }
        self.now = self.now.max(until);
        self.settle();
    }
}

impl Cluster for Ours {
    fn turn(&mut self, first: u64, count: u64) {
        let mut command = [0; BYTES];
        let groups = self.leaders.len() as u64;
        // What a group is asked in a turn is gathered, as its port does.
        for start in first..first + count.min(groups) {
            for number in (start..first + count).step_by(self.leaders.len()) {
                write_command(number, &mut command);
                self.gathered.push(&command);
            }
            let Some(commands) = self.gathered.take() else { continue };
            let group = GroupId(start % groups);
            let cmd = raft::Cmd::Propose { first: 0, commands };
            self.step(self.leaders[group.0 as usize], Input::Command(Cmd::Of { group, cmd }));
        }
        self.settle();
    }

    fn cut(&mut self) {
        for (at, id) in NODES.into_iter().enumerate() {
            for group in (0..self.leaders.len() as u64).map(GroupId) {
                let node = &self.nodes[at];
                let applied = node.applied[group.0 as usize];
                let log = node.turn.protocol().raft(group).map(raft::Raft::log);
                let Some(term) = log.filter(|log| applied > log.base().index + 2 * KEPT) else { continue };
                let at = LogId::new(term.term_at(applied).unwrap(), applied);
                let cmd = raft::Cmd::Snapshot { at, blob: applied, total: 8, crc: 0 };
                self.step(id, Input::Command(Cmd::Of { group, cmd }));
            }
        }
        self.settle();
    }

    fn finish(&mut self) {
        // Long enough for leaders to send commit indices alone.
        self.pass(RaftConfig::default().commit_notice);
    }

    fn idle(&mut self, time: Duration) {
        // An answer comes later than what it answers.
        self.delay = Duration::from_micros(50);
        self.pass(time);
    }

    fn messages(&self) -> u64 {
        self.messages
    }

    fn states(&self) -> Vec<State> {
        self.nodes.iter().map(|node| node.state).collect()
    }
}
