//! Who decides: the electorate this replica was founded with, and whose word counts in it.

use super::{Index, Raft, peer::Peer};
use quorate_core::{Cx, NodeId, quorum::Rule};

impl Raft {
    fn rule(&self) -> Rule {
        #[cfg(feature = "mutations")]
        if self.config.mutation == Some(super::Mutation::QuorumOffByOne) {
            return Rule::Weight(self.voters.len() as u64 / 2);
        }
        Rule::Majority
    }

    pub(super) fn is_voter(&self, id: NodeId) -> bool {
        self.voters.binary_search(&id).is_ok()
    }

    /// Whether it is a voter that speaks under the journal it is known by.
    pub(super) fn is_voter_by_name(&self, id: NodeId) -> bool {
        self.peer(id).is_some_and(Peer::is_voter_by_name)
    }

    /// Whether this replica has a vote: it is a voter, under the journal it was founded with.
    pub(super) fn may_vote(&self) -> bool {
        let journal = self.boot.map(|boot| boot.journal);
        self.is_voter(self.id) && journal.is_some() && self.own_pin.map(|pin| pin.journal) == journal
    }

    /// Whether this replica and the peers of which `says` is true are a quorum. A peer counts under its pinned
    /// journal only.
    pub(super) fn is_quorum(&self, cx: &Cx<'_, Raft>, mut says: impl FnMut(&Peer) -> bool) -> bool {
        let Some(electorate) = &self.electorate else { return false };
        let durable = cx.durable();
        electorate.is_quorum(self.rule(), |id| match self.peer(*id) {
            Some(peer) => peer.counts(durable) && says(peer),
            None => self.may_vote(),
        })
    }

    /// The highest index that a quorum has reached: `own` here, and what `reached` says of each peer that counts.
    pub(super) fn quorum_index(
        &self,
        cx: &Cx<'_, Raft>,
        own: Index,
        mut reached: impl FnMut(&Peer) -> Index,
    ) -> Index {
        let Some(electorate) = &self.electorate else { return 0 };
        let durable = cx.durable();
        electorate.quorum_index(self.rule(), |id| match self.peer(*id) {
            Some(peer) if peer.counts(durable) => reached(peer),
            Some(_) => 0,
            None if self.may_vote() => own,
            None => 0,
        })
    }
}
