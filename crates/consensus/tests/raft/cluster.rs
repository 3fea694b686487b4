//! A cluster of typed replicas in one value: messages wait in a list until a test delivers them, time moves
//! when a test says so, disks sync when a test says so.

use crate::objects::Objects;
use crate::planted::planted;
use quorate_consensus::raft::{
    Cmd, Commands, EntryKind, Event, Founding, Index, LogId, Msg, NotRestored, Raft, RaftConfig, Record,
    Snapshot, Term,
};
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub struct Cluster {
    pub nodes: BTreeMap<NodeId, Node>,
    /// From, to, what: in the order sent.
    pub wire: Vec<(NodeId, NodeId, Msg)>,
    pub now: Time,
    /// By how much UTC is ahead of that, in nanoseconds.
    pub wall_ahead: u64,
    /// Disks sync at once.
    pub sync: bool,
    /// Disks that never do.
    pub hung: Vec<NodeId>,
    pub config: RaftConfig,
    rng: Rng,
    /// Every transition of every node, in order.
    #[cfg(feature = "trace")]
    pub transitions: Vec<String>,
}

pub struct Node {
    pub turn: Option<Turn<Raft>>,
    pub disk: Disk,
    pub events: Vec<Event>,
    /// So many of these events do not concern objects.
    looked_at: usize,
    pub objects: Objects,
    pub founding: Founding,
    pub witness: bool,
    boot: Boot,
}

/// What one replica wrote: what is on disk, and what waits for the next sync. As a journal promises it: a crash
/// leaves a prefix of what was asked, and a compaction is there as of the next sync.
#[derive(Default, Clone)]
pub struct Disk {
    /// Mark and record.
    synced: Vec<(u64, Record)>,
    pending: VecDeque<Write>,
    appended: u64,
}

#[derive(Clone)]
enum Write {
    Append(u64, Record),
    Compact(u64, Vec<Record>),
}

impl Disk {
    /// What a start would find.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.synced.iter().map(|(_, record)| record)
    }

    /// Puts records behind those on disk, as no replica did.
    pub fn write(&mut self, records: impl IntoIterator<Item = Record>) {
        self.synced.extend(records.into_iter().map(|record| (self.appended, record)));
    }

    /// Writes that wait for a sync.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Asks for a record behind all others.
    pub fn append(&mut self, record: Record) {
        self.appended += 1;
        self.pending.push_back(Write::Append(self.appended, record));
    }

    /// Asks for a base in place of every record up to the mark.
    pub fn compact(&mut self, upto: Mark, base: Vec<Record>) {
        self.pending.push_back(Write::Compact(upto.0, base));
    }

    /// The first so many writes reach the disk.
    pub fn sync(&mut self, count: usize) {
        for write in self.pending.drain(..count) {
            match write {
                Write::Append(mark, record) => self.synced.push((mark, record)),
                Write::Compact(upto, base) => {
                    let behind = self.synced.partition_point(|(mark, _)| *mark <= upto);
                    self.synced.splice(..behind, base.into_iter().map(|record| (upto, record)));
                }
            }
        }
    }

    /// A new life: marks count from one again.
    pub fn open(&mut self) -> Vec<Record> {
        self.pending.clear();
        self.appended = self.synced.len() as u64;
        for (at, (mark, _)) in self.synced.iter_mut().enumerate() {
            *mark = at as u64 + 1;
        }
        self.records().cloned().collect()
    }
}

struct Out<'a> {
    from: NodeId,
    disk: &'a mut Disk,
    wire: &'a mut Vec<(NodeId, NodeId, Msg)>,
    events: &'a mut Vec<Event>,
    #[cfg(feature = "trace")]
    transitions: &'a mut Vec<String>,
}

impl Io<Raft> for Out<'_> {
    fn append(&mut self, record: Record) -> usize {
        self.disk.append(record);
        1
    }
    fn compact(&mut self, upto: Mark, base: Vec<Record>) {
        self.disk.compact(upto, base);
    }
    fn send(&mut self, to: Recipients, msg: Msg) {
        for to in to.as_slice() {
            self.wire.push((self.from, *to, msg.clone()));
        }
    }
    fn emit(&mut self, event: Event) {
        #[cfg(feature = "trace")]
        if let Event::Transition(transition) = &event {
            return self.transitions.push(transition.to_string());
        }
        self.events.push(event);
    }
}

