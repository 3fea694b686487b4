//! Nodes hear each other, in place of the leaders and followers that sleep on them: one beat a heartbeat and direction,
//! for however many groups.
//!
//! **What a beat proves.** That its sender's node lives, in the life that the link names; it confirms no leadership, no round
//! and no lease. And two digests, of the groups that the sender leads asleep with the receiver's consent, and of those in
//! which it sleeps under the receiver's lead, each with its term and last entry. Where the receiver sees the same, each of
//! those is led, by the same leader, up to the same entry. Where it does not, it names what it holds, some with each beat,
//! and is told what is not so. Both ways are needed: a follower may sleep under a leader that leads no more, and a leader
//! that was deposed may sleep while its followers have another one.

use super::ids::scramble;
use super::sleep::Why;
use super::state::{Asleep, State};
use super::step::{GROUPS_PER_STEP, LOOKS_PER_STEP};
use super::{Beat, Claim, Digest, GroupId, Groups, GroupsMutation, Msg};
use crate::raft::Voter;
use quorate_core::{Boot, Cx, NodeId, Time};
use std::collections::BTreeMap;
use std::time::Duration;

/// Another node that has groups in common with this one.
#[derive(Debug, Default)]
pub(super) struct Neighbour {
    /// When anything came from it last.
    pub heard_at: Option<Time>,
    /// Not heard for too long, and what slept on its word is awake.
    pub is_silent: bool,
    /// Its last life that was met, since when, and the one before.
    life: Option<Boot>,
    life_since: Time,
    life_before: Option<Boot>,
    /// Groups that this node leads asleep and it agreed to.
    leads: Digest,
    /// Groups in which this node sleeps under its lead.
    under: Digest,
    /// What it said last: which it leads with this node's consent, and in which it sleeps under this one's lead.
    told: Option<(Digest, Digest)>,
    /// Behind which group this node names them.
    named: GroupId,
}

impl Neighbour {
    fn matters(&self) -> bool {
        self.leads.count > 0 || self.under.count > 0
    }

    /// Whether it is there, on the disk by which that voter is known.
    fn is_heard_as(&self, voter: &Voter) -> bool {
        !self.is_silent && self.life.is_some_and(|life| life.journal == voter.journal)
    }

    /// The life in which it was known at this time, or, if it has had more than two since, one after that.
    fn life_at(&self, at: Time) -> Option<Boot> {
        if self.life_since <= at { self.life } else { self.life_before }
    }
}

impl Digest {
    fn add(&mut self, claim: Claim) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(print(claim));
    }

    fn take(&mut self, claim: Claim) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(print(claim));
    }
}

fn print(Claim { group, term, last }: Claim) -> u64 {
    [term, last.term, last.index].into_iter().fold(scramble(group.0), |hash, part| scramble(hash ^ part))
}

impl Groups {
    /// How long a node may be silent. Somewhat more than an election timeout: whoever stands then is not refused by
    /// others that have heard the lost one a little later.
    pub(super) fn silence_after(&self) -> Duration {
        self.raft.election_timeout + self.raft.heartbeat / 2
    }

    pub(super) fn hear(&mut self, from: NodeId, now: Time) {
        let neighbour = self.neighbours.entry(from).or_default();
        neighbour.heard_at = Some(now);
        if std::mem::take(&mut neighbour.is_silent) {
            self.silence_at = self.silence_at.min(now + self.silence_after());
        }
    }

    /// A link came up. Under another life nothing that the one before led is led any more.
    pub(super) fn greet(&mut self, peer: NodeId, boot: Boot, now: Time) {
        let neighbour = self.neighbours.entry(peer).or_default();
        if neighbour.life == Some(boot) {
            return;
        }
        neighbour.life_before = neighbour.life.replace(boot);
        neighbour.life_since = now;
        if neighbour.life_before.is_some() && neighbour.matters() {
            self.wake_all(peer, |_, _| true);
        }
    }

    /// The lives that this node's neighbours had at this time: what a group that fell asleep then knows of them.
    pub(super) fn lives_at(&self, at: Time) -> BTreeMap<NodeId, Boot> {
        self.neighbours.iter().filter_map(|(id, neighbour)| Some((*id, neighbour.life_at(at)?))).collect()
    }

