//! The task graph: validated, without rings, in compact arrays. It knows what waits for what and how urgent it is,
//! and nothing of attempts, agents or time: those are the engine's.
//!
//! **Invariants.** Tasks are numbered from 0 in the order in which they came and keep their numbers. There is
//! never a cycle; `order` is a topological order at any time. A call that is refused changes nothing.

mod dot;
mod edges;
mod error;
mod kahn;
mod load;
pub(crate) mod names;
mod order;
mod path;
mod policy;
mod spec;
pub mod wfformat;

pub use error::GraphError;
pub use names::NAME_BYTES_MAX;
pub use path::CriticalPath;
pub use policy::{Class, Join, NEEDS_MAX, Outcome, Policy, Retry, Timeouts, Verdict};
pub use spec::{GraphSpec, TaskRef, TaskSpec};

use edges::Lists;
use names::Names;
use serde::{Deserialize, Serialize};
use spec::Def;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A task of one graph: its number, in the order in which tasks came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u32);

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

/// A graph of tasks without cycles.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Graph {
    names: Names,
    defs: Vec<Def>,
    policies: Vec<Policy>,
    policy_numbers: BTreeMap<Policy, u32>,
    /// Whom a task waits for.
    before: Lists,
    /// Who waits for a task.
    after: Lists,
    /// Place of a task in a topological order: a permutation of the numbers.
    order: Vec<u32>,
    /// Milliseconds from a task's start to the end of the graph along the longest way (upward rank; Topcuoglu,
    /// Hariri, Wu 2002, without communication).
    rank: Vec<u32>,
    /// Next of a chain of fallbacks.
    fallback: BTreeMap<u32, u32>,
    /// The task that a fallback stands in for, in the end.
    slot: BTreeMap<u32, u32>,
}

impl Graph {
    /// The graph of a description, checked whole in one pass.
    pub fn build(spec: &GraphSpec) -> Result<Graph, GraphError> {
        let mut graph = Graph::default();
        graph.append(spec)?;
        Ok(graph)
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.defs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.defs.is_empty()
    }

    /// All tasks in the order in which they came.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..self.defs.len() as u32).map(TaskId)
    }

    /// The task of this name.
    pub fn find(&self, name: &str) -> Option<TaskId> {
        self.names.find(name).map(TaskId)
    }

    /// The same, or an error that says the name.
    pub fn require(&self, name: &str) -> Result<TaskId, GraphError> {
        self.find(name).ok_or_else(|| GraphError::NoSuchTask { task: name.into() })
    }

    /// Its name.
    ///
    /// # Panics
    /// Here and below: when the task is not of this graph.
    pub fn name(&self, task: TaskId) -> &str {
        self.names.get(task.0)
    }

    /// Whom it waits for.
    pub fn before(&self, task: TaskId) -> impl ExactSizeIterator<Item = TaskId> + '_ {
        self.before.of(task.0).iter().map(|t| TaskId(*t))
    }

    /// Who waits for it.
    pub fn after(&self, task: TaskId) -> impl ExactSizeIterator<Item = TaskId> + '_ {
        self.after.of(task.0).iter().map(|t| TaskId(*t))
    }

    /// Its class.
    pub fn class(&self, task: TaskId) -> Class {
        self.defs[task.0 as usize].class
    }

    /// How its dependencies are joined.
    pub fn join(&self, task: TaskId) -> Join {
        self.defs[task.0 as usize].join
    }

    /// How long an attempt should take.
    pub fn expected_ms(&self, task: TaskId) -> u32 {
        self.defs[task.0 as usize].expected_ms
    }

    /// Milliseconds from its start to the end of the graph along the longest way.
    pub fn rank_ms(&self, task: TaskId) -> u32 {
        self.rank[task.0 as usize]
    }

    /// Its needs, retries and timeouts.
    pub fn policy(&self, task: TaskId) -> &Policy {
        &self.policies[self.defs[task.0 as usize].policy as usize]
    }

    /// What stands in for it next.
    pub fn fallback(&self, task: TaskId) -> Option<TaskId> {
        if self.fallback.is_empty() {
            return None;
        }
        self.fallback.get(&task.0).map(|t| TaskId(*t))
    }

    /// The task whose place it takes: itself, unless it is a fallback. Dependents are bound to this one.
    pub fn slot(&self, task: TaskId) -> TaskId {
        if self.slot.is_empty() {
            return task;
        }
        self.slot.get(&task.0).map_or(task, |t| TaskId(*t))
    }

    /// The tasks in an order in which each comes after all it waits for.
    pub fn topological_order(&self) -> Vec<TaskId> {
        let mut sorted = vec![TaskId(0); self.order.len()];
        for (task, place) in self.order.iter().enumerate() {
            sorted[*place as usize] = TaskId(task as u32);
        }
        sorted
    }

    /// Bytes that it holds, reserves included.
    pub fn bytes(&self) -> usize {
        self.names.bytes()
            + self.defs.capacity() * size_of::<Def>()
            + self.before.bytes()
            + self.after.bytes()
            + (self.order.capacity() + self.rank.capacity()) * 4
            // A guess at what a node of a BTreeMap costs an entry.
            + (self.fallback.len() + self.slot.len()) * 12
    }

    pub(crate) fn after_at(&self, task: TaskId, at: usize) -> Option<TaskId> {
        self.after.of(task.0).get(at).map(|t| TaskId(*t))
    }

    pub(crate) fn policy_number(&self, task: TaskId) -> u32 {
        self.defs[task.0 as usize].policy
    }

    pub(crate) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Whether what was read from a disk can be used without a panic.
    pub(crate) fn is_sound(&self) -> bool {
        let n = self.defs.len();
        let below = |t: &u32| (*t as usize) < n;
        let mut places = vec![false; n];
        self.names.len() == n
            && self.rank.len() == n
            && self.order.len() == n
            && self.before.is_sound(n)
            && self.after.is_sound(n)
            && self.defs.iter().all(|def| (def.policy as usize) < self.policies.len())
            && self.order.iter().all(|p| below(p) && !std::mem::replace(&mut places[*p as usize], true))
            && self.fallback.iter().chain(&self.slot).all(|(a, b)| below(a) && below(b) && a != b)
            // A chain ends: each link leads to the same slot, and no two links to one fallback.
            && self.fallback.len() == self.slot.len()
            && self.fallback.values().all(|f| self.slot.contains_key(f))
            && self.slot.values().all(|root| !self.slot.contains_key(root))
    }

    fn name_of(&self, task: u32) -> String {
        self.names.get(task).to_owned()
    }

    fn range(&self) -> Range<u32> {
        0..self.defs.len() as u32
    }
}
