//! What a leader allocates for a commit once it runs: nothing but the memory of the commands themselves, which whoever
//! gathers them made. Counted by an allocator that counts, in a test of its own, as it counts the whole process. (With the
//! feature `trace` each transition is a box of its own.)
#![cfg(not(feature = "trace"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

use quorate_consensus::raft::{
    Cmd, Commands, Event, Forward, Founding, Gathered, LogId, Msg, Raft, RaftConfig, Record,
};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::collections::VecDeque;
use std::time::Duration;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Commits between two cuts of the logs, as in the benches.
const CUT_EVERY: u64 = 8192;
const KEPT: u64 = 1000;

/// What effects come to. Has room for all of them before anything is counted.
#[derive(Default)]
struct Outside {
    records: u64,
    wire: VecDeque<(NodeId, NodeId, Msg)>,
    committed: u64,
}

struct Out<'a> {
    from: NodeId,
    outside: &'a mut Outside,
}

impl Io<Raft> for Out<'_> {
    fn append(&mut self, _: Record) -> usize {
        self.outside.records += 1;
        0
    }
    fn compact(&mut self, _: Mark, _: Vec<Record>) {}
    fn send(&mut self, to: Recipients, msg: Msg) {
        for to in to.as_slice() {
            self.outside.wire.push_back((self.from, *to, msg.clone()));
        }
    }
    fn emit(&mut self, event: Event) {
        if let Event::Committed { upto } = event
            && self.from == LEADER
        {
            self.outside.committed = upto;
        }
    }
}

const LEADER: NodeId = NodeId(1);

struct Cluster {
    turns: Vec<Turn<Raft>>,
    outside: Outside,
    now: Time,
    rng: Rng,
    /// Allocations and growths in the leader's steps.
    counted: usize,
    /// Commits since the logs were cut.
    since_cut: u64,
}

impl Cluster {
    fn new(nodes: u64) -> Cluster {
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let config = RaftConfig { trailing_entries: KEPT, ..RaftConfig::default() };
        let turn = |id: &NodeId| {
            let raft = Raft::new(*id, config.clone(), Founding::Found(ids.clone())).unwrap();
            Turn::new(raft, TurnLimits::default())
        };
        let outside = Outside { wire: VecDeque::with_capacity(1 << 16), ..Outside::default() };
        let turns = ids.iter().map(turn).collect();
        let mut cluster =
            Cluster { turns, outside, now: Time(1), rng: Rng::from_seed(1), counted: 0, since_cut: 0 };
        let boot = |id: NodeId| Boot { incarnation: 1, journal: JournalId(u128::from(id.0)) };
        for id in &ids {
            cluster.step(*id, Input::Start(boot(*id)));
        }
        for (id, peer) in ids.iter().flat_map(|id| ids.iter().map(move |peer| (*id, *peer))) {
            if id != peer {
                cluster.step(id, Input::Link { peer, state: LinkState::Up(boot(peer)) });
            }
        }
        cluster.settle();
        // Only the first one's clock goes on, so it leads.
        while !cluster.turns[0].protocol().is_leader() {
            cluster.now = cluster.now + Duration::from_millis(1);
            cluster.settle();
        }
        cluster
    }

    fn step(&mut self, id: NodeId, input: Input<Raft>) {
        let region = Region::new(COUNTING);
        let turn = &mut self.turns[id.0 as usize - 1];
        let mut out = Out { from: id, outside: &mut self.outside };
        turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        while let Some(mark) = turn.sync_due() {
            turn.step(Input::Durable(mark), self.now, Wall(0), &mut self.rng, &mut out);
        }
        if id == LEADER {
            let change = region.change();
            self.counted += change.allocations + change.reallocations;
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some((from, to, msg)) = self.outside.wire.pop_front() {
                self.step(to, Input::Message { from, msg });
            }
            // The others wait: they hear a leader, or will.
            match self.turns[0].wake_at() <= self.now {
                true => self.step(LEADER, Input::Wake),
                false => return,
            }
        }
    }

    fn cut(&mut self) {
        for id in 1..=self.turns.len() {
            let raft = self.turns[id - 1].protocol();
            let commit = raft.commit();
            let at = LogId::new(raft.log().term_at(commit).unwrap(), commit);
            let counted = self.counted;
            let crc = crc32fast::hash(b"state");
            let taken = Cmd::Snapshot { at, blob: at.index, total: 5, crc };
            self.step(NodeId(id as u64), Input::Command(taken));
            // Once in thousands of commits, and what it makes is kept.
            self.counted = counted;
        }
    }

    /// Has so many proposals of so many commands come in a turn, so many times: from the leader's own port, or by way of a
    /// follower. What the leader allocated meanwhile.
    fn drive(&mut self, from: NodeId, turns: u64, proposals: u64, each: u64, bytes: usize) -> usize {
        let mut gathered = Gathered::default();
        let command = vec![7; bytes];
        let committed = self.outside.committed;
        self.counted = 0;
        for _ in 0..turns {
            let made: Vec<Commands> = (0..proposals)
                .map(|_| {
                    (0..each).for_each(|_| gathered.push(&command));
                    gathered.take().unwrap()
                })
                .collect();
            for commands in made {
                if from == LEADER {
                    self.step(LEADER, Input::Command(Cmd::Propose { first: 0, commands }));
                } else {
                    let group = self.turns[0].protocol().group();
                    let msg = Msg::Forward(Forward { group, first: 0, commands });
                    self.step(LEADER, Input::Message { from, msg });
                }
            }
            self.settle();
            self.since_cut += proposals * each;
            if self.since_cut >= CUT_EVERY {
                self.since_cut = 0;
                self.cut();
            }
        }
        assert_eq!(self.outside.committed - committed, turns * proposals * each, "all of it is committed");
        self.counted
    }
}

#[test]
fn a_leader_allocates_nothing_for_a_commit_but_memory_for_the_commands() {
    for nodes in [1, 3, 5] {
        for bytes in [16, 256, 4096] {
            for each in [1, 100] {
                let mut cluster = Cluster::new(nodes);
                // Queues grow to what they need, between two cuts, once.
                cluster.drive(LEADER, 40_000 / each, 1, each, bytes);
                let counted = cluster.drive(LEADER, 20_000 / each, 1, each, bytes);
                assert_eq!(counted, 0, "{nodes} nodes, {each} a proposal, {bytes} bytes");
            }
        }
    }
    for nodes in [3, 5] {
        // Proposals that are passed on in one turn are copied into one batch: into pieces of 4 KiB, each a buffer and its
        // count of references.
        let (bytes, outstanding, turns, follower) = (16, 64, 400, NodeId(2));
        let mut cluster = Cluster::new(nodes);
        cluster.drive(follower, turns, outstanding, 1, bytes);
        let counted = cluster.drive(follower, turns, outstanding, 1, bytes) as u64;
        let pieces =
            (turns * outstanding * (bytes as u64 + 1)).div_ceil(4096 - outstanding * (bytes as u64 + 1));
        assert!(counted <= 2 * pieces, "{counted} allocations for {pieces} pieces");
        assert!(counted > 0, "the allocator does not count");
    }
}
