//! Handing leadership over (thesis §3.10): the leader takes no more proposals, brings one voter up to its own last
//! entry, and has it stand for election at once. Should that come to nothing within an election timeout, the
//! leader goes on as before. And resigning: a leader that stops by itself says so.

use super::{Event, Msg, Mutation, Raft, Role};
use quorate_core::{Cx, NodeId, Time};
use std::time::Duration;

/// Who is to lead next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Transfer {
    pub to: NodeId,
    /// When it has failed.
    pub until: Time,
}

impl Raft {
    /// Whether it leads and is handing that over: it takes no proposals meanwhile.
    pub fn is_transferring(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.transfer.is_some())
    }

    pub(super) fn on_transfer(&mut self, to: Option<NodeId>, cx: &mut Cx<'_, Raft>) {
        let voters = self.peers.iter().filter(|peer| self.may_succeed(peer));
        let able = voters.filter(|peer| to.is_none_or(|to| peer.id == to));
        match able.max_by_key(|peer| self.fitness(peer)).map(|peer| peer.id) {
            Some(to) if self.is_leader() => self.begin_transfer(to, cx),
            // That nothing changed promises nothing.
            _ => cx.emit_now(Event::NotTransferred { begun: false }),
        }
    }

    /// This one is to lead next.
    pub(super) fn begin_transfer(&mut self, to: NodeId, cx: &mut Cx<'_, Raft>) {
        let until = match self.config.suffers(Mutation::TransferForEver) {
            true => Time::NEVER,
            false => cx.now + self.config.election_timeout,
        };
        let Some(leader) = self.leader_mut() else { return };
        leader.transfer = Some(Transfer { to, until });
        // From here on another leader may come at any time (thesis §6.4.1).
        leader.lease.give_up();
        self.counters.transfers += 1;
        self.seal(cx);
        self.hand_over(to, cx);
    }

    /// Has the next leader stand for election, once it has everything.
    pub(super) fn hand_over(&mut self, from: NodeId, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        if leader.transfer.is_none_or(|transfer| transfer.to != from) || leader.open.count() > 0 {
            return;
        }
        let Some(peer) = self.peer(from) else { return };
        if peer.witness {
            // Asked for before it was known to be one.
            return self.give_up_transfer(cx);
        }
        if peer.matched == self.log.last().index {
            // It promises nothing: an election is won by votes.
            cx.send_now(from, Msg::TakeOver { group: self.group, term: self.term });
        }
    }

    /// Leads no more, by its own decision, and says so: whoever hears it need not wait for silence.
    pub(super) fn resign(&mut self, cx: &mut Cx<'_, Raft>) {
        let (group, term) = (self.group, self.term);
        self.follow(term, None, cx);
        // News, no promise.
        cx.send_now(self.everybody.clone(), Msg::Resigned { group, term });
    }

    pub(super) fn on_resigned(&mut self, from: NodeId, term: u64, cx: &mut Cx<'_, Raft>) {
        if term != self.term || self.leader != Some(from) || self.is_leader() {
            return;
        }
        self.leader = None;
        self.heard_leader_at = None;
        self.bound_until = Time::ZERO;
        // News, no promise.
        cx.emit_now(Event::Following { term, leader: None });
        // Not all at the same time.
        let spread = cx.rng.within(0..self.config.election_timeout.as_nanos() as u64 / 2);
        self.election_at = cx.now + Duration::from_nanos(spread) + self.config.deference(self.id);
    }

    pub(super) fn expire_transfer(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        if leader.transfer.is_some_and(|transfer| transfer.until <= cx.now) {
            self.give_up_transfer(cx);
        }
    }

    fn give_up_transfer(&mut self, cx: &mut Cx<'_, Raft>) {
        if self.leader_mut().and_then(|leader| leader.transfer.take()).is_some() {
            self.counters.transfers_failed += 1;
            // As above.
            cx.emit_now(Event::NotTransferred { begun: true });
        }
    }

    /// The leader asks this voter to lead. Nobody else's word counts, nor that of a term that is over.
    pub(super) fn on_take_over(&mut self, from: NodeId, term: u64, cx: &mut Cx<'_, Raft>) {
        if term == self.term && self.leader == Some(from) && from != self.id && self.may_stand() {
            self.counters.took_over += 1;
            self.campaign(true, cx);
        }
    }
}
