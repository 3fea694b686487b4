//! What the engine is told, and what it answers. All of it is data, so that it can be agreed on before it is applied.

use super::agents::AgentSpec;
use super::task::Lease;
use crate::graph::{GraphError, GraphSpec, TaskId, TaskSpec};
use quorate_core::{AgentId, NodeId};
use serde::{Deserialize, Serialize};

/// Any change of the engine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Takes in a graph, whole or not at all. Its tasks may wait for tasks that are there.
    Submit(Box<GraphSpec>),
    /// Adds one task.
    AddTask(Box<TaskSpec>),
    /// `to` waits for `from`, too.
    AddEdge {
        /// By name.
        from: String,
        /// By name.
        to: String,
    },
    /// `to` does not wait for `from` any more.
    RemoveEdge {
        /// By name.
        from: String,
        /// By name.
        to: String,
    },
    /// Takes a task out that has not started. Who waits for it sees it cancelled.
    RemoveTask {
        /// By name.
        task: String,
    },
    /// Stops a task: at once where no agent runs it, else once the agent says so.
    Cancel {
        /// By name.
        task: String,
    },
    /// Agents of a node: new ones, others with new slots and skills, or such that moved here.
    Register {
        /// Who hosts them.
        node: NodeId,
        /// Who they are.
        agents: Vec<AgentSpec>,
    },
    /// Agents that leave in good order; their leases go to others.
    Unregister {
        /// Who.
        agents: Vec<AgentId>,
    },
    /// What the leader decided.
    Block(Block),
}

/// Decisions of one leader at one time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Block {
    /// Under which epoch it was decided. A block of an older one than the engine's is refused whole; the first of a
    /// newer one opens it. Leases that run stay what they are.
    pub epoch: u64,
    /// Log time in milliseconds. Never goes back: an earlier stamp counts as the last one. What has become due by
    /// then happens after the acts.
    pub at: u64,
    /// 64 bits of chance, from which the jitter of pauses is drawn.
    pub draw: u64,
    /// In order.
    pub acts: Vec<Act>,
}

/// One decision.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Gives out the next attempt of each of these tasks.
    Assign(Vec<(TaskId, AgentId)>),
    /// An attempt ended well.
    Complete {
        /// Under which lease.
        lease: Lease,
        /// What it came to; see `task_digest`.
        digest: u64,
        /// Its result, where it is small and wanted.
        result: Vec<u8>,
    },
    /// An attempt ended badly.
    Fail {
        /// Under which lease.
        lease: Lease,
        /// That repeating it is of no use.
        hopeless: bool,
        /// In words.
        text: String,
    },
    /// An attempt made no progress for too long.
    Expire(Lease),
    /// The agent stopped what was cancelled.
    Stopped(Lease),
    /// These get no work, and their leases go to others.
    Suspect(Whom),
    /// These are not suspected any more.
    Trust(Whom),
    /// These are gone.
    Down(Whom),
    /// As [`Command::Register`].
    Register {
        /// Who hosts them.
        node: NodeId,
        /// Who they are.
        agents: Vec<AgentSpec>,
    },
    /// As [`Command::Unregister`].
    Unregister(Vec<AgentId>),
}

/// One agent, or all of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Whom {
    /// One.
    Agent(AgentId),
    /// All that a node hosts.
    Node(NodeId),
}

/// What a command came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The graph was taken in, as these numbers.
    Admitted {
        /// The first of its tasks.
        first: TaskId,
        /// How many.
        count: u32,
    },
    /// Done; whether anything is different now.
    Done {
        /// Whether.
        changed: bool,
    },
    /// The block was applied.
    Block(BlockReply),
    /// Nothing was changed.
    Refused(Refused),
}

/// What a block came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BlockReply {
    /// Leases given out.
    pub assigned: u32,
    /// Assignments that came too late, or never made sense.
    pub unassigned: u32,
    /// Results that stand now.
    pub committed: u32,
    /// Completions and failures under a lease that is not the live one.
    pub stale: u32,
    /// Completions that stand already.
    pub duplicate: u32,
}

/// Why nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Refused {
    /// The graph would be none.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The task has started, or is done: its dependencies are history.
    #[error("task {task} has started")]
    AlreadyStarted {
        /// By name.
        task: String,
    },
    /// The task has ended.
    #[error("task {task} has ended")]
    AlreadyEnded {
        /// By name.
        task: String,
    },
    /// There is no room; later there may be.
    #[error("the queue has room for {room} more tasks")]
    Full {
        /// How many would fit.
        room: u32,
    },
    /// More tasks or agents than the configuration allows.
    #[error("at most {max} {what}")]
    TooMany {
        /// Of what.
        what: String,
        /// How many are allowed.
        max: u32,
    },
    /// Decided by a leader of the past.
    #[error("decided in epoch {found}, which is older than {current}")]
    Fenced {
        /// Its epoch.
        found: u64,
        /// The engine's.
        current: u64,
    },
}

/// What became of a completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Completion {
    /// The result stands.
    Committed,
    /// It stands already.
    Duplicate,
    /// The lease is not the live one: its task was given to another, or ended.
    Stale,
    /// The task was cancelled; the agent has now been heard.
    Cancelled,
}

/// Why a task was not given to an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum NoLease {
    /// It is not in the queue.
    #[error("the task is not ready")]
    NotReady,
    /// The agent is not there, or suspected.
    #[error("the agent is not up")]
    NotUp,
    /// The agent has no free slot.
    #[error("the agent is full")]
    Busy,
    /// Its skills do not meet the task's needs.
    #[error("the agent cannot do it")]
    Unable,
}