impl Node {
    /// The same disk, and nobody runs on it.
    pub fn asleep(&self) -> Node {
        let (disk, founding) = (self.disk.clone(), self.founding.clone());
        let (events, objects) = (Vec::new(), self.objects.clone());
        let (witness, boot) = (self.witness, self.boot);
        Node { turn: None, disk, events, looked_at: 0, objects, founding, witness, boot }
    }
}

pub fn ids(n: u64) -> Vec<NodeId> {
    (1..=n).map(NodeId).collect()
}

impl Cluster {
    pub fn new(n: u64) -> Cluster {
        Cluster::with(n, RaftConfig::default())
    }

    pub fn with(n: u64, config: RaftConfig) -> Cluster {
        let mut cluster = Cluster::seeded(config, n);
        for id in ids(n) {
            cluster.add(id, Founding::Found(ids(n)), JournalId(u128::from(id.0)));
        }
        cluster.settle();
        cluster
    }

    /// Nobody yet.
    pub fn empty(config: RaftConfig) -> Cluster {
        Cluster {
            nodes: BTreeMap::new(),
            wire: Vec::new(),
            now: Time(1),
            wall_ahead: 0,
            sync: true,
            hung: Vec::new(),
            config,
            rng: Rng::from_seed(0),
            #[cfg(feature = "trace")]
            transitions: Vec::new(),
        }
    }

    /// Nobody yet, and chance of its own.
    pub fn seeded(config: RaftConfig, seed: u64) -> Cluster {
        Cluster { rng: Rng::from_seed(seed), ..Cluster::empty(config) }
    }

    /// A node on an empty journal of this name.
    pub fn add(&mut self, id: NodeId, founding: Founding, journal: JournalId) {
        self.add_as(false, id, founding, journal);
    }

    /// The same, perhaps as a witness.
    pub fn add_as(&mut self, witness: bool, id: NodeId, founding: Founding, journal: JournalId) {
        let boot = Boot { incarnation: 0, journal };
        let (disk, objects) = (Disk::default(), Objects::default());
        let events = Vec::new();
        let node = Node { turn: None, disk, events, looked_at: 0, objects, founding, witness, boot };
        self.nodes.insert(id, node);
        self.start(id);
    }

    /// (Re)starts a node on what is on its disk, and shakes hands with everybody.
    pub fn start(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let new = if node.witness { Raft::witness } else { Raft::new };
        let raft = new(id, planted(self.config.clone()), node.founding.clone()).unwrap();
        let mut turn = Turn::new(raft, TurnLimits::default());
        for record in node.disk.open() {
            turn.replay(record).unwrap();
        }
        node.boot.incarnation += 1;
        // Whatever its port was told in an earlier life it has forgotten.
        (node.events, node.looked_at) = (Vec::new(), 0);
        node.turn = Some(turn);
        // What its last life said fits no session of this one.
        self.wire.retain(|(from, _, _)| *from != id);
        let boot = node.boot;
        self.step(id, Input::Start(boot));
        let others: Vec<(NodeId, Boot)> = self
            .nodes
            .iter()
            .filter(|(other, n)| **other != id && n.turn.is_some())
            .map(|(id, n)| (*id, n.boot))
            .collect();
        for (other, theirs) in others {
            self.step(id, Input::Link { peer: other, state: LinkState::Up(theirs) });
            self.step(other, Input::Link { peer: id, state: LinkState::Up(boot) });
        }
    }

    /// What is on a node's disk, and the lives that are counted there.
    pub fn copy(&self, id: NodeId) -> (Disk, Boot) {
        (self.nodes[&id].disk.clone(), self.nodes[&id].boot)
    }

    /// Crashes a node and starts it on a copy of its disk.
    pub fn put_back(&mut self, id: NodeId, (disk, boot): (Disk, Boot)) {
        self.crash(id);
        let node = self.nodes.get_mut(&id).unwrap();
        (node.disk, node.boot) = (disk, boot);
        self.start(id);
    }

    /// Loses what is not on disk, and all that is on its way to the node.
    pub fn crash(&mut self, id: NodeId) {
        self.crash_keeping(id, 0);
    }

