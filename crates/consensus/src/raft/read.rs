//! Linearizable reads without a log entry: ReadIndex (thesis §6.4). Each waits for one round, asked after it
//! came; many share a round.

use super::{Event, Index, NotPlaced, Raft, Role};
use quorate_core::Cx;
use std::collections::VecDeque;

/// Reads of one leadership.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Reads {
    /// Came, and no round was asked for them yet.
    waiting: Vec<u64>,
    /// Asked in this round, to be answered at this index.
    asked: VecDeque<(u64, Index, Vec<u64>)>,
}

impl Reads {
    /// Whether a round is to be asked now.
    pub fn is_waiting(&self, may_ask: bool) -> bool {
        may_ask && !self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len() + self.asked.iter().map(|(_, _, reads)| reads.len()).sum::<usize>()
    }
}

impl Raft {
    pub(super) fn on_read(&mut self, request: u64, cx: &mut Cx<'_, Raft>) {
        let max = self.config.promises_max;
        let refused = match &mut self.role {
            Role::Leader(leader) if leader.reads.len() >= max => NotPlaced::Busy,
            Role::Leader(leader) => return leader.reads.waiting.push(request),
            _ => NotPlaced::NotLeader(self.leader),
        };
        // A refusal promises nothing.
        cx.emit_now(Event::ReadRefused { request, why: refused });
    }

    /// Asks one round for all reads that came. Not before the first commit of the term: until then this leader
    /// does not know how far its predecessors had committed (thesis §6.4, step 1).
    pub(super) fn ask_for_reads(&mut self, cx: &mut Cx<'_, Raft>) {
        let commit = self.commit;
        let early = self.reads_early();
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.reads.is_waiting(commit >= leader.first || early) {
            return;
        }
        leader.round += 1;
        let reads = std::mem::take(&mut leader.reads.waiting);
        leader.reads.asked.push_back((leader.round, commit, reads));
        self.broadcast(cx);
        self.confirm_reads(cx);
    }

    fn reads_early(&self) -> bool {
        #[cfg(feature = "mutations")]
        return self.config.mutation == Some(super::Mutation::ReadBeforeFirstCommit);
        #[cfg(not(feature = "mutations"))]
        false
    }

    /// Answers the reads whose round a quorum has answered: nobody else can have committed anything before it
    /// was asked that this leader does not know.
    pub(super) fn confirm_reads(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        if leader.reads.asked.is_empty() {
            return;
        }
        let confirmed = self.quorum_index(cx, leader.round, |peer| peer.round);
        let Role::Leader(leader) = &mut self.role else { return };
        while let Some((round, _, _)) = leader.reads.asked.front()
            && *round <= confirmed
        {
            let Some((_, index, requests)) = leader.reads.asked.pop_front() else { break };
            self.counters.reads += requests.len() as u64;
            // The quorum's answers are the promise; this node's disk adds nothing to it.
            cx.emit_now(Event::ReadReady { index, requests });
        }
    }
}
