//! Reads: those that wait for a round, and those that wait for an index to be applied.

use super::ask::{Read, Reader};
use super::{RaftPort, Request};
use crate::raft::{LogId, Raft};
use quorate_core::{Decider, PortCx, Reason, StateMachine};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    pub(super) fn read(&mut self, policy: Read, reader: Reader<S>, cx: &mut PortCx<'_, Raft>) {
        let waiting = self.unconfirmed.len() + self.confirmed.len() + self.early.len();
        if waiting + self.leaderless.len() >= self.config.promises_max {
            return reader(Err(Reason::Busy));
        }
        match policy {
            // Not before the state machine is whole: what was committed when it stopped is applied first. One
            // that has no log yet had none before.
            Read::Local if self.whole.is_some() || cx.protocol.last() == LogId::ZERO => {
                self.confirmed.push((self.whole.unwrap_or(0), reader));
                self.answer_reads();
            }
            Read::Local => self.early.push_back((cx.now + self.config.request_timeout, reader)),
            Read::Linearizable => self.put_forward(Request::Read(reader), cx),
        }
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
        for (index, reader) in std::mem::take(&mut self.confirmed) {
            match index <= applied {
                true => reader(Ok(&machine.state)),
                false => self.confirmed.push((index, reader)),
            }
        }
    }
}
