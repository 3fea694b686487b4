//! Who waits for a change of voters.

use super::{RaftPort, one::One};
use crate::raft::{Change, Cmd, Configuration, NotChanged, Raft};
use quorate_core::{Decider, PortCx, Promise, Reason, StateMachine};

/// At most one: a leader makes one change at a time.
#[derive(Default)]
pub(super) struct Changing {
    requests: u64,
    pub waiting: One<Configuration>,
}

impl Changing {
    /// The number of the last one.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Numbers go on from there.
    pub fn go_on_from(&mut self, requests: u64) {
        self.requests = requests;
    }

    /// The change of this number is complete. (The one before may have been waited for no longer.)
    pub fn changed(&mut self, request: u64, configuration: Option<Configuration>) {
        if request != self.requests {
            return;
        }
        if let (Some(promise), Some(configuration)) = (self.waiting.take(), configuration) {
            promise.done(configuration);
        }
    }

    pub fn refused(&mut self, request: u64, why: NotChanged) {
        if request != self.requests {
            return;
        }
        if let Some(promise) = self.waiting.take() {
            promise.reject(match why {
                NotChanged::NotLeader(leader) => Reason::NotLeader(leader),
                NotChanged::Busy => Reason::Busy,
                other => Reason::Refused(other.to_string()),
            });
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
        if self.changing.waiting.is_waiting() {
            return promise.reject(Reason::Busy);
        }
        // Newcomers catch up, and then two entries are committed.
        let patience = self.config.promotion_timeout.saturating_add(self.config.request_timeout);
        self.changing.requests += 1;
        self.changing.waiting.wait(cx.now + patience, promise);
        cx.command(Cmd::Change { request: self.changing.requests, change });
    }
}
