//! A graph of closures, run in this process on this thread: retries, fallbacks, joins and all, with no cluster. Pauses
//! between retries take no time.

use crate::engine::{AgentSpec, Command, ConfigError, Engine, EngineConfig, Refused, Visit};
use crate::graph::{GraphSpec, TaskId, TaskSpec};
use crate::task_digest;
use quorate_core::{AgentId, NodeId};
use std::collections::BTreeMap;
use std::fmt;

const HERE: AgentId = AgentId(0);

type Job<'a> = Box<dyn FnMut(Inputs<'_>) -> Result<Vec<u8>, String> + 'a>;

/// Tasks with what they do.
///
/// ```
/// use quorate_scheduler::{Local, TaskSpec};
/// let mut local = Local::new();
/// local.task(TaskSpec::new("double").after(["two"]), |inputs| Ok(vec![inputs.get("two").unwrap()[0] * 2]));
/// local.task(TaskSpec::new("two"), |_| Ok(vec![2]));
/// let done = local.run().unwrap();
/// let double = done.graph().require("double").unwrap();
/// assert_eq!(done.output(double), Some(&[4][..]));
/// ```
#[derive(Default)]
pub struct Local<'a> {
    spec: GraphSpec,
    jobs: BTreeMap<String, Job<'a>>,
}

/// A graph of closures that is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LocalError {
    /// What is wrong with it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A setting that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl<'a> Local<'a> {
    /// No tasks yet.
    pub fn new() -> Local<'a> {
        Local::default()
    }

    /// A task, and what it does. In any order.
    pub fn task(
        &mut self,
        task: TaskSpec,
        job: impl FnMut(Inputs<'_>) -> Result<Vec<u8>, String> + 'a,
    ) -> &mut Self {
        self.jobs.insert(task.name().to_owned(), Box::new(job));
        self.spec.add(task);
        self
    }

    /// Runs everything that can run, the longest way to the end first, and answers the engine: states, results,
    /// reasons, counts.
    pub fn run(self) -> Result<Engine, LocalError> {
        self.run_with(EngineConfig::default())
    }

    /// The same under other bounds.
    pub fn run_with(mut self, config: EngineConfig) -> Result<Engine, LocalError> {
        let mut engine = Engine::new(config)?;
        engine.register(NodeId(0), &[AgentSpec::new(HERE).slots(1)])?;
        engine.submit(&self.spec)?;
        loop {
            let mut first = None;
            engine.visit_ready(|task, _| {
                first = Some(task);
                Visit::Stop
            });
            match (first, engine.next_due()) {
                (Some(task), _) => self.run_one(&mut engine, task),
                // Nobody waits for a pause, so time jumps to its end.
                (None, Some(due)) => engine.advance(due, due),
                (None, None) => return Ok(engine),
            }
        }
    }

    fn run_one(&mut self, engine: &mut Engine, task: TaskId) {
        let name = engine.graph().name(task).to_owned();
        let Ok(lease) = engine.assign(task, HERE) else {
            // It needs what nobody here can do, and would wait for ever.
            engine.apply(Command::Cancel { task: name });
            return;
        };
        let outcome = match self.jobs.get_mut(&name) {
            Some(job) => job(Inputs { engine, task }),
            None => Err("it has no closure".into()),
        };
        match outcome {
            Ok(result) => {
                let digest = task_digest(&name, engine.input_digests(task));
                engine.complete(lease, digest, result);
            }
            Err(text) => {
                engine.fail(lease, false, &text);
            }
        }
    }
}

/// What a task's dependencies came to.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    engine: &'a Engine,
    task: TaskId,
}

impl<'a> Inputs<'a> {
    /// The result of the dependency of this name, or of the fallback in its place; `None` where it did not succeed,
    /// answered nothing, or is no dependency.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all().find(|(known, _)| *known == name).map(|(_, bytes)| bytes)
    }

    /// All of them that answered something, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let engine = self.engine;
        let graph = engine.graph();
        let before = graph.before(graph.slot(self.task));
        before.filter_map(move |before| Some((graph.name(before), engine.output(before)?)))
    }
}

impl fmt::Debug for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({} tasks)", self.spec.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{State, Why};
    use crate::graph::Join;

    #[test]
    fn closures_run_in_order_with_retries_and_fallbacks() {
        let mut tries = 0;
        let mut local = Local::new();
        local.task(TaskSpec::new("sum").after(["one", "two"]), |inputs| {
            Ok(vec![inputs.all().map(|(_, bytes)| bytes[0]).sum()])
        });
        local.task(TaskSpec::new("one"), |_| {
            tries += 1;
            if tries < 3 { Err(format!("try {tries}")) } else { Ok(vec![1]) }
        });
        local.task(TaskSpec::new("two").fallback("plan b"), |_| Err("never".into()));
        local.task(TaskSpec::new("plan b"), |_| Ok(vec![2]));
        let done = local.run().unwrap();
        let id = |name: &str| done.graph().require(name).unwrap();
        assert_eq!(done.output(id("sum")), Some(&[3][..]));
        assert_eq!(done.state(id("two")), State::Failed);
        assert_eq!(done.failure_text(id("two")), Some("never"));
        assert_eq!(done.counts().attempts, 3 + 4 + 1 + 1);
        assert_eq!(done.open(), 0);
        assert!(done.audit().is_clean());
    }

    #[test]
    fn what_cannot_run_here_ends_and_takes_along_what_needs_it() {
        let mut local = Local::new();
        local.task(TaskSpec::new("fly").needs(["wings"]), |_| Ok(vec![]));
        local.task(TaskSpec::new("land").after(["fly"]), |_| Ok(vec![]));
        local.task(TaskSpec::new("report").after(["land"]).join(Join::AllEnded), |_| Ok(vec![1]));
        let done = local.run().unwrap();
        let id = |name: &str| done.graph().require(name).unwrap();
        assert_eq!((done.state(id("fly")), done.why(id("fly"))), (State::Cancelled, Why::Asked));
        assert_eq!(done.state(id("land")), State::Cancelled);
        assert_eq!(done.state(id("report")), State::Succeeded);
    }
}
