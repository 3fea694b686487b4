//! What a port has done elsewhere: applying, serialising, restoring. The state machine travels into these jobs and
//! comes back with their answers.

use super::{APPLY_BYTES, Done, Errand, Machine, RaftNotice, RaftPort, Unthawed};
use crate::raft::{Batch, Cmd, Mutation, NotRestored, Raft, Snapshot};
use bytes::Bytes;
use quorate_core::{BlobId, Decider, Job, PortCx, StateMachine};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    /// A snapshot is taken once enough log was applied, by bytes or by entries: the view is frozen where the state is,
    /// serialised elsewhere.
    pub(super) fn freeze(&mut self, raft: &Raft) -> Option<Job> {
        if self.serialising && self.config.suffers(Mutation::TriggerLost) {
            self.applied_since = (0, 0);
        }
        let (bytes, entries) = self.applied_since;
        // What was too large will be too large soon after as well.
        let times = self.not_taken.as_ref().map_or(1, |failures| failures.patience());
        let due = bytes >= self.config.snapshot_log_bytes.saturating_mul(times)
            || entries >= self.config.snapshot_log_entries.saturating_mul(times as u64)
            || self.snapshot_lost;
        if self.serialising || !due || self.machine.is_none() {
            return None;
        }
        let blob = self.objects.next(raft.incarnation())?;
        let machine = self.lend()?;
        (self.serialising, self.applied_since) = (true, (0, 0));
        self.renews = std::mem::take(&mut self.snapshot_lost);
        Some(Job::own(move |_| {
            let frozen = machine.freeze();
            Done::<S>::Frozen { machine, frozen, blob }
        }))
    }

    pub(super) fn serialise(&mut self) -> Option<Job> {
        let (frozen, number) = self.frozen.take()?;
        let (id, config) = (BlobId { scope: self.scope, number }, self.config.clone());
        Some(Job::pool(move |blobs| {
            let at = frozen.at;
            Done::<S>::Serialised { at, blob: id.number, written: frozen.write(id, &config, blobs) }
        }))
    }

    pub(super) fn thaw(&mut self) -> Option<Job> {
        let machine = self.lend()?;
        let (snapshot, answer) = self.incoming.take()?;
        // It goes before entries that were committed since it came, so the state never goes back: a snapshot is
        // told of only when it is beyond what was committed by then.
        self.handed = self.handed.max(snapshot.last.index);
        let scope = self.scope;
        Some(Job::own(move |blobs| match Machine::thaw(&snapshot, scope, blobs) {
            Ok(machine) => Done::<S>::Thawed { machine, snapshot, result: Ok(()), answer },
            Err(why) => Done::Thawed { machine, snapshot, result: Err(why), answer },
        }))
    }

    /// A job that had the state, or a view of it, is through.
    pub(super) fn ended(&mut self, done: Done<S>, cx: &mut PortCx<'_, Raft>) {
        match done {
            Done::Applied { machine, outcomes, bytes, entries } => {
                let applied = machine.applied;
                self.machine = Some(machine);
                self.applied_since = (self.applied_since.0 + bytes, self.applied_since.1 + entries);
                self.promises.applied(applied, outcomes);
                self.propose_again(cx);
                self.after_change(cx);
            }
            Done::Thawed { machine, snapshot, result, answer } => {
                self.machine = Some(machine);
                self.thawed(snapshot, result, answer, cx);
            }
            Done::Frozen { machine, frozen, blob } => {
                self.machine = Some(machine);
                self.frozen = Some((frozen, blob));
                // Whoever came while it was away.
                self.answer_reads();
                self.decide(cx);
            }
            Done::Serialised { at, blob, written } => {
                self.serialising = false;
                let renews = std::mem::take(&mut self.renews);
                match written {
                    Ok((total, crc)) => {
                        if let Some(failures) = &mut self.not_taken {
                            failures.ended();
                        }
                        cx.notice(RaftNotice::Compacted { at, bytes: total });
                        cx.command(Cmd::Snapshot { at, blob, total, crc });
                        if self.config.suffers(Mutation::RecordBeforeObject) {
                            // The planted bug: only now it becomes whole.
                            self.objects.push(Errand::Store {
                                blob,
                                offset: total,
                                total,
                                data: Bytes::new(),
                            });
                        }
                    }
                    // The log stays, and the next trigger is another try. In place of a damaged one there may be none.
                    Err(why) => {
                        let failures = self.not_taken.get_or_insert_default();
                        failures.one_more(&why, cx);
                        if renews {
                            self.renew_at =
                                cx.now + self.config.election_timeout * failures.patience() as u32;
                        }
                        cx.notice(RaftNotice::NotTaken { at, why })
                    }
                }
            }
        }
    }

    /// A snapshot was restored, or could not be.
    pub(super) fn thawed(
        &mut self,
        snapshot: Snapshot,
        result: Result<(), Unthawed>,
        answer: bool,
        cx: &mut PortCx<'_, Raft>,
    ) {
        let at = snapshot.last;
        let result = match result {
            Ok(()) => {
                self.promises.skipped(at.index);
                self.propose_again(cx);
                self.committed = self.committed.max(at.index);
                self.applied_since = (0, 0);
                cx.command(Cmd::Whole(true));
                Ok(())
            }
            // At a start there is no state before that could stay: it waits until the disk reads it ...
            Err(Unthawed { why: NotRestored::Unread, text }) if !answer => {
                self.postponed = Some((cx.now + self.config.election_timeout, snapshot));
                return cx.notice(RaftNotice::NotInstalled { why: text });
            }
            // ... and does not guess where it is damaged.
            Err(Unthawed { text, .. }) if !answer => return self.poison(text, cx),
            Err(Unthawed { why, text }) => {
                // It came before this one's own was restored.
                let applied = self.machine.as_ref().map_or(0, |machine| machine.applied.index);
                let own = cx.protocol.snapshot().filter(|own| applied < own.last.index);
                self.incoming = own.map(|own| (own.clone(), false));
                cx.notice(RaftNotice::NotInstalled { why: text });
                Err(why)
            }
        };
        if answer {
            if result.is_ok() {
                cx.notice(RaftNotice::Installed { at });
            }
            cx.command(Cmd::Installed { result });
        }
        self.after_change(cx);
    }

    pub(super) fn apply(&mut self, raft: &Raft) -> Option<Job> {
        let applied = self.machine.as_ref()?.applied.index;
        if self.committed <= applied || raft.log().base().index > applied {
            return None;
        }
        let mut bytes = 0;
        let mut batches: Vec<Batch> = Vec::new();
        for batch in raft.log().batches_within(applied + 1, self.committed) {
            if bytes >= APPLY_BYTES {
                break;
            }
            bytes += batch.len();
            batches.push(batch.clone());
        }
        let upto = batches.last()?.last().min(self.committed);
        let wanted = self.promises.wanted(upto);
        self.handed = upto;
        let mut machine = self.lend()?;
        Some(Job::own(move |_| {
            let outcomes = machine.apply(&batches, upto, &wanted);
            Done::<S>::Applied { machine, outcomes, bytes, entries: upto - applied }
        }))
    }
}
