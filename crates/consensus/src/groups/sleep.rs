//! Falling asleep, by agreement, and waking.
//!
//! A leader that has had nothing to do for a while asks every follower that is there whether it is equal: same term, same
//! last entry, all of it known to be committed. Whoever is says so and sleeps. When all have, the leader sleeps. What is
//! asleep sends nothing and wants nothing.
//!
//! **What may go wrong, and what stands against it.** A follower that sleeps hears the leader's *node* instead of the leader
//! (see [`super::beats`]); when that is silent for an election timeout, or starts anew, the follower wakes and stands. A
//! leader that stops leading is a follower that is awake, has a timer, and wakes others by asking for their votes. A
//! follower that sleeps behind an entry that its leader is not at, or under a leader that leads no more, and a leader that
//! sleeps while others have elected another one, are found by the digests that nodes exchange. Votes and logs are what they were, so nothing that is promised rests on any of this: a
//! mistake here costs time, and the digests bound how much.
//!
//! A node that is away does not keep the others awake: those that are there may sleep if they are a quorum. It is behind
//! then, but awake, or it finds out by the digests; and it wakes the others by asking for votes, or to be served.

use super::common::Common;
use super::state::{Asleep, Awake, Slot, State};
use super::{Claim, Doze, Event, GroupId, Groups};
use crate::raft::{self, Raft, Waking};
use quorate_core::{Cx, NodeId, Time};
use std::sync::Arc;

/// Why a group wakes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// A message, a request, or its own port.
    Asked,
    /// Its leader's node is gone, or was started anew.
    Orphaned,
    /// Its followers' nodes are gone.
    Deserted,
    /// Its leader, or one that it leads, says that this is not so.
    Corrected,
}

/// Who was asked whether it may sleep.
#[derive(Debug)]
pub(super) struct Asking {
    nonce: u64,
    /// All who were.
    asked: Vec<NodeId>,
    /// Those who have not answered.
    open: Vec<NodeId>,
}

/// Each sleep that ends soon makes the next one come so much later, in powers of two, at most.
const RESTLESS_MAX: u8 = 4;

/// A group that sleeps for so many times as long as it takes to fall asleep was right to.
const SOUND_SLEEP: u32 = 4;

impl Groups {
    /// Asks for sleep, if everybody that is there is equal. Between two heartbeats, once the one before is answered by all:
    /// nothing is on its way then that would wake somebody again.
    pub(super) fn consider_sleep(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let patience = self.silence_after();
        let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { return };
        let mut asked = Vec::new();
        for id in awake.raft.peer_ids() {
            let heard = self.neighbours.get(&id).and_then(|neighbour| neighbour.heard_at);
            let is_there = heard.is_some_and(|at| cx.now.since(at) <= patience);
            match awake.raft.is_equal(id) {
                true if is_there => asked.push(id),
                // It is there, or has just been, and is behind or has not answered.
                false if is_there && !awake.absent.contains(&id) => return,
                _ => {}
            }
        }
        if !awake.raft.is_quorum_with(|id| asked.contains(&id)) {
            return;
        }
        let nonce = cx.rng.bits();
        let doze = Doze { group, term: awake.raft.term(), last: awake.raft.last(), nonce };
        if asked.is_empty() {
            return self.fall_asleep(group, Arc::new([]), cx);
        }
        for id in &asked {
            self.common.post.doze(*id, doze);
        }
        awake.asking = Some(Asking { nonce, open: asked.clone(), asked });
    }

