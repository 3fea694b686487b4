//! Looking at a lane from outside, between steps.

use super::sessions::Known;
use super::{Lane, Life};
use crate::observe::{FrameCounts, JobCounts, JournalCounts, NodeStatus, Session};
use quorate_core::{Host, Time};

impl Lane {
    /// The node's scopes; `None` once it ended.
    pub fn host(&self) -> Option<&Host> {
        self.life.as_ref().map(|life| life.turn.protocol())
    }

    /// How the node is; after its end, how it was.
    pub fn status(&self) -> NodeStatus {
        if let Some(life) = &self.life {
            let status = life.status(self.clock.now());
            self.shared.last.lock().clone_from(&status);
            return status;
        }
        self.shared.last.lock().clone()
    }
}

impl Life {
    pub(super) fn status(&self, now: Time) -> NodeStatus {
        let (tally, crew, host) = (&self.hands.tally, &self.hands.crew, self.turn.protocol());
        let stands = |known: &Known| {
            let Known { peer, incarnation, down } = *known;
            self.hands.link.peer(peer).map(|_| Session { peer, incarnation, down })
        };
        NodeStatus {
            id: self.id,
            cluster: self.cluster,
            incarnation: self.boot.incarnation,
            journal_id: self.boot.journal,
            stopped: None,
            uptime_ns: now.0,
            busy_ns: u64::try_from(self.busy.as_nanos()).unwrap_or(u64::MAX),
            steps: tally.steps,
            wakes: tally.wakes,
            replayed: self.replayed,
            full: self.is_full(),
            asks: tally.asks,
            asks_waiting: (self.asks.len() + self.door.len()) as u64,
            held_effects: host.held() as u64,
            frames: FrameCounts {
                received: tally.received,
                received_bytes: tally.received_bytes,
                sent: tally.sent,
                sent_bytes: tally.sent_bytes,
                refused: self.inbox.refused(),
                dropped_full: tally.dropped_full,
                oversized: tally.oversized,
            },
            journal: JournalCounts {
                appends: tally.appends,
                compactions: tally.compactions,
                syncs: tally.syncs,
                undurable_bytes: self.turn.undurable_bytes() as u64,
                sync: self.sync.summary(),
            },
            jobs: JobCounts {
                done: tally.jobs_done,
                panics: tally.job_panics,
                out: crew.out() as u64,
                waiting: crew.waiting() as u64,
            },
            notices: tally.notices,
            notices_dropped: self.hands.shared.hub.dropped(),
            wake_late: self.wake_late.summary(),
            turns: self.turns.summary(),
            sessions: self.sessions.iter().filter_map(stands).collect(),
            link: self.hands.link.counters(),
            host: host.counters(),
        }
    }

    /// Hands metrics over if their time has come; answers with when it comes next, if anything changed since.
    pub(super) fn publish(&mut self, now: Time) -> Time {
        let (steps, due) = self.published;
        if steps == self.hands.tally.steps {
            return Time::NEVER;
        }
        if now < due {
            return due;
        }
        let status = self.status(now);
        self.meters.publish(&status);
        *self.hands.shared.last.lock() = status;
        self.published = (self.hands.tally.steps, now + self.config.metrics_interval);
        Time::NEVER
    }
}
