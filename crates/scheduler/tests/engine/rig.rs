//! An engine with a few agents, spoken to by names.

use quorate_core::{AgentId, NodeId};
use quorate_scheduler::engine::{AgentSpec, Completion, Engine, EngineConfig, Event, State, Why};
use quorate_scheduler::graph::{GraphSpec, Retry, TaskId, TaskSpec, Timeouts};
use quorate_scheduler::{Lease, task_digest};

pub struct Rig {
    pub engine: Engine,
}

/// A task that is tried once and has no timeout, unless the test says otherwise.
pub fn task(name: &str) -> TaskSpec {
    TaskSpec::new(name).retry(Retry::NEVER)
}

pub fn retries(n: u16) -> Retry {
    Retry { retries_max: n, backoff_ms: 0, backoff_max_ms: 0, jitter_per_mille: 0 }
}

pub fn pauses(n: u16, ms: u32) -> Retry {
    Retry { retries_max: n, backoff_ms: ms, backoff_max_ms: ms * 100, jitter_per_mille: 0 }
}

pub fn total(ms: u64) -> Timeouts {
    Timeouts { total_ms: Some(ms), ..Timeouts::default() }
}

pub const ONE: AgentId = AgentId(1);
pub const TWO: AgentId = AgentId(2);

impl Rig {
    /// Agents 1 and 2 on nodes 1 and 2, with a hundred slots each.
    pub fn new(tasks: impl IntoIterator<Item = TaskSpec>) -> Rig {
        Rig::with(EngineConfig::default(), tasks)
    }

    pub fn with(config: EngineConfig, tasks: impl IntoIterator<Item = TaskSpec>) -> Rig {
        let mut engine = Engine::new(config).unwrap();
        for id in [ONE, TWO] {
            engine.register(NodeId(id.0), &[AgentSpec::new(id).slots(100)]).unwrap();
        }
        let spec = tasks.into_iter().fold(GraphSpec::new(), GraphSpec::task);
        engine.submit(&spec).unwrap();
        Rig { engine }
    }

    pub fn id(&self, name: &str) -> TaskId {
        self.engine.graph().require(name).unwrap()
    }

    pub fn state(&self, name: &str) -> State {
        self.engine.state(self.id(name))
    }

    pub fn states<const N: usize>(&self, names: [&str; N]) -> [State; N] {
        names.map(|name| self.state(name))
    }

    pub fn why(&self, name: &str) -> Why {
        self.engine.why(self.id(name))
    }

    pub fn lease(&mut self, name: &str, agent: AgentId) -> Lease {
        self.engine.assign(self.id(name), agent).unwrap()
    }

    pub fn done(&mut self, lease: Lease) -> Completion {
        let graph = self.engine.graph();
        let digest = task_digest(graph.name(lease.task), self.engine.input_digests(lease.task));
        self.engine.complete(lease, digest, Vec::new())
    }

    /// Runs it to a good end.
    pub fn succeed(&mut self, name: &str) {
        let lease = self.lease(name, ONE);
        assert_eq!(self.done(lease), Completion::Committed);
    }

    /// Runs one attempt to a bad end.
    pub fn fail(&mut self, name: &str) {
        let lease = self.lease(name, ONE);
        assert!(self.engine.fail(lease, false, "it broke"));
    }

    pub fn at(&mut self, stamp: u64) {
        self.engine.advance(stamp, 7);
    }

    /// How often an event came, since the beginning.
    pub fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.engine.events_since(0).unwrap().filter(|event| is_it(event)).count()
    }

    /// Nothing is wrong in the books.
    pub fn audit(&self) {
        let audit = self.engine.audit();
        assert!(audit.is_clean(), "{audit:?}");
    }

    /// Nothing is pending, anywhere.
    pub fn is_idle(&mut self) {
        assert_eq!(self.engine.open(), 0);
        assert_eq!(self.engine.depths(), ([0; 4], 0));
        assert_eq!(self.engine.agents().map(|agent| agent.running).sum::<u32>(), 0);
        let events = self.engine.events_next();
        self.at(u64::MAX / 2);
        self.at(u64::MAX / 2 + 1);
        assert_eq!(self.engine.next_due(), None);
        assert_eq!(self.engine.events_next(), events, "time woke something in an idle engine");
        self.audit();
    }
}
