//! Promises of one replica, in the order of the log.

use super::machine::Outcome;
use super::sessions::SessionId;
use crate::raft::{Index, LogId, NotPlaced, Term};
use bytes::Bytes;
use quorate_core::{Failure, Promise, Reason, Time};
use std::collections::VecDeque;

/// Who waits for an entry.
pub(super) enum Waiter<R> {
    Reply(Promise<R>),
    Opened(Promise<SessionId>),
    /// The decider of this replica: an entry of its own.
    Decider,
}

struct Waiting<R> {
    waiter: Waiter<R>,
    until: Time,
    /// Kept of what may be proposed again without harm.
    again: Option<Bytes>,
    /// It was proposed before, so that a no to this time says little.
    retried: bool,
}

/// Something to be proposed again: it was, and what became of it is not known or it was lost.
pub(super) struct Again<R> {
    pub data: Bytes,
    pub waiter: Waiter<R>,
    pub until: Time,
}

/// First those without a place in the log, by request number; then those with one, by place.
pub(super) struct Promises<R> {
    unplaced: VecDeque<(u64, Waiting<R>)>,
    placed: VecDeque<(LogId, Waiting<R>)>,
    /// How many of them are the decider's.
    decisions: usize,
    again: Vec<Again<R>>,
    /// Of the last entry applied.
    term: Term,
}

impl<R> Promises<R> {
    pub fn new() -> Self {
        Promises {
            unplaced: VecDeque::new(),
            placed: VecDeque::new(),
            decisions: 0,
            again: Vec::new(),
            term: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.unplaced.len() + self.placed.len()
    }

    /// `again`: the entry, if a session sees to it that it is applied once however often it is proposed.
    pub fn asked(&mut self, request: u64, mut waiter: Waiter<R>, until: Time, again: Option<Bytes>) {
        let retried = waiter.is_in_doubt();
        // From here on it may happen, whether or not an answer comes.
        waiter.mark_in_doubt();
        self.decisions += usize::from(matches!(waiter, Waiter::Decider));
        self.unplaced.push_back((request, Waiting { waiter, until, again, retried }));
    }

    /// What is to be proposed again.
    pub fn take_again(&mut self) -> Vec<Again<R>> {
        std::mem::take(&mut self.again)
    }

    /// Places of `count` requests from `first` on, or none. They are nearly always the first that wait. What was
    /// `handed` out to be applied came to something already, and to what is not known here any more.
    pub fn placed(&mut self, first: u64, count: u32, placed: Result<LogId, NotPlaced>, handed: Index) {
        let at = self.unplaced.partition_point(|(number, _)| *number < first);
        let behind =
            self.unplaced.partition_point(|(number, _)| *number < first.saturating_add(count.into()));
        let named: Vec<_> = self.unplaced.drain(at..behind).collect();
        for (number, waiting) in named {
            let placed = placed.map(|id| LogId { index: id.index + (number - first), ..id });
            self.place(waiting, placed, handed);
        }
    }

    fn place(&mut self, waiting: Waiting<R>, placed: Result<LogId, NotPlaced>, handed: Index) {
        match placed {
            Ok(id) if id.index <= handed => {
                let why = "it was applied, or lost, before its place became known";
                self.fail_or_again(waiting, Failure::Unknown(Reason::Refused(why.into())));
            }
            Ok(id) => {
                let behind = self.placed.iter().rev().take_while(|(other, _)| other.index > id.index).count();
                self.placed.insert(self.placed.len() - behind, (id, waiting));
            }
            Err(why) if waiting.retried => self.end(waiting).fail(Failure::Unknown(reason(why))),
            Err(why) => self.end(waiting).fail(Failure::Rejected(reason(why))),
        }
    }

    fn fail_or_again(&mut self, waiting: Waiting<R>, failure: Failure) {
        match (waiting.again, waiting.retried) {
            (Some(data), _) => {
                self.again.push(Again { data, waiter: waiting.waiter, until: waiting.until });
            }
            (again, retried) => self.end(Waiting { again, retried, ..waiting }).fail(failure),
        }
    }

    fn end(&mut self, waiting: Waiting<R>) -> Waiter<R> {
        self.decisions -= usize::from(matches!(waiting.waiter, Waiter::Decider));
        waiting.waiter
    }

    /// The places up to `upto` that somebody waits for.
    pub fn wanted(&self, upto: Index) -> Vec<LogId> {
        self.placed.iter().map(|(id, _)| *id).take_while(|id| id.index <= upto).collect()
    }

    /// Entries up to `applied` were applied, to these outcomes. A place that another entry took was lost.
    pub fn applied(&mut self, applied: LogId, outcomes: Vec<(LogId, Outcome<R>)>) {
        let mut outcomes = outcomes.into_iter().peekable();
        while let Some((id, _)) = self.placed.front()
            && id.index <= applied.index
        {
            let Some((id, waiting)) = self.placed.pop_front() else { break };
            while outcomes.peek().is_some_and(|(at, _)| at.index < id.index) {
                outcomes.next();
            }
            match outcomes.peek() {
                Some((at, _)) if *at == id => {
                    if let Some((_, outcome)) = outcomes.next() {
                        self.end(waiting).settle(outcome);
                    }
                }
                // Applied, and not this entry: it was overwritten and never will be.
                _ => self.fail_or_again(waiting, Failure::Rejected(Reason::LeadershipLost)),
            }
        }
        self.overwritten(applied.term);
    }

    /// What an earlier term placed behind an entry of this one, which is applied, was overwritten: no log can have
    /// both.
    fn overwritten(&mut self, term: Term) {
        if term <= self.term {
            return;
        }
        self.term = term;
        if self.placed.iter().all(|(id, _)| id.term >= term) {
            return;
        }
        for (id, waiting) in std::mem::take(&mut self.placed) {
            match id.term < term {
                true => self.fail_or_again(waiting, Failure::Rejected(Reason::LeadershipLost)),
                false => self.placed.push_back((id, waiting)),
            }
        }
    }

    /// A snapshot stands for everything up to `upto`: what became of entries there is not known here.
    pub fn skipped(&mut self, upto: Index) {
        while let Some((id, _)) = self.placed.front()
            && id.index <= upto
        {
            let Some((_, waiting)) = self.placed.pop_front() else { break };
            self.fail_or_again(waiting, Failure::Unknown(Reason::LeadershipLost));
        }
    }

    /// Another leads than the one that these were passed on to. Whether it gave them places nobody will say any
    /// more. Requests from `gathered` on were not passed on yet.
    pub fn passed_over(&mut self, gathered: u64) {
        let left = self.unplaced.partition_point(|(number, _)| *number < gathered);
        for (_, waiting) in self.unplaced.drain(..left).collect::<Vec<_>>() {
            self.fail_or_again(waiting, Failure::Unknown(Reason::LeadershipLost));
        }
    }

    /// This replica leads no more: what is behind `committed` may still be committed by another, or not.
    pub fn retired(&mut self, committed: Index) {
        while let Some((id, _)) = self.placed.back()
            && id.index > committed
        {
            let Some((_, waiting)) = self.placed.pop_back() else { break };
            self.fail_or_again(waiting, Failure::Unknown(Reason::LeadershipLost));
        }
    }

    /// When the first of them has waited long enough.
    pub fn deadline(&self) -> Time {
        let first = |at: Option<Time>| at.unwrap_or(Time::NEVER);
        let unplaced = first(self.unplaced.front().map(|(_, w)| w.until));
        unplaced.min(first(self.placed.front().map(|(_, w)| w.until)))
    }

    pub fn expire(&mut self, now: Time) {
        while self.unplaced.front().is_some_and(|(_, w)| w.until <= now) {
            let Some((_, waiting)) = self.unplaced.pop_front() else { break };
            self.end(waiting).fail(Failure::Unknown(Reason::Deadline));
        }
        while self.placed.front().is_some_and(|(_, w)| w.until <= now) {
            let Some((_, waiting)) = self.placed.pop_front() else { break };
            self.end(waiting).fail(Failure::Unknown(Reason::Deadline));
        }
    }

    /// Whether an entry of the decider is on its way.
    pub fn has_decisions(&self) -> bool {
        self.decisions > 0
    }

    pub fn fail_all(&mut self, why: &Reason) {
        self.decisions = 0;
        let unplaced = self.unplaced.drain(..).map(|(_, w)| w);
        for waiting in unplaced.chain(self.placed.drain(..).map(|(_, w)| w)) {
            waiting.waiter.fail(Failure::Unknown(why.clone()));
        }
    }
}

impl<R> Waiter<R> {
    /// Whether it was proposed before.
    fn is_in_doubt(&self) -> bool {
        match self {
            Waiter::Reply(promise) => promise.is_in_doubt(),
            Waiter::Opened(promise) => promise.is_in_doubt(),
            Waiter::Decider => false,
        }
    }

