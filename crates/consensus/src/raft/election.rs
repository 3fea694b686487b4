//! Elections: pre-vote, vote, and who may not disturb whom (Raft §5.2, §5.4.1; thesis §9.6).

use super::{Candidacy, Event, LogId, Msg, Mutation, Raft, Role, Term, VoteReply, configuration::Decision};
use quorate_core::{Cx, NodeId, Time};
use std::time::Duration;

const TERMS_AHEAD_MAX: Term = u32::MAX as Term;

/// Times that it asks for pre-votes after which all others' logs are worth another try (guess: more than there are
/// voters to try, and soon enough where an answer was lost).
const ROUNDS_PASSED_OVER: u64 = 8;

impl Raft {
    /// Draws the next election time: once to twice the timeout from now (Raft §5.2), the sooner the likelier, as the lesser of
    /// two draws is. Measured (benches/benches/recovery.rs): of three, those that are left have a leader a tenth sooner in
    /// the median; that votes are split more often is made good by [`Raft::retry_election`]. Whoever is less preferred waits
    /// longer; see [`super::preference`].
    pub(super) fn wait_for_election(&mut self, cx: &mut Cx<'_, Raft>) {
        let least = self.config.election_timeout;
        let mut draw = || cx.rng.within(0..least.as_nanos() as u64);
        self.spread = Duration::from_nanos(draw().min(draw())) + self.config.deference(self.id);
        self.wait_again(cx.now);
    }

    /// The same wait from now on: the leader was heard.
    pub(super) fn wait_again(&mut self, now: Time) {
        self.election_at = now + self.config.election_timeout + self.spread;
    }

    /// A vote was refused, so somebody else may stand as well, and perhaps nobody wins this term. The timeout is at least ten
    /// round trips: whoever wins is heard before a quarter of it. If nobody does, none of them waits a whole timeout more.
    fn retry_election(&mut self, cx: &mut Cx<'_, Raft>) {
        let least = self.config.election_timeout;
        let spread = cx.rng.within(0..least.as_nanos() as u64 / 2);
        self.election_at = self.election_at.min(cx.now + least / 4 + Duration::from_nanos(spread));
    }

    /// No leader was heard. One with a vote asks whether it would be elected; one without, or that must not stand, to be served.
    pub(super) fn on_election_timeout(&mut self, cx: &mut Cx<'_, Raft>) {
        self.wait_for_election(cx);
        self.referred = false;
        if self.leader.take().is_some() {
            // News, no promise.
            cx.emit_now(Event::Following { term: self.term, leader: None });
        }
        if self.is_founding() {
            return self.tell_pins(true, cx);
        }
        (self.pull, self.asked_behind) = (None, None);
        // One that must not stand, too: whoever leads may sleep ([`crate::groups`]) and not know that it is behind. (A witness is in
        // no group that sleeps.)
        if !self.may_vote() || !self.witness && !self.may_stand() {
            return self.ask_to_be_served(cx);
        }
        if !self.may_stand() {
            return;
        }
        self.role = Role::PreCandidate;
        self.counters.pre_campaigns += 1;
        if self.counters.pre_campaigns.is_multiple_of(ROUNDS_PASSED_OVER) {
            self.barren.clear();
        }
        self.forget_votes();
        let last = self.log.last();
        let (group, term) = (self.group, self.term.saturating_add(1));
        let candidacy = Candidacy { group, term, last, handed_over: false };
        // A question: a pre-vote spends and promises nothing.
        cx.send_now(self.everybody.clone(), Msg::PreVote(candidacy));
        self.count_pre_votes(cx);
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, candidacy: Candidacy, cx: &mut Cx<'_, Raft>) {
        let sticky = self.hears_leader(cx) || self.is_bound(cx.now);
        self.counters.sticky += u64::from(sticky);
        let granted = !sticky
            && !self.is_stranger(from, candidacy.last)
            && candidacy.term > self.term
            && self.is_plausible(candidacy.term)
            && self.is_up_to_date(candidacy.last)
            && !self.is_rolled_back();
        if granted && self.config.suffers(Mutation::PreVoteHeardAsLeader) {
            self.bound_until = cx.now + self.config.election_timeout;
        }
        if granted && self.config.suffers(Mutation::PreVoteFreesVote) {
            self.vote = None;
        }
        // A refusal tells this replica's own term, so that one that lags behind learns it and is not stuck
        // asking for a term that is over.
        let term = if granted { candidacy.term } else { self.term };
        // While there is a leader a longer log would not help to be elected, and grows with every question: it is not
        // offered to be pulled.
        let last = if sticky { LogId::ZERO } else { self.log.last() };
        // Promises nothing: a grant neither moves a timer nor binds the vote.
        cx.send_now(from, Msg::PreVoteReply(VoteReply { term, granted, last }));
        // One that has no vote any more and was not told, as it was away.
        if !self.is_voter(from) && !self.config.suffers(Mutation::RemovedNotTold) {
            self.on_join(from, cx);
        }
    }

