//! Reads: those that wait for a round, those that wait for an index to be applied, and how the scope stands.

use super::ask::{QuorumReport, RaftStatus, Read, Reader};
use super::{RaftPort, Request};
use crate::raft::{Index, LogId, Mutation, Raft};
use quorate_core::{Decider, PortCx, Promise, Reason, StateMachine, Time};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn read(&mut self, policy: Read, reader: Reader<S>, cx: &mut PortCx<'_, Raft>) {
        let waiting = self.reads_waiting();
        if waiting + self.leaderless.len() >= self.config.promises_max {
            return reader(Err(Reason::Busy));
        }
        // Not before the state machine is whole: what was committed when it stopped is applied first. One that has no log
        // yet had none before.
        let is_whole = self.whole.is_some()
            || cx.protocol.last() == LogId::ZERO
            || self.config.suffers(Mutation::ServesBeforeWhole);
        match policy {
            Read::Local if is_whole => {
                let until = cx.now + self.config.request_timeout;
                self.await_index(self.whole.unwrap_or(0), until, reader);
                self.answer_reads();
            }
            Read::Local => self.early.push_back((cx.now + self.config.request_timeout, reader)),
            Read::Follower => self.read_through_leader(reader, None, cx),
            Read::Linearizable => self.put_forward(Request::Read { reader, by_lease: false }, cx),
            Read::Lease => self.put_forward(Request::Read { reader, by_lease: true }, cx),
        }
    }

    /// A linearizable read that reads nothing: it is answered once a quorum has confirmed the leader.
    pub(super) fn verify_quorum(&mut self, promise: Promise<QuorumReport>, cx: &mut PortCx<'_, Raft>) {
        let raft = cx.protocol;
        let report = QuorumReport {
            node: raft.id(),
            term: raft.term(),
            leader: raft.leader(),
            voters: raft.voters(),
            linked: raft.linked_voters(),
            unconfirmed: None,
        };
        let reader = Box::new(move |answer: Result<&S, Reason>| {
            promise.done(QuorumReport { unconfirmed: answer.err().map(|why| why.to_string()), ..report })
        });
        self.read(Read::Follower, reader, cx);
    }

    fn reads_waiting(&self) -> usize {
        self.unconfirmed.len() + self.confirmed.len() + self.early.len() + self.through_leader.len()
    }

    /// A number for a read, which none had in this life and, as good as surely, in any other.
    pub(super) fn next_read(&mut self, cx: &mut PortCx<'_, Raft>) -> u64 {
        if self.next_read == 0 {
            self.next_read = cx.rng.bits() >> 2;
        }
        self.next_read += 1;
        self.next_read
    }

    pub(super) fn refuse_read(&mut self, request: u64, why: Reason) {
        if let Some(at) = self.unconfirmed.iter().position(|(number, _)| *number == request)
            && let Some((_, reader)) = self.unconfirmed.remove(at)
        {
            reader(Err(why));
        }
    }

    /// Answers the reads whose index is applied, if the state machine is at home and whole.
    pub(super) fn answer_reads(&mut self) {
        if self.incoming.as_ref().is_some_and(|(_, answer)| !answer) {
            return;
        }
        let Some(machine) = &self.machine else { return };
        let applied = machine.applied.index;
        self.confirmed_until = Time::NEVER;
        for (index, until, reader) in std::mem::take(&mut self.confirmed) {
            match index <= applied || self.config.suffers(Mutation::ReadUnapplied) {
                true => reader(Ok(&machine.state)),
                false => {
                    self.confirmed_until = self.confirmed_until.min(until);
                    self.confirmed.push((index, until, reader));
                }
            }
        }
    }

    pub(super) fn await_index(&mut self, index: Index, until: Time, reader: Reader<S>) {
        self.confirmed_until = self.confirmed_until.min(until);
        self.confirmed.push((index, until, reader));
    }

    /// Those whose index does not come: this replica may be cut off from whoever has it.
    pub(super) fn expire_reads(&mut self, now: Time) {
        if self.confirmed_until > now {
            return;
        }
        let (late, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.confirmed).into_iter().partition(|(_, until, _)| *until <= now);
        self.confirmed_until = waiting.iter().map(|(_, until, _)| *until).min().unwrap_or(Time::NEVER);
        self.confirmed = waiting;
        late.into_iter().for_each(|(_, _, reader)| reader(Err(Reason::Deadline)));
    }

    pub(super) fn status(&self, raft: &Raft) -> RaftStatus {
        RaftStatus {
            node: raft.id(),
            group: raft.group(),
            term: raft.term(),
            leader: raft.leader(),
            leads: raft.is_leader(),
            voters: raft.voters(),
            configuration: raft.configuration().map(|(_, configuration)| configuration.clone()),
            witnesses: raft.witnesses(),
            last: raft.last(),
            commit: raft.commit(),
            applied: self.machine.as_ref().map_or(self.lent.0, |machine| machine.applied),
            snapshot: raft.snapshot().map_or(LogId::ZERO, |snapshot| snapshot.last),
            log_bytes: raft.log().bytes(),
            waiting: self.promises.len() + self.leaderless.len() + self.reads_waiting(),
            sessions: self.machine.as_ref().map_or(self.lent.1, |machine| machine.sessions.len()),
            snapshots_not_taken: self.not_taken.as_ref().map_or(0, |failures| failures.count),
            not_taken: self.not_taken.as_ref().and_then(|failures| failures.last.clone()),
            founding: raft.founding(),
            rolled_back: raft.rolled_back(),
            poisoned: self.poisoned.clone(),
            counters: raft.counters(),
        }
    }
}
