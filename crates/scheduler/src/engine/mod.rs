//! The scheduler as a value over a graph: states, leases, retries, fallbacks, timeouts, the queue. It does what it
//! is told ([`Command`]) and reads no clock, load or chance: time and draws come inside the commands. So the same
//! commands in the same order give the same states and events everywhere.
//!
//! **Invariants.** Every task reaches exactly one final state. A task has at most one live lease. What stands is
//! committed once. A command that is refused changes nothing. The queue stays within its bound.

mod agents;
mod audit;
mod change;
mod clock;
mod command;
mod config;
mod event;
mod explain;
mod lease;
mod queue;
mod results;
mod roster;
mod settle;
mod task;
mod timers;

pub use agents::{AgentSlot, AgentSpec, AgentState, CAPABILITIES_MAX, PROFILES_MAX};
pub use audit::Audit;
pub use command::{Act, Block, BlockReply, Command, Completion, NoLease, Refused, Reply, Whom};
pub use config::{ConfigError, EngineConfig};
pub use event::{EVENTS_KEPT, Event, Why};
pub use explain::Explanation;
pub use queue::{Visit, WhenFull};
pub use roster::AgentView;
pub use task::{Lease, State};

use crate::graph::{Graph, Join, Outcome, TaskId};
use agents::Agents;
use event::EventLog;
use queue::{Place, ReadyQueue};
use results::Results;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use task::Task;
use timers::Timers;

/// How often things happened since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Leases given out.
    pub attempts: u64,
    /// Attempts that were repeated after a failure.
    pub retries: u64,
    /// Leases that were taken from lost, suspected or leaving agents.
    pub transfers: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Assignments refused.
    pub unassigned: u64,
    /// Completions, failures and stops under a lease that was not the live one.
    pub stale: u64,
    /// Completions that stood already.
    pub duplicate: u64,
    /// Tasks that succeeded.
    pub committed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that were cancelled, shed and removed ones included.
    pub cancelled: u64,
    /// Of these, shed.
    pub shed: u64,
    /// Tasks that were not needed.
    pub skipped: u64,
    /// Results whose bytes were not kept.
    pub results_dropped: u64,
}

/// The scheduler.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Engine {
    config: EngineConfig,
    /// Shared with snapshots: it is more than half of the state, and changes only when work is added or taken out.
    graph: Arc<Graph>,
    tasks: Vec<Task>,
    queue: ReadyQueue,
    timers: Timers,
    agents: Agents,
    /// Number of the needs of each policy of the graph.
    needs: Vec<u16>,
    epoch: u64,
    stamp: u64,
    draw: u64,
    /// Thousandths of retries that are left.
    budget: u64,
    /// Tasks that have not ended.
    open: u32,
    counts: Counts,
    /// Commits under another lease than the live one; see [`Audit`].
    unfenced: u64,
    digest: u64,
    results: Results,
    results_bytes: u64,
    /// What agents said of failed attempts, last first to go.
    texts: BTreeMap<u32, String>,
    events: EventLog,
    /// Slots that ended and whose dependents were not told yet; empty between commands.
    ended: Vec<(u32, Outcome)>,
}

impl Engine {
    /// An engine without tasks and agents.
    pub fn new(config: EngineConfig) -> Result<Engine, ConfigError> {
        config.validate()?;
        Ok(Engine {
            graph: Arc::default(),
            tasks: Vec::new(),
            queue: ReadyQueue::new(config.queue_max, config.when_full, config.aging_ms),
            timers: Timers::default(),
            agents: Agents::default(),
            needs: Vec::new(),
            epoch: 0,
            stamp: 0,
            draw: 0,
            budget: u64::from(config.retry_budget) * 1000,
            open: 0,
            counts: Counts::default(),
            unfenced: 0,
            digest: 0,
            results: Results::default(),
            results_bytes: 0,
            texts: BTreeMap::new(),
            events: EventLog::new(),
            ended: Vec::new(),
            config,
        })
    }

    /// The only way in for commands; the methods of the same names are for those who embed the engine.
    pub fn apply(&mut self, command: Command) -> Reply {
        let done = match command {
            Command::Submit(spec) => {
                return match self.submit(&spec) {
                    Ok(new) => Reply::Admitted { first: TaskId(new.start), count: new.end - new.start },
                    Err(why) => Reply::Refused(why),
                };
            }
            Command::AddTask(task) => self.add_task(*task).map(|_| true),
            Command::AddEdge { from, to } => self.add_edge(&from, &to),
            Command::RemoveEdge { from, to } => self.remove_edge(&from, &to),
            Command::RemoveTask { task } => self.remove_task(&task).map(|()| true),
            Command::Cancel { task } => self.cancel(&task).map(|()| true),
            Command::Register { node, agents } => self.register(node, &agents),
            Command::Unregister { agents } => Ok(self.unregister(&agents)),
            Command::Block(block) => {
                return match self.block(block) {
                    Ok(reply) => Reply::Block(reply),
                    Err(why) => Reply::Refused(why),
                };
            }
        };
        match done {
            Ok(changed) => Reply::Done { changed },
            Err(why) => Reply::Refused(why),
        }
    }

