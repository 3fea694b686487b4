//! Whole nodes in one value: hosts with Raft scopes, stepped by hand. Jobs wait in a list until they are run;
//! messages may be lost, held or doubled; a crash loses what was not synced.

use crate::planted::planted;
use quorate_consensus::raft::{Founding, Msg, Raft, RaftConfig, RaftHandle, RaftPort};
use quorate_core::{
    BlobError, BlobId, Blobs, Boot, Decider, Door, Host, HostBuilder, HostCmd, HostEvent, HostMsg,
    HostRecord, Input, Io, Job, JournalId, LinkState, Mark, NodeId, Notice, Recipients, Rng, ScopeId,
    StateMachine, Time, Turn, TurnLimits, Wall, wire,
};
use quorate_journal::{MemoryBlobs, MemoryDisk};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub const WORK: ScopeId = ScopeId(7);

/// What a node runs: made anew at each start.
pub type Assemble = Box<dyn Fn(NodeId, &Door) -> Host>;

pub struct Hosts {
    pub nodes: BTreeMap<NodeId, HostNode>,
    pub wire: Vec<(NodeId, NodeId, HostMsg)>,
    pub now: Time,
    pub rng: Rng,
    /// Jobs run as soon as they are there.
    pub run_jobs: bool,
    /// Messages that are kept back, in `held`, instead of being delivered.
    pub hold: fn(&Msg) -> bool,
    pub held: Vec<(NodeId, NodeId, HostMsg)>,
    assemble: Assemble,
}

#[derive(Default)]
struct HostDisk {
    synced: Vec<(u64, HostRecord)>,
    pending: VecDeque<HostWrite>,
    appended: BTreeMap<ScopeId, u64>,
}

enum HostWrite {
    Append(u64, HostRecord),
    Compact(u64, Vec<HostRecord>),
}

pub struct HostNode {
    pub turn: Option<Turn<Host>>,
    pub door: Door,
    pub jobs: VecDeque<(ScopeId, Job)>,
    pub notices: Vec<(ScopeId, Box<dyn Notice>)>,
    disk: HostDisk,
    /// Snapshots; they survive a crash.
    pub objects: Shelf,
    boot: Boot,
}

struct Out<'a> {
    from: NodeId,
    node: &'a mut HostDisk,
    jobs: &'a mut VecDeque<(ScopeId, Job)>,
    notices: &'a mut Vec<(ScopeId, Box<dyn Notice>)>,
    wire: &'a mut Vec<(NodeId, NodeId, HostMsg)>,
}

impl Io<Host> for Out<'_> {
    fn append(&mut self, record: HostRecord) -> usize {
        let mark = self.node.appended.entry(record.scope).or_default();
        *mark += 1;
        self.node.pending.push_back(HostWrite::Append(*mark, record));
        1
    }
    fn compact(&mut self, upto: Mark, base: Vec<HostRecord>) {
        self.node.pending.push_back(HostWrite::Compact(upto.0, base));
    }
    fn send(&mut self, to: Recipients, msg: HostMsg) {
        self.wire.extend(to.as_slice().iter().map(|to| (self.from, *to, msg.clone())));
    }
    fn emit(&mut self, event: HostEvent) {
        match event {
            HostEvent::Job { scope, job } => self.jobs.push_back((scope, job)),
            HostEvent::Notice { scope, notice } => self.notices.push((scope, notice)),
        }
    }
}

impl HostDisk {
    fn sync(&mut self) {
        for write in self.pending.drain(..) {
            match write {
                HostWrite::Append(mark, record) => self.synced.push((mark, record)),
                HostWrite::Compact(upto, base) => {
                    let scope = base[0].scope;
                    self.synced.retain(|(mark, record)| record.scope != scope || *mark > upto);
                    let base = base.into_iter().map(|record| (upto, record));
                    self.synced.splice(..0, base);
                }
            }
        }
    }

    fn open(&mut self) -> Vec<HostRecord> {
        self.pending.clear();
        self.appended.clear();
        for (mark, record) in &mut self.synced {
            let count = self.appended.entry(record.scope).or_default();
            *count += 1;
            *mark = *count;
        }
        self.synced.iter().map(|(_, record)| record.clone()).collect()
    }
}

/// Objects on a medium that may refuse everything, or only to take more.
pub struct Shelf {
    kept: MemoryBlobs,
    /// Whatever was ever begun here.
    begun: BTreeSet<BlobId>,
    pub refuses: bool,
    pub is_full: bool,
    /// Objects that have a bad place.
    pub bad: BTreeSet<BlobId>,
}