    /// A candidate that is no voter here and does not know more than this replica does: with the same log it would know
    /// that it is none. (One with a longer log may be a voter by an entry that is not here yet.) Nor does one that is
    /// of no cluster promise anything.
    fn is_stranger(&self, candidate: NodeId, last: LogId) -> bool {
        let may_know_more = last > self.log.last();
        let rolled_back = self.peer(candidate).is_some_and(|peer| peer.rolled_back);
        self.group == 0 || rolled_back || !self.is_voter_by_name(candidate) && !may_know_more
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, reply: VoteReply, cx: &mut Cx<'_, Raft>) {
        let deaf = self.config.suffers(Mutation::PreVoteTermNotLearned);
        if !reply.granted && reply.term > self.term && !deaf {
            return self.learn_term(from, reply.term, cx);
        }
        if !reply.granted {
            return self.on_refused(from, reply.last, cx);
        }
        // An answer to an earlier round, or one that comes after the campaign began, starts nothing.
        let stale = self.role != Role::PreCandidate || reply.term != self.term.saturating_add(1);
        if stale && !self.config.suffers(Mutation::StalePreVoteCampaigns) {
            return;
        }
        if let Some(peer) = self.peer_mut(from) {
            peer.granted = Some(true);
        }
        self.count_pre_votes(cx);
    }

    pub(super) fn count_pre_votes(&mut self, cx: &mut Cx<'_, Raft>) {
        // Its own vote is bound as any other.
        if self.is_granted() && !self.abstains && !self.is_bound(cx.now) {
            self.campaign(false, cx);
        }
    }

    /// Whether it may be elected: it has a vote and a state machine that is there, and its log is not about to be
    /// replaced.
    pub(super) fn may_stand(&self) -> bool {
        self.may_vote() && self.could_stand()
    }

    /// The same, had it a vote.
    pub(super) fn could_stand(&self) -> bool {
        let has_state = !self.witness || self.config.suffers(Mutation::WitnessStands);
        let is_able = !self.abstains && !self.lacks_state && !self.is_restoring();
        has_state && is_able && !self.is_rolled_back()
    }

    /// Spends a term (Raft §5.2). The requests leave once term and own vote are on disk.
    pub(super) fn campaign(&mut self, handed_over: bool, cx: &mut Cx<'_, Raft>) {
        // A term is u64 and only a quorum's pre-votes raise it here, so its end is out of reach, but for a journal that
        // says so. Nobody would vote for it, and no journal with it opens.
        let term = self.term.saturating_add(1);
        if !self.is_plausible(term) {
            return;
        }
        self.counters.campaigns += 1;
        self.term = term;
        self.vote = Some(self.id);
        // Nobody leads that term yet. Whoever hands over led the one before, and must not be taken for its leader.
        if self.leader.take().is_some() {
            // News, no promise.
            cx.emit_now(Event::Following { term, leader: None });
        }
        self.role = Role::Candidate { voted: self.write_hard(cx) };
        self.wait_for_election(cx);
        if !self.config.suffers(Mutation::PreVoteCountsAsVote) {
            self.forget_votes();
        }
        let candidacy = Candidacy { group: self.group, term, last: self.log.last(), handed_over };
        cx.send(self.everybody.clone(), Msg::Vote(candidacy));
        self.count_votes(cx);
    }

