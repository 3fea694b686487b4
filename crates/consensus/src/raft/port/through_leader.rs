//! Reads of a replica that need not lead: the leader is asked, once for all that came together, up to where this
//! replica must have applied (thesis §6.4). Asked again when the question or its answer may be lost.

use super::ask::Reader;
use super::{RaftPort, Request};
use crate::raft::{Cmd, Index, NotPlaced, Raft};
use quorate_core::{Decider, PortCx, Reason, StateMachine, Time};
use std::collections::VecDeque;

/// Readers, each with the end of its patience.
type Readers<S> = Vec<(Time, Reader<S>)>;

pub(super) struct ThroughLeader<S> {
    /// Not asked for, and when they are to be.
    open: Readers<S>,
    ask_at: Time,
    /// Asked for under this number; lost if there is no answer by then.
    asked: VecDeque<(u64, Time, Readers<S>)>,
}

impl<S> ThroughLeader<S> {
    pub fn new() -> Self {
        ThroughLeader { open: Vec::new(), ask_at: Time::NEVER, asked: VecDeque::new() }
    }

    pub fn len(&self) -> usize {
        self.open.len() + self.asked.iter().map(|(_, _, readers)| readers.len()).sum::<usize>()
    }

    pub fn fail_all(&mut self, why: &Reason) {
        let asked = self.asked.drain(..).flat_map(|(_, _, readers)| readers);
        for (_, reader) in self.open.drain(..).chain(asked) {
            reader(Err(why.clone()));
        }
    }

    /// Who leads has changed: what the last one was asked it may not answer.
    pub fn ask_anew(&mut self, now: Time) {
        self.open.extend(self.asked.drain(..).flat_map(|(_, _, readers)| readers));
        self.ask_at = now;
    }

    fn take(&mut self, request: u64) -> Option<Readers<S>> {
        let at = self.asked.iter().position(|(number, _, _)| *number == request)?;
        self.asked.remove(at).map(|(_, _, readers)| readers)
    }

    pub fn deadline(&self) -> Time {
        let open = if self.open.is_empty() { Time::NEVER } else { self.ask_at };
        open.min(self.asked.front().map_or(Time::NEVER, |(_, lost_at, _)| *lost_at))
    }
}

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn read_through_leader(
        &mut self,
        reader: Reader<S>,
        until: Option<Time>,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if cx.protocol.leader().is_none() {
            let request = Request::ReadThroughLeader { reader, until };
            return self.leaderless.wait(request, cx.now + self.config.leader_patience);
        }
        self.through_leader.open.push((until.unwrap_or(cx.now + self.config.request_timeout), reader));
        // Once the asks that wait are taken: they share the question.
        self.through_leader.ask_at = Time::ZERO;
    }

    /// Asks for those that wait, and again for those whose answer is overdue. Who waited too long is told.
    pub(super) fn ask_leader(&mut self, cx: &mut PortCx<'_, Raft>) {
        let now = cx.now;
        let reads = &mut self.through_leader;
        while reads.asked.front().is_some_and(|(_, lost_at, _)| *lost_at <= now) {
            let Some((_, _, readers)) = reads.asked.pop_front() else { break };
            reads.open.extend(readers);
            reads.ask_at = now;
        }
        if reads.open.is_empty() || reads.ask_at > now {
            return;
        }
        let (late, open): (Vec<_>, Vec<_>) =
            std::mem::take(&mut reads.open).into_iter().partition(|(until, _)| *until <= now);
        late.into_iter().for_each(|(_, reader)| reader(Err(Reason::Deadline)));
        if open.is_empty() {
            return;
        }
        if cx.protocol.leader().is_none() {
            // From now on their patience is that for a leader.
            for (until, reader) in open {
                self.read_through_leader(reader, Some(until), cx);
            }
            return;
        }
        let lost_at = now + self.config.election_timeout;
        let request = self.next_read(cx);
        self.through_leader.asked.push_back((request, lost_at, open));
        cx.command(Cmd::ReadThroughLeader { request });
    }

    /// The leader named the index. False if the request was none of these.
    pub(super) fn leader_answered(&mut self, request: u64, index: Index) -> bool {
        let Some(readers) = self.through_leader.take(request) else { return false };
        for (until, reader) in readers {
            self.await_index(index, until, reader);
        }
        true
    }

    /// Whoever was asked did not answer with an index. One that does not lead is not asked again at once.
    pub(super) fn leader_refused(&mut self, request: u64, why: NotPlaced, now: Time) -> bool {
        let Some(readers) = self.through_leader.take(request) else { return false };
        match why {
            NotPlaced::NotLeader(_) => {
                self.through_leader.open.extend(readers);
                self.through_leader.ask_at = now + self.config.heartbeat;
            }
            NotPlaced::Busy | NotPlaced::TooLarge => {
                readers.into_iter().for_each(|(_, reader)| reader(Err(Reason::Busy)));
            }
        }
        true
    }
}
