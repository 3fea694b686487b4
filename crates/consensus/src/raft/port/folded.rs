//! A port whose replica sleeps: the state machine, its sessions, and the numbers that must not be given twice.

use super::{Leading, Machine, RaftPort, objects::Objects, taking::Failures};
use crate::raft::{Index, LogId, RaftConfig, Term};
use quorate_core::{NoDecider, ScopeId, StateMachine, Time};
use std::sync::Arc;

/// An idle port, folded small.
pub(crate) struct FoldedPort<S> {
    machine: Machine<S>,
    requests: u64,
    next_read: u64,
    changes: u64,
    whole: Option<Index>,
    applied_since: (usize, u64),
    not_taken: Option<Box<Failures>>,
    scope: ScopeId,
    made: u64,
    /// The term that this replica leads, and its first entry.
    leads: Option<(Term, Index)>,
    led: Term,
}

impl<S> FoldedPort<S> {
    /// The state and the last entry applied to it.
    pub fn state(&self) -> (&S, LogId) {
        (&self.machine.state, self.machine.applied)
    }
}

impl<S: StateMachine> FoldedPort<S> {
    /// The port again.
    pub fn unfold(self, config: &Arc<RaftConfig>) -> RaftPort<S> {
        let applied = self.machine.applied.index;
        let mut port = RaftPort::around(Some(self.machine), NoDecider, config.clone());
        port.gathering.go_on_from(self.requests);
        port.next_read = self.next_read;
        port.changing.go_on_from(self.changes);
        port.whole = self.whole;
        port.applied_since = self.applied_since;
        port.not_taken = self.not_taken;
        port.scope = self.scope;
        port.objects = Objects::swept(self.made);
        (port.committed, port.handed) = (applied, applied);
        port.leading = self.leads.map(|(term, first)| Leading { term, first, ready: true });
        port.led = self.led;
        port
    }
}

impl<S: StateMachine> RaftPort<S> {
    /// Whether nobody waits for anything and nothing is left to be applied.
    pub(crate) fn is_idle(&self) -> bool {
        let applied = self.machine.as_ref().map(|machine| machine.applied.index);
        let nobody_waits = self.promises.len() == 0
            && self.leaderless.is_empty()
            && self.gathering.is_empty()
            && !self.handover.0.is_waiting()
            && !self.changing.waiting.is_waiting()
            && self.unconfirmed.is_empty()
            && self.through_leader.len() == 0
            && self.confirmed.is_empty()
            && self.early.is_empty();
        let nothing_to_do = self.incoming.is_none()
            && self.frozen.is_none()
            && !self.serialising
            && self.leading.as_ref().is_none_or(|leading| leading.ready)
            && self.postponed.is_none()
            && !self.snapshot_lost
            && self.renew_at == Time::NEVER
            && applied == Some(self.committed);
        // One whose state is lost applies and makes nothing any more.
        nobody_waits && (nothing_to_do || self.poisoned.is_some()) && self.objects.is_idle()
    }

    /// Folds it, if it is idle and its state is there.
    pub(crate) fn fold(mut self) -> Result<FoldedPort<S>, Box<RaftPort<S>>> {
        if !self.is_idle() || self.poisoned.is_some() {
            return Err(Box::new(self));
        }
        match self.machine.take() {
            None => Err(Box::new(self)),
            Some(machine) => Ok(FoldedPort {
                machine,
                requests: self.gathering.requests(),
                next_read: self.next_read,
                changes: self.changing.requests(),
                whole: self.whole,
                applied_since: self.applied_since,
                not_taken: self.not_taken,
                scope: self.scope,
                made: self.objects.made(),
                leads: self.leading.map(|leading| (leading.term, leading.first)),
                led: self.led,
            }),
        }
    }
}
