//! Founding: before anybody stands for election for the first time, every founder has written down under which
//! journal it knows every other, and all have said that they wrote the same.
//!
//! So once anything is promised, a voter that loses its disk is a stranger to each of the others, for ever: no
//! two of them can be brought to elect a leader with votes that its former disk has forgotten. The price is
//! that all founders must have met once before the first election.

use super::{Configuration, Electors, Msg, Pin, Quorums, Raft, Record, Voter};
use quorate_core::{Boot, Cx, JournalId, NodeId, quorum::Electorate};
use std::sync::Arc;

/// How far the founding of a cluster has come.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct FoundingStatus {
    /// Founders that were not met under a journal of theirs.
    pub missing: Vec<NodeId>,
    /// Founders that know the others, and know one of them under another journal than this replica does: one was
    /// started with two disks, or another set was founded. Nobody will ever be elected.
    pub disagreeing: Vec<NodeId>,
}

impl Raft {
    /// What the founding waits for; `None` once all founders have met, and for one that joined.
    pub fn founding(&self) -> Option<FoundingStatus> {
        if self.is_founded() || self.founders.is_empty() {
            return None;
        }
        let own = self.pins_digest();
        let voters = || self.peers.iter().filter(|peer| peer.voter);
        let missing = voters().filter(|peer| !self.speaks_as_known(peer)).map(|peer| peer.id).collect();
        let differs = |peer: &&super::peer::Peer| own.is_some() && peer.pins.is_some() && peer.pins != own;
        Some(FoundingStatus { missing, disagreeing: voters().filter(differs).map(|peer| peer.id).collect() })
    }

    /// A founder's link came up before the founding is complete. The first contact is written down; what it meets later under another journal is
    /// a stranger.
    pub(super) fn pin(&mut self, id: NodeId, boot: Boot, cx: &mut Cx<'_, Raft>) {
        let Some(peer) = self.peer_mut(id) else { return };
        if peer.pin.is_none() {
            peer.pin = Some(boot.journal);
            // On disk before it is told and before a vote is asked for, or a crash here would let it vote twice under two
            // journals.
            cx.append(Record::Pinned(Pin { node: id, journal: boot.journal }));
        }
        self.tell_pins(true, cx);
    }

    /// Says which electorate is written down here; leaves once it is on disk. While it is not all there the message
    /// is a knock at the doors of those who were not met.
    pub(super) fn tell_pins(&mut self, ask: bool, cx: &mut Cx<'_, Raft>) {
        let digest = self.pins_digest();
        cx.send(self.everybody.clone(), Msg::Pins { group: self.group, digest, ask });
        self.seal_founding(cx);
    }

    pub(super) fn on_pins(&mut self, from: NodeId, digest: Option<u64>, ask: bool, cx: &mut Cx<'_, Raft>) {
        if !self.is_voter_by_name(from) {
            self.counters.strangers += 1;
            // The founding went on without it, or on its former disk; from the log it learns how.
            if self.is_founded() {
                self.on_join(from, cx);
            }
            return;
        }
        if let Some(peer) = self.peer_mut(from) {
            peer.pins = digest;
        }
        if ask {
            let digest = self.pins_digest();
            cx.send(from, Msg::Pins { group: self.group, digest, ask: false });
        }
        self.seal_founding(cx);
    }

    /// All founders wrote down the same: they are the first configuration, and this one may stand for election.
    fn seal_founding(&mut self, cx: &mut Cx<'_, Raft>) {
        let Some(own) = self.pins_digest().filter(|_| !self.is_founded()) else { return };
        if !self.peers.iter().filter(|peer| peer.voter).all(|peer| peer.pins == Some(own)) {
            return;
        }
        if let Some(founders) = self.founding_configuration() {
            self.history.replace(0, Arc::new(founders));
            self.reconfigure(cx.now);
            cx.append(Record::AllMet);
        }
    }

    /// The founders under the journals that they were met under; `None` while one is not known.
    pub(super) fn founding_configuration(&self) -> Option<Configuration> {
        let voters: Option<Vec<Voter>> =
            self.founders.iter().map(|id| Some(Voter { node: *id, journal: self.pin_of(*id)? })).collect();
        let electors = Electors::new(Electorate::equal(0, voters?).ok()?, Quorums::default()).ok()?;
        Some(Configuration::simple(electors))
    }

    fn pin_of(&self, founder: NodeId) -> Option<JournalId> {
        match founder == self.id {
            true => self.own_pin,
            false => self.peer(founder)?.pin,
        }
    }

    /// FNV-1a 64 over all voters and their journals in order; `None` while one is not known.
    fn pins_digest(&self) -> Option<u64> {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for id in &self.founders {
            let journal = self.pin_of(*id)?;
            for byte in id.0.to_le_bytes().into_iter().chain(journal.0.to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Some(hash)
    }
}
