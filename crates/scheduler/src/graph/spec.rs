//! A graph as it is described: tasks and edges in any order, unchecked. Compact, because it travels as one command.

use super::names::{NAME_BYTES_MAX, Names};
use super::policy::{Class, Join, Policy, Retry, Timeouts};
use serde::{Deserialize, Serialize};

/// One task, described.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaskSpec {
    pub(super) name: String,
    pub(super) after: Vec<String>,
    pub(super) fallback: Option<String>,
    pub(super) class: Class,
    pub(super) join: Join,
    pub(super) expected_ms: u32,
    pub(super) policy: Policy,
}

impl TaskSpec {
    /// A task of this name: normal class, no dependency, joins by `All`, 3 retries, no timeout, expected to take
    /// one millisecond.
    pub fn new(name: impl Into<String>) -> TaskSpec {
        TaskSpec {
            name: name.into(),
            after: Vec::new(),
            fallback: None,
            class: Class::default(),
            join: Join::default(),
            expected_ms: 1,
            policy: Policy::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It waits for these, too.
    pub fn after<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> TaskSpec {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// What runs in its place once its retries are used up. It has no edges of its own.
    pub fn fallback(mut self, name: impl Into<String>) -> TaskSpec {
        self.fallback = Some(name.into());
        self
    }

    /// Its class.
    pub fn class(mut self, class: Class) -> TaskSpec {
        self.class = class;
        self
    }

    /// How its dependencies are joined.
    pub fn join(mut self, join: Join) -> TaskSpec {
        self.join = join;
        self
    }

    /// How long an attempt should take. Decides who goes first, and no timeout.
    pub fn expected_ms(mut self, ms: u32) -> TaskSpec {
        self.expected_ms = ms;
        self
    }

    /// Capabilities that its agent must have.
    pub fn needs<N: Into<String>>(mut self, capabilities: impl IntoIterator<Item = N>) -> TaskSpec {
        self.policy.needs.extend(capabilities.into_iter().map(Into::into));
        self.policy.needs.sort();
        self.policy.needs.dedup();
        self
    }

    /// What happens after a failed attempt.
    pub fn retry(mut self, retry: Retry) -> TaskSpec {
        self.policy.retry = retry;
        self
    }

    /// How long it may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> TaskSpec {
        self.policy.timeouts = timeouts;
        self
    }
}

/// Names that are looked up together: enough to keep the memory busy, few enough to stay in the nearest cache.
const BATCH: usize = 128;

/// A task inside a graph: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Def {
    pub expected_ms: u32,
    pub policy: u32,
    pub join: Join,
    pub class: Class,
}

/// A graph, described: tasks and edges in any order. What is wrong with it is told when it is loaded.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct GraphSpec {
    pub(super) names: Names,
    /// By name; `None` where a name was used and not declared.
    pub(super) defs: Vec<Option<Def>>,
    pub(super) policies: Vec<Policy>,
    /// From, to.
    pub(super) edges: Vec<(u32, u32)>,
    /// Primary, fallback.
    pub(super) fallbacks: Vec<(u32, u32)>,
    pub(super) declared: u32,
    /// The first name that was declared twice.
    pub(super) twice: Option<u32>,
    /// Length of the first name that cannot be one.
    pub(super) bad_name: Option<u64>,
    pub(super) too_large: bool,
}

/// A task of one [`GraphSpec`], for edges without looking up names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskRef(u32);

impl GraphSpec {
    /// An empty graph.
    pub fn new() -> GraphSpec {
        GraphSpec::default()
    }

    /// Room for so many tasks and edges.
    pub fn with_capacity(tasks: usize, edges: usize) -> GraphSpec {
        let mut spec = GraphSpec::default();
        spec.names.reserve(tasks, 0);
        spec.defs.reserve_exact(tasks);
        spec.edges.reserve_exact(edges);
        spec
    }

