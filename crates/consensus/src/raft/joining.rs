//! Replicas without a vote: newcomers, voters that lost their disk, and voters that were removed. They ask to be served,
//! and whoever leads serves them like a follower that is not counted. They are no part of the configuration: one that
//! is not heard of for long is forgotten, and asks again.

use super::{Founding, Msg, Raft, VoteReply, peer::Peer};
use quorate_core::{Cx, NodeId, Time};

/// Election timeouts of silence after which a replica without a vote is served no more (guess).
const SILENT_TIMEOUTS: u32 = 10;

impl Raft {
    /// No leader was heard, and this replica has no vote or must not stand: it asks everybody that it knows of.
    pub(super) fn ask_to_be_served(&mut self, cx: &mut Cx<'_, Raft>) {
        let (Founding::Join(seeds) | Founding::Found(seeds)) = &self.founding;
        let mut asked = self.voters();
        asked.extend(seeds);
        asked.sort_unstable();
        asked.dedup();
        for id in asked.into_iter().filter(|id| *id != self.id) {
            // A question.
            cx.send_now(id, Msg::Join);
        }
    }

    /// Somebody without a vote wants to be served; or thinks that it has one, and was not told better.
    pub(super) fn on_join(&mut self, from: NodeId, cx: &mut Cx<'_, Raft>) {
        match self.leader.filter(|leader| ![self.id, from].contains(leader) && self.hears_leader(cx)) {
            // News, no promise.
            Some(leader) => cx.send_now(from, Msg::LedBy { group: self.group, leader }),
            None if !self.is_leader() && self.is_voter_by_name(from) => {
                // It has a vote by an entry that it lacks. Nobody leads, and those that have the entry may be witnesses: it is
                // offered this log, as one that is refused a vote. Promises nothing.
                let last = self.log.last();
                cx.send_now(from, Msg::PreVoteReply(VoteReply { term: self.term, granted: false, last }));
            }
            None => self.serve(from, cx),
        }
    }

    /// Whoever was asked does not lead, and says who does. Once a timeout: two that refer to each other must not have
    /// this one run to and fro.
    pub(super) fn on_led_by(&mut self, leader: NodeId, cx: &mut Cx<'_, Raft>) {
        if self.referred || leader == self.id || self.hears_leader(cx) {
            return;
        }
        self.referred = true;
        // A question.
        cx.send_now(leader, Msg::Join);
    }

    /// Takes note of a replica without a vote, if this one leads.
    pub(super) fn serve(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        if !self.is_leader() || self.peer(id).is_some() || id == self.id {
            return;
        }
        let served = self.peers.iter().filter(|peer| !peer.voter).count();
        // One that is to vote has its place.
        if served >= self.config.learners_max && !self.is_awaited(id) {
            return;
        }
        let mut peer = Peer::new(id, false, self.links.get(&id).copied());
        peer.reset(self.log.last().index + 1, cx.now);
        self.peers.push(peer);
        self.share_peers();
    }

    /// One that is silent for long makes room for others; it asks again when it is back.
    pub(super) fn forget_silent_learners(&mut self, now: Time) {
        let patience = self.config.election_timeout.saturating_mul(SILENT_TIMEOUTS);
        let silent =
            |peer: &Peer| now.since(peer.heard_at) > patience && !peer.voter && !self.is_awaited(peer.id);
        let silent: Vec<NodeId> = self.peers.iter().filter(|peer| silent(peer)).map(|peer| peer.id).collect();
        if !silent.is_empty() {
            self.peers.retain(|peer| !silent.contains(&peer.id));
            self.share_peers();
        }
    }
}
