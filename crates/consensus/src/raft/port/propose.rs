//! From an ask to a proposal: encoded, bounded, gathered with others, or kept until somebody leads.

use super::leaderless::Request;
use super::promises::{Again, Waiter};
use super::sessions::Envelope;
use super::{RaftPort, guarded};
use crate::raft::{Cmd, Raft};
use bytes::Bytes;
use quorate_core::{Decider, Failure, PortCx, Reason, StateMachine, Time};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn propose(
        &mut self,
        envelope: Envelope,
        command: Option<&S::Command>,
        waiter: Waiter<S::Reply>,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if self.promises.len() + self.leaderless.len() >= self.config.promises_max {
            return waiter.fail(Failure::Rejected(Reason::Busy));
        }
        // The application's code, and outside a job.
        let encoded = guarded(|| self.gathering.encode(&envelope, command));
        let data = match encoded.and_then(|data| data.map_err(|why| why.to_string())) {
            Ok(data) => data,
            Err(why) => {
                let why = Reason::Refused(format!("the command cannot be encoded: {why}"));
                return waiter.fail(Failure::Rejected(why));
            }
        };
        let max = self.config.entry_bytes_max;
        if data.len() > max {
            return waiter.fail(Failure::Rejected(Reason::TooLarge { bytes: data.len(), max }));
        }
        let until = cx.now + self.config.request_timeout;
        // A session that was opened and never heard of harms nobody; it is the first to be closed.
        let repeatable = !matches!(envelope, Envelope::Plain);
        if takes_proposals(cx) {
            self.gather(&data, waiter, until, repeatable, cx);
        } else if self.leaderless.bytes() + data.len() > self.config.uncommitted_bytes_max {
            waiter.fail(Failure::Rejected(Reason::Busy));
        } else {
            let data = Bytes::copy_from_slice(&data);
            let request = Request::Propose { data, waiter, until, repeatable };
            self.leaderless.wait(request, cx.now + self.config.leader_patience);
        }
        self.gathering.reuse(data);
    }

    /// To the leader if there is one.
    pub(super) fn put_forward(&mut self, request: Request<S>, cx: &mut PortCx<'_, Raft>) {
        match request {
            request if cx.protocol.leader().is_none() => {
                self.leaderless.wait(request, cx.now + self.config.leader_patience)
            }
            Request::Propose { .. } if !takes_proposals(cx) => {
                self.leaderless.wait(request, cx.now + self.config.leader_patience)
            }
            Request::ReadThroughLeader { reader, until } => self.read_through_leader(reader, until, cx),
            Request::Propose { data, waiter, until, repeatable } => {
                self.gather(&data, waiter, until, repeatable, cx)
            }
            Request::Read { reader, by_lease } => {
                let request = self.next_read(cx);
                self.unconfirmed.push_back((request, reader));
                cx.command(match by_lease {
                    true => Cmd::LeasedRead { request },
                    false => Cmd::Read { request },
                });
            }
        }
    }

    /// Puts a command to those that leave together once the inputs that wait now are taken.
    fn gather(
        &mut self,
        data: &[u8],
        waiter: Waiter<S::Reply>,
        until: Time,
        repeatable: bool,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if self.gathering.is_full_for(data.len(), self.config.batch_bytes_max) {
            self.gathering.leave(cx);
        }
        let request = self.gathering.push(data, cx.rng);
        self.promises.asked(request, waiter, until, repeatable.then(|| Bytes::copy_from_slice(data)));
    }

    /// What was lost on its way and may be proposed again is.
    pub(super) fn propose_again(&mut self, cx: &mut PortCx<'_, Raft>) {
        for Again { data, waiter, until } in self.promises.take_again() {
            self.put_forward(Request::Propose { data, waiter, until, repeatable: true }, cx);
        }
    }

    /// Somebody may lead by now: what waited for that goes on, before anything that came later.
    pub(super) fn end_leaderless(&mut self, cx: &mut PortCx<'_, Raft>) {
        if self.leaderless.is_empty() || !takes_proposals(cx) {
            return;
        }
        let Some(leader) = cx.protocol.leader() else { return };
        for request in self.leaderless.end(leader) {
            self.put_forward(request, cx);
        }
    }
}

/// Somebody leads, and is not about to hand that over.
fn takes_proposals(cx: &PortCx<'_, Raft>) -> bool {
    cx.protocol.leader().is_some() && !cx.protocol.is_transferring()
}
