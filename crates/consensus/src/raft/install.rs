//! A follower takes a leader's snapshot (Raft §7, figure 13): pieces go into an object, the whole is restored beside the old state,
//! and one record puts it in place. Until then nothing of the old state is given up.
//!
//! The record [`Record::Receiving`] names the object and what it is to become, so that after a restart, a lost link or a change of
//! leader whoever sends **the same** snapshot (last entry, length, checksum, configuration) goes on where it was. What the
//! object holds by then its store knows, not the journal.

use super::{
    Event, Index, Msg, Mutation, NotRead, NotRestored, Raft, Record, Snapshot, SnapshotChunk, SnapshotReply,
    Term,
};
use quorate_core::{Cx, NodeId, Time};

/// Election timeouts after which a snapshot that could not be restored is tried again (guess: rarely enough that
/// sending it in vain costs little).
const UNRESTORABLE_TIMEOUTS: u32 = 100;

/// A snapshot on its way in. It stands beside the log and changes nothing before it is restored.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Install {
    /// Who sent the last piece, in which term, as the answer to what.
    pub from: NodeId,
    pub term: Term,
    pub round: u64,
    pub snapshot: Snapshot,
    /// Bytes that were given to be stored.
    pub given: u64,
    /// Bytes that are.
    pub stored: u64,
    pub stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The port looks how much of it is there.
    Resuming,
    Taking,
    /// All there and handed to the port, which restores it.
    Restoring,
}

