//! A replica's own snapshot: taken, compacted by, and the objects that it keeps (Raft §7). Their bytes are read and written by the
//! port's jobs; here are only their names.
//!
//! **The order.** An object is whole and on disk before the record that names it is written, and one that the journal may
//! still name is removed only after the record that names another is on disk. So whenever a crash comes, what the
//! journal names is there; what it does not name is removed at the next start.

use super::{Configuration, Event, LogId, Mutation, Raft, Record, Snapshot};
use quorate_core::{Cx, Mark};
use std::sync::Arc;

impl Raft {
    /// The port has its state as of `at` in an object. The log up to there may go.
    pub(super) fn on_snapshot_taken(
        &mut self,
        at: LogId,
        blob: u64,
        total: u64,
        crc: u32,
        cx: &mut Cx<'_, Raft>,
    ) {
        if !self.witness {
            self.objects.push(blob);
        }
        let before = self.snapshot.as_ref().map(|snapshot| (snapshot.last.index, snapshot.blob));
        let (newest, named) = before.unwrap_or_default();
        // In place of one that turned out to be damaged one of the same entry will do.
        let renewed = self.damaged.take_if(|damaged| *damaged == named).is_some();
        let wanted = at.index > newest || renewed && at.index == newest;
        // There is a configuration: nothing is committed before.
        let configuration = self.history.at(at.index).cloned().filter(|_| wanted && self.log.has(at));
        let Some(mut configuration) = configuration else { return self.discard_unneeded(cx) };
        assert!(at.index <= self.commit, "a snapshot of what is not committed");
        if self.config.suffers(Mutation::SnapshotWithoutOutgoing) {
            configuration = Arc::new(Configuration::simple(configuration.incoming.clone()));
        }
        self.history.begin(at.index, configuration.clone());
        self.snapshot = Some(Snapshot::of(at, configuration, blob, total, crc));
        self.counters.compactions += 1;
        if self.receiving.as_ref().is_some_and(|receiving| receiving.last.index <= at.index) {
            self.end_install(cx);
        }
        // A witness is told who lacks what.
        let trailing = if self.witness { 0 } else { self.config.trailing_entries };
        let keep = at
            .index
            .saturating_sub(trailing)
            .max(self.log.base_within(at.index, self.config.trailing_bytes_max));
        let keep = match self.held.filter(|_| !self.witness && !self.is_overfull()) {
            Some(held) => keep.min(held),
            None => keep,
        };
        // Whole records go: the last one that reaches no further than `keep`.
        let within = self.marks.partition_point(|(last, _)| *last <= keep);
        let whole = within.checked_sub(1).and_then(|at| self.marks.get(at)).map(|(last, _)| *last);
        if let Some(last) = whole
            && let Some(term) = self.log.term_at(last)
        {
            self.log.rebase(LogId::new(term, last));
        }
        self.compact(cx);
        if renewed {
            let waits = |peer: &&super::peer::Peer| peer.sending.as_ref().is_some_and(|s| s.blob() == named);
            let waiting: Vec<_> = self.peers.iter().filter(waits).map(|peer| peer.id).collect();
            waiting.into_iter().for_each(|id| self.begin_snapshot(id, cx));
        }
        self.discard_unneeded(cx);
    }

    /// Replaces the records of what is before the log's base, and with them every other one up to the first
    /// that stays: entries there were overwritten, and whatever else stands there the new base says again.
    /// (An overwritten record that stayed might follow on nothing.)
    pub(super) fn compact(&mut self, cx: &mut Cx<'_, Raft>) {
        let begin = self.log.base().index;
        self.marks.drain(..self.marks.partition_point(|(last, _)| *last <= begin));
        let upto = self.marks.front().map_or(cx.appended(), |(_, mark)| Mark(mark.0.saturating_sub(1)));
        let mut base = Vec::new();
        if self.witness {
            base.push(Record::Witness);
        }
        if !self.founders.is_empty() {
            base.push(Record::Founded { voters: self.founders.clone() });
        }
        base.push(Record::Joined { group: self.group });
        base.push(Record::Hard { term: self.term, vote: self.vote });
        base.extend(self.snapshot.clone().map(Record::Snapshot));
        base.extend(self.receiving.clone().map(Record::Receiving));
        base.push(Record::Begins(self.log.base()));
        base.extend(self.old_disks());
        cx.compact(upto, base);
        // A compaction has no mark of its own. Behind it goes a record that has one, so that what is promised or
        // removed because of it waits for it to be on disk.
        cx.append(Record::Hard { term: self.term, vote: self.vote });
    }

    /// Which life of its journal this is; 0 before it begins.
    pub fn incarnation(&self) -> u64 {
        self.boot.map_or(0, |boot| boot.incarnation)
    }

    /// The number of an object that a leader's snapshot goes into: of this life, and odd; the port's own are even.
    pub(super) fn next_object(&mut self) -> u64 {
        self.received += 1;
        (self.incarnation() << 32) | (self.received << 1) | 1
    }

    /// Has objects removed that nothing needs any more, once no record on disk names them.
    pub(super) fn discard_unneeded(&mut self, cx: &mut Cx<'_, Raft>) {
        let own = [&self.snapshot, &self.receiving].map(|of| of.as_ref().map(|snapshot| snapshot.blob));
        let (peers, install) = (&self.peers, &self.install);
        let needed = |blob: u64| {
            own.contains(&Some(blob))
                || install.as_ref().is_some_and(|install| install.snapshot.blob == blob)
                || peers.iter().any(|peer| peer.sending.as_ref().is_some_and(|s| s.blob() == blob))
        };
        let unneeded: Vec<u64> = self.objects.iter().copied().filter(|blob| !needed(*blob)).collect();
        self.objects.retain(|blob| needed(*blob));
        for blob in unneeded {
            match self.config.suffers(Mutation::DiscardTooEarly) {
                // The planted bug: the journal may still name it.
                true => cx.emit_now(Event::Discard { blob }),
                false => cx.emit(Event::Discard { blob }),
            }
        }
    }
}