    /// Rejected, or Unknown if it was proposed before.
    pub fn give_up(self, why: Reason) {
        match self {
            Waiter::Reply(promise) => promise.fail(why),
            Waiter::Opened(promise) => promise.fail(why),
            Waiter::Decider => {}
        }
    }

    fn mark_in_doubt(&mut self) {
        match self {
            Waiter::Reply(promise) => promise.mark_in_doubt(),
            Waiter::Opened(promise) => promise.mark_in_doubt(),
            Waiter::Decider => {}
        }
    }

    pub fn fail(self, failure: Failure) {
        match self {
            Waiter::Reply(promise) => promise.settle(Err(failure)),
            Waiter::Opened(promise) => promise.settle(Err(failure)),
            Waiter::Decider => {}
        }
    }

    fn settle(self, outcome: Outcome<R>) {
        match (self, outcome) {
            (Waiter::Reply(promise), Outcome::Reply(reply)) => promise.done(reply),
            (Waiter::Opened(promise), Outcome::Opened(id)) => promise.done(id),
            (waiter, Outcome::Failed(failure)) => waiter.fail(failure),
            (waiter, _) => waiter.fail(Failure::Rejected(Reason::Refused("another kind of entry".into()))),
        }
    }
}

pub(super) fn reason(why: NotPlaced) -> Reason {
    match why {
        NotPlaced::NotLeader(leader) => Reason::NotLeader(leader),
        NotPlaced::Busy => Reason::Busy,
        NotPlaced::TooLarge => Reason::Refused("longer than entry_bytes_max".into()),
    }
}
