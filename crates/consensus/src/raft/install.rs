//! Snapshots: taken, sent in pieces, installed (Raft §7).

use super::{
    Event, Index, LogId, Msg, Raft, Record, Role, Snapshot, SnapshotChunk, SnapshotReply, Term, peer::Flow,
};
use bytes::{Bytes, BytesMut};
use quorate_core::{Cx, Mark, NodeId};

/// A snapshot on its way in.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Install {
    pub from: NodeId,
    pub round: u64,
    pub last: LogId,
    pub total: u64,
    pub checksum: u32,
    pub data: BytesMut,
    /// All there and handed to the port, which restores it.
    pub restoring: Option<Bytes>,
}

impl Raft {
    /// A snapshot is all there and the port puts it in place. One that is still on its way holds nothing up: its
    /// leader may be gone.
    pub(super) fn is_restoring(&self) -> bool {
        self.install.as_ref().is_some_and(|install| install.restoring.is_some())
    }

    /// The port serialised its state as of `at`. The log up to there may go.
    pub(super) fn on_snapshot_taken(&mut self, at: LogId, data: Bytes, cx: &mut Cx<'_, Raft>) {
        let newest = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        if at.index <= newest || self.is_restoring() || !self.log.has(at) {
            return;
        }
        assert!(at.index <= self.commit, "a snapshot of what is not committed");
        self.snapshot = Some(Snapshot { last: at, data });
        self.counters.compactions += 1;
        let keep = at.index.saturating_sub(self.config.trailing_entries);
        // Whole records go: the last one that reaches no further than `keep`.
        let mut upto = Mark(0);
        let mut base = self.log.base();
        while let Some((last, mark)) = self.marks.front()
            && *last <= keep
        {
            upto = *mark;
            base = self.log.term_at(*last).map_or(base, |term| LogId::new(term, *last));
            self.marks.pop_front();
        }
        self.log.rebase(base);
        self.compact(upto, cx);
    }

    /// Writes the base: everything that must be known before the records that stay.
    fn compact(&mut self, upto: Mark, cx: &mut Cx<'_, Raft>) {
        let mut base = vec![match self.voters.is_empty() {
            true => Record::Joined { group: self.group },
            false => Record::Founded { voters: self.voters.clone() },
        }];
        base.extend(self.own_pin.map(Record::Pinned));
        base.extend(self.peers.iter().filter_map(|peer| {
            let (journal, _) = peer.pin?;
            Some(Record::Pinned(super::Pin { node: peer.id, journal }))
        }));
        base.push(Record::Hard { term: self.term, vote: self.vote });
        base.extend(self.snapshot.clone().map(Record::Snapshot));
        base.push(Record::Begins(self.log.base()));
        cx.compact(upto, base);
    }

    /// The follower needs what is gone from the log.
    pub(super) fn begin_snapshot(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let Some(last) = self.snapshot.as_ref().map(|snapshot| snapshot.last) else { return };
        if let Some(peer) = self.peer_mut(id) {
            peer.inflight.clear();
            peer.inflight_bytes = 0;
            peer.flow = Flow::Snapshot { last, offset: 0 };
        }
        self.counters.snapshots_sent += 1;
        self.send_chunk(id, cx);
    }

    pub(super) fn send_chunk(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let (round, group, term) = (leader.round, self.group, self.term);
        let Some(Flow::Snapshot { last, offset }) = self.peer(id).map(|peer| peer.flow) else { return };
        let Some(snapshot) = self.snapshot.as_ref().filter(|snapshot| snapshot.last == last) else {
            // A newer one took its place: begin again with that.
            return self.begin_snapshot(id, cx);
        };
        let total = snapshot.data.len() as u64;
        let from = offset.min(total) as usize;
        let upto = (from + self.config.chunk_bytes).min(snapshot.data.len());
        let data = snapshot.data.slice(from..upto);
        let checksum = crc32fast::hash(&snapshot.data);
        let chunk = SnapshotChunk { group, term, round, last, total, checksum, offset: from as u64, data };
        // Committed state: whoever has it promises nothing new by sending it.
        cx.send_now(id, Msg::Snapshot(Box::new(chunk)));
    }