impl Shelf {
    fn ask_of<T>(
        &mut self,
        id: BlobId,
        f: impl FnOnce(&mut MemoryBlobs) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        if self.bad.contains(&id) { Err(BlobError::Io("a bad place".into())) } else { self.ask(f) }
    }

    fn ask<T>(&mut self, f: impl FnOnce(&mut MemoryBlobs) -> Result<T, BlobError>) -> Result<T, BlobError> {
        if self.refuses { Err(BlobError::Io("no".into())) } else { f(&mut self.kept) }
    }

    /// How many objects there are, whole or not, of whatever scope.
    pub fn count(&mut self) -> usize {
        let Shelf { kept, begun, .. } = self;
        let is_there = |id: &&BlobId| kept.len(**id) != Ok(None) || kept.unfinished(**id) != Ok(None);
        begun.iter().filter(is_there).count()
    }

    fn put_in<T>(
        &mut self,
        id: BlobId,
        f: impl FnOnce(&mut MemoryBlobs) -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        if self.is_full { Err(BlobError::Io("full".into())) } else { self.ask_of(id, f) }
    }
}

impl Blobs for Shelf {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.put_in(id, |kept| kept.put(id, bytes))
    }
    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        self.begun.insert(id);
        self.put_in(id, |kept| kept.append(id, at, piece))
    }
    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.ask_of(id, |kept| kept.unfinished(id))
    }
    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.put_in(id, |kept| kept.seal(id))
    }
    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.ask(|kept| kept.len(id))
    }
    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        self.ask_of(id, |kept| kept.read(id, offset, max))
    }
    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.ask(|kept| kept.delete(id))
    }
    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.ask(|kept| kept.list(scope))
    }
    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.ask(|kept| kept.list_unfinished(scope))
    }
}

impl Hosts {
    /// So many nodes, each with what `assemble` makes.
    pub fn new(n: u64, seed: u64, assemble: impl Fn(NodeId, &Door) -> Host + 'static) -> Hosts {
        let mut hosts = Hosts {
            nodes: BTreeMap::new(),
            wire: Vec::new(),
            now: Time(1),
            rng: Rng::from_seed(seed),
            run_jobs: true,
            hold: |_| false,
            held: Vec::new(),
            assemble: Box::new(assemble),
        };
        for id in (1..=n).map(NodeId) {
            let boot = Boot { incarnation: 0, journal: JournalId(id.0.into()) };
            let node = HostNode {
                turn: None,
                door: Door::new(1000),
                jobs: VecDeque::new(),
                notices: Vec::new(),
                disk: HostDisk::default(),
                objects: Shelf {
                    kept: MemoryBlobs::new(MemoryDisk::new(JournalId(id.0.into()))),
                    begun: BTreeSet::new(),
                    refuses: false,
                    is_full: false,
                    bad: BTreeSet::new(),
                },
                boot,
            };
            hosts.nodes.insert(id, node);
            hosts.start(id);
        }
        hosts.settle();
        hosts
    }

    /// One Raft scope a node, founded by all of them.
    pub fn of<S: StateMachine, D: Decider<S>>(
        n: u64,
        seed: u64,
        config: RaftConfig,
        make: impl Fn(NodeId) -> (S, D) + 'static,
    ) -> Hosts {
        let voters: Vec<NodeId> = (1..=n).map(NodeId).collect();
        let config = planted(config);
        Hosts::new(n, seed, move |id, _| {
            let raft = Raft::new(id, config.clone(), Founding::Found(voters.clone())).unwrap();
            let (state, decider) = make(id);
            let mut builder = HostBuilder::new();
            builder.scope(WORK, raft, RaftPort::new(state, decider, config.clone()));
            builder.build().unwrap()
        })
    }

    pub fn handle<S: StateMachine, D: Decider<S>>(&self, id: NodeId) -> RaftHandle<S, D> {
        RaftHandle::new(self.nodes[&id].door.clone(), WORK)
    }

    pub fn start(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let mut turn = Turn::new((self.assemble)(id, &node.door), TurnLimits::default());
        for record in node.disk.open() {
            turn.replay(record).unwrap();
        }
        node.boot.incarnation += 1;
        node.turn = Some(turn);
        let boot = node.boot;
        self.step(id, Input::Start(boot));
        let others = self.nodes.iter().filter(|(o, n)| **o != id && n.turn.is_some());
        let others: Vec<_> = others.map(|(o, n)| (*o, n.boot)).collect();
        for (other, theirs) in others {
            self.step(id, Input::Link { peer: other, state: LinkState::Up(theirs) });
            self.step(other, Input::Link { peer: id, state: LinkState::Up(boot) });
        }
    }

