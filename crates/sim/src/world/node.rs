//! A simulated node: what a driver does on a real one, with every thread, file and clock replaced by events. How it
//! takes what comes in is in `take.rs`.

use super::life::{Life, NodeIo, Work};
use super::stage::Stage;
use crate::FaultKind;
use crate::clock::Clock;
use crate::delay::nanos;
use crate::disk::Disk;
use crate::queue::{Event, Table};
use quorate_core::{
    Answer, Assembly, Corrupt, Door, Host, Identity, Input, Job, JobKind, JobPanic, Link, LinkLimits, Mark,
    NodeId, Rng, ScopeId, Turn,
};
use quorate_transport::Inbox;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It runs (it may be paused).
    Up,
    /// It crashed or was stopped.
    Down,
    /// Its disk had decayed, and it refused to start.
    Refused,
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) place: u32,
    /// A second incarnation of a node whose place is another.
    pub(crate) is_copy: bool,
    pub(crate) state: NodeState,
    pub(crate) life: Option<Life>,
    /// Counts lives, so that what was planned for an earlier one is void.
    pub(crate) lives: u32,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// A disk of an earlier day.
    pub(crate) kept: Option<Disk>,
    pub(crate) inbox: Inbox,
    pub(crate) paused: bool,
    /// What one input costs, in nanoseconds.
    pub(crate) cost: u64,
    pub(super) busy_until: u64,
    pub(super) turn_planned: bool,
    /// Rung by the door of this node, and the one that all nodes share.
    pub(crate) bell: Arc<AtomicBool>,
    any_bell: Arc<AtomicBool>,
}

impl Node {
    pub(crate) fn new(id: NodeId, place: u32, any_bell: Arc<AtomicBool>, stage: &mut Stage) -> Node {
        Node {
            id,
            place,
            is_copy: false,
            state: NodeState::Down,
            life: None,
            lives: 0,
            clock: Clock::new(stage.now),
            disk: Disk::new(&mut stage.rng),
            kept: None,
            inbox: Inbox::new(stage.settings.inbox.clone()),
            paused: false,
            cost: nanos(stage.settings.step_cost),
            busy_until: 0,
            turn_planned: false,
            bell: Arc::new(AtomicBool::new(false)),
            any_bell,
        }
    }

    /// Begins a life on what the disk holds. An error: the disk holds what its protocols do not understand.
    pub(crate) fn boot(&mut self, assembly: Assembly, stage: &mut Stage) -> Result<(), Corrupt> {
        assert!(self.life.is_none(), "{} runs already", self.id);
        assert_eq!(assembly.id, self.id, "the assembly of another node");
        let Assembly { cluster, host, door, .. } = assembly;
        self.paused = false;
        self.busy_until = 0;
        self.turn_planned = false;
        self.inbox = Inbox::new(stage.settings.inbox.clone());
        if self.disk.is_rotten() {
            stage.seen.hit(FaultKind::Refused);
            self.state = NodeState::Refused;
            door.close();
            return Ok(());
        }
        let boot = self.disk.begin_life();
        self.lives += 1;
        self.clock.boot(stage.now);
        stage.hash.word(boot.incarnation);
        let scopes: Vec<ScopeId> = host.scope_ids().collect();
        let mut turn = Turn::new(host, stage.settings.turn.clone());
        for record in self.disk.records() {
            turn.replay(record)?;
        }
        self.open(&door);
        self.life = Some(Life {
            turn,
            link: Link::new(Identity { cluster, node: self.id, boot, scopes }, LinkLimits::default()),
            door,
            rng: stage.births.fork(),
            link_rng: stage.births.fork(),
            wake_planned: u64::MAX,
            syncing: None,
            jobs: Table::default(),
            own_busy_until: BTreeMap::new(),
            asks: VecDeque::new(),
            down: BTreeSet::new(),
            ended: VecDeque::new(),
        });
        self.state = NodeState::Up;
        self.act(Input::Start(boot), stage);
        self.settle(false, stage);
        Ok(())
    }

