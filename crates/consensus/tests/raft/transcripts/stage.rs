//! The cluster of a transcript: replicas with a clock, a disk and a source of chance each, and the messages between
//! them. It drives a replica as a driver does (what waits for the disk waits in a [`Hold`]) and writes down all of it.

use super::notation::{Names, list};
use crate::cluster::{Disk, founders_of};
use crate::objects::Objects;
use quorate_consensus::raft::{
    Cmd, Event, Founding, Index, Msg, Raft, RaftConfig, RaftCounters, Record, Term,
};
use quorate_core::{
    Boot, Cx, Effect, Hold, Input, JournalId, LinkState, NodeId, Outbox, Protocol, Rng, Time, Wall,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub struct Stage {
    pub nodes: BTreeMap<NodeId, Node>,
    /// From, to, what: under way, in the order sent.
    pub wire: Vec<(NodeId, NodeId, Msg)>,
    /// Under way, and slow.
    pub late: Vec<(NodeId, NodeId, Msg)>,
    /// Links on which everything is lost, both directions.
    pub cuts: BTreeSet<(NodeId, NodeId)>,
    pub config: RaftConfig,
    pub names: Names,
    /// Records that a disk holds before its node starts for the first time.
    pub given: BTreeMap<NodeId, Vec<Record>>,
    /// Those that hold no state.
    pub witnesses: BTreeSet<NodeId>,
    /// What happened since the last command.
    pub lines: Vec<String>,
    /// The next number of a proposal, and of a read.
    pub next: (u64, u64),
    chosen: BTreeMap<Index, (Term, Vec<u8>)>,
    leaders: BTreeMap<Term, NodeId>,
    /// What no correct cluster does.
    pub wrong: Option<String>,
}

pub struct Node {
    pub life: Option<Life>,
    pub disk: Disk,
    pub objects: Objects,
    /// What its objects have to say.
    answers: Vec<Cmd>,
    pub founding: Founding,
    pub boot: Boot,
    pub now: Time,
    /// Whether its disk syncs by itself.
    pub at_once: bool,
    rng: Rng,
}

pub struct Life {
    pub raft: Raft,
    out: Outbox<Raft>,
    hold: Hold<Raft>,
    committed: Index,
}

impl Stage {
    pub fn new(config: RaftConfig) -> Stage {
        Stage {
            nodes: BTreeMap::new(),
            wire: Vec::new(),
            late: Vec::new(),
            cuts: BTreeSet::new(),
            config,
            names: Names::default(),
            given: BTreeMap::new(),
            witnesses: BTreeSet::new(),
            lines: Vec::new(),
            next: (0, 0),
            chosen: BTreeMap::new(),
            leaders: BTreeMap::new(),
            wrong: None,
        }
    }

    pub fn say(&mut self, depth: usize, line: impl std::fmt::Display) {
        self.lines.push(format!("{}{line}", "  ".repeat(depth)));
    }

    /// A line about one node.
    pub fn tell(&mut self, depth: usize, id: NodeId, what: impl std::fmt::Display) {
        self.say(depth, format!("{} {what}", id.0));
    }

    /// A node with this founding on a disk that holds what was given.
    pub fn add(&mut self, id: NodeId, founding: Founding, journal: u128) {
        let mut disk = Disk::default();
        disk.write(self.given.remove(&id).unwrap_or_default());
        let boot = Boot { incarnation: 0, journal: JournalId(journal) };
        let rng = Rng::from_seed(id.0);
        let (now, objects, answers) = (Time(1_000_000_000), Objects::default(), Vec::new());
        let node = Node { life: None, disk, objects, answers, founding, boot, now, at_once: true, rng };
        self.nodes.insert(id, node);
    }

    /// (Re)starts a node on what is on its disk; every link between those that run comes up.
    pub fn start(&mut self, id: NodeId) -> Result<(), String> {
        let node = self.nodes.get_mut(&id).ok_or("there is no such node")?;
        let new = if self.witnesses.contains(&id) { Raft::witness } else { Raft::new };
        let mut raft = new(id, self.config.clone(), node.founding.clone()).map_err(|e| e.to_string())?;
        let mut out = Outbox::default();
        let records = node.disk.open();
        for record in records.clone() {
            raft.replay(record).map_err(|e| format!("{e:?}"))?;
            out.note_replayed();
        }
        node.boot.incarnation += 1;
        let (boot, committed) = (node.boot, raft.commit());
        if raft.founding().is_some() {
            let (digest, voters) = (founders_of(&raft.voters()), list(&raft.voters()));
            if !self.names.foundings.iter().any(|(known, _)| *known == digest) {
                self.names.foundings.push((digest, voters));
            }
        }
        node.life = Some(Life { raft, out, hold: Hold::default(), committed });
        for record in records {
            let record = self.names.record(&record);
            self.tell(1, id, format!("finds {record}"));
        }
        self.step(id, Input::Start(boot), 1);
        let others = self.nodes.iter().filter(|(other, n)| **other != id && n.life.is_some());
        let others: Vec<(NodeId, Boot)> = others.map(|(other, n)| (*other, n.boot)).collect();
        for (other, theirs) in others {
            self.step(id, Input::Link { peer: other, state: LinkState::Up(theirs) }, 1);
            self.step(other, Input::Link { peer: id, state: LinkState::Up(boot) }, 1);
        }
        Ok(())
    }

    pub fn crash(&mut self, id: NodeId, kept: usize) -> Result<(), String> {
        let node = self.nodes.get_mut(&id).ok_or("there is no such node")?;
        node.life = None;
        let waiting = node.disk.pending();
        node.disk.sync(kept.min(waiting));
        let lost = waiting - kept.min(waiting);
        node.disk.open();
        self.wire.retain(|(_, to, _)| *to != id);
        self.tell(
            1,
            id,
            match lost {
                0 => "loses nothing that it wrote".into(),
                lost => format!("loses what was not on disk: {lost} of its writes"),
            },
        );
        Ok(())
    }

    pub fn raft(&self, id: NodeId) -> Option<&Raft> {
        Some(&self.nodes.get(&id)?.life.as_ref()?.raft)
    }

    /// One input, what follows from it at once, and the sync if the disk needs no telling.
    pub fn step(&mut self, id: NodeId, input: Input<Raft>, depth: usize) {
        self.input(id, input, depth);
        if self.nodes.get(&id).is_some_and(|node| node.at_once) {
            self.sync(id, depth);
        }
    }

    /// A node takes what it has to do at this instant of its clock.
    pub fn settle(&mut self, id: NodeId, depth: usize) {
        for _ in 0..100 {
            let Some(now) = self.nodes.get(&id).map(|node| node.now) else { return };
            if self.raft(id).is_none_or(|raft| raft.wake_at() > now) {
                return;
            }
            self.step(id, Input::Wake, depth);
        }
        self.wrong = Some(format!("{id} is always due"));
    }

    /// Everything that a node wrote reaches its disk.
    pub fn sync(&mut self, id: NodeId, depth: usize) {
        while let Some(node) = self.nodes.get_mut(&id)
            && let Some(life) = &node.life
            && life.out.appended() > life.out.durable()
        {
            let mark = life.out.appended();
            node.disk.sync(node.disk.pending());
            self.tell(depth, id, "syncs");
            self.input(id, Input::Durable(mark), depth);
        }
    }

    fn input(&mut self, id: NodeId, input: Input<Raft>, depth: usize) {
        let Some(mut node) = self.nodes.remove(&id) else { return };
        if let Some(mut life) = node.life.take() {
            if let Input::Durable(mark) = input {
                life.out.note_durable(mark);
                // What waited leaves before the replica is told, as a driver does it.
                while let Some(effect) = life.hold.release(mark) {
                    self.carry_out(id, &mut node, &mut life, effect, depth);
                }
            }
            let before = life.raft.counters();
            let mut inputs = VecDeque::from([input]);
            while let Some(input) = inputs.pop_front() {
                life.raft.step(input, &mut Cx::new(node.now, Wall(0), &mut node.rng, &mut life.out));
                self.names.cluster_of(life.raft.group());
                let effects: Vec<_> = life.out.drain().collect();
                for effect in effects {
                    self.carry_out(id, &mut node, &mut life, effect, depth);
                }
                // What concerns objects is done at once.
                inputs.extend(node.answers.drain(..).map(Input::Command));
            }
            for what in counted(&before, &life.raft.counters()) {
                self.tell(depth, id, format!("counts {what}"));
            }
            node.life = Some(life);
        }
        self.nodes.insert(id, node);
    }

    fn carry_out(
        &mut self,
        id: NodeId,
        node: &mut Node,
        life: &mut Life,
        effect: Effect<Raft>,
        depth: usize,
    ) {
        let durable = life.out.durable();
        match effect {
            Effect::Append(record) => {
                let text = self.names.record(&record);
                self.tell(depth, id, format!("writes {text}"));
                node.disk.append(record);
            }
            Effect::Compact { upto, base } => {
                self.tell(depth, id, "compacts its records:");
                for record in &base {
                    let text = self.names.record(record);
                    self.say(depth + 1, text);
                }
                node.disk.compact(upto, base);
            }
            Effect::Send { to, msg, after } => {
                let text = self.names.message(&msg);
                let whom = list(to.as_slice());
                if whom.is_empty() {
                    return;
                }
                if after > durable {
                    // One whose disk syncs by itself sends it a line further down.
                    if !node.at_once {
                        self.tell(depth, id, format!("holds back for {whom}: {text}"));
                    }
                    return life.hold.push(Effect::Send { to, msg, after });
                }
                self.tell(depth, id, format!("sends {whom}: {text}"));
                self.wire.extend(to.as_slice().iter().map(|to| (id, *to, msg.clone())));
            }
            // Whoever reads transcripts knows what a step made of a replica.
            #[cfg(feature = "trace")]
            Effect::Emit { event: Event::Transition(_), .. } => {}
            Effect::Emit { event, after } if after > durable => {
                if !node.at_once {
                    let text = self.names.event(&event);
                    self.tell(depth, id, format!("holds back: {text}"));
                }
                life.hold.push(Effect::Emit { event, after });
            }
            Effect::Emit { event, .. } => {
                let text = self.names.event(&event);
                // What it keeps at a start is of interest where there is something.
                if !matches!(&event, Event::Keep { blobs } if blobs.is_empty()) {
                    self.tell(depth, id, format!("says {text}"));
                }
                self.check(id, life, &event);
                if let Ok(Some(command)) = node.objects.on(event) {
                    node.answers.push(command);
                }
            }
        }
    }

    /// Figure 3: at most one leader a term, and no two replicas apply different entries at one index.
    fn check(&mut self, id: NodeId, life: &mut Life, event: &Event) {
        match event {
            Event::Elected { term, .. } => {
                let first = *self.leaders.entry(*term).or_insert(id);
                if first != id {
                    self.wrong = Some(format!("{first} and {id} lead term {term}"));
                }
            }
            Event::Committed { upto } => {
                let log = life.raft.log();
                for index in std::mem::replace(&mut life.committed, *upto) + 1..=*upto {
                    let (Some(term), Some(entry)) = (log.term_at(index), log.entry(index)) else { continue };
                    let chosen = self.chosen.entry(index).or_insert_with(|| (term, entry.data.to_vec()));
                    if *chosen != (term, entry.data.to_vec()) {
                        self.wrong = Some(format!("{id} commits another entry {index} than was committed"));
                    }
                }
            }
            _ => {}
        }
    }

    pub fn is_cut(&self, a: NodeId, b: NodeId) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// A message arrives, or is lost on a cut link.
    pub fn arrive(&mut self, from: NodeId, to: NodeId, msg: Msg) {
        let text = self.names.message(&msg);
        if self.is_cut(from, to) || self.raft(to).is_none() {
            return self.say(1, format!("{}->{} {text}   is lost", from.0, to.0));
        }
        self.say(1, format!("{}->{} {text}", from.0, to.0));
        self.step(to, Input::Message { from, msg }, 2);
        self.settle(to, 2);
    }
}

/// What would be silent otherwise.
fn counted(before: &RaftCounters, after: &RaftCounters) -> Vec<&'static str> {
    let pick = |c: &RaftCounters| {
        [
            (c.sticky, "a refusal, as it hears a leader"),
            (c.foreign, "a message of another founding"),
            (c.strangers, "a voter under a journal that is not its own"),
            (c.nonsense, "a message that no correct replica sends"),
            (c.truncations, "entries taken back"),
            (c.lost_quorum, "a quorum lost"),
            (c.stalled_disk, "a stalled disk"),
            (c.snapshots_refused, "a snapshot refused"),
            (c.awaited_state, "a commit that waits for one with state"),
        ]
    };
    let pairs = pick(before).into_iter().zip(pick(after));
    pairs.filter(|(before, after)| after.0 > before.0).map(|(_, (_, what))| what).collect()
}

/// What a founded node has on its disk, behind a log with entries of these terms.
pub fn founded(id: NodeId, voters: &[NodeId], mut rest: Vec<Record>) -> Vec<Record> {
    let pin = |node: NodeId| {
        Record::Pinned(quorate_consensus::raft::Pin { node, journal: JournalId(node.0.into()) })
    };
    let mut records = vec![Record::Founded { voters: voters.to_vec() }, pin(id)];
    records.extend(voters.iter().filter(|other| **other != id).map(|other| pin(*other)));
    records.push(Record::AllMet);
    records.append(&mut rest);
    records
}