    pub(super) fn on_vote(&mut self, from: NodeId, candidacy: Candidacy, cx: &mut Cx<'_, Raft>) {
        let Candidacy { term, last, handed_over, .. } = candidacy;
        if !self.hear_term(from, term, cx) {
            return;
        }
        // A vote for a voter that lost its disk would elect it with votes that it gave others and forgot.
        if self.is_stranger(from, last) {
            self.counters.strangers += 1;
            return;
        }
        if !self.is_plausible(term) {
            self.counters.nonsense += 1;
            return;
        }
        // One that hears a leader does not help to depose it (thesis §6.4.1, §4.2.3), whatever term it has learned since.
        let again = term == self.term && self.vote == Some(from);
        let bound = self.is_bound(cx.now) && !handed_over && !again;
        if term > self.term {
            if bound || self.hears_leader(cx) && !handed_over {
                self.counters.sticky += 1;
                return;
            }
            self.follow(term, None, cx);
        }
        let free = self.vote.is_none() || self.vote == Some(from) || self.config.suffers(Mutation::VoteTwice);
        // Without regard to whether this replica is a voter by its own log: the candidate's may say so (etcd/raft #10998),
        // and it counts the vote by the journal that it knows.
        let able = self.may_vote() || !self.config.suffers(Mutation::LearnerRefusesVote);
        let able = able && !self.is_rolled_back();
        let granted = term == self.term && free && !bound && able && self.is_up_to_date(last);
        if granted && self.vote.is_none() {
            self.vote = Some(from);
            self.write_hard(cx);
            self.wait_for_election(cx);
        }
        let reply = Msg::VoteReply(VoteReply { term: self.term, granted, last: self.log.last() });
        if self.config.suffers(Mutation::VoteBeforeSync) {
            // The planted bug: this does promise something.
            return cx.send_now(from, reply);
        }
        // Once the vote is on disk.
        cx.send(from, reply);
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, reply: VoteReply, cx: &mut Cx<'_, Raft>) {
        if !self.hear_term(from, reply.term, cx) {
            return;
        }
        if reply.term > self.term {
            return self.learn_term(from, reply.term, cx);
        }
        if !matches!(self.role, Role::Candidate { .. }) || reply.term != self.term {
            return;
        }
        if let Some(peer) = self.peer_mut(from) {
            peer.granted = Some(reply.granted);
        }
        if !reply.granted {
            self.retry_election(cx);
        }
        self.count_votes(cx);
    }

    pub(super) fn count_votes(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Candidate { voted } = self.role else { return };
        if voted <= cx.durable() && self.is_granted() && !self.abstains {
            self.lead(cx);
        }
    }

    /// Whether own vote and those that count are a quorum.
    fn is_granted(&mut self) -> bool {
        let granted = self.peers.iter().filter(|peer| peer.voter && peer.granted == Some(true));
        let strangers = granted.filter(|peer| !self.speaks_as_known(peer)).count();
        self.counters.strangers += strangers as u64;
        self.is_quorum(Decision::Election, |peer| peer.granted == Some(true))
    }

    fn forget_votes(&mut self) {
        for peer in &mut self.peers {
            peer.granted = None;
        }
    }

    /// At least as up to date as this replica's log: compared as a pair, term first (Raft §5.4.1).
    fn is_up_to_date(&self, last: LogId) -> bool {
        match self.log.last() {
            _ if self.config.suffers(Mutation::VoteForShorterLog) => true,
            own if self.config.suffers(Mutation::LogsByLengthOnly) => last.index >= own.index,
            own => last >= own,
        }
    }

    /// Leads, or heard a leader within the least election timeout.
    pub(super) fn hears_leader(&self, cx: &Cx<'_, Raft>) -> bool {
        if self.config.suffers(Mutation::UnboundByNewerTerm) {
            return self.is_leader();
        }
        let recently = |at| cx.now.since(at) < self.config.election_timeout;
        self.is_leader() || (self.leader.is_some() && self.heard_leader_at.is_some_and(recently))
    }

    /// No honest replica is this far ahead, at ten elections a second for ten years: a peer that claims to be
    /// must not push this one to the end of all terms.
    pub(super) fn is_plausible(&self, term: Term) -> bool {
        term <= self.term.saturating_add(TERMS_AHEAD_MAX) && term < Term::MAX
    }

    /// A newer term, told in an answer: believed of whom this replica knows, within reason. (Of one that has no vote by
    /// this log, too: it may have one by another.)
    pub(super) fn learn_term(&mut self, from: NodeId, term: Term, cx: &mut Cx<'_, Raft>) {
        if self.peer(from).is_some() && self.is_plausible(term) {
            self.follow(term, None, cx);
        } else {
            self.counters.nonsense += 1;
        }
    }
}