    /// A leader would sleep.
    pub(super) fn on_doze(&mut self, from: NodeId, doze: Doze, cx: &mut Cx<'_, Groups>) {
        let Doze { group, term, last, nonce } = doze;
        if !self.slots.contains_key(&group) {
            return self.on_unknown(from, group);
        }
        if let Some(asleep) = self.asleep_at(group) {
            let folded = &asleep.folded;
            if !folded.leads() && (folded.leader(), folded.term(), folded.last()) == (from, term, last) {
                // Its answer was lost.
                return self.common.post.dozed(from, group, nonce);
            }
            if !asleep.has_member(from) {
                return;
            }
        }
        self.wake_up(group, Why::Asked, cx);
        let Some(awake) = self.awake_mut(group) else { return };
        // Of one that has no vote and no leader to be lost, too.
        let equal = awake.raft.is_equal_follower(from, term, last) && awake.raft.links().contains_key(&from);
        if equal {
            self.common.post.dozed(from, group, nonce);
            self.fall_asleep(group, Arc::new([]), cx);
        } else {
            self.plan(group, cx.now);
        }
    }

    /// A follower sleeps.
    pub(super) fn on_dozed(&mut self, from: NodeId, group: GroupId, nonce: u64, cx: &mut Cx<'_, Groups>) {
        let Some(awake) = self.awake_mut(group) else { return };
        let Some(asking) = awake.asking.as_mut().filter(|asking| asking.nonce == nonce) else { return };
        asking.open.retain(|id| *id != from);
        if !asking.open.is_empty() {
            return;
        }
        let Some(Asking { asked, .. }) = awake.asking.take() else { return };
        // Something may have come since.
        if awake.raft.is_settled() && asked.iter().all(|id| awake.raft.is_equal(*id)) {
            self.fall_asleep(group, asked.into(), cx);
        }
    }

    fn fall_asleep(&mut self, group: GroupId, agreed: Arc<[NodeId]>, cx: &mut Cx<'_, Groups>) {
        let Some(Slot { based, state: State::Awake(mut awake) }) = self.slots.remove(&group) else { return };
        self.common.agenda.forget(group, &mut awake.place);
        self.common.gate.leave(&mut awake.pass);
        let Awake { raft, restless, .. } = *awake;
        let folded = raft.fold(&mut self.shared);
        let asleep = Asleep { folded, agreed: self.shared.nodes(agreed), since: cx.now, restless };
        self.relate(group, &asleep, cx.now);
        self.slots.insert(group, Slot { based, state: State::Asleep(Box::new(asleep)) });
        self.asleep += 1;
        self.common.counters.slept += 1;
        // News, no promise.
        cx.emit_now(Event::Asleep { group });
    }

    /// Has it awake from here on. The caller plans its turn.
    pub(super) fn wake_up(&mut self, group: GroupId, why: Why, cx: &mut Cx<'_, Groups>) {
        let (Some(Slot { state: State::Asleep(_), .. }), Some(boot)) =
            (self.slots.get(&group), self.common.boot)
        else {
            return;
        };
        let Some(Slot { based, state: State::Asleep(asleep) }) = self.slots.remove(&group) else { return };
        self.unrelate(group, &asleep);
        let Asleep { folded, agreed, since, restless, .. } = *asleep;
        let led_by = folded.leader();
        // Whoever else woke it found that out sooner.
        let is_orphan = why == Why::Orphaned || self.is_anew(led_by, since);
        let neighbours = &self.neighbours;
        // Whoever led it lives: it has been heard instead, and nobody else may depose it.
        let heard = |id: NodeId| neighbours.get(&id).and_then(|neighbour| neighbour.heard_at);
        // Those that were up, so that it learns who was started anew meanwhile, as if it had been awake.
        let links = self.lives_at(since);
        let links_seen = self.common.links_version.wrapping_sub(u64::from(links != self.common.links));
        let (id, config, links) = (self.id, &self.raft, &links);
        let waking = Waking { id, config, boot, links, served: &agreed, now: cx.now };
        let raft = folded.unfold(&waking, heard);
        let mut awake = Awake { active_at: cx.now, links_seen, started: true, ..Awake::of(raft) };
        let sleep_after = self.common.config.sleep_after.unwrap_or_default();
        awake.restless = match cx.now.since(since) < sleep_after.saturating_mul(SOUND_SLEEP) {
            true => restless.saturating_add(1).min(RESTLESS_MAX),
            false => 0,
        };
        self.common.counters.woken += 1;
        if awake.raft.is_leader() {
            self.common.counters.deserted += u64::from(why == Why::Deserted);
        } else {
            // Should it hear its leader again after all, it waits as long as any follower.
            awake.raft.wait_in_sleep(cx.now, cx.rng);
            self.common.counters.corrected += u64::from(why == Why::Corrected);
            if is_orphan {
                self.common.counters.orphaned += 1;
                let stand_at = self.stand_at(group, &awake.raft, led_by, cx.now);
                awake.raft.lose_leader(stand_at);
            }
        }
        self.slots.insert(group, Slot { based, state: State::Awake(Box::new(awake)) });
        self.asleep -= 1;
        // News, no promise.
        cx.emit_now(Event::Woken { group });
    }

