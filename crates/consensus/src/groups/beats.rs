//! Nodes hear each other, in place of the leaders and followers that sleep on them: one beat a heartbeat and direction,
//! for however many groups.
//!
//! **What a beat proves.** That its sender's node lives, in the life that the link names; it confirms no leadership, no round
//! and no lease. And a digest of the groups that the sender leads asleep, each with its term and last entry: if it is
//! that of the groups in which the receiver sleeps under it, then each of those is led, by the same leader, up to the
//! same entry. If it is not, the receiver names what it holds, some with each beat, and is told what is not so.

use super::ids::scramble;
use super::sleep::Why;
use super::state::{Asleep, State};
use super::step::{GROUPS_PER_STEP, LOOKS_PER_STEP};
use super::{Beat, Claim, Digest, GroupId, Groups, GroupsMutation, Msg};
use quorate_core::{Boot, Cx, NodeId, Time};
use std::time::Duration;

/// Another node that has groups in common with this one.
#[derive(Debug, Default)]
pub(super) struct Neighbour {
    /// When anything came from it last.
    pub heard_at: Option<Time>,
    /// Not heard for too long, and what slept on its word is awake.
    pub is_silent: bool,
    /// Its last life that was met.
    life: Option<Boot>,
    /// Groups that this node leads asleep and it agreed to.
    leads: Digest,
    /// Groups in which this node sleeps under its lead.
    under: Digest,
    /// What it said of those last.
    told: Option<Digest>,
    /// Behind which group this node names them.
    named: GroupId,
}

impl Neighbour {
    fn matters(&self) -> bool {
        self.leads.count > 0 || self.under.count > 0
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
    pub(super) fn greet(&mut self, peer: NodeId, boot: Boot) {
        let neighbour = self.neighbours.entry(peer).or_default();
        let before = neighbour.life.replace(boot);
        let anew = before.is_some_and(|before| before != boot);
        if anew && neighbour.matters() && !self.config.suffers(GroupsMutation::SleepsThroughRestart) {
            self.wake_all(peer, |_, _| true);
        }
    }

    /// A group sleeps.
    pub(super) fn relate(&mut self, group: GroupId, asleep: &Asleep, now: Time) {
        let claim = Groups::claim(group, asleep);
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
        let claim = Groups::claim(group, asleep);
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
            let claims = self.name_some(id);
            let Some(neighbour) = self.neighbours.get(&id) else { continue };
            self.counters.beats += 1;
            self.counters.claims += claims.len() as u64;
            // News, no promise.
            cx.send_now(id, Msg::Beat(Beat { leads: neighbour.leads, claims }));
        }
    }

    /// Some of the groups in which this node sleeps under the other's lead, if it sees them otherwise.
    fn name_some(&mut self, id: NodeId) -> Vec<Claim> {
        let most = self.bundle_max.min(GROUPS_PER_STEP);
        let Some(neighbour) = self.neighbours.get_mut(&id) else { return Vec::new() };
        let differs = neighbour.told.is_some_and(|told| told != neighbour.under);
        if !differs || neighbour.under.count == 0 || self.config.suffers(GroupsMutation::ClaimsUnchecked) {
            return Vec::new();
        }
        let (mut claims, mut looks) = (Vec::new(), 0);
        let from = std::mem::take(&mut neighbour.named);
        for (group, slot) in self.slots.range(from..) {
            if looks == LOOKS_PER_STEP || claims.len() == most {
                neighbour.named = *group;
                break;
            }
            looks += 1;
            if let State::Asleep(asleep) = &slot.state
                && !asleep.folded.leads()
                && asleep.folded.leader() == id
            {
                claims.push(Groups::claim(*group, asleep));
            }
        }
        claims
    }

    pub(super) fn on_beat(&mut self, from: NodeId, beat: Beat, cx: &mut Cx<'_, Groups>) {
        let Beat { leads, claims } = beat;
        self.neighbours.entry(from).or_default().told = Some(leads);
        let wrong: Vec<GroupId> =
            claims.iter().filter(|claim| !self.is_so(from, claim)).map(|claim| claim.group).collect();
        if !wrong.is_empty() {
            // News, no promise.
            cx.send_now(from, Msg::NotSo(wrong.into()));
        }
    }

    /// Whether that node does well to sleep there: this one leads, and is asleep at the same entry, or is awake, and then
    /// it is heard there soon.
    fn is_so(&self, from: NodeId, claim: &Claim) -> bool {
        match self.slots.get(&claim.group).map(|slot| &slot.state) {
            Some(State::Awake(awake)) => {
                let raft = &awake.raft;
                raft.is_leader() && raft.term() == claim.term && raft.peer_ids().any(|id| id == from)
            }
            Some(State::Asleep(asleep)) => {
                asleep.folded.leads()
                    && Groups::claim(claim.group, asleep) == *claim
                    && asleep.agreed.contains(&from)
            }
            None => false,
        }
    }

    /// This node sleeps in a group as it should not.
    pub(super) fn on_not_so(&mut self, from: NodeId, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let under = |asleep: &Asleep| !asleep.folded.leads() && asleep.folded.leader() == from;
        if self.asleep_at(group).is_some_and(under) {
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
            if self.config.suffers(GroupsMutation::SleepsThroughDeath) {
                continue;
            }
            // A leader sleeps on while those that are left are a quorum.
            let own = self.id;
            self.wake_all(id, |groups, asleep| {
                let is_there = |id: NodeId| {
                    id == own
                        || asleep.agreed.contains(&id)
                            && groups.neighbours.get(&id).is_some_and(|neighbour| !neighbour.is_silent)
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
            if !asleep.folded.leads() && asleep.folded.leader() == node {
                found.push((*group, Why::Orphaned));
            } else if asleep.agreed.contains(&node) && led_too(self, asleep) {
                found.push((*group, Why::Deserted));
            }
        }
        self.to_wake.extend(found);
    }
}