    pub(super) fn on_chunk_reply(
        &mut self,
        from: NodeId,
        term: Term,
        round: u64,
        last: LogId,
        next: u64,
        cx: &mut Cx<'_, Raft>,
    ) {
        if !self.hear(from, term, round, cx) {
            return;
        }
        self.confirm_reads(cx);
        let total = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.data.len() as u64);
        let Some(peer) = self.peer_mut(from) else { return };
        let Flow::Snapshot { last: sending, offset } = peer.flow else { return };
        if sending != last || next > total {
            return;
        }
        peer.flow = Flow::Snapshot { last, offset: next };
        // All there: it answers with a match once it is installed.
        if next < total && next != offset {
            self.send_chunk(from, cx);
        }
    }

    pub(super) fn on_chunk(&mut self, from: NodeId, chunk: SnapshotChunk, cx: &mut Cx<'_, Raft>) {
        let SnapshotChunk { group, term, round, last, total, checksum, offset, data } = chunk;
        if !self.accept_leader(from, group, term, round, cx) {
            return;
        }
        if last.index <= self.commit {
            // Everything that it stands for is here already.
            return self.answer_match(from, round, self.commit, cx);
        }
        if total > self.config.snapshot_bytes_max {
            self.counters.snapshots_refused += 1;
            return;
        }
        let same = |i: &Install| i.last == last && i.total == total && i.checksum == checksum;
        match &mut self.install {
            Some(install) if install.restoring.is_some() => {
                install.from = from;
                install.round = round;
                return;
            }
            Some(install) if same(install) => {
                install.from = from;
                install.round = round;
            }
            _ => {
                let data = BytesMut::new();
                self.install = Some(Install { from, round, last, total, checksum, data, restoring: None });
            }
        }
        let Some(install) = &mut self.install else { return };
        if offset == install.data.len() as u64 && data.len() as u64 <= total - offset {
            install.data.extend_from_slice(&data);
        }
        let next = install.data.len() as u64;
        if next == total {
            let data = install.data.split().freeze();
            if crc32fast::hash(&data) != checksum {
                self.counters.snapshots_refused += 1;
                self.install = None;
                return;
            }
            install.restoring = Some(data.clone());
            // The port restores it beside the old state; nothing is given up before it says that it could.
            cx.emit_now(Event::Install(Snapshot { last, data }));
        }
        cx.send(from, Msg::SnapshotReply(SnapshotReply { term: self.term, round, last, next }));
    }

    /// The port restored the snapshot, or could not.
    pub(super) fn on_installed(&mut self, ok: bool, cx: &mut Cx<'_, Raft>) {
        let Some(install) = self.install.take() else { return };
        let Some(data) = install.restoring else { return };
        if !ok {
            self.counters.snapshots_refused += 1;
            return;
        }
        self.counters.snapshots_installed += 1;
        assert!(install.last.index > self.commit, "nothing was committed while a snapshot was installed");
        self.snapshot = Some(Snapshot { last: install.last, data });
        // Keeps what follows if the log holds the snapshot's last entry (Raft §7, step 6); then its records
        // stay, and only the base is new.
        let held = self.log.has(install.last);
        self.log.rebase(install.last);
        self.commit = install.last.index;
        if held {
            let mut upto = Mark(0);
            while let Some((last, mark)) = self.marks.front()
                && *last <= install.last.index
            {
                upto = *mark;
                self.marks.pop_front();
            }
            self.compact(upto, cx);
        } else {
            self.marks.clear();
            self.compact(cx.appended(), cx);
        }
        self.answer_match(install.from, install.round, install.last.index, cx);
    }

    fn answer_match(&mut self, to: NodeId, round: u64, matched: Index, cx: &mut Cx<'_, Raft>) {
        let outcome = super::Outcome::Matched(matched);
        cx.send(to, Msg::AppendReply(super::AppendReply { term: self.term, round, outcome }));
    }
}