    /// The same, but the first so many of the writes that wait for a sync reached the disk.
    pub fn crash_keeping(&mut self, id: NodeId, writes: usize) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.turn = None;
        node.disk.sync(writes.min(node.disk.pending()));
        node.disk.pending.clear();
        self.wire.retain(|(_, to, _)| *to != id);
    }

    pub fn step(&mut self, id: NodeId, input: Input<Raft>) {
        // Messages may be for somebody who is not there yet.
        if self.nodes.get(&id).is_none_or(|node| node.turn.is_none()) {
            return;
        }
        self.turn(id, input);
        if self.sync {
            self.sync_node(id);
        }
        self.serve_objects(id);
    }

    fn turn(&mut self, id: NodeId, input: Input<Raft>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(turn) = &mut node.turn else { return };
        let mut out = Out {
            from: id,
            disk: &mut node.disk,
            wire: &mut self.wire,
            events: &mut node.events,
            #[cfg(feature = "trace")]
            transitions: &mut self.transitions,
        };
        let wall = Wall(self.now.0 + self.wall_ahead);
        turn.step(input, self.now, wall, &mut self.rng, &mut out);
    }

    /// What concerns objects is done at once.
    fn serve_objects(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let mut commands = Vec::new();
        for event in node.events.split_off(node.looked_at) {
            match node.objects.on(event) {
                Ok(command) => commands.extend(command),
                Err(event) => node.events.push(event),
            }
        }
        node.looked_at = node.events.len();
        commands.into_iter().for_each(|command| self.command(id, command));
    }

    /// The port of a node has the state after an entry in an object.
    pub fn snapshot(&mut self, id: NodeId, at: LogId, data: &[u8]) {
        let taken = self.nodes.get_mut(&id).unwrap().objects.taken(at, data);
        self.command(id, taken);
    }

    /// The port of a node restored a snapshot, or its state machine refuses it.
    pub fn installed(&mut self, id: NodeId, ok: bool) {
        self.command(id, Cmd::Installed { result: if ok { Ok(()) } else { Err(NotRestored::Unfit) } });
    }

    /// The bytes that a node keeps of a snapshot, if they are its own.
    pub fn data(&self, id: NodeId, snapshot: &Snapshot) -> Option<&[u8]> {
        self.nodes[&id].objects.data(snapshot)
    }

    pub fn sync_node(&mut self, id: NodeId) {
        if self.hung.contains(&id) {
            return;
        }
        // What the durable one asks for is another sync's.
        while let Some(node) = self.nodes.get_mut(&id)
            && let Some(mark) = node.turn.as_mut().and_then(Turn::sync_due)
        {
            node.disk.sync(node.disk.pending());
            self.turn(id, Input::Durable(mark));
        }
    }

    pub fn command(&mut self, id: NodeId, cmd: Cmd) {
        self.step(id, Input::Command(cmd));
    }

    pub fn deliver(&mut self, from: NodeId, to: NodeId, msg: Msg) {
        self.step(to, Input::Message { from, msg });
    }

    /// Fires the wakes that are due and delivers everything, until nothing is left to do at this instant.
    pub fn settle(&mut self) {
        self.settle_where(|_, _| true);
    }

    /// The same, but messages for which `passes` is false are lost.
    pub fn settle_where(&mut self, passes: impl Fn(NodeId, NodeId) -> bool) {
        for _ in 0..10_000 {
            for (from, to, msg) in std::mem::take(&mut self.wire) {
                if passes(from, to) {
                    self.deliver(from, to, msg);
                }
            }
            let due: Vec<NodeId> = self.nodes.keys().copied().filter(|id| self.is_due(*id)).collect();
            for id in &due {
                self.step(*id, Input::Wake);
            }
            if due.is_empty() && self.wire.is_empty() {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    fn is_due(&self, id: NodeId) -> bool {
        self.wake_at(id).is_some_and(|at| at <= self.now)
    }

    /// Lets time pass in steps of a millisecond, everything being delivered at once.
    pub fn pass(&mut self, ms: u64) {
        self.pass_where(ms, |_, _| true);
    }

    pub fn pass_where(&mut self, ms: u64, passes: impl Fn(NodeId, NodeId) -> bool) {
        for _ in 0..ms {
            self.now = self.now + Duration::from_millis(1);
            self.settle_where(&passes);
        }
    }

    /// Time passes until somebody leads everybody who runs.
    pub fn elect(&mut self) -> NodeId {
        for _ in 0..10_000 {
            self.pass(1);
            if let Some(leader) = self.leader() {
                return leader;
            }
        }
        panic!("nobody was elected");
    }

    /// The leader of the highest term.
    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.nodes.iter().filter_map(|(id, node)| Some((node.turn.as_ref()?.protocol(), *id)));
        leaders.filter(|(raft, _)| raft.is_leader()).max_by_key(|(raft, _)| raft.term()).map(|(_, id)| id)
    }

    pub fn is_up(&self, id: NodeId) -> bool {
        self.nodes[&id].turn.is_some()
    }

    /// How the founding of these voters on their first disks is named: FNV-1a 64 over both.
    pub fn group_of(&self, voters: &[NodeId]) -> u64 {
        fnv(voters.iter().flat_map(|id| id.0.to_le_bytes().into_iter().chain(u128::from(id.0).to_le_bytes())))
    }

    pub fn raft_if_up(&self, id: NodeId) -> Option<&Raft> {
        self.nodes[&id].turn.as_ref().map(Turn::protocol)
    }

    /// When a node that runs wants to be woken.
    pub fn wake_at(&self, id: NodeId) -> Option<Time> {
        self.nodes[&id].turn.as_ref().map(Turn::wake_at)
    }

    pub fn raft(&self, id: NodeId) -> &Raft {
        self.nodes[&id].turn.as_ref().unwrap().protocol()
    }

    /// Proposes at a node; the place, if it was given one at once.
    pub fn propose(&mut self, id: NodeId, data: &'static [u8]) {
        self.command(id, Cmd::Propose { first: 0, commands: Commands::one(data) });
    }

    pub fn take_events(&mut self, id: NodeId) -> Vec<Event> {
        let node = self.nodes.get_mut(&id).unwrap();
        node.looked_at = 0;
        std::mem::take(&mut node.events)
    }

    /// Index, term and data of every command in a node's log.
    pub fn commands(&self, id: NodeId) -> Vec<(Index, Term, Vec<u8>)> {
        let log = self.raft(id).log();
        let mut found = Vec::new();
        for batch in log.batches_within(log.base().index + 1, log.last().index) {
            if batch.kind() == EntryKind::Configuration {
                continue;
            }
            let term = batch.term();
            found.extend(
                batch.entries().filter(|e| !e.data.is_empty()).map(|e| (e.index, term, e.data.to_vec())),
            );
        }
        found
    }

    /// Has one that runs alone be told by every other founder what they would say: that all have met; if nobody did yet.
    pub fn meet(&mut self, id: NodeId) {
        if self.raft(id).is_founded() {
            return;
        }
        let founders: Vec<NodeId> = self.raft(id).voters().into_iter().filter(|other| *other != id).collect();
        for other in &founders {
            let boot = Boot { incarnation: 1, journal: JournalId(u128::from(other.0)) };
            self.step(id, Input::Link { peer: *other, state: LinkState::Up(boot) });
        }
        let told = self.wire.iter().rev().find_map(|(from, _, msg)| match msg {
            Msg::Pins { founders, digest: Some(digest), .. } if *from == id => Some((*founders, *digest)),
            _ => None,
        });
        let (all, _) = told.expect("it knows them all");
        // They hold state, whatever it is itself.
        let digest = self.group_of(&self.raft(id).voters());
        for other in founders {
            self.deliver(other, id, Msg::Pins { founders: all, digest: Some(digest), ask: false });
        }
        assert!(self.raft(id).is_founded());
    }

    pub fn last(&self, id: NodeId) -> LogId {
        self.raft(id).last()
    }

    pub fn commits(&self) -> Vec<Index> {
        self.nodes
            .values()
            .map(|node| node.turn.as_ref().map_or(0, |turn| turn.protocol().commit()))
            .collect()
    }
}

/// The digest of who founds, as founders tell it.
pub fn founders_of(founders: &[NodeId]) -> u64 {
    fnv(founders.iter().flat_map(|id| id.0.to_le_bytes()))
}

/// FNV-1a 64.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
