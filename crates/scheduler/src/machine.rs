//! The engine as what is replicated. Coordinators apply the same commands in the same order; which commands, the
//! leader's [`crate::Dispatcher`] decides.

use crate::engine::{Command, ConfigError, Engine, EngineConfig, Reply};
use quorate_core::{Applied, Corrupt, StateMachine};
use std::ops::Deref;

/// The scheduler of a cluster: an [`Engine`] to read from, and nothing else. A snapshot carries all of it: leases,
/// queue, timers, accounts.
#[derive(Clone, PartialEq, Debug)]
pub struct Work(Engine);

impl Work {
    /// Without tasks and agents. Every founding replica must be given the same configuration; who joins later gets
    /// it with the snapshot or the log.
    pub fn new(config: EngineConfig) -> Result<Work, ConfigError> {
        Engine::new(config).map(Work)
    }

    /// What it is around.
    pub fn engine(&self) -> &Engine {
        &self.0
    }

    /// Plants a bug.
    #[cfg(feature = "mutations")]
    pub fn plant(&mut self, mutation: Option<crate::Mutation>) {
        self.0.plant(mutation);
    }
}

impl Deref for Work {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.0
    }
}

impl StateMachine for Work {
    type Command = Command;
    type Reply = Reply;
    type Frozen = Engine;

    fn apply(&mut self, command: Command, _: Applied) -> Reply {
        self.0.apply(command)
    }

    /// Shares the graph and the results with the view; copied are 80 bytes a task, the queue and the agents. The
    /// first change of the graph while the view is held copies the graph.
    fn freeze(&self) -> Engine {
        self.0.clone()
    }

    fn restore(frozen: Engine) -> Result<Work, Corrupt> {
        frozen.thaw().map(Work)
    }
}
