//! What workers and watchers tell each other. Part of the wire: see `tests/golden`.
//!
//! A beat is a level, not an edge: it says of every agent of the sender how long it has been quiet, but names only
//! those that are. So it is as small as the trouble is, and one that is lost costs a period and no knowledge.

use quorate_core::{AgentId, wire_by_postcard};
use serde::{Deserialize, Serialize};

/// Agents named in one message. More are split.
pub const NAMED_MAX: usize = 4096;
/// The quietness of an agent that its worker knows to be dead.
pub const CRASHED: u32 = u32::MAX;

/// See the variants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchMsg {
    /// Worker to watchers, each period.
    Beat(Beat),
    /// Worker to watchers: the steps of its roster from one version on.
    Changes {
        /// The sender's life.
        incarnation: u64,
        /// The version that they build on; each change is one version more.
        from: u64,
        /// Agents that came (true) or went.
        changes: Vec<(AgentId, bool)>,
    },
    /// Watcher to worker: your roster, please.
    Want {
        /// The life that is meant; another one's question is not answered.
        incarnation: u64,
        /// The version the watcher has; 0 for nothing.
        have: u64,
        /// The watcher is loading the whole: the first agent that it has not been told yet.
        next: Option<AgentId>,
    },
    /// Worker to watcher: a part of the whole roster. Read at one version while later ones may follow: the
    /// watcher then takes the changes since the version of its first part, which end in the truth.
    Roster {
        /// The sender's life.
        incarnation: u64,
        /// The version it was read at.
        version: u64,
        /// The part holds every agent from this on ...
        next: AgentId,
        /// ... sorted, up to its last one, or to the end.
        agents: Vec<AgentId>,
        /// Whether that is the end.
        last: bool,
    },
}

/// I live, and so do my agents in this range, but for those named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The sender's life.
    pub incarnation: u64,
    /// The version of its roster.
    pub version: u64,
    /// Counts the periods of this life ...
    pub seq: u64,
    /// ... and the messages of a period, where one does not hold all that are quiet.
    pub part: u32,
    /// The first agent this speaks of.
    pub first: AgentId,
    /// The last agent this speaks of.
    pub last: AgentId,
    /// Agents that have not beaten for longer than a period, sorted, with the milliseconds; [`CRASHED`] for
    /// those known to be dead.
    pub quiet: Vec<(AgentId, u32)>,
}

wire_by_postcard!(WatchMsg);
