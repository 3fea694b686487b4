//! What a replica offers to whoever holds many of them ([`crate::groups`]): its records told anew, whether it may fall
//! asleep, and when it is to stand for election. Nothing here decides anything that Raft decides.

use super::{
    Batch, Configuration, Founding, LogId, Pin, Raft, Record, Role, Snapshot, Term, Voter, peer::Flow,
};
use quorate_core::{Boot, Corrupt, JournalId, Mark, NodeId, Rng, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

impl Raft {
    /// Has heartbeats fall on multiples of their interval on this node's clock, so that those of many leave together.
    pub(crate) fn share_beats(&mut self) {
        self.on_grid = true;
    }

    /// When the next heartbeat is due.
    pub(super) fn next_beat(&self, now: Time) -> Time {
        let at = now + self.config.heartbeat;
        let interval = u64::try_from(self.config.heartbeat.as_nanos()).unwrap_or(u64::MAX);
        if self.on_grid { Time(at.0 - at.0 % interval.max(1)) } else { at }
    }

    /// How it came to be, as it was told.
    pub(crate) fn founding_told(&self) -> &Founding {
        &self.founding
    }

    /// As [`quorate_core::Protocol::replay`], of a record that stands among those of others, at this mark.
    pub(crate) fn replay_at(&mut self, record: Record, mark: Mark) -> Result<(), Corrupt> {
        self.on_replay(record)?;
        if let Some((_, last)) = self.marks.back_mut() {
            *last = mark;
        }
        Ok(())
    }

    /// Records that replay to what this replica must not forget, and nothing else: they may take the place of all that it
    /// ever wrote. None for one that has written nothing.
    pub(crate) fn records(&self) -> Vec<Record> {
        let pinned = |peer: &super::peer::Peer| Some(Pin { node: peer.id, journal: peer.pin? });
        let own = self.own_pin.map(|journal| Pin { node: self.id, journal });
        Kept {
            founders: &self.founders,
            group: self.group,
            founding: self.history.of_founding(),
            pins: own.into_iter().chain(self.peers.iter().filter_map(pinned)).collect(),
            term: self.term,
            vote: self.vote,
            snapshot: self.snapshot.as_ref(),
            base: self.log.base(),
            rolled_back: self.rolled_back.iter().copied().collect(),
            receiving: self.receiving.as_ref(),
        }
        .records(self.log.batches())
    }

    /// Links that this replica was told of.
    pub(crate) fn links(&self) -> &BTreeMap<NodeId, Boot> {
        &self.links
    }

    /// The replicas that it speaks to: voters, and, while it leads, whoever is served.
    pub(crate) fn peer_ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().map(|peer| peer.id)
    }

    /// Whether it stands, or asks whether it should.
    pub(crate) fn is_campaigning(&self) -> bool {
        matches!(self.role, Role::PreCandidate | Role::Candidate { .. })
    }

    /// Whether nothing is left to do for this leader but to say that it is there: everything is committed and told, nothing
    /// is read, handed over or changed, and its own disk has it all.
    pub(crate) fn is_settled(&self) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let last = self.log.last().index;
        self.commit == last
            && last >= leader.first
            && leader.matched == last
            && leader.open.count() == 0
            && leader.writing.is_empty()
            && leader.uncommitted.is_empty()
            && leader.reads.len() == 0
            && leader.notice_at == Time::NEVER
            && leader.transfer.is_none()
            && leader.changing.is_none()
            && leader.favourite.is_none()
            && self.knows_its_objects()
            && self.history.in_force().is_some_and(|configuration| !configuration.is_joint())
            && self.may_stand()
    }

    /// Whether this leader would tell its followers soon what is committed; from now on it does not, as somebody else does.
    pub(crate) fn take_notice(&mut self) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        std::mem::replace(&mut leader.notice_at, Time::NEVER) != Time::NEVER
    }

    /// Whether this peer has everything that this leader has, and has answered since it was spoken to last: so nothing is on its
    /// way to it. Whether its word counts for anything is not asked: who is served may sleep.
    pub(crate) fn is_equal(&self, id: NodeId) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        self.peer(id).filter(|peer| peer.heard_at > leader.said_at).is_some_and(|peer| {
            let idle = peer.flow == Flow::Replicate && peer.inflight.is_empty() && peer.sending.is_none();
            idle && peer.boot.is_some() && peer.matched == self.log.last().index
        })
    }

    /// Whether this replica and these others decide what is committed.
    pub(crate) fn is_quorum_with(&self, others: impl Fn(NodeId) -> bool) -> bool {
        self.is_quorum(super::configuration::Decision::Replication, |peer| others(peer.id))
    }

    /// Whether it founds, and one of these is a founder.
    pub(crate) fn is_lacking_founders(&self, absent: &[NodeId]) -> bool {
        self.is_founding() && self.founders.iter().any(|id| absent.contains(id))
    }

    /// Whether it follows this leader in this term, holds the same log, knows that all of it is committed, and has nothing
    /// else to do.
    pub(crate) fn is_equal_follower(&self, leader: NodeId, term: u64, last: LogId) -> bool {
        self.role == Role::Follower
            && self.leader == Some(leader)
            && (self.term, self.log.last(), self.commit) == (term, last, last.index)
            && self.is_founded()
            && self.caught_up
            && self.knows_its_objects()
            && self.pull.is_none()
    }

    /// No snapshot comes in, and its own is not damaged.
    fn knows_its_objects(&self) -> bool {
        self.install.is_none() && self.receiving.is_none() && self.damaged.is_none()
    }

    /// It wakes, and its leader is heard: a whole wait begins.
    pub(crate) fn wait_in_sleep(&mut self, now: Time, rng: &mut Rng) {
        let nanos = u64::try_from(self.config.election_timeout.as_nanos()).unwrap_or(u64::MAX);
        self.spread = Duration::from_nanos(rng.within(0..nanos)) + self.config.deference(self.id);
        self.wait_again(now);
    }

    /// Whoever led was not heard for too long, or is known to be gone: stands for election then.
    pub(crate) fn lose_leader(&mut self, stand_at: Time) {
        self.heard_leader_at = None;
        self.election_at = stand_at;
    }
}