    /// Whether that node was started anew since.
    pub(super) fn is_anew(&self, node: NodeId, since: Time) -> bool {
        let began_since =
            |neighbour: &Neighbour| neighbour.life_before.is_some() && neighbour.life_since > since;
        self.neighbours.get(&node).is_some_and(began_since)
    }

    /// A group sleeps.
    pub(super) fn relate(&mut self, group: GroupId, asleep: &Asleep, now: Time) {
        let claim = asleep.claim(group);
        if !asleep.folded.leads() {
            let neighbour = self.neighbours.entry(asleep.folded.leader()).or_default();
            neighbour.under.add(claim);
            neighbour.heard_at.get_or_insert(now);
        }
        for id in asleep.agreed.iter() {
            let neighbour = self.neighbours.entry(*id).or_default();
            neighbour.leads.add(claim);
            neighbour.heard_at.get_or_insert(now);
        }
        let beat = self.raft.heartbeat;
        self.beat_at = self.beat_at.min(now + beat);
        self.silence_at = self.silence_at.min(now + self.silence_after());
    }

    /// A group does not sleep any more.
    pub(super) fn unrelate(&mut self, group: GroupId, asleep: &Asleep) {
        let claim = asleep.claim(group);
        if !asleep.folded.leads()
            && let Some(neighbour) = self.neighbours.get_mut(&asleep.folded.leader())
        {
            neighbour.under.take(claim);
        }
        for id in asleep.agreed.iter() {
            if let Some(neighbour) = self.neighbours.get_mut(id) {
                neighbour.leads.take(claim);
            }
        }
    }

    /// Tells every node with which this one shares groups that sleep that it is there.
    pub(super) fn beat(&mut self, cx: &mut Cx<'_, Groups>) {
        self.beat_at = Time::NEVER;
        let to: Vec<NodeId> =
            self.neighbours.iter().filter(|(_, neighbour)| neighbour.matters()).map(|(id, _)| *id).collect();
        for id in to {
            self.beat_at = cx.now + self.raft.heartbeat;
            let Some(Neighbour { leads, under, told, .. }) = self.neighbours.get(&id) else { continue };
            let (leads, under) = (*leads, *under);
            let told = told.filter(|_| !self.common.config.suffers(GroupsMutation::ClaimsUnchecked));
            let differs = (
                told.is_some_and(|(_, their_under)| their_under != leads) && leads.count > 0,
                told.is_some_and(|(their_leads, _)| their_leads != under) && under.count > 0,
            );
            let (led, followed) =
                if differs == (false, false) { Default::default() } else { self.name_some(id, differs) };
            self.common.counters.beats += 1;
            self.common.counters.claims += (led.len() + followed.len()) as u64;
            // News, no promise.
            cx.send_now(id, Msg::Beat(Beat { leads, under, led, followed }));
        }
    }

