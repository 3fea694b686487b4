//! Founding: before anybody stands for election for the first time, every founder has written down under which
//! journal it knows every other, and all have said that they wrote the same.
//!
//! So once anything is promised, a voter that loses its disk is a stranger to each of the others, for ever: no
//! two of them can be brought to elect a leader with votes that its former disk has forgotten. The price is
//! that all founders must have met once before the first election.
//!
//! What they wrote down is also the cluster's name, its *group*, which every message carries: founders that lost their
//! disks and found again found another cluster, and neither takes anything of the other's.

use super::{Configuration, Electors, Event, Msg, Mutation, Pin, Quorums, Raft, Record, Voter, peer::Peer};
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
    /// All founders have met, and each is a witness: nobody could ever lead, so nothing is founded.
    pub only_witnesses: bool,
}

impl Raft {
    /// Whether it founds: it neither knows that all have met, nor is it served by a cluster that stands already, as the
    /// founder is that comes back on an empty disk.
    pub(super) fn is_founding(&self) -> bool {
        !self.founders.is_empty()
            && !self.is_founded()
            && (self.group == 0 || self.is_own_founding(self.group))
    }

    /// Whether the group is that of the founders as they are written down here.
    fn is_own_founding(&self, group: u64) -> bool {
        !self.founders.is_empty() && self.pins_digest() == Some(group)
    }

    /// Somebody speaks in this name. If it is that of the founders as they are written down here, all of them have said so to
    /// the one that speaks.
    pub(super) fn recognise(&mut self, group: u64, cx: &mut Cx<'_, Raft>) {
        if self.group == 0 && self.is_own_founding(group) {
            self.complete_founding(group, cx);
        }
    }

    /// What the founding waits for; `None` once all founders have met, and for one that is served by others.
    pub fn founding(&self) -> Option<FoundingStatus> {
        if !self.is_founding() {
            return None;
        }
        let own = self.pins_digest();
        let voters = || self.peers.iter().filter(|peer| peer.voter);
        let missing = voters().filter(|peer| !self.speaks_as_known(peer)).map(|peer| peer.id).collect();
        let differs = |peer: &&Peer| own.is_some_and(|own| peer.pins.is_some() && !agrees(peer.pins, own));
        let disagreeing = voters().filter(differs).map(|peer| peer.id).collect();
        Some(FoundingStatus { missing, disagreeing, only_witnesses: self.founds_only_witnesses() })
    }

    /// Whether every founder said that it wrote down the same and is a witness.
    fn founds_only_witnesses(&self) -> bool {
        let said = self.pins_digest().map(as_witness);
        let founders = || self.peers.iter().filter(|peer| peer.voter);
        self.witness && said.is_some() && founders().all(|peer| peer.pins == said)
    }

    /// What it says of its pins. A witness's is another one, so that founders know before they begin whether one of them has
    /// state; what they have in common, and the cluster's name, is the same.
    fn said_pins(&self) -> Option<u64> {
        self.pins_digest().map(|digest| if self.witness { as_witness(digest) } else { digest })
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
        let digest = self.said_pins();
        cx.send(self.everybody.clone(), Msg::Pins { founders: self.founders_digest(), digest, ask });
        self.seal_founding(cx);
    }

    pub(super) fn on_pins(
        &mut self,
        from: NodeId,
        founders: u64,
        digest: Option<u64>,
        ask: bool,
        cx: &mut Cx<'_, Raft>,
    ) {
        let other = !self.founders.is_empty() && founders != self.founders_digest();
        if other && !self.config.suffers(Mutation::OtherFoundingHeard) {
            self.counters.foreign += 1;
            return;
        }
        if !self.is_voter_by_name(from) {
            self.counters.strangers += 1;
            // The founding went on without it, or on its former disk; from the log it learns how. (One that has joined does
            // not know who founded, so whoever it serves is to be a voter.)
            if self.is_founded() && (!self.founders.is_empty() || self.is_voter(from)) {
                self.on_join(from, cx);
            }
            return;
        }
        let before = self.founds_only_witnesses();
        if let Some(peer) = self.peer_mut(from) {
            peer.pins = digest;
        }
        if self.is_founding() && self.founds_only_witnesses() && !before {
            // Said once for each time that it becomes so.
            cx.emit_now(Event::OnlyWitnesses);
        }
        if ask {
            let digest = self.said_pins();
            cx.send(from, Msg::Pins { founders: self.founders_digest(), digest, ask: false });
        }
        self.seal_founding(cx);
    }

    /// Once all founders wrote down the same they are the first configuration, and this one may stand for election.
    fn seal_founding(&mut self, cx: &mut Cx<'_, Raft>) {
        let Some(own) = self.pins_digest().filter(|_| self.is_founding()) else { return };
        let agree = self.peers.iter().filter(|peer| peer.voter).all(|peer| agrees(peer.pins, own));
        if agree && !self.founds_only_witnesses() {
            self.complete_founding(own, cx);
        }
    }

    fn complete_founding(&mut self, group: u64, cx: &mut Cx<'_, Raft>) {
        if let Some(founders) = self.founding_configuration() {
            self.group = group;
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

    /// Of all founders and their journals in order, which is the cluster's name; `None` while one is not known.
    pub(super) fn pins_digest(&self) -> Option<u64> {
        let mut digest = Digest::default();
        for id in &self.founders {
            digest.add(&id.0.to_le_bytes());
            digest.add(&self.pin_of(*id)?.0.to_le_bytes());
        }
        Some(digest.finish())
    }

    /// Of the founders in order, on whatever disks: who is to meet whom.
    pub(super) fn founders_digest(&self) -> u64 {
        let mut digest = Digest::default();
        self.founders.iter().for_each(|id| digest.add(&id.0.to_le_bytes()));
        digest.finish()
    }
}

/// The same pins, as a witness says them.
fn as_witness(digest: u64) -> u64 {
    let mut said = Digest::default();
    said.add(&digest.to_le_bytes());
    said.add(b"witness");
    said.finish()
}

/// Whether one with state or a witness says that it wrote down these pins.
fn agrees(said: Option<u64>, own: u64) -> bool {
    said == Some(own) || said == Some(as_witness(own))
}

/// FNV-1a 64, and never 0. It tells apart what is not made to collide; no secret rests on it.
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub fn finish(self) -> u64 {
        self.0.max(1)
    }
}
