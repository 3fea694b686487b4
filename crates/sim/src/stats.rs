//! How much a run did.

use std::time::Duration;

/// Counts of one run, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Simulated events.
    pub events: u64,
    /// Frames that nodes handed to the network.
    pub frames_sent: u64,
    /// Frames that reached a running node.
    pub frames_arrived: u64,
    /// Messages that links handed to protocols.
    pub messages: u64,
    /// Wakes.
    pub wakes: u64,
    /// Syncs that went through.
    pub syncs: u64,
    /// Jobs that ended.
    pub jobs: u64,
    /// Asks that were taken from doors.
    pub asks: u64,
    /// Simulated time.
    pub time: Duration,
}

impl Stats {
    /// Adds another run.
    pub fn merge(&mut self, other: &Stats) {
        self.events += other.events;
        self.frames_sent += other.frames_sent;
        self.frames_arrived += other.frames_arrived;
        self.messages += other.messages;
        self.wakes += other.wakes;
        self.syncs += other.syncs;
        self.jobs += other.jobs;
        self.asks += other.asks;
        self.time += other.time;
    }
}
