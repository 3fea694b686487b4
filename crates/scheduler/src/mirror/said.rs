//! What a mirror is asked, what it tells, and what it counts.

use bytes::Bytes;
use quorate_core::NodeId;

/// What the owner of levels asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorCmd {
    /// In the level of `to`, `key` is `value`.
    Set {
        /// The recipient.
        to: NodeId,
        /// The key.
        key: u64,
        /// Its value.
        value: Bytes,
    },
    /// In the level of `to`, there is no `key`.
    Clear {
        /// The recipient.
        to: NodeId,
        /// The key.
        key: u64,
    },
    /// The level of `to` is exactly this; told even if it is empty. Of a key named twice the last value counts.
    Replace {
        /// The recipient.
        to: NodeId,
        /// Keys with values, in any order.
        all: Vec<(u64, Bytes)>,
    },
    /// Forget the level of `to` without telling it: it is gone for good.
    Close {
        /// The recipient.
        to: NodeId,
    },
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorEvent {
    /// In the level that `from` holds for this node, these keys changed: set, or cleared. Each key once. May be
    /// told again; the last told counts. Values are slices of the frame they came in: decode or copy what is kept.
    Level {
        /// The publisher.
        from: NodeId,
        /// Keys with their values; `None` where the key was cleared.
        changes: Vec<(u64, Option<Bytes>)>,
        /// Whether this node's view is now exactly the level as it once was. False between the parts of a large
        /// one, and where parts of different ages are mixed; the last that is told is whole.
        whole: bool,
    },
    /// Forget all that `from` has told: it started again, or must start over. A new level follows.
    Reset {
        /// The publisher.
        from: NodeId,
        /// The life of it that speaks now.
        incarnation: u64,
    },
    /// A command was not carried out: its level is as before.
    Refused {
        /// The recipient it was for.
        to: NodeId,
        /// The key; `None` for a whole level.
        key: Option<u64>,
        /// Which bound.
        why: Refused,
    },
}

/// Which bound a command would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// [`MirrorConfig::recipients_max`](super::MirrorConfig::recipients_max), and none of them is empty.
    Recipients,
    /// [`MirrorConfig::keys_max`](super::MirrorConfig::keys_max).
    Keys,
    /// [`MirrorConfig::value_bytes_max`](super::MirrorConfig::value_bytes_max).
    ValueBytes,
    /// [`MirrorConfig::level_bytes_max`](super::MirrorConfig::level_bytes_max).
    LevelBytes,
}

/// What happened so far, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounters {
    /// Deltas sent, with those sent again, hellos and probes.
    pub deltas: u64,
    /// Changes in them.
    pub changes: u64,
    /// Times that what was sent was sent again.
    pub retries: u64,
    /// Acknowledgements sent.
    pub acks: u64,
    /// Messages of older lives and streams.
    pub stale: u64,
    /// Messages that no honest node sends.
    pub refused: u64,
    /// Messages of publishers for whom there was no room.
    pub no_room: u64,
}
