//! Witnesses: voters without state (Pâris, "Voting with Witnesses", 1986). A witness votes, keeps the log on disk and
//! acknowledges it; it applies nothing, takes no snapshot, is never elected and answers no read. Two replicas with state and
//! a witness outlive any one of the three, as three replicas would, at the price of two.
//!
//! **It keeps whole entries, not only their names**, as long as some voter with state may lack them. With names alone an
//! entry that the leader and the witness have is lost to the others while the leader is away: the witness may not vote for
//! one that lacks it, and cannot give it. Under load that is nearly every crash of a leader. So it is asked for what it
//! has (see [`super::pull`]), and forgets what every voter with state has on disk, as leaders tell it. What it keeps is
//! bounded by [`witness_log_bytes`](super::RaftConfig::witness_log_bytes).
//!
//! **Nobody is told who is one.** It is the replica's own matter, says so in its journal, and in each acknowledgement; so no
//! configuration can be wrong about it. For the life of a journal it is the one or the other.
//!
//! **Invariant.** What is committed is on the disk of a voter with state, in both bodies of a change; a quorum of witnesses
//! alone commits nothing.

use super::{
    Configuration, Electors, Event, Founding, Index, LogId, Msg, Mutation, Outcome, Raft, RaftConfig,
    RaftConfigError, Role, Snapshot, Term, Voter, peer::Peer,
};
use quorate_core::{Cx, NodeId};
use std::sync::Arc;

impl Raft {
    /// A witness before its journal is replayed.
    pub fn witness(
        id: NodeId,
        config: impl Into<Arc<RaftConfig>>,
        founding: Founding,
    ) -> Result<Raft, RaftConfigError> {
        let raft = Raft::new(id, config, founding)?;
        match raft.founders == [id] {
            true => Err(RaftConfigError::WitnessAlone(id)),
            false => Ok(Raft { witness: true, ..raft }),
        }
    }

    /// Whether it is one.
    pub fn is_witness(&self) -> bool {
        self.witness
    }

    /// The voters that are witnesses, as far as this replica knows: all that acknowledged anything while it led.
    pub fn witnesses(&self) -> Vec<NodeId> {
        let own = self.witness.then_some(self.id);
        let peers = self.peers.iter().filter(|peer| peer.voter && peer.witness).map(|peer| peer.id);
        let mut witnesses: Vec<NodeId> = own.into_iter().chain(peers).collect();
        witnesses.sort_unstable();
        witnesses
    }

    /// The log is the leader's up to here.
    pub(super) fn acknowledgement(&self, matched: Index) -> Outcome {
        if self.witness { Outcome::Witnessed(matched) } else { Outcome::Matched(matched) }
    }

    /// The highest entry that some voter with state has on disk, `own` being the last one here; no bound without witnesses.
    pub(super) fn kept_with_state(&self, own: Index) -> Index {
        let witnessed = self.peers.iter().any(|peer| peer.witness);
        match self
            .history
            .in_force()
            .filter(|_| witnessed && !self.config.suffers(Mutation::WitnessesSuffice))
        {
            Some(configuration) => configuration.some_reached(|voter| self.has_with_state(voter, own)),
            None => Index::MAX,
        }
    }

    fn has_with_state(&self, voter: &Voter, own: Index) -> Index {
        if voter.node == self.id {
            return if self.journal() == Some(voter.journal) { own } else { 0 };
        }
        let peer = self.peer(voter.node).filter(|peer| self.hears_as(peer, voter) && !peer.witness);
        peer.map_or(0, |peer| peer.matched)
    }

    /// Whether this voter, on this disk, acknowledged as one without state.
    fn is_known_witness(&self, voter: &Voter) -> bool {
        let on_its_disk = |peer: &&Peer| peer.life.is_some_and(|life| life.journal == voter.journal);
        self.peer(voter.node).filter(on_its_disk).is_some_and(|peer| peer.witness)
    }