    /// Some of the groups that this node leads asleep with the other's consent, and of those in which it sleeps under the
    /// other's lead, of each kind as far as the two see them otherwise.
    fn name_some(&mut self, id: NodeId, (leads, under): (bool, bool)) -> (Vec<Claim>, Vec<Claim>) {
        let most = self.bundle_max.min(GROUPS_PER_STEP);
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return Default::default() };
        let (mut led, mut followed, mut looks) = (Vec::new(), Vec::new(), 0);
        let from = std::mem::take(&mut neighbour.named);
        for (group, slot) in self.slots.range(from..) {
            if looks == LOOKS_PER_STEP || led.len() + followed.len() == most {
                neighbour.named = *group;
                break;
            }
            looks += 1;
            let State::Asleep(asleep) = &slot.state else { continue };
            if under && asleep.is_under(id) {
                followed.push(asleep.claim(*group));
            } else if leads && asleep.agreed.contains(&id) {
                led.push(asleep.claim(*group));
            }
        }
        (led, followed)
    }

    pub(super) fn on_beat(&mut self, from: NodeId, beat: &Beat, cx: &mut Cx<'_, Groups>) {
        let neighbour = self.neighbours.entry(from).or_default();
        neighbour.told = Some((beat.leads, beat.under));
        if !neighbour.matters() && (beat.leads.count > 0 || beat.under.count > 0) {
            // One that shares no sleep with the sender does not beat. If it did not say so, what it said last would stand, and
            // the sender would sleep on for as long as this node is heard for anything else. News, no promise.
            cx.send_now(from, Msg::Beat(Beat::default()));
        }
        let followed = beat.followed.iter().filter(|claim| !self.leads_as(from, claim));
        let led = beat.led.iter().filter(|claim| !self.follows_as(from, claim));
        let wrong: Vec<GroupId> = followed.chain(led).map(|claim| claim.group).collect();
        if !wrong.is_empty() {
            // News, no promise.
            cx.send_now(from, Msg::NotSo(wrong.into()));
        }
    }

    /// Whether that node does well to sleep there under this one's lead: this one leads, and is asleep at the same entry, or
    /// is awake, and then it is heard there soon.
    fn leads_as(&self, from: NodeId, claim: &Claim) -> bool {
        match self.slots.get(&claim.group).map(|slot| &slot.state) {
            Some(State::Awake(awake)) => {
                let raft = &awake.raft;
                raft.is_leader() && raft.term() == claim.term && raft.peer_ids().any(|id| id == from)
            }
            Some(State::Asleep(asleep)) => {
                asleep.folded.leads() && asleep.claim(claim.group) == *claim && asleep.agreed.contains(&from)
            }
            None => false,
        }
    }

    /// Whether that node does well to lead there, asleep, with this one's consent: this one sleeps under its lead at the same
    /// entry, or is awake and knows no other leader, and then it is heard there soon.
    fn follows_as(&self, from: NodeId, claim: &Claim) -> bool {
        match self.slots.get(&claim.group).map(|slot| &slot.state) {
            Some(State::Awake(awake)) => {
                awake.raft.term() == claim.term && awake.raft.leader().is_none_or(|leader| leader == from)
            }
            Some(State::Asleep(asleep)) => asleep.is_under(from) && asleep.claim(claim.group) == *claim,
            None => false,
        }
    }

    /// This node sleeps in a group as it should not.
    pub(super) fn on_not_so(&mut self, from: NodeId, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let related = |asleep: &Asleep| asleep.is_under(from) || asleep.agreed.contains(&from);
        if self.asleep_at(group).is_some_and(related) {
            self.wake_up(group, Why::Corrected, cx);
            self.plan(group, cx.now);
        }
    }

    /// Who was not heard for too long. What slept on its word wakes.
    pub(super) fn look_for_silence(&mut self, now: Time) {
        self.silence_at = Time::NEVER;
        let patience = self.silence_after();
        let mut lost = Vec::new();
        for (id, neighbour) in &mut self.neighbours {
            let Some(heard_at) = neighbour.heard_at.filter(|_| neighbour.matters()) else { continue };
            if now.since(heard_at) >= patience {
                if !std::mem::replace(&mut neighbour.is_silent, true) {
                    lost.push(*id);
                }
            } else {
                self.silence_at = self.silence_at.min(heard_at + patience);
            }
        }
        for id in lost {
            if self.common.config.suffers(GroupsMutation::SleepsThroughDeath) {
                continue;
            }
            // A leader sleeps on while those that are left are a quorum.
            let own = self.id;
            self.wake_all(id, |groups, asleep| {
                let is_there = |voter: &Voter| {
                    voter.node == own
                        || asleep.agreed.contains(&voter.node)
                            && groups
                                .neighbours
                                .get(&voter.node)
                                .is_some_and(|neighbour| neighbour.is_heard_as(voter))
                };
                !asleep.folded.is_quorum(is_there)
            });
        }
    }

    /// All that sleep under this node's lead are to wake, and of those that are led here with its consent the ones for which
    /// that is true.
    fn wake_all(&mut self, node: NodeId, led_too: impl Fn(&Groups, &Asleep) -> bool) {
        let mut found = Vec::new();
        for (group, slot) in &self.slots {
            let State::Asleep(asleep) = &slot.state else { continue };
            if asleep.is_under(node) {
                found.push((*group, Why::Orphaned));
            } else if asleep.agreed.contains(&node) && led_too(self, asleep) {
                found.push((*group, Why::Deserted));
            }
        }
        self.to_wake.extend(found);
    }
}
