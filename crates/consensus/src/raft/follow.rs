//! Following: entries in, with the log matching property kept (Raft §5.3).

use super::{Append, AppendReply, Batch, Batches, Event, Index, LogId, Msg, Mutation, Outcome, Raft, Record};
use quorate_core::{Cx, NodeId};

impl Raft {
    pub(super) fn on_append(&mut self, from: NodeId, append: Append, cx: &mut Cx<'_, Raft>) {
        let Append { group, term, prev, commit, round, batches } = append;
        if !self.accept_leader(from, group, term, round, cx) {
            return;
        }
        // Entries up to the commit index are the same everywhere, so nothing there needs to match anew, and a
        // stale append never takes back what is behind it.
        let blind =
            self.config.suffers(Mutation::AppendWithoutPrevious) && prev.index <= self.log.last().index;
        if prev.index > self.commit && !self.log.has(prev) && !blind {
            self.counters.conflicts += 1;
            let hint = self.log.last_upto(prev.index.min(self.log.last().index), prev.term);
            let outcome = Outcome::Conflict { refused: prev.index, hint };
            return cx.send(from, Msg::AppendReply(AppendReply { term: self.term, round, outcome }));
        }
        // What is committed is the same everywhere: a leader that has something else there is of another cluster.
        let other =
            prev.index <= self.commit && self.log.term_at(prev.index).is_some_and(|term| term != prev.term);
        if other || batches.as_slice().iter().any(|b| b.term() > self.term || !b.last_id().is_plausible()) {
            self.counters.nonsense += 1;
            return;
        }
        let matched = batches.as_slice().last().map_or(prev.index, Batch::last);
        if matched > self.commit {
            self.end_install(cx);
        }
        match batches {
            Batches::None => {}
            Batches::One(batch) => self.take(batch, cx),
            Batches::Many(batches) => batches.iter().for_each(|batch| self.take(batch.clone(), cx)),
        }
        let outcome = self.acknowledgement(matched);
        let reply = Msg::AppendReply(AppendReply { term: self.term, round, outcome });
        if self.config.suffers(Mutation::AckBeforeSync) {
            // The planted bug: this does promise something.
            cx.send_now(from, reply);
        } else {
            cx.send(from, reply);
        }
        // Not beyond what is known to be the leader's: a longer log here may end in somebody else's entries.
        let known = match () {
            _ if self.config.suffers(Mutation::CommitBeyondMatched) => self.log.last().index,
            _ if self.config.suffers(Mutation::CommitBeyondLog) => Index::MAX,
            _ => matched,
        };
        self.learn_commit(commit.min(known), cx);
        if self.commit >= commit {
            self.catch_up(commit, cx);
        }
    }

    /// Whether the sender leads this term (from now on, if it is news). The one that does not is told the term.
    pub(super) fn accept_leader(
        &mut self,
        from: NodeId,
        group: u64,
        term: u64,
        round: u64,
        cx: &mut Cx<'_, Raft>,
    ) -> bool {
        if term < self.term {
            let outcome = Outcome::Stale;
            cx.send(from, Msg::AppendReply(AppendReply { term: self.term, round, outcome }));
            return false;
        }
        let second =
            term == self.term && (self.is_leader() || self.leader.is_some_and(|leader| leader != from));
        // A leader need not be in the configuration that is known here (Raft §6): its log may have another.
        if second || group == 0 || from == self.id || !self.is_plausible(term) {
            // Two leaders of one term, or one of no group: no correct replica does that.
            self.counters.nonsense += 1;
            return false;
        }
        if self.group == 0 {
            self.group = group;
            cx.append(Record::Joined { group });
        }
        // Drawn once a leader, as an append comes much more often than an election.
        match self.leader == Some(from) {
            true => self.wait_again(cx.now),
            false => self.wait_for_election(cx),
        }
        self.follow(term, Some(from), cx);
        self.heard_leader_at = Some(cx.now);
        self.bound_until = cx.now + self.config.election_timeout;
        self.pull = None;
        if !self.barren.is_empty() {
            self.barren.clear();
        }
        true
    }

    /// Takes what is new of a batch. The entries before it match.
    pub(super) fn take(&mut self, batch: Batch, cx: &mut Cx<'_, Raft>) {
        let last = self.log.last().index;
        let Some(first) = self.first_difference(&batch) else { return };
        assert!(first > self.commit, "a committed entry is never overwritten");
        if first <= last {
            self.counters.truncations += 1;
            self.overwrite_from(first);
        }
        let whole = first == batch.first();
        let Some(new) = (if whole { Some(batch) } else { batch.from(first) }) else { return };
        let mark = cx.append(Record::Entries(new.clone()));
        self.marks.push_back((new.last(), mark));
        self.hold(new, cx.now);
    }

    /// The first entry of the batch that the log does not hold.
    fn first_difference(&self, batch: &Batch) -> Option<Index> {
        let last = self.log.last().index;
        if batch.first() == last + 1 {
            return Some(batch.first());
        }
        if self.config.suffers(Mutation::StaleAppendTruncates) && batch.first() > self.commit {
            return Some(batch.first());
        }
        let from = batch.first().max(self.commit + 1);
        if from > batch.last() {
            return None;
        }
        if self.log.has(batch.last_id()) {
            // Log matching: equal at the end, equal before it.
            return None;
        }
        (from..=batch.last()).find(|index| *index > last || !self.log.has(LogId::new(batch.term(), *index)))
    }

    /// A leader's commit index was reached. If the entry there is of the leader's own term, everything that any
    /// leader before it committed is before it (as for reads, thesis §6.4).
    pub(super) fn catch_up(&mut self, commit: Index, cx: &mut Cx<'_, Raft>) {
        if !self.caught_up && commit > 0 && self.log.term_at(commit) == Some(self.term) {
            self.caught_up = true;
            // A quorum's promise, as with a commit.
            cx.emit_now(Event::CaughtUp { upto: commit });
        }
    }

    pub(super) fn learn_commit(&mut self, commit: Index, cx: &mut Cx<'_, Raft>) {
        if commit > self.commit {
            let before = std::mem::replace(&mut self.commit, commit);
            // A quorum has it on disk, whatever this node's own disk does.
            cx.emit_now(Event::Committed { upto: commit });
            self.tell_configurations(before, commit, cx);
            if self.witness {
                self.forget_what_is_held(cx);
            }
        }
    }
}