    /// With every heartbeat that a quorum answered: all are told what need not be kept for a voter with state that lacks it.
    /// (What is lost on the way is in what is told next.)
    pub(super) fn release_witnesses(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        if !self.peers.iter().any(|peer| peer.voter && peer.witness) {
            return;
        }
        let bodies = self.history.undecided(self.commit).flat_map(|configuration| configuration.bodies());
        let voters = bodies.flat_map(|electors| electors.voters()).map(|(voter, _)| voter);
        let with_state = voters.filter(|voter| !self.is_known_witness(voter));
        let held = with_state.map(|voter| self.has_with_state(voter, leader.matched));
        // Those that are about to vote begin with what they have.
        let newcomers = self.peers.iter().filter(|peer| !peer.witness && self.is_awaited(peer.id));
        let held = held.chain(newcomers.map(|peer| peer.matched)).min().unwrap_or(0);
        // Entries of older terms alone may be taken back for a log of a term between (see [`super::pull`]); whoever has
        // something of this term has what is committed for good.
        let upto = if held < leader.first { 0 } else { held.min(self.commit) }.max(leader.released);
        let (group, term) = (self.group, self.term);
        if let Some(leader) = self.leader_mut() {
            leader.released = upto;
        }
        self.held = self.held.max(Some(upto));
        // Disks have it already.
        cx.send_now(self.everybody.clone(), Msg::Held { group, term, upto });
    }

    /// The leader tells what need not be kept. A replica with state keeps it in its log as well, so that no witness has to be sent
    /// a snapshot while somebody lacks what that stands for: it takes the name alone, and gives up what it kept.
    pub(super) fn on_held(&mut self, from: NodeId, term: Term, upto: Index, cx: &mut Cx<'_, Raft>) {
        if term == self.term && self.leader == Some(from) {
            self.held = self.held.max(Some(upto));
            if self.witness {
                self.forget_what_is_held(cx);
            }
        }
    }

    /// A witness takes away the part of its log that nobody will ask for, once it is much. It stands for a snapshot without
    /// an object.
    pub(super) fn forget_what_is_held(&mut self, cx: &mut Cx<'_, Raft>) {
        let careless = self.config.suffers(Mutation::WitnessForgets);
        let upto = if careless { self.commit } else { self.commit.min(self.held.unwrap_or(0)) };
        let (base, last) = (self.log.base().index, self.log.last().index);
        let much = self.log.bytes() >= self.config.snapshot_log_bytes
            || upto.saturating_sub(base) >= self.config.snapshot_log_entries;
        // Half of it at least: not anew for every entry of a log that is long because somebody lacks it.
        let worth = 2 * upto.saturating_sub(base) >= last - base;
        if much && worth || self.is_overfull() {
            self.forget_upto(upto, cx);
        }
        // What somebody lacks goes only if it is too much by itself.
        let base = self.log.base().index;
        if self.is_overfull() && 2 * (self.commit - base) >= last - base {
            self.forget_upto(self.commit, cx);
        }
    }

    pub(super) fn is_overfull(&self) -> bool {
        self.log.footprint() > self.config.witness_log_bytes
    }

    fn forget_upto(&mut self, upto: Index, cx: &mut Cx<'_, Raft>) {
        if let Some(term) = self.log.term_at(upto).filter(|_| upto > self.log.base().index) {
            self.on_snapshot_taken(LogId::new(term, upto), 0, 0, 0, cx);
        }
    }

    /// Whether all these voters are known to be witnesses.
    pub(super) fn are_witnesses(&self, voters: &Electors) -> bool {
        voters.voters().iter().all(|(voter, _)| voter.node != self.id && self.is_known_witness(voter))
    }

    /// Whether one of these voters holds state and is there: itself, or one that acknowledged something to it as such.
    pub(super) fn hears_state_among(&self, voters: &Electors, heard: impl Fn(&Peer) -> bool) -> bool {
        voters.voters().iter().any(|(voter, _)| {
            let holds = |peer: &Peer| self.hears_as(peer, voter) && peer.matched > 0 && !peer.witness;
            voter.node == self.id || self.peer(voter.node).is_some_and(|peer| holds(peer) && heard(peer))
        })
    }

    /// The leader does not have what this witness lacks either, and sends what stands for it: to one without state that is
    /// the name of the last entry, and who decides.
    pub(super) fn witness_snapshot(
        &mut self,
        from: NodeId,
        round: u64,
        last: LogId,
        configuration: Arc<Configuration>,
        cx: &mut Cx<'_, Raft>,
    ) {
        if self.log.has(last) {
            // All of it is here, and somebody may lack it.
            self.learn_commit(last.index, cx);
            return self.answer_match(from, round, last.index, cx);
        }
        self.counters.snapshots_installed += 1;
        self.put_in_place(Snapshot::of(last, configuration.clone(), 0, 0, 0), cx);
        // A quorum had it on disk.
        cx.emit_now(Event::Configured { index: last.index, configuration });
        self.answer_match(from, round, last.index, cx);
    }
}