    /// Adds a task.
    pub fn add(&mut self, task: TaskSpec) -> TaskRef {
        let number = self.name(&task.name);
        for before in &task.after {
            let before = self.name(before);
            self.edges.push((before, number));
        }
        if let Some(fallback) = &task.fallback {
            let fallback = self.name(fallback);
            self.fallbacks.push((number, fallback));
        }
        let policy = self.policy(task.policy);
        let def = Def { expected_ms: task.expected_ms, policy, join: task.join, class: task.class };
        match self.defs.get_mut(number as usize) {
            Some(Some(_)) => self.twice = self.twice.or(Some(number)),
            Some(place) => {
                *place = Some(def);
                self.declared += 1;
            }
            None => {}
        }
        TaskRef(number)
    }

    /// Adds many tasks: the same as one after the other, and in a large graph faster.
    pub fn add_all(&mut self, tasks: impl IntoIterator<Item = TaskSpec>) {
        let mut tasks = tasks.into_iter();
        let (mut batch, mut found) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            batch.extend(tasks.by_ref().take(BATCH));
            if batch.is_empty() {
                return;
            }
            // Only brings what the look-ups will read: mostly they find nothing.
            let names: Vec<&str> = batch.iter().map(|task: &TaskSpec| task.name.as_str()).collect();
            self.names.find_each(&names, &mut found);
            for task in batch.drain(..) {
                self.add(task);
            }
        }
    }

    /// Adds a task, for chains of calls.
    pub fn task(mut self, task: TaskSpec) -> GraphSpec {
        self.add(task);
        self
    }

    /// `to` waits for `from`. Both may be declared later.
    pub fn edge(&mut self, from: &str, to: &str) {
        let edge = (self.name(from), self.name(to));
        self.edges.push(edge);
    }

    /// Many edges at once, (from, to): the same as one after the other, and in a large graph several times faster,
    /// for their names are looked up together.
    pub fn edges<'a>(&mut self, edges: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut edges = edges.into_iter();
        let (mut names, mut found) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            names.clear();
            names.extend(edges.by_ref().take(BATCH / 2).flat_map(|(from, to)| [from, to]));
            if names.is_empty() {
                return;
            }
            self.names.find_each(&names, &mut found);
            for (names, found) in names.chunks_exact(2).zip(found.chunks_exact(2)) {
                let from = found[0].unwrap_or_else(|| self.name(names[0]));
                let to = found[1].unwrap_or_else(|| self.name(names[1]));
                self.edges.push((from, to));
            }
        }
    }

    /// The same between tasks that were declared here.
    pub fn link(&mut self, from: TaskRef, to: TaskRef) {
        self.edges.push((from.0, to.0));
    }

    /// How many tasks were declared.
    pub fn len(&self) -> usize {
        self.declared as usize
    }

    /// Whether none was declared.
    pub fn is_empty(&self) -> bool {
        self.declared == 0
    }

    pub(crate) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Of a sound description: tasks that wait for nothing, those that stand in for others left out; what `ended` says of the names of
    /// others has ended.
    pub(crate) fn roots(&self, ended: impl Fn(&str) -> bool) -> usize {
        let mut waits: Vec<bool> = self.defs.iter().map(Option::is_none).collect();
        for (from, to) in &self.edges {
            if self.defs[*from as usize].is_some() || !ended(self.names.get(*from)) {
                waits[*to as usize] = true;
            }
        }
        for (_, fallback) in &self.fallbacks {
            waits[*fallback as usize] = true;
        }
        waits.into_iter().filter(|waits| !waits).count()
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            self.bad_name = self.bad_name.or(Some(name.len() as u64));
            return 0;
        }
        match self.names.intern(name) {
            Some((number, new)) => {
                if new {
                    self.defs.push(None);
                }
                number
            }
            None => {
                self.too_large = true;
                0
            }
        }
    }

    fn policy(&mut self, policy: Policy) -> u32 {
        // Tasks come in runs of one policy; a whole search for each would make many policies quadratic.
        let near = self.policies.iter().rev().take(8).position(|known| *known == policy);
        let last = match near {
            Some(back) => self.policies.len() - 1 - back,
            None => {
                self.policies.push(policy);
                self.policies.len() - 1
            }
        };
        last as u32
    }
}
