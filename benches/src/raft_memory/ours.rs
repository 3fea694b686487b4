//! Ours: [`Raft`] in a [`Turn`], stepped by a driver that only moves values. The port is not part of it.

use super::{Cluster, KEPT, Load, State, state::write_command};
use crate::allocations::part;
use quorate_consensus::raft::{
    Cmd, EntryKind, Event, Founding, Gathered, Index, LogId, Msg, Raft, RaftConfig, Record,
};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Slots, Time, Turn, TurnLimits, Wall,
};
use std::time::Duration;

struct Node {
    turn: Turn<Raft>,
    memory: Memory,
    applied: Index,
    state: State,
}

/// A journal in memory, and what the port is told.
#[derive(Default)]
struct Memory {
    /// What stands in the place of the records that were compacted.
    base: Vec<Record>,
    /// The records behind it.
    records: Slots<Record>,
    /// Memory for the next time that some are compacted.
    spare: Slots<Record>,
    /// The mark of the last one compacted.
    compacted: u64,
    committed: Index,
    placed: u64,
}

/// Where the effects of a step go.
struct Out<'a> {
    from: NodeId,
    memory: &'a mut Memory,
    wire: &'a mut Slots<(NodeId, Recipients, Msg)>,
}

impl Io<Raft> for Out<'_> {
    #[inline(always)]
    fn append(&mut self, record: Record) -> usize {
        self.memory.records.push(record);
        0
    }
    fn keeps_at_once(&self) -> bool {
        true
    }
    fn compact(&mut self, upto: Mark, base: Vec<Record>) {
        let Memory { records, spare, compacted, .. } = &mut *self.memory;
        records.drain().skip((upto.0 - *compacted) as usize).for_each(|record| spare.push(record));
        std::mem::swap(records, spare);
        self.memory.compacted = upto.0;
        self.memory.base = base;
    }
    #[inline(always)]
    fn send(&mut self, to: Recipients, msg: Msg) {
        self.wire.push((self.from, to, msg));
    }
    fn emit(&mut self, event: Event) {
        match event {
            Event::Committed { upto } => self.memory.committed = upto,
            Event::Placed { placed: Ok(_), count, .. } => self.memory.placed += u64::from(count),
            Event::Placed { placed: Err(why), .. } => panic!("refused: {why:?}"),
            _ => {}
        }
    }
}

struct Ours {
    nodes: Vec<Node>,
    leader: usize,
    wire: Slots<(NodeId, Recipients, Msg)>,
    /// Its memory changes places with that of `wire`.
    arriving: Slots<(NodeId, Recipients, Msg)>,
    now: Time,
    rng: Rng,
    messages: u64,
    /// The next command; written into what is gathered, as the port writes what it is asked in a turn.
    command: Vec<u8>,
    gathered: Gathered,
    /// Beyond that the port proposes what it has gathered.
    batch_bytes: usize,
}

pub fn make(load: &Load) -> Box<dyn Cluster> {
    let ids: Vec<NodeId> = (1..=load.nodes).map(NodeId).collect();
    let boot = |id: NodeId| Boot { incarnation: 1, journal: JournalId(u128::from(id.0)) };
    let node = |id: &NodeId| {
        let config = RaftConfig {
            trailing_entries: KEPT,
            // A whole turn of the largest setting.
            uncommitted_bytes_max: 64 << 20,
            ..RaftConfig::default()
        };
        let raft = Raft::new(*id, config, Founding::Found(ids.clone())).unwrap();
        let turn = Turn::new(raft, TurnLimits::default());
        Node { turn, memory: Memory::default(), applied: 0, state: State::default() }
    };
    let mut ours = Ours {
        nodes: ids.iter().map(node).collect(),
        leader: 0,
        wire: Slots::default(),
        arriving: Slots::default(),
        now: Time(1),
        rng: Rng::from_seed(load.nodes),
        messages: 0,
        command: vec![0; load.bytes],
        gathered: Gathered::default(),
        batch_bytes: RaftConfig::default().batch_bytes_max,
    };
    for id in &ids {
        ours.step(*id, Input::Start(boot(*id)));
    }
    for id in &ids {
        for other in ids.iter().filter(|other| *other != id) {
            ours.step(*id, Input::Link { peer: *other, state: LinkState::Up(boot(*other)) });
        }
    }
    while !ours.nodes.iter().any(|node| node.turn.protocol().is_leader()) {
        ours.pass(Duration::from_millis(1));
    }
    ours.leader = ours.nodes.iter().position(|node| node.turn.protocol().is_leader()).unwrap();
    ours.pass(Duration::from_millis(1));
    Box::new(ours)
}

