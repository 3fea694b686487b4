//! Snapshots: taken, sent in pieces, installed (Raft §7).

use super::{
    Configuration, Event, Index, LogId, Msg, Mutation, Raft, Record, Role, Snapshot, SnapshotChunk,
    SnapshotReply, Term, peer::Flow, record::begin_checksum,
};
use bytes::{Bytes, BytesMut};
use quorate_core::{Cx, Mark, NodeId, Time};
use std::sync::Arc;

/// Election timeouts after which a snapshot that could not be restored is tried again (guess: rarely enough that
/// sending it in vain costs little).
const UNRESTORABLE_TIMEOUTS: u32 = 100;

/// Bytes of a configuration that a frame has room for beside a piece: seven voters (see `config::FRAME_HEADS`).
const SMALL_HEAD: usize = 128;

/// A snapshot on its way in. It stands beside the log and changes nothing before it is restored.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Install {
    /// Who sent the last piece, in which term, as the answer to what.
    pub from: NodeId,
    pub term: Term,
    pub round: u64,
    pub last: LogId,
    pub total: u64,
    pub checksum: u32,
    pub configuration: Arc<Configuration>,
    pub data: BytesMut,
    /// CRC-32 of the configuration and of what is there so far.
    pub crc: u32,
    /// All there and handed to the port, which restores it.
    pub restoring: Option<Bytes>,
}

/// A snapshot on its way out. It stays what it is while newer ones are taken, or a slow follower would begin
/// anew with each of them and never end.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sending {
    snapshot: Snapshot,
    checksum: u32,
    /// Bytes of its configuration.
    head: usize,
    /// The next byte to send.
    offset: u64,
}

impl Sending {
    /// The last entry that it stands for.
    pub fn last(&self) -> LogId {
        self.snapshot.last
    }
}

impl Raft {
    /// The port serialised its state as of `at`. The log up to there may go.
    pub(super) fn on_snapshot_taken(&mut self, at: LogId, data: Bytes, cx: &mut Cx<'_, Raft>) {
        let newest = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        if at.index <= newest || !self.log.has(at) {
            return;
        }
        assert!(at.index <= self.commit, "a snapshot of what is not committed");
        // There is one: nothing is committed before.
        let Some(mut configuration) = self.history.at(at.index).cloned() else { return };
        if self.config.suffers(Mutation::SnapshotWithoutOutgoing) {
            configuration = Arc::new(Configuration::simple(configuration.incoming.clone()));
        }
        self.history.begin(at.index, configuration.clone());
        self.snapshot = Some(Snapshot { last: at, configuration, data });
        self.counters.compactions += 1;
        let keep = at.index.saturating_sub(self.config.trailing_entries);
        // Whole records go: the last one that reaches no further than `keep`.
        let whole = self.marks.iter().map(|(last, _)| *last).take_while(|last| *last <= keep).last();
        if let Some(last) = whole
            && let Some(term) = self.log.term_at(last)
        {
            self.log.rebase(LogId::new(term, last));
        }
        self.compact(cx);
    }

    /// Replaces the records of what is before the log's base, and with them every other one up to the first
    /// that stays: entries there were overwritten, and whatever else stands there the new base says again.
    /// (An overwritten record that stayed might follow on nothing.)
    fn compact(&mut self, cx: &mut Cx<'_, Raft>) {
        let begin = self.log.base().index;
        while self.marks.front().is_some_and(|(last, _)| *last <= begin) {
            self.marks.pop_front();
        }
        let upto = self.marks.front().map_or(cx.appended(), |(_, mark)| Mark(mark.0.saturating_sub(1)));
        let mut base = Vec::new();
        if !self.founders.is_empty() {
            base.push(Record::Founded { voters: self.founders.clone() });
        }
        base.push(Record::Joined { group: self.group });
        base.push(Record::Hard { term: self.term, vote: self.vote });
        base.extend(self.snapshot.clone().map(Record::Snapshot));
        base.push(Record::Begins(self.log.base()));
        base.extend(self.old_disks());
        cx.compact(upto, base);
    }