/// What a replica must not forget, but for its log.
pub(super) struct Kept<'a> {
    pub founders: &'a [NodeId],
    pub group: u64,
    /// The founders under their journals, while no snapshot stands for them.
    pub founding: Option<&'a Arc<Configuration>>,
    /// Under which journals founders were met, while not all were.
    pub pins: Vec<Pin>,
    pub term: Term,
    pub vote: Option<NodeId>,
    pub snapshot: Option<&'a Snapshot>,
    pub base: LogId,
    /// Journals that were put back to an earlier copy.
    pub rolled_back: Vec<JournalId>,
    /// What an object on its way in is to become.
    pub receiving: Option<&'a Snapshot>,
}

impl Kept<'_> {
    /// As records, in the order in which a replica reads them back.
    pub fn records<'a>(self, log: impl Iterator<Item = &'a Batch>) -> Vec<Record> {
        let mut records = Vec::new();
        if !self.founders.is_empty() {
            records.push(Record::Founded { voters: self.founders.to_vec() });
        }
        let founding = self.founding.filter(|_| self.snapshot.is_none());
        if let Some(founders) = founding {
            let voters = founders.incoming.voters().iter();
            let pin = |voter: &Voter| Pin { node: voter.node, journal: voter.journal };
            records.extend(voters.map(|(voter, _)| Record::Pinned(pin(voter))));
            // And with that its name.
            records.push(Record::AllMet);
        } else {
            if self.snapshot.is_none() {
                records.extend(self.pins.into_iter().map(Record::Pinned));
            }
            if self.group != 0 {
                records.push(Record::Joined { group: self.group });
            }
        }
        records.extend(self.rolled_back.into_iter().map(|journal| Record::RolledBack { journal }));
        if self.term > 0 {
            records.push(Record::Hard { term: self.term, vote: self.vote });
        }
        records.extend(self.snapshot.cloned().map(Record::Snapshot));
        records.extend(self.receiving.cloned().map(Record::Receiving));
        if self.base != LogId::ZERO {
            records.push(Record::Begins(self.base));
        }
        records.extend(log.cloned().map(Record::Entries));
        records
    }
}