impl Ours {
    /// One step, its effects, and the journal's answer to them.
    #[inline(always)]
    fn step(&mut self, id: NodeId, input: Input<Raft>) {
        let Node { turn, memory, applied, state } = &mut self.nodes[id.0 as usize - 1];
        let mut out = Out { from: id, memory, wire: &mut self.wire };
        let counted = part(id.0 as usize == self.leader + 1);
        turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        drop(counted);
        let committed = memory.committed;
        if committed > *applied {
            let first = *applied + 1;
            let batches = turn.protocol().log().batches_within(first, committed);
            for batch in batches.filter(|batch| batch.kind() == EntryKind::Command) {
                for entry in batch.entries() {
                    if entry.index >= first && entry.index <= committed {
                        state.apply(entry.data);
                    }
                }
            }
            *applied = committed;
        }
    }

    /// Delivers everything and fires what is due, until nothing is left to do at this instant.
    fn settle(&mut self) {
        loop {
            while !self.wire.is_empty() {
                let empty = std::mem::take(&mut self.arriving);
                let mut arriving = std::mem::replace(&mut self.wire, empty);
                for (from, to, msg) in arriving.drain() {
                    let Some((last, others)) = to.as_slice().split_last() else { continue };
                    self.messages += 1 + others.len() as u64;
                    for to in others {
                        self.step(*to, Input::Message { from, msg: msg.clone() });
                    }
                    self.step(*last, Input::Message { from, msg });
                }
                self.arriving = arriving;
            }
            let due = |node: &Node| node.turn.wake_at() <= self.now;
            let Some(at) = self.nodes.iter().position(due) else { return };
            self.step(NodeId(at as u64 + 1), Input::Wake);
        }
    }

    fn propose(&mut self) {
        let leader = NodeId(self.leader as u64 + 1);
        if let Some(commands) = self.gathered.take() {
            self.step(leader, Input::Command(Cmd::Propose { first: 0, commands }));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.settle();
    }
}

impl Cluster for Ours {
    fn turn(&mut self, first: u64, count: u64) {
        for number in first..first + count {
            write_command(number, &mut self.command);
            if self.gathered.bytes() + self.command.len() > self.batch_bytes {
                self.propose();
            }
            let _counted = part(true);
            self.gathered.push(&self.command);
        }
        self.propose();
        self.settle();
    }

    fn cut(&mut self) {
        for id in (1..=self.nodes.len() as u64).map(NodeId) {
            let Node { turn, applied, state, .. } = &self.nodes[id.0 as usize - 1];
            let Some(term) = turn.protocol().log().term_at(*applied) else { continue };
            let data = [state.count, state.sum, state.bytes].map(u64::to_le_bytes).concat();
            let (at, total, crc) = (LogId::new(term, *applied), data.len() as u64, crc32fast::hash(&data));
            self.step(id, Input::Command(Cmd::Snapshot { at, blob: *applied, total, crc }));
        }
    }

    fn finish(&mut self) {
        // Long enough for the leader to send the commit index alone.
        self.pass(RaftConfig::default().commit_notice);
        assert_eq!(self.nodes[self.leader].memory.placed, self.nodes[self.leader].state.count);
    }

    fn messages(&self) -> u64 {
        self.messages
    }

    fn states(&self) -> Vec<State> {
        self.nodes.iter().map(|node| node.state).collect()
    }
}
