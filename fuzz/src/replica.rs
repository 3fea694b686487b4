//! One replica on a disk that syncs late, among peers that say anything, with what must hold after every step.

use crate::objects::Objects;
use bytes::Bytes;
use quorate_consensus::raft::{
    AppendReply, Cmd, EntryKind, Event, Founding, Index, LogId, Msg, NotRestored, Outcome, Raft, RaftConfig,
    Record, SnapshotReply, Term, VoteReply,
};
use quorate_core::{
    Boot, Corrupt, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits,
    Wall,
};
use std::collections::{BTreeMap, VecDeque};

/// Inputs of one run, at most.
pub const STEPS_MAX: usize = 250;

/// Effects that may wait for the disk because of one input: an answer, and what goes to everybody.
const HELD_A_STEP: usize = 6;

/// Messages that may leave because of one input, besides those of earlier steps that waited for the disk. A
/// follower's window is fed at once, so a single answer may bring so many.
const SENT_A_STEP: usize = 64;

/// Settings so small that every bound is met.
pub fn small(trailing_entries: u64) -> RaftConfig {
    RaftConfig {
        chunk_bytes: 4,
        trailing_entries,
        snapshot_bytes_max: 1_000,
        uncommitted_bytes_max: 200,
        entry_bytes_max: 100,
        batch_bytes_max: 64,
        inflight_max: 3,
        inflight_bytes_max: 128,
        learners_max: 4,
        ..RaftConfig::default()
    }
}

enum Write {
    Append(u64, Record),
    Compact(u64, Vec<Record>),
}

/// What is on disk, and what waits for a sync. A crash leaves a prefix of what was asked.
#[derive(Default)]
struct Disk {
    synced: Vec<(u64, Record)>,
    pending: VecDeque<Write>,
    appended: u64,
    /// The sync under way: its mark, and how many writes it covers.
    asked: Option<(Mark, usize)>,
}

impl Disk {
    fn sync(&mut self, count: usize) {
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
    fn open(&mut self, kept: usize) -> Vec<Record> {
        self.sync(kept.min(self.pending.len()));
        self.pending.clear();
        self.asked = None;
        self.appended = self.synced.len() as u64;
        for (at, (mark, _)) in self.synced.iter_mut().enumerate() {
            *mark = at as u64 + 1;
        }
        self.synced.iter().map(|(_, record)| record.clone()).collect()
    }
}

/// What it promised over all lives.
#[derive(Default)]
struct Promised {
    term: Term,
    votes: BTreeMap<Term, NodeId>,
}

/// What it was seen to hold in this life.
#[derive(Default)]
struct Seen {
    term: Term,
    commit: Index,
    /// Term and digest of committed entries that are still in the log.
    committed: BTreeMap<Index, (Term, u32)>,
}

struct Out<'a> {
    me: NodeId,
    disk: &'a mut Disk,
    sent: &'a mut Vec<(NodeId, Msg)>,
    events: &'a mut Vec<Event>,
    promised: &'a mut Promised,
}