    /// The follower needs what is gone from the log.
    pub(super) fn begin_snapshot(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let known = self.peers.iter().filter_map(|peer| peer.sending.as_ref());
        let checksum = known.filter(|s| s.snapshot.last == snapshot.last).map(|s| s.checksum).next();
        let checksum = checksum.unwrap_or_else(|| snapshot.checksum());
        let Some(peer) = self.peer_mut(id) else { return };
        peer.inflight.clear();
        peer.inflight_bytes = 0;
        peer.flow = Flow::Snapshot;
        let head = snapshot.configuration.bytes();
        peer.sending = Some(Box::new(Sending { snapshot, checksum, head, offset: 0 }));
        self.counters.snapshots_sent += 1;
        self.send_chunk(id, self.config.chunk_bytes, cx);
    }

    /// Sends the next piece, or the question how far it has come (`bytes_max` 0).
    pub(super) fn send_chunk(&mut self, id: NodeId, bytes_max: usize, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let (round, group, term) = (leader.round, self.group, self.term);
        let Some(sending) = self.peer(id).and_then(|peer| peer.sending.as_ref()) else { return };
        let Sending { snapshot: Snapshot { last, configuration, data }, checksum, head, offset } = &**sending;
        let (last, checksum, total) = (*last, *checksum, data.len() as u64);
        let configuration = configuration.clone();
        let from = (*offset).min(total) as usize;
        // The configuration travels with each piece. A usual one fits beside it; a large one takes of its room.
        let bytes_max = bytes_max.saturating_sub(head.saturating_sub(SMALL_HEAD)).max(bytes_max.div_ceil(4));
        let data = data.slice(from..from.saturating_add(bytes_max).min(data.len()));
        let offset = from as u64;
        let chunk = SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, data };
        // Committed state: whoever has it promises nothing new by sending it.
        cx.send_now(id, Msg::Snapshot(Box::new(chunk)));
    }

    pub(super) fn on_chunk_reply(&mut self, from: NodeId, reply: SnapshotReply, cx: &mut Cx<'_, Raft>) {
        let SnapshotReply { term, round, last, next } = reply;
        if !self.hear(from, term, round, cx) {
            return;
        }
        self.confirm_reads(cx);
        let Some(sending) = self.peer_mut(from).and_then(|peer| peer.sending.as_mut()) else { return };
        let total = sending.snapshot.data.len() as u64;
        if sending.snapshot.last != last || next > total {
            return;
        }
        let before = std::mem::replace(&mut sending.offset, next);
        // All there: it answers with a match once it is installed.
        if next < total && next != before {
            self.send_chunk(from, self.config.chunk_bytes, cx);
        }
    }

    pub(super) fn on_chunk(&mut self, from: NodeId, chunk: SnapshotChunk, cx: &mut Cx<'_, Raft>) {
        let SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, data } = chunk;
        if !self.accept_leader(from, group, term, round, cx) {
            return;
        }
        if !last.is_plausible() || last.term > term {
            self.counters.nonsense += 1;
            return;
        }
        if last.index <= self.commit && !self.config.suffers(Mutation::SnapshotOfThePast) {
            // Everything that it stands for is here already.
            return self.answer_match(from, round, self.commit, cx);
        }
        let answer = |next| Msg::SnapshotReply(SnapshotReply { term, round, last, next });
        let too_large = total > self.config.snapshot_bytes_max;
        self.counters.snapshots_refused += u64::from(too_large);
        let in_vain = |(name, sum, until): (LogId, u32, Time)| {
            (name, sum) == (last, checksum) && (cx.now < until || self.abstains)
        };
        if too_large || self.unrestorable.is_some_and(in_vain) {
            // Not wanted, but heard: the leader must not think that it is alone.
            return cx.send(from, answer(offset));
        }
        let same = |i: &Install| {
            (i.last, i.total, i.checksum) == (last, total, checksum) && i.configuration == configuration
        };
        match &mut self.install {
            Some(install) if install.restoring.is_some() => {
                // The port is at it. The answer says that nothing more is needed now.
                if same(install) {
                    (install.from, install.term, install.round) = (from, term, round);
                }
                return cx.send(from, answer(if same(install) { total } else { offset }));
            }
            Some(install) if same(install) => {
                (install.from, install.term, install.round) = (from, term, round)
            }
            _ => {
                let (data, crc, restoring) =
                    (BytesMut::new(), begin_checksum(&configuration).finalize(), None);
                self.install = Some(Install {
                    from,
                    term,
                    round,
                    last,
                    total,
                    checksum,
                    configuration,
                    data,
                    crc,
                    restoring,
                });
            }
        }
        let anywhere = self.config.suffers(Mutation::PiecesAnywhere);
        let Some(install) = &mut self.install else { return };
        let fits = offset == install.data.len() as u64 || anywhere;
        if fits && data.len() as u64 <= total.saturating_sub(offset) {
            install.data.extend_from_slice(&data);
            let mut crc = crc32fast::Hasher::new_with_initial(install.crc);
            crc.update(&data);
            install.crc = crc.finalize();
        }
        let next = install.data.len() as u64;
        if next == total {
            if install.crc != checksum {
                self.counters.snapshots_refused += 1;
                self.install = None;
                return cx.send(from, answer(0));
            }
            let data = install.data.split().freeze();
            install.restoring = Some(data.clone());
            let configuration = install.configuration.clone();
            // The port restores it beside the old state; nothing is given up before it says that it could.
            cx.emit_now(Event::Install(Snapshot { last, configuration, data }));
        }
        cx.send(from, answer(next));
    }

    /// The port restored the snapshot, or could not.
    pub(super) fn on_installed(&mut self, ok: bool, cx: &mut Cx<'_, Raft>) {
        let Some(install) = self.install.take_if(|install| install.restoring.is_some()) else { return };
        let Some(data) = install.restoring else { return };
        if !ok && !self.config.suffers(Mutation::FailedInstallCounts) {
            self.counters.snapshots_refused += 1;
            // It would come again and again, at once. Another one is another try.
            let until = cx.now + self.config.election_timeout.saturating_mul(UNRESTORABLE_TIMEOUTS);
            self.unrestorable = Some((install.last, install.checksum, until));
            return;
        }
        self.counters.snapshots_installed += 1;
        let newest = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        if install.last.index <= self.commit && !self.log.has(install.last) && install.last.index > newest {
            // The log came further meanwhile, and holds something else there: no correct leaders do that.
            self.counters.nonsense += 1;
            return;
        }
        if install.last.index > newest {
            let (last, configuration) = (install.last, install.configuration);
            self.put_in_place(Snapshot { last, configuration: configuration.clone(), data }, cx);
            // A quorum had it on disk.
            cx.emit_now(Event::Configured { index: last.index, configuration });
        }
        // The round was asked in its term, and is an answer to nothing in a later one.
        if install.term == self.term {
            self.answer_match(install.from, install.round, install.last.index, cx);
        }
    }

    fn put_in_place(&mut self, snapshot: Snapshot, cx: &mut Cx<'_, Raft>) {
        let (last, configuration) = (snapshot.last, snapshot.configuration.clone());
        self.snapshot = Some(snapshot);
        // Keeps what follows if the log holds the snapshot's last entry (Raft §7, step 6); then its records
        // stay, and only the base is new.
        if self.log.has(last) {
            self.history.begin(last.index, configuration);
        } else {
            self.history.replace(last.index, configuration);
            self.marks.clear();
        }
        self.reconfigure(cx.now);
        self.log.rebase(last);
        self.commit = self.commit.max(last.index);
        self.compact(cx);
        // A compaction has no mark of its own. Behind it goes a record that has one, so that the answer waits
        // for the snapshot to be on disk: the leader would never look behind what was matched.
        cx.append(Record::Hard { term: self.term, vote: self.vote });
    }

    fn answer_match(&mut self, to: NodeId, round: u64, matched: Index, cx: &mut Cx<'_, Raft>) {
        let outcome = super::Outcome::Matched(matched);
        cx.send(to, Msg::AppendReply(super::AppendReply { term: self.term, round, outcome }));
    }
}
