//! What a queue is told when it is made, and what it counts.

use serde::{Deserialize, Serialize};

/// How urgent an item is; the more urgent is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Priority {
    /// Now: the whole waits for it.
    Critical,
    /// Soon.
    High,
    /// As ever.
    #[default]
    Normal,
    /// When there is time.
    Low,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

    /// 0 for critical to 3 for low.
    pub const fn class(self) -> usize {
        self as usize
    }
}

/// What a full queue does with one more. In no case is anything lost without being handed to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WhenFull {
    /// Gives it back, for the caller to hold until there is room: backpressure.
    #[default]
    Block,
    /// Refuses it for good.
    Reject,
    /// Sheds what was pushed first among what is no more urgent than the newcomer; the newcomer itself where
    /// all are more urgent. For news, where only the latest counts.
    ShedOldest,
    /// Sheds the youngest of the least urgent class; the newcomer itself where none is less urgent. For work.
    ShedLowest,
}

/// Bounds of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Items that may wait. A queue of 0 is always full. Default 4,096 (guess).
    pub items_max: usize,
    /// Control items that may wait, apart from the others. Default 1,024 (guess).
    pub control_max: usize,
    /// What happens at `items_max`. Default [`WhenFull::Block`].
    pub when_full: WhenFull,
    /// How much later an item of the next less urgent class is due, in the unit of the caller's `now`. 0 is
    /// first come, first served; `u64::MAX` is strict priority without aging. Rule of thumb: what a full queue
    /// takes to drain. Default 4,096 (pushes; guess).
    pub aging: u64,
}

impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits { items_max: 4096, control_max: 1024, when_full: WhenFull::Block, aging: 4096 }
    }
}

/// What a queue did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Items that were let in, control included.
    pub queued: u64,
    /// Items that were popped.
    pub popped: u64,
    /// Items that were given back for later.
    pub given_back: u64,
    /// Items that were refused for good.
    pub rejected: u64,
    /// Items that were shed, newcomers included.
    pub shed: u64,
}