    fn open(&self, door: &Door) {
        door.mark_in_world();
        door.reopen();
        let (mine, any) = (self.bell.clone(), self.any_bell.clone());
        door.on_ask(move || {
            mine.store(true, Ordering::Relaxed);
            any.store(true, Ordering::Relaxed);
        });
        // An ask may have come before there was a bell.
        if !door.is_empty() {
            self.ring();
        }
    }

    pub(super) fn ring(&self) {
        self.bell.store(true, Ordering::Relaxed);
        self.any_bell.store(true, Ordering::Relaxed);
    }

    /// The power goes, with this many of the unsynced writes on disk; everything else is forgotten.
    pub(crate) fn crash(&mut self, kept: Kept, stage: &mut Stage) {
        self.state = NodeState::Down;
        let Some(life) = self.life.take() else { return };
        let unsynced = self.disk.unsynced();
        let all = kept == Kept::All;
        let kept = match kept {
            Kept::All => unsynced,
            Kept::Chance if stage.rng.chance(0.5) => 0,
            Kept::Chance => stage.rng.index(unsynced + 1),
        };
        let lost = self.disk.lose(kept);
        if !all && self.disk.shelf().tear() > 0 {
            stage.seen.hit(FaultKind::ObjectTorn);
        }
        if lost > 0 {
            stage.seen.hit(if kept > 0 { FaultKind::TornWrites } else { FaultKind::LostWrites });
        }
        for _ in 0..life.jobs.len() {
            stage.seen.hit(FaultKind::JobForgotten);
        }
        stage.hash.word(lost as u64);
        stage.links.add(&life.link.counters());
        life.door.close();
    }

    pub(super) fn is_busy(&self, stage: &Stage) -> bool {
        self.paused || self.busy_until > stage.now || !self.inbox_is_empty()
    }

    fn inbox_is_empty(&self) -> bool {
        // Nothing is ever left in it unless a turn is planned, so the lock is rarely taken.
        !self.turn_planned || self.inbox.is_empty()
    }

    /// Plans a turn for when this node is free.
    pub(crate) fn plan_turn(&mut self, stage: &mut Stage) {
        if !self.turn_planned && !self.paused && self.life.is_some() {
            self.turn_planned = true;
            stage.queue.push(self.busy_until.max(stage.now), Event::Turn(self.place));
        }
    }

    /// Goes on after a pause.
    pub(crate) fn resume(&mut self, stage: &mut Stage) {
        self.paused = false;
        self.turn_planned = false;
        self.plan_turn(stage);
    }

    /// One step, and everything that it wanted done.
    pub(crate) fn act(&mut self, input: Input<Host>, stage: &mut Stage) {
        let Some(life) = &mut self.life else { return };
        let now = self.clock.time(stage.now);
        let wall = self.clock.wall(stage.now);
        let unsynced = self.disk.unsynced();
        let mut io = NodeIo {
            disk: &mut self.disk,
            sends: &mut stage.sends,
            jobs: &mut stage.jobs,
            told: &mut stage.told,
            id: self.id,
        };
        life.turn.step(input, now, wall, &mut life.rng, &mut io);
        self.busy_until = self.busy_until.max(stage.now) + self.cost;
        if self.disk.has_refused() {
            // A write that failed stops the node: nothing more leaves.
            stage.sends.clear();
            stage.jobs.clear();
            stage.seen.hit(FaultKind::NoSpace);
            self.crash(Kept::Chance, stage);
            return;
        }
        if !stage.sends.is_empty() {
            let mut sends = std::mem::take(&mut stage.sends);
            for (to, msg) in sends.drain(..) {
                let (scope, class) = (msg.scope, msg.class);
                life.link.send(to.as_slice(), scope, class, &msg.body, now, &mut life.rng, &mut stage.frames);
                stage.dispatch((self.place, self.id), Some(&msg));
            }
            stage.sends = sends;
            self.note_lost(stage);
        }
        if !stage.jobs.is_empty() {
            self.begin_jobs(stage);
        }
        let appended = self.disk.unsynced() > unsynced;
        if appended && stage.rng.chance(stage.disks.crash_on_append) {
            // What was not to wait for the disk has left already: that is where promises break.
            stage.seen.hit(FaultKind::CrashedOnAppend);
            self.crash(Kept::Chance, stage);
        }
    }

