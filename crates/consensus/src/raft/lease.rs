//! Reads by lease (thesis §6.4.1): for a while after a quorum has answered nobody else can be elected, so the leader
//! answers reads without asking again.
//!
//! **What it rests on.** A voter that acknowledged a leader gives no vote for an election timeout of its own clock, to
//! nobody and in no term, unless that leader resigned or handed over; after a start it gives none for as long, as it may
//! have acknowledged one before. The leader counts from when it *asked*, and by less than that time: as much less as two
//! clocks may differ in rate ([`RaftConfig::lease_drift_ppm`](super::RaftConfig::lease_drift_ppm)). All voters must have
//! the same election timeout. A clock that runs further off than stated can make such a read stale, and nothing else;
//! so it is off by default.
//!
//! A leader that hands over has none any more, whatever becomes of it: its word to the next one may arrive at any time in
//! the term. Nor has one whose two clocks disagree about how much time has passed: the machine was suspended, or somebody
//! set it.

use super::{Event, Mutation, Raft, Role, leader::Leader};
use quorate_core::{Cx, Time, Wall};
use std::collections::VecDeque;
use std::time::Duration;

/// Rounds that are remembered: all heartbeats of an election timeout, with the least pace that is valid, and some.
const BEATS_MAX: usize = 8;

/// When a round was asked, by both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Beat {
    round: u64,
    at: Time,
    wall: Wall,
}

/// The newest rounds that a leader asked with its heartbeats.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Lease {
    beats: VecDeque<Beat>,
    /// It hands over, or did.
    void: bool,
}

impl Lease {
    pub fn give_up(&mut self) {
        self.void = true;
    }

    pub fn is_void(&self) -> bool {
        self.void
    }
}

impl Leader {
    /// A new round, with a heartbeat.
    pub(super) fn beat(&mut self, now: Time, wall: Wall) {
        self.round += 1;
        self.lease.beats.push_back(Beat { round: self.round, at: now, wall });
        if self.lease.beats.len() > BEATS_MAX {
            self.lease.beats.pop_front();
        }
    }
}

impl Raft {
    /// Whether nobody else can have been elected by now, so that what is committed here is all that is.
    pub(super) fn has_lease(&self, cx: &Cx<'_, Raft>) -> bool {
        let (Role::Leader(leader), Some(ppm)) = (&self.role, self.config.lease_drift_ppm) else {
            return false;
        };
        if leader.lease.void && !self.config.suffers(Mutation::LeaseOutlivesTransfer)
            || self.commit < leader.first
        {
            return false;
        }
        let heard = self.quorum_index(leader.round, |peer| peer.round);
        let Some(beat) = leader.lease.beats.iter().rev().find(|beat| beat.round <= heard) else {
            return false;
        };
        // Its clock may be fast and a voter's slow, each by so much.
        let timeout = self.config.election_timeout.as_nanos();
        let drift = (timeout * u128::from(ppm)).div_ceil(1_000_000);
        let drift = Duration::from_nanos(u64::try_from(drift).unwrap_or(u64::MAX));
        let lease = self.config.election_timeout.saturating_sub(drift.saturating_mul(2));
        let passed = cx.now.since(beat.at);
        let by_wall = Duration::from_nanos(cx.wall.0.saturating_sub(beat.wall.0));
        let went_back = cx.wall.0 < beat.wall.0;
        let agree = !went_back && by_wall.abs_diff(passed) <= drift;
        passed < lease && (agree || self.config.suffers(Mutation::LeaseDespiteClocks))
    }

    pub(super) fn on_leased_read(&mut self, request: u64, cx: &mut Cx<'_, Raft>) {
        if !self.has_lease(cx) {
            return self.on_read(request, cx);
        }
        self.counters.leased_reads += 1;
        // The voters' promise, which this node's disk adds nothing to.
        cx.emit_now(Event::ReadReady { index: self.commit, requests: vec![request] });
    }

    /// Whether this voter may not vote yet for anybody but who led: it acknowledged a leader less than an election
    /// timeout ago, or may have, before it was restarted.
    pub(super) fn is_bound(&self, now: Time) -> bool {
        now < self.bound_until && !self.config.suffers(Mutation::UnboundByNewerTerm)
    }
}