    /// Power loss: what was not synced, all jobs, all asks that were not taken and all promises are gone.
    pub fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.turn = None;
        node.disk.pending.clear();
        node.jobs.clear();
        node.door.take(&mut VecDeque::new());
        self.wire.retain(|(_, to, _)| *to != id);
    }

    /// An orderly end: ports settle what they promised.
    pub fn stop(&mut self, id: NodeId) {
        self.step(id, Input::Command(HostCmd::Stop));
        self.crash(id);
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.nodes[&id].turn.is_some()
    }

    pub fn step(&mut self, id: NodeId, input: Input<Host>) {
        // One that was never started hears nothing.
        let Some(HostNode { turn, jobs, notices, disk, .. }) = self.nodes.get_mut(&id) else { return };
        let Some(turn) = turn else { return };
        let mut out = Out { from: id, node: disk, jobs, notices, wire: &mut self.wire };
        turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        while let Some(mark) = turn.sync_due() {
            out.node.sync();
            turn.step(Input::Durable(mark), self.now, Wall(0), &mut self.rng, &mut out);
        }
    }

    /// Ends a job of a node.
    pub fn finish_job(&mut self, id: NodeId) -> bool {
        let node = self.nodes.get_mut(&id).unwrap();
        let Some((scope, job)) = node.jobs.pop_front() else { return false };
        let answer = job.run(&mut node.objects);
        self.step(id, Input::Command(HostCmd::Done { scope, answer }));
        true
    }

    /// Takes asks, delivers what `passes`, fires wakes and runs jobs until nothing is left to do at this instant.
    pub fn settle_where(&mut self, mut passes: impl FnMut(NodeId, NodeId, &mut Rng) -> bool) {
        for _ in 0..100_000 {
            let mut idle = self.wire.is_empty();
            for (from, to, msg) in std::mem::take(&mut self.wire) {
                if (self.hold)(&wire::decode(msg.body.clone()).unwrap()) {
                    self.held.push((from, to, msg));
                } else if passes(from, to, &mut self.rng) {
                    self.step(to, Input::Message { from, msg });
                }
            }
            for id in self.nodes.keys().copied().collect::<Vec<_>>() {
                let mut asks = VecDeque::new();
                let node = &self.nodes[&id];
                if node.turn.is_some() {
                    node.door.take(&mut asks);
                }
                for (scope, ask) in asks {
                    idle = false;
                    self.step(id, Input::Command(HostCmd::Ask { scope, ask }));
                }
                while self.run_jobs && self.finish_job(id) {
                    idle = false;
                }
                if self.nodes[&id].turn.as_ref().is_some_and(|turn| turn.wake_at() <= self.now) {
                    idle = false;
                    self.step(id, Input::Wake);
                }
            }
            if idle {
                return;
            }
        }
        panic!("the nodes do not come to rest");
    }

    pub fn settle(&mut self) {
        self.settle_where(|_, _, _| true);
    }

    pub fn pass_where(&mut self, ms: u64, mut passes: impl FnMut(NodeId, NodeId, &mut Rng) -> bool) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            self.settle_where(&mut passes);
        }
    }

    pub fn pass(&mut self, ms: u64) {
        self.pass_where(ms, |_, _, _| true);
    }

    pub fn raft(&self, id: NodeId) -> &Raft {
        self.nodes[&id].turn.as_ref().unwrap().protocol().protocol(WORK).unwrap()
    }

    pub fn state<S: StateMachine, D: Decider<S>>(&self, id: NodeId) -> &S {
        let port: &RaftPort<S, D> = self.nodes[&id].turn.as_ref().unwrap().protocol().port(WORK).unwrap();
        port.state().expect("no job has it").0
    }

    pub fn leader(&self) -> Option<NodeId> {
        let up = self.nodes.keys().filter(|id| self.is_up(**id));
        up.filter(|id| self.raft(**id).is_leader()).max_by_key(|id| self.raft(**id).term()).copied()
    }

    pub fn elect(&mut self) -> NodeId {
        for _ in 0..10_000 {
            self.pass(1);
            if let Some(leader) = self.leader() {
                return leader;
            }
        }
        panic!("nobody was elected");
    }

    pub fn notices<T: Notice + Clone>(&mut self, id: NodeId) -> Vec<T> {
        let notices = std::mem::take(&mut self.nodes.get_mut(&id).unwrap().notices);
        let any = notices.into_iter().map(|(_, notice)| notice as Box<dyn std::any::Any>);
        any.filter_map(|notice| notice.downcast::<T>().ok()).map(|notice| *notice).collect()
    }
}