impl Raft {
    pub(super) fn on_chunk(&mut self, from: NodeId, chunk: SnapshotChunk, cx: &mut Cx<'_, Raft>) {
        let SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, crc, data } =
            chunk;
        if !self.accept_leader(from, group, term, round, cx) {
            return;
        }
        // No port writes nothing.
        if !last.is_plausible() || last.term > term || total == 0 {
            self.counters.nonsense += 1;
            return;
        }
        if last.index <= self.commit && !self.config.suffers(Mutation::SnapshotOfThePast) {
            // Everything that it stands for is here already.
            return self.answer_match(from, round, self.commit, cx);
        }
        if self.witness {
            return self.witness_snapshot(from, round, last, configuration, cx);
        }
        let offered = Snapshot { last, configuration, blob: 0, total, checksum };
        let unwanted = self.is_unwanted(&offered, cx.now);
        let answer = |next| Msg::SnapshotReply(SnapshotReply { term, round, last, next });
        let goes_on = |i: &Install| i.snapshot.is_same(&offered);
        let any = self.config.suffers(Mutation::ResumeAnySnapshot);
        match &mut self.install {
            // Heard: the leader must not think that it is alone. It waits, and sends nothing.
            _ if unwanted => return cx.send(from, answer(total)),
            Some(install) if goes_on(install) => {
                (install.from, install.term, install.round) = (from, term, round)
            }
            Some(install) if install.stage == Stage::Restoring => return cx.send(from, answer(total)),
            Some(install) if any => {
                let blob = install.snapshot.blob;
                (install.from, install.term, install.round) = (from, term, round);
                install.snapshot = Snapshot { blob, ..offered };
            }
            _ => self.begin_install(from, round, offered, cx),
        }
        let window = self.config.chunk_bytes.saturating_mul(self.config.snapshot_inflight_max) as u64;
        let Some(install) = &mut self.install else { return };
        let Install { given, stored, stage, snapshot: Snapshot { blob, total, .. }, .. } = **install;
        let bytes = data.len() as u64;
        let fits = offset == given || self.config.suffers(Mutation::PiecesAnywhere);
        let next = fits && bytes > 0 && bytes <= total.saturating_sub(given);
        // What the disk has not taken yet is bounded, whatever leaders send.
        let has_room = given == stored || given - stored + bytes <= window;
        if stage != Stage::Taking || !next || !has_room {
            return cx.send(from, answer(if stage == Stage::Restoring { total } else { stored }));
        }
        if crc32fast::hash(&data) != crc {
            self.counters.snapshots_refused += 1;
            return cx.send(from, answer(stored));
        }
        install.given += bytes;
        // To be stored, and acknowledged when it is.
        cx.emit_now(Event::StorePiece { blob, offset: given, total, data });
    }

    /// Too large, not restorable by this state machine, or there is none any more.
    fn is_unwanted(&mut self, offered: &Snapshot, now: Time) -> bool {
        if offered.total > self.config.snapshot_bytes_max {
            self.counters.snapshots_refused += 1;
            return true;
        }
        let name = (offered.last, offered.checksum);
        match self.unrestorable {
            Some((last, checksum, until)) if (last, checksum) == name => now < until || self.abstains,
            _ if self.abstains => {
                self.counters.snapshots_refused += 1;
                self.unrestorable = Some((offered.last, offered.checksum, Time::NEVER));
                true
            }
            _ => false,
        }
    }

    /// Another snapshot than the one before, if there was one; or the same as in an earlier life.
    fn begin_install(&mut self, from: NodeId, round: u64, offered: Snapshot, cx: &mut Cx<'_, Raft>) {
        let term = self.term;
        let known = self
            .receiving
            .take()
            .filter(|known| known.is_same(&offered) || self.config.suffers(Mutation::ResumeAnySnapshot));
        let (blob, stage) = match &known {
            Some(known) => (known.blob, Stage::Resuming),
            None => (self.next_object(), Stage::Taking),
        };
        let snapshot = Snapshot { blob, ..offered };
        let total = snapshot.total;
        self.receiving = Some(snapshot.clone());
        self.install = Some(Box::new(Install {
            from,
            term,
            round,
            snapshot: snapshot.clone(),
            given: 0,
            stored: 0,
            stage,
        }));
        match stage {
            // A look at this node's own disk.
            Stage::Resuming => return cx.emit_now(Event::Resume { blob, total }),
            _ => self.objects.push(blob),
        }
        // Promises nothing: without it the object is removed at the next start.
        cx.append(Record::Receiving(snapshot));
        self.discard_unneeded(cx);
    }

    /// The port stored a piece or looked how much is there; or could not.
    pub(super) fn on_stored(&mut self, blob: u64, upto: Result<u64, NotRead>, cx: &mut Cx<'_, Raft>) {
        let Some(install) = &mut self.install else { return };
        if install.snapshot.blob != blob || install.stage == Stage::Restoring {
            return;
        }
        let total = install.snapshot.total;
        let upto = match upto {
            Ok(upto) if upto <= total => upto,
            // The leader asks again, and the port is to look what is left then.
            Err(NotRead::Refused) => {
                self.counters.snapshots_unread += 1;
                self.install = None;
                return;
            }
            // Once more, from the beginning.
            Ok(_) | Err(NotRead::Damaged) => {
                self.counters.snapshots_refused += 1;
                return self.forget_install(cx);
            }
        };
        install.stored = upto;
        if install.stage == Stage::Resuming {
            (install.given, install.stage) = (upto, Stage::Taking);
        }
        install.given = install.given.max(upto);
        if upto == total {
            install.stage = Stage::Restoring;
            // The port restores it beside the old state; nothing is given up before it says that it could.
            cx.emit_now(Event::Install(install.snapshot.clone()));
        }
        let (from, term, round, last) = (install.from, install.term, install.round, install.snapshot.last);
        if term == self.term {
            cx.send(from, Msg::SnapshotReply(SnapshotReply { term, round, last, next: upto }));
        }
    }

    /// What came of it is not needed, or worth nothing.
    fn forget_install(&mut self, cx: &mut Cx<'_, Raft>) {
        (self.install, self.receiving) = (None, None);
        self.discard_unneeded(cx);
    }

    /// It is served from the log: a snapshot that was on its way, from a leader before this one perhaps, is
    /// not needed any more.
    pub(super) fn end_install(&mut self, cx: &mut Cx<'_, Raft>) {
        if self.receiving.is_some() && !self.is_restoring() {
            self.forget_install(cx);
        }
    }

    /// Whether the state is about to be replaced.
    pub(super) fn is_restoring(&self) -> bool {
        self.install.as_ref().is_some_and(|install| install.stage == Stage::Restoring)
    }

    /// The port restored the snapshot, or could not.
    pub(super) fn on_installed(&mut self, result: Result<(), NotRestored>, cx: &mut Cx<'_, Raft>) {
        let Some(install) = self.install.take_if(|install| install.stage == Stage::Restoring) else { return };
        let Install { from, term, round, snapshot, .. } = *install;
        match result {
            Ok(()) => {}
            Err(_) if self.config.suffers(Mutation::FailedInstallCounts) => {}
            Err(NotRestored::Unread) => {
                // It is there: whoever sends the same brings about another try.
                self.counters.snapshots_unread += 1;
                return;
            }
            Err(why) => {
                self.counters.snapshots_refused += 1;
                if why == NotRestored::Unfit {
                    // It would come again and again, at once. Another one is another try.
                    let until = cx.now + self.config.election_timeout.saturating_mul(UNRESTORABLE_TIMEOUTS);
                    self.unrestorable = Some((snapshot.last, snapshot.checksum, until));
                }
                return self.forget_install(cx);
            }
        }
        self.counters.snapshots_installed += 1;
        let last = snapshot.last;
        let newest = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        if last.index <= self.commit && !self.log.has(last) && last.index > newest {
            // The log came further meanwhile, and holds something else there: no correct leaders do that.
            self.counters.nonsense += 1;
            return self.forget_install(cx);
        }
        self.receiving = None;
        if last.index > newest {
            let configuration = snapshot.configuration.clone();
            self.put_in_place(snapshot, cx);
            // A quorum had it on disk.
            cx.emit_now(Event::Configured { index: last.index, configuration });
        }
        // The round was asked in its term, and is an answer to nothing in a later one.
        if term == self.term {
            self.answer_match(from, round, last.index, cx);
        }
        self.discard_unneeded(cx);
    }

    pub(super) fn put_in_place(&mut self, snapshot: Snapshot, cx: &mut Cx<'_, Raft>) {
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
        // Its record is the answer's too: the leader would never look behind what was matched.
        self.compact(cx);
    }

    pub(super) fn answer_match(&mut self, to: NodeId, round: u64, matched: Index, cx: &mut Cx<'_, Raft>) {
        let outcome = self.acknowledgement(matched);
        cx.send(to, Msg::AppendReply(super::AppendReply { term: self.term, round, outcome }));
    }
}
