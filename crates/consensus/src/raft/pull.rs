//! A log that is too short to be elected with, made longer by those who say so. When links are cut such that only one
//! voter is connected to a quorum, and its log is behind the others', nobody could be elected otherwise: it
//! lacks entries, and they lack a quorum (Omni-Paxos, Ng et al. 2023, the constrained election of section 2).
//!
//! **Why it is safe.** What is pulled is a part of somebody's log behind an entry that both have, and is taken only if that
//! log is more up to date than this one (Raft §5.4.1): as if the appends of an old leader came late. An entry that
//! is taken back for it is not committed and never will be: the leader of that log's last term was elected by a quorum of
//! which one voter would have had it. So a part says where the log ends that it is of, and may end before this one does:
//! what follows may be long. Nobody is told that the entries are here.
//!
//! What is taken back may have been acknowledged to the leader of this term: what older leaders left in it is not more
//! up to date than others' logs. Such an acknowledgement commits nothing, but the leader would never send those entries
//! again. So a pull that takes anything back ends the term for this replica; one that only adds changes no term.
//!
//! What is left out: what the other's log no longer holds is not pulled as a snapshot. The most up-to-date log may be such a one,
//! and a lesser one bring this one to where that begins; so whoever was asked in vain is passed over for a while.

use super::{Batches, LogId, Msg, Mutation, Pulled, Raft, Role};
use quorate_core::{Cx, NodeId};

impl Raft {
    /// A voter refused a pre-vote; its log ends in `last`.
    pub(super) fn on_refused(&mut self, by: NodeId, last: LogId, cx: &mut Cx<'_, Raft>) {
        if self.config.suffers(Mutation::ShortLogNotPulled) {
            return;
        }
        let better = self.config.suffers(Mutation::PullAnyLog)
            || last > self.pull.map_or(self.log.last(), |(_, best)| best.max(self.log.last()));
        let asks = self.role == Role::PreCandidate || !self.may_vote() && self.leader.is_none();
        if asks && better && !self.barren.contains(&by) && self.may_pull_from(by) {
            self.pull = Some((by, last));
            self.ask_for_suffix(by, self.log.last(), cx);
        }
    }

    fn may_pull_from(&self, id: NodeId) -> bool {
        // A leader's log is never replaced, nor one that a snapshot is about to. (Whoever has no vote may have one by what it lacks.)
        matches!(self.role, Role::Follower | Role::PreCandidate)
            && (self.may_stand() || !self.may_vote() && self.could_stand())
            && self.is_voter_by_name(id)
    }

    fn ask_for_suffix(&mut self, of: NodeId, after: LogId, cx: &mut Cx<'_, Raft>) {
        // A question.
        cx.send_now(of, Msg::Pull { group: self.group, after });
    }

    pub(super) fn on_pull(&mut self, from: NodeId, after: LogId, cx: &mut Cx<'_, Raft>) {
        if !self.is_voter_by_name(from) {
            self.counters.strangers += 1;
            return;
        }
        let (after, batches) = match self.log.has(after) {
            true => (
                after,
                Batches::from(self.log.read(after.index.saturating_add(1), self.config.batch_bytes_max)),
            ),
            // An entry that it may have, too.
            false => (self.log.last_upto(after.index.min(self.log.last().index), after.term), Batches::None),
        };
        // Promises nothing, as nothing is committed by being lent.
        let last = self.log.last();
        cx.send_now(from, Msg::Pulled(Pulled { group: self.group, after, last, batches }));
    }

    pub(super) fn on_pulled(&mut self, from: NodeId, pulled: Pulled, cx: &mut Cx<'_, Raft>) {
        let Some((of, _)) = self.pull.filter(|(of, _)| *of == from) else { return };
        if self.hears_leader(cx) || self.is_bound(cx.now) || !self.may_pull_from(from) {
            self.pull = None;
            return;
        }
        let Pulled { after, last, batches, .. } = pulled;
        let Some(end) = batches.as_slice().last().map(|batch| batch.last_id()) else {
            // Further back, unless that leads nowhere.
            let common = self.log.last_upto(after.index, after.term);
            match common.index < self.log.last().index && common.index >= self.commit {
                true if self.asked_behind != Some(common) => {
                    self.asked_behind = Some(common);
                    self.ask_for_suffix(of, common, cx);
                }
                _ => {
                    self.pull = None;
                    self.barren.insert(of);
                }
            }
            return;
        };
        let known = self.log.has(after) && after.index >= self.commit;
        let within = end <= last && end.index <= last.index && last.term <= self.term && last.is_plausible();
        let sound = within && batches.as_slice().iter().all(|b| b.term() <= self.term);
        let judged = if self.config.suffers(Mutation::PiecesJudgedAlone) { end } else { last };
        let shorter = judged <= self.log.last() && !self.config.suffers(Mutation::PullAnyLog);
        if !known || !sound || shorter {
            self.counters.nonsense += u64::from(!sound);
            self.pull = None;
            return;
        }
        if after.index < self.log.last().index {
            self.follow(self.term.saturating_add(1), None, cx);
        }
        for batch in batches.as_slice() {
            self.take(batch.clone(), cx);
        }
        self.counters.pulled += 1;
        self.barren.clear();
        if end < last {
            self.pull = Some((of, last));
            return self.ask_for_suffix(of, end, cx);
        }
        // Asks for votes again, once the inputs that wait are taken.
        self.pull = None;
        self.election_at = cx.now;
    }
}
