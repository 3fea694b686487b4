//! The receiving side of one publisher: a few numbers, and what to make of a delta.

use super::msg::{Ack, Delta};
use super::{Mirror, MirrorCounters, MirrorEvent};
use quorate_core::{Boot, Cx, JournalId, NodeId, Time};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    journal: Option<JournalId>,
    /// The publisher's life and stream; 0 before anything was heard.
    life: u64,
    stream: u64,
    echo: u64,
    have: u64,
    /// The latest level that anything taken was a part of. Parts may be of different ages, where some were sent
    /// again: only when all of the latest is here, this is a level that the publisher once had.
    latest: u64,
    /// When it was heard last.
    pub(super) heard: Time,
}

impl Incoming {
    /// A publisher of whom nothing was heard, but perhaps who it is.
    pub(super) fn new(boot: Option<Boot>, heard: Time) -> Incoming {
        let journal = boot.map(|boot| boot.journal);
        Incoming { journal, life: 0, stream: 0, echo: 0, have: 0, latest: 0, heard }
    }

    /// What it said is void.
    pub(super) fn forget(self, from: NodeId, cx: &mut Cx<'_, Mirror>) {
        if self.life != 0 {
            cx.emit(MirrorEvent::Reset { from, incarnation: self.life });
        }
    }

    /// Takes what is new. `None` if no answer is owed, else whether something is missing.
    pub(super) fn on_delta(
        &mut self,
        from: NodeId,
        delta: Delta,
        my_life: u64,
        counters: &mut MirrorCounters,
        cx: &mut Cx<'_, Mirror>,
    ) -> Option<bool> {
        if delta.base > delta.upto || delta.upto > delta.latest || delta.life == 0 || delta.stream == 0 {
            counters.refused += 1;
            return None;
        }
        if (delta.life, delta.stream) < (self.life, self.stream) {
            counters.stale += 1;
            return None;
        }
        if (delta.life, delta.stream) > (self.life, self.stream) {
            self.begin(delta.life, delta.stream);
            cx.emit(MirrorEvent::Reset { from, incarnation: delta.life });
        }
        self.echo = self.echo.max(delta.number);
        // To another life of ours it may leave out what that one had acknowledged as cleared.
        if delta.to_life != my_life || delta.base > self.have {
            return Some(true);
        }
        if delta.upto > self.have {
            self.have = delta.upto;
            self.latest = self.latest.max(delta.latest);
            let whole = self.have == self.latest;
            cx.emit(MirrorEvent::Level { from, changes: delta.changes, whole });
        }
        Some(false)
    }

    pub(super) fn ack(&self, my_life: u64, gap: bool) -> Ack {
        Ack { life: self.life, stream: self.stream, my_life, echo: self.echo, have: self.have, gap }
    }

    /// If another life is there than the one that spoke, what that said is void. Another journal counts its lives
    /// anew; and the link is believed against a life that came from a message alone.
    pub(super) fn on_boot(&mut self, from: NodeId, boot: Boot, cx: &mut Cx<'_, Mirror>) {
        let other = match self.journal {
            Some(journal) => journal != boot.journal,
            None => boot.incarnation < self.life,
        };
        self.journal = Some(boot.journal);
        if self.life != 0 && (other || boot.incarnation > self.life) {
            self.begin(boot.incarnation, 0);
            cx.emit(MirrorEvent::Reset { from, incarnation: boot.incarnation });
        }
    }

    fn begin(&mut self, life: u64, stream: u64) {
        (self.life, self.stream, self.echo) = (life, stream, 0);
        (self.have, self.latest) = (0, 0);
    }
}
