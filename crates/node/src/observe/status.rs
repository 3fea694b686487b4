//! The status of a node: one value that can be printed, kept, compared and written as JSON.

use super::LatencySummary;
use crate::Stopped;
use quorate_core::{Boot, ClusterId, HostCounters, JournalId, LinkCounters, NodeId};
use serde::{Deserialize, Serialize};

/// What a node did and how it is. Counts are since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub id: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Which life of its journal this is.
    pub incarnation: u64,
    /// Its journal's own name.
    pub journal_id: JournalId,
    /// Why it ended; `None` while it runs.
    pub stopped: Option<Stopped>,
    /// Nanoseconds from the start to the last turn.
    pub uptime_ns: u64,
    /// Nanoseconds spent in turns: the time that coordination takes on this node, jobs and disk apart.
    pub busy_ns: u64,
    /// Steps of scopes.
    pub steps: u64,
    /// Of which wakes.
    pub wakes: u64,
    /// Records replayed at the start.
    pub replayed: u64,
    /// Whether a bound is reached: asks wait in the door, and data frames are dropped.
    pub full: bool,
    /// Asks taken from the door.
    pub asks: u64,
    /// Asks that wait in the door or behind it.
    pub asks_waiting: u64,
    /// Effects that wait for the disk.
    pub held_effects: u64,
    /// What travelled.
    pub frames: FrameCounts,
    /// What was written.
    pub journal: JournalCounts,
    /// What ran elsewhere.
    pub jobs: JobCounts,
    /// Notices of ports.
    pub notices: u64,
    /// Notices lost by slow watchers, over all of them.
    pub notices_dropped: u64,
    /// How late timed wakes were, from the time asked for to the turn that took it.
    pub wake_late: LatencySummary,
    /// How long turns took.
    pub turns: LatencySummary,
    /// Peers with which a session stands.
    pub sessions: Vec<Session>,
    /// What the link did and refused.
    pub link: LinkCounters,
    /// What the host refused.
    pub host: HostCounters,
}

/// A peer with which a session stands. Whether it is alive now, membership knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The peer.
    pub peer: NodeId,
    /// Which life of its journal.
    pub incarnation: u64,
    /// The transport lost the way to it, and nothing was heard of it since.
    pub down: bool,
}

/// Frames of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameCounts {
    /// Taken from the inbox.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Handed to the transport.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Given back by the inbox because a queue was full.
    pub refused: u64,
    /// Of the class data, dropped because the lane was full.
    pub dropped_full: u64,
    /// Not sent because the transport carries none so large.
    pub oversized: u64,
}

/// The journal as the lane sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalCounts {
    /// Records appended.
    pub appends: u64,
    /// Compactions asked for.
    pub compactions: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Bytes appended and not yet known to be on disk.
    pub undurable_bytes: u64,
    /// How long writing and syncing took; inline one sync in 64 is measured.
    pub sync: LatencySummary,
}

/// Jobs of all scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// Ended, well or in a panic.
    pub done: u64,
    /// Ended in a panic.
    pub panics: u64,
    /// Handed to a thread.
    pub out: u64,
    /// Waiting for a thread, or for the one before them in their scope.
    pub waiting: u64,
}

impl NodeStatus {
    /// Before the first turn.
    pub(crate) fn fresh(id: NodeId, cluster: ClusterId, boot: Boot, replayed: u64) -> NodeStatus {
        NodeStatus {
            id,
            cluster,
            incarnation: boot.incarnation,
            journal_id: boot.journal,
            stopped: None,
            uptime_ns: 0,
            busy_ns: 0,
            steps: 0,
            wakes: 0,
            replayed,
            full: false,
            asks: 0,
            asks_waiting: 0,
            held_effects: 0,
            frames: FrameCounts::default(),
            journal: JournalCounts::default(),
            jobs: JobCounts::default(),
            notices: 0,
            notices_dropped: 0,
            wake_late: LatencySummary::default(),
            turns: LatencySummary::default(),
            sessions: Vec::new(),
            link: LinkCounters::default(),
            host: HostCounters::default(),
        }
    }

    /// The share of its time that the node spent in turns, from 0 to 1.
    pub fn busy_share(&self) -> f64 {
        if self.uptime_ns == 0 {
            return 0.0;
        }
        (self.busy_ns as f64 / self.uptime_ns as f64).min(1.0)
    }
}
