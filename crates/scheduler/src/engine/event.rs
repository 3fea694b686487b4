//! What happened, in order and numbered. Kept in a bounded list that readers follow with a cursor; who falls behind
//! reads the state instead. Events are levels to act on, never the only place where something is known.

use super::agents::AgentSlot;
use crate::graph::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Why a task or an attempt ended, or did not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Why {
    /// Nothing is wrong.
    #[default]
    Nothing,
    /// Its agent said so.
    Reported,
    /// Its agent said that repeating it is of no use.
    Hopeless,
    /// No agent took it in time.
    QueueTimeout,
    /// An attempt took too long.
    RunTimeout,
    /// An attempt made no progress for too long.
    IdleTimeout,
    /// It all took too long, whatever retries were left.
    Deadline,
    /// It was running on too many agents that went down.
    KilledWorkers,
    /// Retries were left to it, and none to the engine.
    RetryBudget,
    /// The queue was full.
    Shed,
    /// It was taken out of the graph.
    Removed,
    /// It was cancelled by request.
    Asked,
    /// What it needed did not come about.
    Dependency,
    /// What it was there for was done or given up without it.
    NotNeeded,
    /// Its agent was lost or suspected.
    AgentLost,
}

/// One thing that happened. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// It may run.
    Ready {
        /// Which.
        task: TaskId,
    },
    /// It may run, but the queue is full.
    Held {
        /// Which.
        task: TaskId,
    },
    /// An attempt began.
    Leased {
        /// Which.
        task: TaskId,
        /// From 1.
        attempt: u32,
        /// By whom.
        agent: AgentSlot,
    },
    /// Its result stands.
    Committed {
        /// Which.
        task: TaskId,
        /// Which attempt's.
        attempt: u32,
        /// Whose.
        agent: AgentSlot,
    },
    /// A lease ended without a result.
    LeaseEnded {
        /// Which.
        task: TaskId,
        /// Which.
        attempt: u32,
        /// Whose it was.
        agent: AgentSlot,
        /// Why.
        why: Why,
    },
    /// It pauses before it is tried again.
    BackingOff {
        /// Which.
        task: TaskId,
        /// How often it was retried, this time included.
        retries: u16,
    },
    /// It was asked to stop and its agent was not heard yet.
    Cancelling {
        /// Which.
        task: TaskId,
        /// Which.
        attempt: u32,
        /// Whose.
        agent: AgentSlot,
    },
    /// It failed for good.
    Failed {
        /// Which.
        task: TaskId,
        /// Why.
        why: Why,
    },
    /// It was cancelled for good.
    Cancelled {
        /// Which.
        task: TaskId,
        /// Why.
        why: Why,
    },
    /// It was not needed.
    Skipped {
        /// Which.
        task: TaskId,
        /// Why.
        why: Why,
    },
    /// A completion or failure under a lease that is not the live one was refused.
    Stale {
        /// Which.
        task: TaskId,
        /// Which.
        attempt: u32,
    },
    /// The completion that stands came again.
    Duplicate {
        /// Which.
        task: TaskId,
        /// Which.
        attempt: u32,
    },
    /// An agent is there, or there again, or has other slots and skills.
    AgentUp {
        /// Which.
        agent: AgentSlot,
    },
    /// It is suspected and gets no work.
    AgentSuspected {
        /// Which.
        agent: AgentSlot,
    },
    /// It is gone.
    AgentGone {
        /// Which it was.
        agent: AgentSlot,
    },
    /// Leases are granted under a newer epoch.
    Epoch {
        /// Which.
        epoch: u64,
    },
}

impl Event {
    /// The agent that it concerns.
    pub fn agent(&self) -> Option<AgentSlot> {
        match *self {
            Event::Leased { agent, .. }
            | Event::Committed { agent, .. }
            | Event::LeaseEnded { agent, .. }
            | Event::Cancelling { agent, .. }
            | Event::AgentUp { agent }
            | Event::AgentSuspected { agent }
            | Event::AgentGone { agent } => Some(agent),
            _ => None,
        }
    }
}

/// The last events. Only their number is part of the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventLog {
    next: u64,
    #[serde(skip)]
    last: VecDeque<Event>,
}

/// Events that are kept for readers. Default 65,536 (a mebibyte).
pub const EVENTS_KEPT: usize = 1 << 16;

impl EventLog {
    pub fn new() -> EventLog {
        EventLog { next: 0, last: VecDeque::new() }
    }

    pub fn push(&mut self, event: Event) {
        if self.last.len() == EVENTS_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(event);
        self.next += 1;
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    /// The events from number `from` on; `None` when some of them are not kept any more, or never were here.
    pub fn since(&self, from: u64) -> Option<impl ExactSizeIterator<Item = &Event>> {
        let back = usize::try_from(self.next.checked_sub(from)?).ok()?;
        let start = self.last.len().checked_sub(back)?;
        Some(self.last.range(start..))
    }
}

impl PartialEq for EventLog {
    fn eq(&self, other: &EventLog) -> bool {
        self.next == other.next
    }
}
