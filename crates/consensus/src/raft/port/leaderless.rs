//! What came while nobody was known to lead. It waits a little: an election is short, and one that proposes right
//! after a start, or while a leader is replaced, would hear of nothing else.

use super::ask::Reader;
use super::promises::Waiter;
use bytes::Bytes;
use quorate_core::{NodeId, Promise, Reason, StateMachine, Time};
use std::collections::VecDeque;

/// A request that only a leader can serve.
pub(super) enum Request<S: StateMachine> {
    Propose {
        data: Bytes,
        waiter: Waiter<S::Reply>,
        /// When it is answered Unknown.
        until: Time,
        /// It may be proposed again without harm.
        repeatable: bool,
    },
    Read {
        reader: Reader<S>,
        /// Without a round, while there is a lease.
        by_lease: bool,
    },
    ReadThroughLeader {
        reader: Reader<S>,
        /// The end of its patience, if it has waited before.
        until: Option<Time>,
    },
}

/// Requests, and those who only ask who leads; each in the order of their ends.
pub(super) struct Leaderless<S: StateMachine> {
    requests: VecDeque<(Time, Request<S>)>,
    bytes: usize,
    curious: VecDeque<(Time, Promise<NodeId>)>,
}

impl<S: StateMachine> Leaderless<S> {
    pub fn new() -> Self {
        Leaderless { requests: VecDeque::new(), bytes: 0, curious: VecDeque::new() }
    }

    pub fn len(&self) -> usize {
        self.requests.len() + self.curious.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the proposals that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn wait(&mut self, request: Request<S>, until: Time) {
        self.bytes += request.bytes();
        self.requests.push_back((until, request));
    }

    pub fn wonder(&mut self, promise: Promise<NodeId>, until: Time) {
        self.curious.push_back((until, promise));
    }

    /// Somebody leads: who asked for that is told, and the requests go on their way.
    pub fn end(&mut self, leader: NodeId) -> impl Iterator<Item = Request<S>> + use<S> {
        self.curious.drain(..).for_each(|(_, promise)| promise.done(leader));
        self.bytes = 0;
        std::mem::take(&mut self.requests).into_iter().map(|(_, request)| request)
    }

    pub fn deadline(&self) -> Time {
        let requests = self.requests.front().map_or(Time::NEVER, |(until, _)| *until);
        requests.min(self.curious.front().map_or(Time::NEVER, |(until, _)| *until))
    }

    /// Whoever waited long enough is told why nobody leads.
    pub fn expire(&mut self, now: Time, why: impl Fn() -> Reason) {
        while self.requests.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, request)) = self.requests.pop_front() else { break };
            self.bytes -= request.bytes();
            request.fail(why());
        }
        while self.curious.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, promise)) = self.curious.pop_front() else { break };
            promise.reject(why());
        }
    }

    pub fn fail_all(&mut self, why: &Reason) {
        self.bytes = 0;
        self.requests.drain(..).for_each(|(_, request)| request.fail(why.clone()));
        self.curious.drain(..).for_each(|(_, promise)| promise.reject(why.clone()));
    }
}

impl<S: StateMachine> Request<S> {
    fn bytes(&self) -> usize {
        match self {
            Request::Propose { data, .. } => data.len(),
            Request::Read { .. } | Request::ReadThroughLeader { .. } => 0,
        }
    }

    fn fail(self, why: Reason) {
        match self {
            Request::Propose { waiter, .. } => waiter.give_up(why),
            Request::Read { reader, .. } | Request::ReadThroughLeader { reader, .. } => reader(Err(why)),
        }
    }
}
