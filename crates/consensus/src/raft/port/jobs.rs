//! What a port has done elsewhere: applying, serialising, restoring. The state machine travels into these jobs and
//! comes back with their answers.

use super::{APPLY_BYTES, Done, Machine, RaftPort};
use crate::raft::{Batch, Mutation, Raft};
use quorate_core::{Decider, Job, StateMachine};

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    /// A snapshot is taken once enough log was applied: the view is frozen where the state is, serialised
    /// elsewhere.
    pub(super) fn freeze(&mut self) -> Option<Job> {
        if self.serialising && self.config.suffers(Mutation::TriggerLost) {
            self.log_bytes_applied = 0;
        }
        if self.serialising || self.log_bytes_applied < self.config.snapshot_log_bytes {
            return None;
        }
        let machine = self.machine.take()?;
        self.serialising = true;
        self.log_bytes_applied = 0;
        Some(Job::own(move |_| {
            let frozen = machine.freeze();
            Done::<S>::Frozen { machine, frozen }
        }))
    }

    pub(super) fn serialise(&mut self) -> Option<Job> {
        let frozen = self.frozen.take()?;
        let without_sessions = self.config.suffers(Mutation::SnapshotWithoutSessions);
        Some(Job::pool(move |_| {
            let at = frozen.at;
            Done::<S>::Serialised { at, data: frozen.encode(without_sessions) }
        }))
    }

    pub(super) fn thaw(&mut self) -> Option<Job> {
        let machine = self.machine.take()?;
        let (snapshot, answer) = self.incoming.take()?;
        let at = snapshot.last;
        // It goes before entries that were committed since it came, so the state never goes back: a snapshot is
        // told of only when it is beyond what was committed by then.
        self.handed = self.handed.max(at.index);
        Some(Job::own(move |_| match Machine::thaw(at, &snapshot.data) {
            Ok(machine) => Done::<S>::Thawed { machine, at, result: Ok(()), answer },
            Err(why) => Done::Thawed { machine, at, result: Err(why), answer },
        }))
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
        let mut machine = self.machine.take()?;
        Some(Job::own(move |_| {
            let outcomes = machine.apply(&batches, upto, &wanted);
            Done::<S>::Applied { machine, outcomes, bytes }
        }))
    }
}