    /// Its bounds.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The epoch under which leases are given out.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Log time in milliseconds: the last stamp.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Where a task stands.
    pub fn state(&self, task: TaskId) -> State {
        self.tasks[task.0 as usize].state
    }

    /// Why it stands there, where something went wrong.
    pub fn why(&self, task: TaskId) -> Why {
        self.tasks[task.0 as usize].why
    }

    /// What an agent last said of a failed attempt of it.
    pub fn failure_text(&self, task: TaskId) -> Option<&str> {
        self.texts.get(&task.0).map(String::as_str)
    }

    /// The live lease of a task, and who holds it.
    pub fn lease(&self, task: TaskId) -> Option<(Lease, AgentSlot)> {
        let now = &self.tasks[task.0 as usize];
        now.state
            .has_lease()
            .then_some((Lease { task, attempt: now.attempt, epoch: now.epoch }, AgentSlot(now.agent)))
    }

    /// The digest of what it, or the fallback in its place, came to.
    pub fn digest_of(&self, task: TaskId) -> Option<u64> {
        let chain = std::iter::successors(Some(self.graph.slot(task)), |at| self.graph.fallback(*at));
        let mut done = chain.filter(|at| self.state(*at) == State::Succeeded);
        done.next().map(|at| self.tasks[at.0 as usize].digest)
    }

    /// The bytes of its result, where they were kept.
    pub fn result(&self, task: TaskId) -> Option<&[u8]> {
        self.results.get(task.0)
    }

    /// The bytes of the result of it, or of the fallback in its place.
    pub fn output(&self, task: TaskId) -> Option<&[u8]> {
        let mut chain = std::iter::successors(Some(self.graph.slot(task)), |at| self.graph.fallback(*at));
        chain.find(|at| self.state(*at) == State::Succeeded).and_then(|at| self.result(at))
    }

    /// All results that were kept, by task.
    pub fn results(&self) -> impl Iterator<Item = (TaskId, &[u8])> {
        self.results.iter().map(|(task, bytes)| (TaskId(task), bytes))
    }

    /// The digests that a task's own is made of: those of its dependencies that succeeded. None where which of them
    /// came first is chance.
    pub fn input_digests(&self, task: TaskId) -> Vec<u64> {
        let slot = self.graph.slot(task);
        match self.graph.join(slot) {
            Join::AtLeast(_) => Vec::new(),
            _ => self.graph.before(slot).filter_map(|before| self.digest_of(before)).collect(),
        }
    }

    /// The digest of everything that succeeded; see `task_digest`.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How often things happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tasks that have not ended.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Tasks in the queue, by class, and outside of it.
    pub fn depths(&self) -> ([u32; 4], u32) {
        (self.queue.depths(), self.queue.held())
    }

    /// Shows the tasks in the queue from first to last, with the number of their needs.
    pub fn visit_ready(&self, mut visit: impl FnMut(TaskId, u16) -> Visit) {
        self.queue.visit(|task, needs| visit(TaskId(task), needs));
    }

    /// The stamp at which something may become due; nothing does before.
    pub fn next_due(&self) -> Option<u64> {
        self.timers.first().map(|(due, _)| due)
    }

    /// The number of the next event.
    pub fn events_next(&self) -> u64 {
        self.events.next()
    }

    /// The events from number `from` on, or `None` when not all of them are kept: then the states say what is.
    pub fn events_since(&self, from: u64) -> Option<impl ExactSizeIterator<Item = &Event>> {
        self.events.since(from)
    }

    /// Bytes that tasks, edges, names, queue and timers hold, reserves included. A sum over the large parts.
    pub fn bytes(&self) -> usize {
        self.graph.bytes()
            + self.tasks.capacity() * size_of::<Task>()
            + self.queue.bytes()
            + self.timers.bytes()
    }

    /// Plants a bug.
    #[cfg(feature = "mutations")]
    pub fn plant(&mut self, mutation: Option<crate::Mutation>) {
        self.config.mutation = mutation;
    }

    /// Makes what was read from a snapshot usable, if it is sound.
    pub(crate) fn thaw(mut self) -> Result<Engine, quorate_core::Corrupt> {
        self.agents.rebuild();
        self.results_bytes = self.results.bytes();
        let n = self.graph.len();
        let slot = |task: &Task| !task.state.has_lease() || self.agents.get(task.agent).is_some();
        let sound = self.config.validate().is_ok()
            && self.graph.is_sound()
            && self.tasks.len() == n
            && self.queue.is_sound(n)
            && self.timers.is_sound(n)
            && self.agents.is_sound(n)
            && self.needs.len() == self.graph.policies().len()
            && self.tasks.iter().all(slot)
            && self.tasks.iter().filter(|task| !task.state.is_final()).count() == self.open as usize
            && self.ended.is_empty();
        if sound { Ok(self) } else { Err(quorate_core::Corrupt::new("a scheduler whose parts disagree")) }
    }

    fn task(&mut self, task: u32) -> &mut Task {
        &mut self.tasks[task as usize]
    }

    fn is_queued(&self, task: TaskId) -> bool {
        self.queue.place(task.0) == Place::Queued
    }
}
