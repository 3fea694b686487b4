//! The worker node's end.

use super::crew::{Crew, CrewAsk, CrewCounters, Silent, Tell};
use super::orders::{Order, Orders};
use super::{Scopes, mirror_config};
use crate::builder::Problem;
use crate::{AgentId, Door, NodeBuilder, NodeId, Reason, ScopeId, Ticket, promise};
use quorate_health::watch::{Health, Watch, WatchConfig, WatchPort};
use quorate_scheduler::dispatch::End;
use quorate_scheduler::engine::{AgentSpec, Lease};
use quorate_scheduler::mirror::{Mirror, MirrorAsk, MirrorEvent, MirrorPort};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Settings of a worker node.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Whom it works for.
    pub coordinators: Vec<NodeId>,
    /// How often it tells that it is there. Above zero, and at most a quarter of the dispatcher's
    /// `suspect_after`. Default 200 ms.
    pub beat_every: Duration,
}

impl WorkerConfig {
    /// The defaults, for these coordinators.
    pub fn new<I: Into<NodeId>>(coordinators: impl IntoIterator<Item = I>) -> WorkerConfig {
        let coordinators = coordinators.into_iter().map(Into::into).collect();
        WorkerConfig { coordinators, beat_every: Duration::from_millis(200) }
    }
}

/// A handle to the agents of one worker node. Cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    door: Door,
    crew: ScopeId,
    health: Health,
    orders: Orders,
}

impl WorkerHandle {
    /// Exactly these agents live here, with their slots and skills. Each must beat from now on.
    pub fn host(&self, agents: Vec<AgentSpec>) -> Result<(), Reason> {
        self.health.host(agents.iter().map(|agent| agent.id).collect())?;
        self.ask(CrewAsk::Hosts(agents))
    }

    /// These agents live: to be said at least every 200 ms.
    pub fn beat(&self, agents: Vec<AgentId>) -> Result<(), Reason> {
        self.health.beat_all(agents)
    }

    /// An agent died under our eyes: its work goes to others at once.
    pub fn crashed(&self, agent: AgentId) -> Result<(), Reason> {
        self.health.crashed(agent)
    }

    /// The next order, if one waits.
    pub fn take_order(&self) -> Option<Order> {
        self.orders.take()
    }

    /// The next order; waits for at most `patience`. Not for simulated worlds.
    pub fn wait_order(&self, patience: Duration) -> Option<Order> {
        self.orders.wait(patience)
    }

    /// An attempt ended. Told to the coordinators until they have settled it; under a lease that is over it counts
    /// nothing.
    pub fn end(&self, lease: Lease, end: End) -> Result<(), Reason> {
        self.ask(CrewAsk::End(lease, end))
    }

    /// An attempt goes on: puts off its idle timeout.
    pub fn progress(&self, lease: Lease) -> Result<(), Reason> {
        self.ask(CrewAsk::Progress(lease))
    }

    /// What happened so far.
    pub fn counters(&self) -> Ticket<CrewCounters> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => place.put(self.crew, Box::new(CrewAsk::Counters(promise))),
            Err(why) => promise.reject(why),
        }
        ticket.in_world(self.door.is_in_world())
    }

    fn ask(&self, ask: CrewAsk) -> Result<(), Reason> {
        self.door.enter().map(|place| place.put(self.crew, Box::new(ask)))
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkerHandle({})", self.crew)
    }
}

impl NodeBuilder {
    /// Makes this node a worker of the work of this name: agents live here.
    pub fn worker(&mut self, name: &str, config: WorkerConfig) -> WorkerHandle {
        let scopes = Scopes::of(name);
        let watch = WatchConfig::new(self.id(), config.coordinators.iter().copied());
        if let Err(why) = watch.validate() {
            self.problem(Problem::Scope { scope: name.to_owned(), why: why.to_string() });
        }
        if config.coordinators.is_empty() {
            let why = "a worker needs coordinators".to_owned();
            self.problem(Problem::Scope { scope: name.to_owned(), why });
        }
        if config.beat_every.is_zero() {
            let why = "beat_every is zero: it must be longer".to_owned();
            self.problem(Problem::Scope { scope: name.to_owned(), why });
        }
        // One that is named twice is told once.
        let coordinators: BTreeSet<NodeId> = config.coordinators.into_iter().collect();
        let orders = Orders::default();
        let crew = Crew::new(coordinators, config.beat_every, orders.clone());
        self.scope(scopes.leases, Mirror::new(self.id(), mirror_config()), MirrorPort);
        self.scope(scopes.reports, Mirror::new(self.id(), mirror_config()), MirrorPort);
        self.scope(scopes.health, Watch::new(watch), WatchPort);
        self.scope(scopes.crew, Silent, crew);
        self.wire(scopes.leases, scopes.crew, |event: &MirrorEvent| Some(CrewAsk::Level(event.clone())));
        self.wire(scopes.crew, scopes.reports, |tell: &Tell| Some(MirrorAsk::Do(tell.0.clone())));
        let health = Health::new(scopes.health, self.door());
        WorkerHandle { door: self.door(), crew: scopes.crew, health, orders }
    }
}