impl Io<Raft> for Out<'_> {
    fn append(&mut self, record: Record) -> usize {
        self.disk.appended += 1;
        self.disk.pending.push_back(Write::Append(self.disk.appended, record));
        1
    }

    fn compact(&mut self, upto: Mark, base: Vec<Record>) {
        self.disk.pending.push_back(Write::Compact(upto.0, base));
    }

    fn send(&mut self, to: Recipients, msg: Msg) {
        for to in to.as_slice() {
            self.promised.note(self.me, *to, &msg);
            self.sent.push((*to, msg.clone()));
        }
    }

    fn emit(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Promised {
    /// One vote a term, whatever crashes between; its own candidacy is one.
    fn note(&mut self, me: NodeId, to: NodeId, msg: &Msg) {
        let (term, vote) = match msg {
            Msg::Vote(candidacy) => (candidacy.term, Some(me)),
            Msg::VoteReply(VoteReply { term, granted, .. }) => (*term, granted.then_some(to)),
            Msg::AppendReply(reply) => (reply.term, None),
            Msg::SnapshotReply(reply) => (reply.term, None),
            _ => return,
        };
        self.term = self.term.max(term);
        if let Some(vote) = vote {
            let first = *self.votes.entry(term).or_insert(vote);
            assert_eq!(first, vote, "two votes in term {term}");
        }
    }
}

/// A replica with all around it.
pub struct Replica {
    id: NodeId,
    config: RaftConfig,
    founding: Founding,
    boot: Boot,
    turn: Turn<Raft>,
    disk: Disk,
    /// What it sent and nobody answered yet.
    pub sent: Vec<(NodeId, Msg)>,
    /// What its port was told since the last look.
    pub events: Vec<Event>,
    /// What its port keeps of snapshots.
    pub objects: Objects,
    /// The clock.
    pub now: Time,
    /// Syncs end at once.
    pub prompt: bool,
    rng: Rng,
    promised: Promised,
    seen: Seen,
    /// Bytes of entries that it was ever given or may have made.
    given: usize,
    /// The most effects that may wait in this life, were the disk hung all along.
    steps: usize,
}

impl Replica {
    /// Started on an empty disk.
    pub fn new(id: NodeId, config: RaftConfig, founding: Founding) -> Replica {
        Replica::on(id, config, founding, Vec::new()).expect("an empty journal is none to refuse")
    }

    /// Started on a journal that holds these.
    pub fn on(
        id: NodeId,
        config: RaftConfig,
        founding: Founding,
        records: Vec<Record>,
    ) -> Result<Replica, Corrupt> {
        let synced = records.into_iter().map(|record| (0, record)).collect();
        let mut disk = Disk { synced, ..Disk::default() };
        let turn = replayed(id, &config, &founding, disk.open(0))?;
        let boot = Boot { incarnation: 1, journal: JournalId(id.0.into()) };
        let given = turn.protocol().log().bytes();
        let mut replica = Replica {
            id,
            config,
            founding,
            boot,
            turn,
            disk,
            sent: Vec::new(),
            events: Vec::new(),
            objects: Objects::default(),
            now: Time(1),
            prompt: true,
            rng: Rng::from_seed(7),
            promised: Promised::default(),
            seen: Seen::default(),
            given,
            steps: 0,
        };
        replica.step(Input::Start(boot));
        Ok(replica)
    }

    /// Loses what is not on disk, but for the first so many writes, and starts on the rest.
    pub fn restart(&mut self, kept: usize) {
        let records = self.disk.open(kept);
        self.turn = replayed(self.id, &self.config, &self.founding, records).expect("its own journal");
        self.boot.incarnation += 1;
        (self.seen, self.steps) = (Seen::default(), 0);
        self.sent.clear();
        self.events.clear();
        self.step(Input::Start(self.boot));
        let term = self.raft().term();
        assert!(term >= self.promised.term, "term {term} after {} was promised", self.promised.term);
    }

    /// The protocol.
    pub fn raft(&self) -> &Raft {
        self.turn.protocol()
    }

    /// One input, the syncs that are due if the disk is prompt, and the checks.
    pub fn step(&mut self, input: Input<Raft>) {
        self.given += match &input {
            Input::Message { msg: Msg::Append(append), .. } => {
                append.batches.as_slice().iter().map(|batch| batch.len()).sum()
            }
            Input::Message { msg: Msg::Pulled(pulled), .. } => {
                pulled.batches.as_slice().iter().map(|batch| batch.len()).sum()
            }
            Input::Message { msg: Msg::Forward(forward), .. } => forward.commands.bytes(),
            Input::Command(Cmd::Propose { commands, .. }) => commands.bytes(),
            _ => 0,
        };
        // A leader's first entry.
        self.given += 1;
        self.steps += 1;
        let before = self.sent.len();
        self.turn_once(input);
        assert!(self.sent.len() - before <= SENT_A_STEP, "{} messages at once", self.sent.len() - before);
        self.check();
        if self.prompt {
            self.sync();
        }
        self.serve_objects();
    }

    /// What concerns objects is done at once.
    fn serve_objects(&mut self) {
        let mut answers = Vec::new();
        for event in std::mem::take(&mut self.events) {
            match self.objects.on(event) {
                Ok(answer) => answers.extend(answer),
                Err(event) => self.events.push(event),
            }
        }
        for answer in answers {
            self.step(Input::Command(answer));
        }
    }

    /// Its port has the state after an entry in an object.
    pub fn snapshot(&mut self, at: LogId, data: &[u8]) {
        let taken = self.objects.taken(at, data);
        self.step(Input::Command(taken));
    }

    /// Its port restored a snapshot, or could not.
    pub fn installed(&mut self, ok: bool) {
        let result = if ok { Ok(()) } else { Err(NotRestored::Unfit) };
        self.step(Input::Command(Cmd::Installed { result }));
    }

    fn turn_once(&mut self, input: Input<Raft>) {
        let (me, disk, sent) = (self.id, &mut self.disk, &mut self.sent);
        let mut out = Out { me, disk, sent, events: &mut self.events, promised: &mut self.promised };
        self.turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
    }

    /// Begins a sync, if one is due.
    pub fn begin_sync(&mut self) {
        if let Some(mark) = self.turn.sync_due() {
            assert!(self.disk.asked.is_none(), "two syncs at once");
            self.disk.asked = Some((mark, self.disk.pending.len()));
        }
    }

    /// Ends the sync under way, if there is one. What waited for it leaves.
    pub fn end_sync(&mut self) {
        if let Some((mark, count)) = self.disk.asked.take() {
            self.disk.sync(count);
            self.turn_once(Input::Durable(mark));
            self.check();
        }
    }

    /// Everything that waits gets onto the disk.
    pub fn sync(&mut self) {
        self.end_sync();
        for _ in 0..8 {
            self.begin_sync();
            if self.disk.asked.is_none() {
                return;
            }
            self.end_sync();
        }
    }

    /// Time passes until it wants to be woken.
    pub fn wake(&mut self) {
        let at = self.turn.wake_at();
        if at != Time::NEVER {
            self.now = self.now.max(at);
            self.step(Input::Wake);
        }
    }

    /// The link to a peer comes up, under the journal that the peer was founded with.
    pub fn meet(&mut self, peer: NodeId) {
        self.link_up(peer, 1, peer.0);
    }

    /// The link to a peer comes up.
    pub fn link_up(&mut self, peer: NodeId, incarnation: u64, journal: u64) {
        let boot = Boot { incarnation, journal: JournalId(journal.into()) };
        self.step(Input::Link { peer, state: LinkState::Up(boot) });
    }

    /// What was sent and not answered yet is answered as a correct voter would that agrees with everything.
    pub fn answers(&mut self, from: impl Fn(NodeId) -> bool) {
        for (to, msg) in std::mem::take(&mut self.sent) {
            if let Some(answer) = agreement(msg).filter(|_| from(to)) {
                self.step(Input::Message { from: to, msg: answer });
            }
        }
    }

    /// Everybody is met and agrees until it leads; true if it does.
    pub fn elect(&mut self) -> bool {
        for peer in self.raft().voters().to_vec() {
            if peer != self.id {
                self.meet(peer);
            }
        }
        for _ in 0..8 {
            self.answers(|_| true);
            if self.raft().is_leader() {
                return true;
            }
            self.wake();
        }
        self.raft().is_leader()
    }

    /// What it holds, written out: its memory as far as it can be seen.
    pub fn printed(&self) -> usize {
        format!("{:?}", self.raft()).len()
    }

    fn check(&mut self) {
        let raft = self.turn.protocol();
        let (log, base, last) = (raft.log(), raft.log().base().index, raft.last().index);
        let (term, commit) = (raft.term(), raft.commit());
        assert!(term >= self.seen.term, "term {term} after {}", self.seen.term);
        assert!(commit >= self.seen.commit, "commit {commit} after {}", self.seen.commit);
        assert!(raft.last().term <= term, "{:?} in term {term}", raft.last());
        assert!(base <= commit && commit <= last, "base {base}, commit {commit}, last {last}");
        assert!(
            raft.snapshot().is_none_or(|snapshot| base <= snapshot.last.index),
            "nothing stands for {base}"
        );
        self.seen.committed.retain(|index, _| *index > base);
        let (mut held, mut own) = (0, 0);
        let mut next = base + 1;
        for batch in log.batches_within(base + 1, last) {
            held += batch.len();
            // A leader writes who votes by itself.
            own += if batch.kind() == EntryKind::Configuration { batch.len() } else { 0 };
            for entry in batch.entries() {
                assert_eq!((entry.index, log.term_at(next)), (next, Some(batch.term())), "the log has a gap");
                next += 1;
                if entry.index <= commit {
                    let now = (batch.term(), crc32fast::hash(entry.data));
                    let then = *self.seen.committed.entry(entry.index).or_insert(now);
                    assert_eq!(then, now, "entry {} was committed as another", entry.index);
                }
            }
        }
        assert_eq!((next, held), (last + 1, log.bytes()), "the log ends elsewhere, or has other bytes");
        assert!(held <= self.given + own, "{held} bytes in the log, and {} were given", self.given);
        if raft.is_leader() {
            let open = log.batches_within(commit + 1, last).filter(|batch| batch.term() == term);
            let commands = open.filter(|batch| batch.kind() != EntryKind::Configuration);
            let bytes: usize = commands.map(|batch| batch.len()).sum();
            assert!(bytes <= self.config.uncommitted_bytes_max + 1, "{bytes} bytes not committed");
        }
        assert!(!self.turn.is_full(), "more than {HELD_A_STEP} effects a step wait for the disk");
        (self.seen.term, self.seen.commit) = (term, commit);
        for event in &self.events {
            match event {
                Event::Committed { upto } | Event::CaughtUp { upto } => assert!(*upto <= commit, "{event:?}"),
                Event::Install(snapshot) => {
                    assert!(snapshot.total <= self.config.snapshot_bytes_max, "{event:?}");
                }
                _ => {}
            }
        }
    }
}

fn replayed(
    id: NodeId,
    config: &RaftConfig,
    founding: &Founding,
    records: Vec<Record>,
) -> Result<Turn<Raft>, Corrupt> {
    let raft = Raft::new(id, config.clone(), founding.clone()).expect("settings that can work");
    let limits = TurnLimits { undurable_bytes_max: usize::MAX, held_max: HELD_A_STEP * STEPS_MAX };
    let mut turn = Turn::new(raft, limits);
    for record in records {
        turn.replay(record)?;
    }
    Ok(turn)
}

/// What a correct peer says that agrees.
fn agreement(msg: Msg) -> Option<Msg> {
    let matched = |term, round, upto| {
        Some(Msg::AppendReply(AppendReply { term, round, outcome: Outcome::Matched(upto) }))
    };
    match msg {
        Msg::PreVote(m) => Some(Msg::PreVoteReply(VoteReply { term: m.term, granted: true, last: m.last })),
        Msg::Vote(m) => Some(Msg::VoteReply(VoteReply { term: m.term, granted: true, last: m.last })),
        Msg::Append(m) => {
            let upto = m.batches.as_slice().last().map_or(m.prev.index, |batch| batch.last());
            matched(m.term, m.round, upto)
        }
        Msg::Snapshot(m) => match m.offset + m.data.len() as u64 {
            next if next >= m.total => matched(m.term, m.round, m.last.index),
            next => {
                Some(Msg::SnapshotReply(SnapshotReply { term: m.term, round: m.round, last: m.last, next }))
            }
        },
        Msg::Pins { founders, digest, ask: true } => Some(Msg::Pins { founders, digest, ask: false }),
        _ => None,
    }
}

/// State of a port, as snapshots carry it.
pub fn state(len: usize, seed: u8) -> Bytes {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}
