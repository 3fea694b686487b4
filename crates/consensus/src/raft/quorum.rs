//! Whose word counts: voters of the configuration in force, under the journal that it names.

use super::{Configuration, Index, Mutation, Raft, Voter, configuration::Decision, peer::Peer};
use quorate_core::{JournalId, NodeId};
use std::borrow::Cow;

impl Raft {
    /// Whether the node votes, on whatever disk: by the configuration in force, or by the founding before there is one.
    pub(super) fn is_voter(&self, id: NodeId) -> bool {
        match self.history.in_force() {
            Some(configuration) => configuration.names(id),
            None => self.founders.binary_search(&id).is_ok(),
        }
    }

    /// Whether it is a voter that speaks under the journal it is known by.
    pub(super) fn is_voter_by_name(&self, id: NodeId) -> bool {
        self.peer(id).is_some_and(|peer| self.speaks_as_known(peer))
    }

    pub(super) fn speaks_as_known(&self, peer: &Peer) -> bool {
        let boot = peer.boot.filter(|_| !peer.rolled_back);
        let Some(journal) = boot.map(|boot| boot.journal) else { return false };
        match self.history.in_force() {
            Some(configuration) => configuration.has(Voter { node: peer.id, journal }),
            None => peer.voter && peer.pin == Some(journal),
        }
    }

    /// The voters that this replica is linked to, on the disks by which they are known, ascending; itself, if it votes.
    pub fn linked_voters(&self) -> Vec<NodeId> {
        let linked = |id: &NodeId| if *id == self.id { self.may_vote() } else { self.is_voter_by_name(*id) };
        self.voters().into_iter().filter(linked).collect()
    }

    /// Whether it is a voter, or leads as far as this replica knows: a leader need not be in the configuration known here.
    pub(super) fn may_lead(&self, id: NodeId) -> bool {
        let knows_nobody = self.founders.is_empty() && !self.is_founded();
        knows_nobody || self.leader == Some(id) || self.is_voter(id)
    }

    /// Whether this replica could hand leadership over to it: it votes, and still will when voters have changed.
    pub(super) fn may_succeed(&self, peer: &Peer) -> bool {
        let Some(configuration) = self.history.in_force() else { return false };
        configuration
            .incoming
            .voter(peer.id)
            .is_some_and(|(voter, _)| peer.speaks_as(&voter) && !peer.witness)
    }

    /// Whether this replica has a vote.
    pub(super) fn may_vote(&self) -> bool {
        let Some(journal) = self.journal() else { return false };
        let voter = Voter { node: self.id, journal };
        self.history.in_force().is_some_and(|configuration| configuration.has(voter))
            && !self.is_rolled_back()
    }

    /// The journal that it runs on.
    pub(super) fn journal(&self) -> Option<JournalId> {
        self.boot.map(|boot| boot.journal)
    }

    /// Whether this replica and the peers of which `says` is true decide.
    pub(super) fn is_quorum(&self, decision: Decision, says: impl Fn(&Peer) -> bool) -> bool {
        let Some(configuration) = self.deciding() else { return false };
        if self.config.suffers(Mutation::QuorumOffByOne) {
            let all = self.peers.iter().filter(|peer| peer.voter && says(peer)).count() + 1;
            return all >= configuration.nodes().len() / 2;
        }
        self.would_decide(&configuration, decision, says)
    }

    /// Whether this replica and the peers of which `says` is true would decide in this configuration.
    pub(super) fn would_decide(
        &self,
        configuration: &Configuration,
        decision: Decision,
        says: impl Fn(&Peer) -> bool,
    ) -> bool {
        configuration.is_quorum(decision, |voter| match voter.node == self.id {
            true => self.journal() == Some(voter.journal) && !self.is_rolled_back(),
            false => self.peer(voter.node).is_some_and(|peer| self.hears_as(peer, voter) && says(peer)),
        })
    }

    /// Who decides now.
    fn deciding(&self) -> Option<Cow<'_, Configuration>> {
        let configuration = self.history.in_force()?;
        if self.config.suffers(Mutation::JointByOneBody) {
            return Some(Cow::Owned(Configuration::simple(configuration.incoming.clone())));
        }
        Some(Cow::Borrowed(configuration))
    }

    pub(super) fn hears_as(&self, peer: &Peer, voter: &Voter) -> bool {
        peer.speaks_as(voter) || self.config.suffers(Mutation::JournalIgnored)
    }

    /// The highest index that a quorum has reached: `own` here, and what `reached` says of each peer that counts.
    pub(super) fn quorum_index(&self, own: Index, reached: impl Fn(&Peer) -> Index) -> Index {
        let Some(configuration) = self.deciding() else { return 0 };
        if self.config.suffers(Mutation::QuorumOffByOne) {
            let mut all: Vec<Index> = self.peers.iter().filter(|peer| peer.voter).map(reached).collect();
            all.push(own);
            all.sort_unstable_by_key(|index| std::cmp::Reverse(*index));
            return all[(configuration.nodes().len() / 2).max(1).min(all.len()) - 1];
        }
        let usurps = self.config.suffers(Mutation::RemovedCountsItself) && !configuration.names(self.id);
        let usurped = usurps.then(|| configuration.nodes().first().copied()).flatten();
        configuration.quorum_index(|voter| match voter.node == self.id {
            _ if usurped == Some(voter.node) => own,
            true if self.journal() == Some(voter.journal) => own,
            true => 0,
            false => self.peer(voter.node).filter(|peer| self.hears_as(peer, voter)).map_or(0, &reached),
        })
    }
}
