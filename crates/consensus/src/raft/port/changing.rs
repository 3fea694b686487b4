//! Who waits for a change of voters.

use super::RaftPort;
use crate::raft::{Change, Cmd, Configuration, NotChanged, Raft};
use quorate_core::{Decider, Failure, PortCx, Promise, Reason, StateMachine, Time};

/// At most one: a leader makes one change at a time.
#[derive(Default)]
pub(super) struct Changing {
    requests: u64,
    waiting: Option<(Time, Promise<Configuration>)>,
}

impl Changing {
    /// The change of this number is complete. (The one before may have been waited for no longer.)
    pub fn changed(&mut self, request: u64, configuration: Option<Configuration>) {
        if request != self.requests {
            return;
        }
        if let (Some((_, promise)), Some(configuration)) = (self.waiting.take(), configuration) {
            promise.done(configuration);
        }
    }

    pub fn refused(&mut self, request: u64, why: NotChanged) {
        if request != self.requests {
            return;
        }
        if let Some((_, promise)) = self.waiting.take() {
            promise.reject(match why {
                NotChanged::NotLeader(leader) => Reason::NotLeader(leader),
                NotChanged::Busy => Reason::Busy,
                other => Reason::Refused(other.to_string()),
            });
        }
    }

    /// It may still come about.
    pub fn fail(&mut self, why: &Reason) {
        if let Some((_, promise)) = self.waiting.take() {
            promise.settle(Err(Failure::Unknown(why.clone())));
        }
    }

    pub fn deadline(&self) -> Time {
        self.waiting.as_ref().map_or(Time::NEVER, |(until, _)| *until)
    }

    pub fn expire(&mut self, now: Time) {
        if self.deadline() <= now {
            self.fail(&Reason::Deadline);
        }
    }
}

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn change(
        &mut self,
        change: Box<Change>,
        promise: Promise<Configuration>,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if !cx.protocol.is_leader() {
            return promise.reject(Reason::NotLeader(cx.protocol.leader()));
        }
        if self.changing.waiting.is_some() {
            return promise.reject(Reason::Busy);
        }
        // Newcomers catch up, and then two entries are committed.
        let patience = self.config.promotion_timeout.saturating_add(self.config.request_timeout);
        self.changing.requests += 1;
        self.changing.waiting = Some((cx.now + patience, promise));
        cx.command(Cmd::Change { request: self.changing.requests, change });
    }
}
