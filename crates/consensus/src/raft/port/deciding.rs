//! What only the leader decides: the application's decider is asked after each change of the state, and what it says is proposed
//! (docs/adr/0005).

use super::promises::Waiter;
use super::sessions::Envelope;
use super::{RaftNotice, RaftPort, guarded};
use crate::raft::Raft;
use quorate_core::{Decider, PortCx, StateMachine};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    /// Has the decider decide, if this replica leads, has applied what was committed before its term, and no
    /// decision is on its way.
    pub(super) fn decide(&mut self, cx: &mut PortCx<'_, Raft>) {
        let (Some(leading), Some(machine)) = (&mut self.leading, &self.machine) else { return };
        let waits = machine.applied.index < leading.first || self.promises.has_decisions();
        if waits || self.poisoned.is_some() {
            return;
        }
        let (begins, term) = (!leading.ready, leading.term);
        leading.ready = true;
        let decided = guarded(|| {
            let mut proposals = Vec::new();
            if begins {
                self.decider.lead(term, &machine.state, cx.now);
            }
            self.decider.decide(&machine.state, cx.now, cx.rng, &mut proposals);
            proposals
        });
        if begins {
            cx.notice(RaftNotice::Leading { term });
        }
        let proposals = match decided {
            Ok(proposals) => proposals,
            Err(why) => return self.poison(why, cx),
        };
        for command in proposals {
            self.propose(Envelope::Plain, Some(&command), Waiter::Decider, cx);
        }
    }

    /// The state changed: levels are published, reads answered, decisions made.
    pub(super) fn after_change(&mut self, cx: &mut PortCx<'_, Raft>) {
        self.answer_reads();
        self.publish(cx);
        self.decide(cx);
    }

    pub(super) fn publish(&mut self, cx: &mut PortCx<'_, Raft>) {
        let Some(machine) = self.machine.as_ref().filter(|_| self.poisoned.is_none()) else { return };
        match guarded(|| self.decider.publish(&machine.state)) {
            Ok(notices) => notices.into_iter().for_each(|notice| cx.boxed_notice(notice)),
            Err(why) => self.poison(why, cx),
        }
    }
}
