//! Old disks: a voter whose disk was put back to an earlier copy has forgotten what it promised since, and its journal still
//! has the name by which its word counts. Whoever can prove that counts its word no more, writes it down, and tells it.
//!
//! **What proves it.** A replica remembers of each voter what its journal has said to it, and compares when another life of
//! the same journal comes up:
//! * the life is counted lower than one that was met: lives only grow. (So does a copy that runs beside the original.)
//! * it says a lower term than an earlier life said: a term is on disk before an answer or a candidacy names it.
//! * it refuses an append behind an entry that an earlier life acknowledged to this leader in the same term: what was
//!   acknowledged is taken back in a newer term only.
//!
//! None of this can be true of a voter that kept its disk, so nobody is accused in error. What an earlier life said late
//! fits no session of a later one: that is the link's.
//!
//! **What follows.** Its votes and acknowledgements count here no more under this journal, in whatever life. It is served like
//! one without a vote; told of it, it gives no vote and does not stand, and its journal remembers that. It comes back as
//! any lost disk does: on an empty journal, by a change.
//!
//! **What is not found out.** Promises that nobody remembers who meets it: the others were restarted since, or it promised
//! them nothing. Nor what it does before anybody has met it who can tell.

use super::{Index, Msg, Mutation, Raft, Record, Term, peer::Peer};
use quorate_core::{Boot, Cx, JournalId, NodeId};

/// What a peer's journal has said so far, as far as it can be held to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    /// The highest term that it named as its own.
    term: Term,
    /// The same, of the lives before this one.
    term_before: Term,
    /// The last entry that earlier lives acknowledged to this leader.
    acknowledged_before: Index,
    /// What this life acknowledged to this leader before that slept.
    acknowledged_asleep: Index,
}

impl Said {
    /// A leader begins: nothing was acknowledged to it.
    pub fn begin_leading(&mut self) {
        (self.acknowledged_before, self.acknowledged_asleep) = (0, 0);
    }

    /// The leader wakes. By the time that it slept this life had named its term, and had acknowledged all of its log.
    pub fn slept(&mut self, term: Term, acknowledged: Index) {
        (self.term, self.acknowledged_asleep) = (self.term.max(term), acknowledged);
    }

    /// Another life of the same journal speaks, after one that acknowledged so much.
    pub fn begin_life(&mut self, acknowledged: Index) {
        self.term_before = self.term;
        let asleep = std::mem::take(&mut self.acknowledged_asleep);
        self.acknowledged_before = self.acknowledged_before.max(acknowledged).max(asleep);
    }
}

impl Raft {
    /// Its link came up under this life. Whoever is known to have an old disk is told so; it may have forgotten that as well.
    pub(super) fn meet(&mut self, id: NodeId, boot: Boot, cx: &mut Cx<'_, Raft>) {
        let Some(peer) = self.peer_mut(id) else { return };
        let older = peer.greet(boot);
        if self.rolled_back.contains(&boot.journal) || older {
            self.accuse(id, cx);
        }
    }

    /// It names this term as its own, which is on its disk. False if an earlier life named a higher one.
    #[inline]
    pub(super) fn hear_term(&mut self, from: NodeId, term: Term, cx: &mut Cx<'_, Raft>) -> bool {
        let plausible = self.is_plausible(term);
        let Some(peer) = self.peer_mut(from).filter(|_| plausible) else { return true };
        if term < peer.said.term_before {
            self.accuse(from, cx);
            return false;
        }
        peer.said.term = peer.said.term.max(term);
        true
    }

    /// It lacks the entry before this one. That cannot be if an earlier life acknowledged it.
    pub(super) fn hear_refusal(&mut self, from: NodeId, refused: Index, cx: &mut Cx<'_, Raft>) {
        // Before the first entry there is nothing to lack.
        if self.peer(from).is_some_and(|peer| (1..=peer.said.acknowledged_before).contains(&refused)) {
            self.accuse(from, cx);
        }
    }

    /// Its disk is an old one. (Of one without a vote nothing counts anyway.)
    fn accuse(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let group = self.group;
        let known = self.peer(id).filter(|peer| self.is_known_under(peer)).and_then(|peer| peer.boot);
        let Some(Boot { journal, .. }) = known else { return };
        if self.config.suffers(Mutation::OldDiskCounts) {
            return;
        }
        let next = self.log.last().index + 1;
        let Some(peer) = self.peer_mut(id) else { return };
        (peer.rolled_back, peer.granted, peer.matched, peer.round) = (true, None, 0, 0);
        peer.said = Said::default();
        peer.probe_from(next);
        if self.rolled_back.insert(journal) {
            self.counters.rolled_back += 1;
            cx.append(Record::RolledBack { journal });
        }
        // It is true whether this replica's disk remembers it or not.
        cx.send_now(id, Msg::RolledBack { group, journal: journal.into() });
    }

    /// A voter can prove that this replica has forgotten what it promised.
    pub(super) fn on_rolled_back(&mut self, from: NodeId, journal: JournalId, cx: &mut Cx<'_, Raft>) {
        if !self.is_voter_by_name(from) || self.journal() != Some(journal) {
            self.counters.strangers += 1;
            return;
        }
        if !self.rolled_back.insert(journal) {
            return;
        }
        self.counters.rolled_back += 1;
        cx.append(Record::RolledBack { journal });
        match self.is_leader() {
            true => self.resign(cx),
            false => self.follow(self.term, None, cx),
        }
    }

    /// Whether this replica runs on a disk that has forgotten what it promised.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.journal().is_some_and(|journal| self.rolled_back.contains(&journal))
    }

    /// The nodes among the voters, this one included, whose disk was put back to an earlier copy: their votes and
    /// acknowledgements do not count here. Each needs an empty journal, and a change that gives it its vote again.
    pub fn rolled_back(&self) -> Vec<NodeId> {
        let Some(configuration) = self.history.in_force() else { return Vec::new() };
        let voters = configuration.bodies().flat_map(|electors| electors.voters()).map(|(voter, _)| voter);
        let mut nodes: Vec<NodeId> = voters
            .filter(|voter| self.rolled_back.contains(&voter.journal))
            .map(|voter| voter.node)
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Those that are to stand behind a compaction: of voters that are none any more nothing need be known.
    pub(super) fn old_disks(&mut self) -> impl Iterator<Item = Record> + '_ {
        let own = self.journal();
        let voters = self.history.voters();
        self.rolled_back.retain(|journal| Some(*journal) == own || voters.contains(journal));
        self.rolled_back.iter().map(|journal| Record::RolledBack { journal: *journal })
    }

    /// Whether it speaks under the journal that it votes under, whatever became of that.
    fn is_known_under(&self, peer: &Peer) -> bool {
        let Some(boot) = peer.boot else { return false };
        let configuration = self.history.in_force();
        configuration.is_some_and(|c| c.has(super::Voter { node: peer.id, journal: boot.journal }))
    }
}
