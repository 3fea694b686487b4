//! Who waits for leadership to be handed over.

use super::{RaftPort, one::One};
use crate::raft::{Cmd, Raft};
use quorate_core::{Decider, Failure, NodeId, PortCx, Promise, Reason, StateMachine};

/// At most one: a leader hands over to one at a time.
#[derive(Default)]
pub(super) struct Handover(pub One<NodeId>);

impl Handover {
    /// Somebody leads now.
    pub fn ended(&mut self, leader: NodeId) {
        if let Some(promise) = self.0.take() {
            promise.done(leader);
        }
    }

    /// This replica leads on.
    pub fn failed(&mut self, begun: bool) {
        let Some(promise) = self.0.take() else { return };
        match begun {
            true => promise.settle(Err(Failure::Unknown(Reason::Deadline))),
            false => promise.reject(Reason::Refused("no voter that could take over is connected".into())),
        }
    }
}

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn transfer(
        &mut self,
        to: Option<NodeId>,
        promise: Promise<NodeId>,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if !cx.protocol.is_leader() {
            return promise.reject(Reason::NotLeader(cx.protocol.leader()));
        }
        if self.handover.0.is_waiting() || cx.protocol.is_transferring() {
            return promise.reject(Reason::Busy);
        }
        let voters = cx.protocol.voters();
        let refused = match to {
            Some(to) if to == cx.protocol.id() => Some(format!("{to} leads already")),
            Some(to) if !voters.contains(&to) => Some(format!("{to} is not among the voters {voters:?}")),
            _ => None,
        };
        if let Some(why) = refused {
            return promise.reject(Reason::Refused(why));
        }
        // What was asked for before still has its place.
        self.gathering.leave(cx);
        self.handover.0.wait(cx.now + self.config.request_timeout, promise);
        cx.command(Cmd::Transfer { to });
    }
}