    fn begin_jobs(&mut self, stage: &mut Stage) {
        let Some(life) = &mut self.life else { return };
        let mut jobs = std::mem::take(&mut stage.jobs);
        for (scope, job) in jobs.drain(..) {
            let takes = stage.work.draw(&mut stage.rng);
            let mut begins = stage.now;
            if job.kind() == JobKind::Own {
                let busy = life.own_busy_until.entry(scope).or_default();
                begins = begins.max(*busy);
                *busy = begins + takes;
            }
            // Whether its writes survive a crash before its answer: sometimes yes, sometimes no.
            let early = begins == stage.now && stage.rng.chance(0.5);
            let work = if early { Work::Early(run_job(job, &mut self.disk, stage)) } else { Work::Late(job) };
            let slot = life.jobs.put((scope, work));
            let event = Event::Job { node: self.place, life: self.lives, slot };
            stage.queue.push(begins + takes, event);
        }
        stage.jobs = jobs;
    }

    /// After inputs: plans the next wake, and asks for a sync once nothing more waits at this instant.
    pub(super) fn settle(&mut self, everything_taken: bool, stage: &mut Stage) {
        let Some(life) = &mut self.life else { return };
        if let Some(at) = self.clock.when(life.turn.wake_at(), stage.now)
            && at < life.wake_planned
        {
            life.wake_planned = at;
            stage.queue.push(at, Event::Wake(self.place));
        }
        if life.syncing.is_some() || !self.disk.is_dirty() {
            return;
        }
        if !everything_taken && stage.queue.next_at() == Some(stage.now) {
            return self.plan_turn(stage);
        }
        if let Some(mark) = life.turn.sync_due() {
            self.begin_sync(mark, stage);
        }
    }

    fn begin_sync(&mut self, mark: Mark, stage: &mut Stage) {
        let Some(life) = &mut self.life else { return };
        life.syncing = Some(mark);
        self.disk.begin_sync();
        let mut takes = stage.disks.sync.draw(&mut stage.rng);
        let (chance, stall) = stage.disks.stall;
        if stage.rng.chance(chance) {
            stage.seen.hit(FaultKind::SyncStalled);
            takes = takes.saturating_add(stall.draw(&mut stage.rng));
        }
        let event = Event::Synced { node: self.place, life: self.lives };
        stage.queue.push(stage.now.saturating_add(takes), event);
    }

    /// After its clock was changed: what was planned is void.
    pub(crate) fn replan_wake(&mut self, stage: &mut Stage) {
        if let Some(life) = &mut self.life {
            life.wake_planned = u64::MAX;
            self.settle(false, stage);
        }
    }

    /// Another disk, another name.
    pub(crate) fn replace_disk(&mut self, rng: &mut Rng) {
        self.disk = Disk::new(rng);
    }
}

/// Runs a job, here and now, on a disk as its weather is.
pub(super) fn run_job(job: Job, disk: &mut Disk, stage: &mut Stage) -> Result<Answer, JobPanic> {
    let answer = job.run(disk.shelf().failing(stage.disks.object_fails));
    if disk.shelf().failed() > 0 {
        stage.seen.hit(FaultKind::ObjectFailed);
    }
    answer
}

/// How many of the unsynced writes survive a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// All: the process died, the machine did not.
    All,
    /// None, or a random number of the first ones.
    Chance,
}
