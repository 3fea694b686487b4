//! Linearizable reads without a log entry: ReadIndex (thesis §6.4). Each waits for one round, asked after it
//! came; many share a round.

use super::{Event, Index, LogId, Msg, Mutation, NotPlaced, Raft, Role};
use quorate_core::{Cx, NodeId};
use std::collections::VecDeque;

/// Who wants to know an index.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Asker {
    /// Another replica; `None` for this one's port.
    peer: Option<NodeId>,
    request: u64,
}

/// Reads of one leadership.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Reads {
    /// Came, and no round was asked for them yet.
    waiting: Vec<Asker>,
    /// Asked in this round, to be answered at this index.
    asked: VecDeque<(u64, Index, Vec<Asker>)>,
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
        if let Err(why) = self.take_read(Asker { peer: None, request }) {
            // A refusal promises nothing.
            cx.emit_now(Event::ReadRefused { request, why });
        }
    }

    pub(super) fn on_read_through_leader(&mut self, request: u64, cx: &mut Cx<'_, Raft>) {
        match self.leader.filter(|leader| *leader != self.id) {
            // A question.
            Some(leader) => cx.send_now(leader, Msg::ReadIndex { group: self.group, request }),
            None => self.on_read(request, cx),
        }
    }

    pub(super) fn on_read_index(&mut self, from: NodeId, request: u64, cx: &mut Cx<'_, Raft>) {
        // Whoever is served the log may read, with a vote or without.
        let known = self.peer(from).is_some();
        let taken = match known {
            true => self.take_read(Asker { peer: Some(from), request }),
            false => Err(NotPlaced::NotLeader(self.leader.filter(|leader| *leader != from))),
        };
        if let Err(why) = taken {
            // As above.
            cx.send_now(from, Msg::ReadIndexReply { request, index: Err(why) });
        }
    }

    pub(super) fn on_read_index_reply(
        &mut self,
        from: NodeId,
        request: u64,
        index: Result<Index, NotPlaced>,
        cx: &mut Cx<'_, Raft>,
    ) {
        let plausible = index.is_ok_and(|index| LogId::new(self.term, index).is_plausible());
        if !self.may_lead(from) || index.is_ok() && !plausible {
            self.counters.nonsense += 1;
            return;
        }
        // The leader's word, to which this node's disk adds nothing.
        cx.emit_now(match index {
            Ok(index) => Event::ReadReady { index, requests: vec![request] },
            Err(why) => Event::ReadRefused { request, why },
        });
    }

    fn take_read(&mut self, asker: Asker) -> Result<(), NotPlaced> {
        match &mut self.role {
            Role::Leader(leader) if leader.reads.len() >= self.config.promises_max => Err(NotPlaced::Busy),
            Role::Leader(leader) => {
                leader.reads.waiting.push(asker);
                Ok(())
            }
            _ => Err(NotPlaced::NotLeader(self.leader)),
        }
    }

    /// Asks one round for all reads that came. Not before the first commit of the term: until then this leader
    /// does not know how far its predecessors had committed (thesis §6.4, step 1).
    pub(super) fn ask_for_reads(&mut self, cx: &mut Cx<'_, Raft>) {
        let commit = self.commit;
        let early = self.config.suffers(Mutation::ReadBeforeFirstCommit);
        let old = self.config.suffers(Mutation::ReadByAnOldRound);
        let Role::Leader(leader) = &mut self.role else { return };
        if !leader.reads.is_waiting(commit >= leader.first || early) {
            return;
        }
        leader.round += u64::from(!old);
        let reads = std::mem::take(&mut leader.reads.waiting);
        leader.reads.asked.push_back((leader.round, commit, reads));
        self.broadcast(cx);
        self.confirm_reads(cx);
    }

    /// Answers the reads whose round a quorum has answered: nobody else can have committed anything before it
    /// was asked that this leader does not know.
    #[inline]
    pub(super) fn confirm_reads(&mut self, cx: &mut Cx<'_, Raft>) {
        // Mostly nobody reads.
        if matches!(&self.role, Role::Leader(leader) if !leader.reads.asked.is_empty()) {
            self.confirm_asked(cx);
        }
    }

    fn confirm_asked(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let confirmed = match self.config.suffers(Mutation::ReadUnconfirmed) {
            true => leader.round,
            false => self.quorum_index(leader.round, |peer| peer.round),
        };
        let Role::Leader(leader) = &mut self.role else { return };
        while let Some((round, _, _)) = leader.reads.asked.front()
            && *round <= confirmed
        {
            let Some((_, index, askers)) = leader.reads.asked.pop_front() else { break };
            self.counters.reads += askers.len() as u64;
            // The quorum's answers are the promise; this node's disk adds nothing to it.
            let own = askers.iter().filter(|asker| asker.peer.is_none()).map(|asker| asker.request);
            let requests: Vec<u64> = own.collect();
            if !requests.is_empty() {
                cx.emit_now(Event::ReadReady { index, requests });
            }
            for Asker { peer, request } in askers {
                if let Some(peer) = peer {
                    // As above.
                    cx.send_now(peer, Msg::ReadIndexReply { request, index: Ok(index) });
                }
            }
        }
    }
}