    /// When this replica stands for election, now that its leader's node is gone: of those that are there one at once, and
    /// the others in turn, should nobody lead by then. Who is preferred comes first; otherwise which one is first differs from group to group, so that the work
    /// and the leaders spread. All come to the same order without a word.
    fn stand_at(&self, group: GroupId, raft: &Raft, lost: NodeId, now: Time) -> Time {
        let is_there =
            |id: &NodeId| *id != lost && self.neighbours.get(id).is_none_or(|neighbour| !neighbour.is_silent);
        let order = |id: &NodeId| super::ids::scramble(group.0 ^ super::ids::scramble(id.0));
        let key = |id: &NodeId| (self.raft.rank(*id), order(id));
        let own = key(&self.id);
        let before = raft.voters().iter().filter(|id| is_there(id) && key(id) < own).count() as u32;
        now + self.raft.election_timeout.saturating_mul(before) / 2
    }
}

impl Common {
    /// A leader was answered, or had its turn: whether it has had nothing to do for long enough to ask for sleep.
    pub fn may_sleep(&self, slot: &Slot, now: Time) -> bool {
        let (Some(sleep_after), State::Awake(awake)) = (self.config.sleep_after, &slot.state) else {
            return false;
        };
        let wait = sleep_after.saturating_mul(1 << awake.restless.min(RESTLESS_MAX));
        now.since(awake.active_at) >= wait && awake.asking.is_none() && awake.raft.is_settled()
    }

    /// Whether a sleeping group wakes for this message: a member's. Whoever has no vote may ask to be served, which a newcomer
    /// does with its first word, and one that was removed while it was away by asking for votes; but only once the group has
    /// slept for a while, so that nobody else keeps it awake.
    pub fn may_wake(&self, from: NodeId, msg: &raft::Msg, asleep: &Asleep, now: Time) -> bool {
        let asks = matches!(msg, raft::Msg::Join | raft::Msg::PreVote(_) | raft::Msg::Pins { .. });
        let patience = self.config.sleep_after.unwrap_or_default().saturating_mul(SOUND_SLEEP);
        asleep.has_member(from) || asks && now.since(asleep.since) >= patience
    }
}

impl Asleep {
    /// Whether this node is of the group, as far as is known here: a voter, or one that slept with the others.
    pub fn has_member(&self, node: NodeId) -> bool {
        self.folded.names(node) || self.folded.leader() == node || self.agreed.contains(&node)
    }

    /// What it tells of itself.
    pub fn claim(&self, group: GroupId) -> Claim {
        Claim { group, term: self.folded.term(), last: self.folded.last() }
    }

    /// Whether it follows that node.
    pub fn is_under(&self, node: NodeId) -> bool {
        !self.folded.leads() && self.folded.leader() == node
    }
}

impl Awake {
    /// Asks for sleep no more, if it did.
    pub fn give_up_sleep(&mut self, now: Time) -> bool {
        let asked = self.asking.take().is_some();
        if asked {
            self.be_restless(now);
        }
        asked
    }

    fn be_restless(&mut self, now: Time) {
        self.restless = self.restless.saturating_add(1).min(RESTLESS_MAX);
        self.active_at = now;
    }
}
