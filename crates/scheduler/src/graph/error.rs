//! What is wrong with a graph, by the names of the tasks. Nothing was changed when one of these is answered.

use serde::{Deserialize, Serialize};

/// A graph, or a change of one, that is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum GraphError {
    /// Tasks that wait for one another in a ring; the first is named again at the end.
    #[error("tasks wait for one another: {}", .path.join(" -> "))]
    Cycle {
        /// Each waits for the one before it.
        path: Vec<String>,
    },
    /// The same, by one more edge on a graph without a ring.
    #[error("this edge would close a cycle: {}", .path.join(" -> "))]
    WouldCycle {
        /// Each waits for the one before it.
        path: Vec<String>,
    },
    /// An edge from a task to itself.
    #[error("task {task} waits for itself")]
    SelfEdge {
        /// Which.
        task: String,
    },
    /// A dependency or a fallback that nobody declared.
    #[error("task {wanted_by} names {task}, which is not there")]
    Unknown {
        /// The name without a task.
        task: String,
        /// Who names it.
        wanted_by: String,
    },
    /// No task of this name.
    #[error("there is no task {task}")]
    NoSuchTask {
        /// The name.
        task: String,
    },
    /// Two tasks of one name.
    #[error("task {task} is declared twice")]
    Duplicate {
        /// Which.
        task: String,
    },
    /// Tasks that stand in for one another in a ring.
    #[error("tasks stand in for one another: {}", .path.join(" -> "))]
    FallbackCycle {
        /// Each is the fallback of the one before it.
        path: Vec<String>,
    },
    /// One task stands in for two: it can run only once.
    #[error("{fallback} stands in for {first} and for {second}")]
    FallbackShared {
        /// The fallback.
        fallback: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// An edge from or to a fallback. Its dependencies are those of the task that it stands in for, and who needs
    /// its result depends on that task.
    #[error("{fallback} stands in for {primary}: the edge belongs to {primary}")]
    FallbackHasEdge {
        /// The fallback.
        fallback: String,
        /// The task with the edges.
        primary: String,
    },
    /// A task that stands in for others already runs in its own right.
    #[error("{fallback} was there before {primary} and cannot become its fallback")]
    FallbackNotNew {
        /// The fallback.
        fallback: String,
        /// Who names it.
        primary: String,
    },
    /// A join that wants more successes than it has dependencies, or none at all.
    #[error("task {task} wants {wants} of its {dependencies} dependencies to succeed")]
    UnreachableJoin {
        /// Which.
        task: String,
        /// How many must succeed.
        wants: u16,
        /// How many there are.
        dependencies: u32,
    },
    /// An edge into a task that another graph has brought; see `add_edge`.
    #[error("an edge of this graph leads to {task}, which is there already")]
    IntoExisting {
        /// Which.
        task: String,
    },
    /// Too many needs, or a jitter above 1,000 thousandths.
    #[error("the policy of task {task} is not valid")]
    BadPolicy {
        /// Which.
        task: String,
    },
    /// An empty name, or one of more than `NAME_BYTES_MAX` bytes.
    #[error("a name of {bytes} bytes")]
    BadName {
        /// Its length.
        bytes: usize,
    },
    /// A description whose numbers lead nowhere: it came from somebody who did not make it with this library.
    #[error("the description of the graph is malformed")]
    Malformed,
    /// More tasks, edges, names or policies than can be numbered.
    #[error("the graph is too large")]
    TooLarge,
}
