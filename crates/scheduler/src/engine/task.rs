//! What the engine knows of one task: 64 bytes.

use super::event::Why;
use super::timers::NEVER;
use crate::graph::{Outcome, TaskId};
use serde::{Deserialize, Serialize};

/// Where a task stands. The last four are final, and every task reaches exactly one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// For its dependencies.
    Waiting,
    /// A fallback whose task has not failed.
    Standby,
    /// It may run: in the queue, or outside while that is full.
    Ready,
    /// An attempt runs.
    Leased,
    /// It was cancelled; the agent was not heard yet.
    Cancelling,
    /// A pause before a retry.
    BackingOff,
    /// Its result stands.
    Succeeded,
    /// It failed, and nothing of it will be tried again.
    Failed,
    /// It was cancelled, shed or removed, or what it needed failed.
    Cancelled,
    /// It was not needed.
    Skipped,
}

impl State {
    /// Whether it is one of the final four.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled | State::Skipped)
    }

    /// Whether an agent holds its lease.
    pub fn has_lease(self) -> bool {
        matches!(self, State::Leased | State::Cancelling)
    }
}

/// The right to run one attempt of one task. A completion under any other lease than the live one is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The task.
    pub task: TaskId,
    /// From 1; a new one for every time that it is given out.
    pub attempt: u32,
    /// Under which leader it was given out.
    pub epoch: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub digest: u64,
    /// Epoch of the lease.
    pub epoch: u64,
    /// Stamp at which it came into its state; while backing off: at which it leaves.
    pub since: u64,
    /// Stamp at which it was first ready.
    pub born: u64,
    /// The earliest timer that it has.
    pub armed: u64,
    /// Dependencies that have not ended.
    pub open: u32,
    pub succeeded: u32,
    pub attempt: u32,
    /// Slot of the agent that holds the lease.
    pub agent: u32,
    pub retries: u16,
    /// Agents that were lost with it.
    pub kills: u8,
    pub state: State,
    pub why: Why,
    /// A dependency failed or was cancelled; one was skipped.
    pub failed: bool,
    pub skipped: bool,
    /// Times it was committed: at most once, or the engine is wrong. Nothing else reads it than the audit.
    pub commits: u8,
}

impl Task {
    pub fn new(open: u32) -> Task {
        Task {
            digest: 0,
            epoch: 0,
            since: 0,
            born: NEVER,
            armed: NEVER,
            open,
            succeeded: 0,
            attempt: 0,
            agent: u32::MAX,
            retries: 0,
            kills: 0,
            state: State::Waiting,
            why: Why::Nothing,
            failed: false,
            skipped: false,
            commits: 0,
        }
    }

    /// One dependency ended.
    pub fn take(&mut self, outcome: Outcome) {
        self.open = self.open.saturating_sub(1);
        match outcome {
            Outcome::Succeeded => self.succeeded += 1,
            Outcome::Failed | Outcome::Cancelled => self.failed = true,
            Outcome::Skipped => self.skipped = true,
        }
    }
}

const _: () = assert!(size_of::<Task>() <= 64, "a task outgrew its cache line");
