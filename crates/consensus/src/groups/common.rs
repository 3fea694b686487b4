//! What the groups of a node have in common beside the table that holds them, and how one of them is stepped. A replica that
//! was looked up once is stepped, and planned for, without being looked up again: with thousands of groups each look-up
//! is a way through memory that was not touched for long.

use super::agenda::Agenda;
use super::gate::Gate;
use super::loads::Load;
use super::news::{NO_ROUND, News};
use super::post::Post;
use super::rewrite::Rewrite;
use super::state::{GroupsCounters, Slot, State};
use super::{Event, GroupId, Groups, GroupsConfig, GroupsMutation, Record};
use crate::raft::{self, AppendReply, Outcome, Raft};
use quorate_core::{Boot, Cx, Effect, Input, LinkState, Mark, NodeId, Outbox, Protocol, Slots, Time};
use std::collections::{BTreeMap, VecDeque};

/// What every group's step may use.
pub(super) struct Common {
    pub config: GroupsConfig,
    pub boot: Option<Boot>,
    pub links: BTreeMap<NodeId, Boot>,
    /// Counts changes of `links`. Each replica is told before it is told anything else.
    pub links_version: u64,
    pub agenda: Agenda,
    pub gate: Gate,
    pub rewrite: Rewrite,
    /// Who wrote as leader or candidate, and is to be told when that is on disk.
    pub unsynced: VecDeque<(Mark, GroupId)>,
    /// Replicas write here; its marks are those of the scope.
    pub inner: Outbox<Raft>,
    pub effects: Slots<Effect<Raft>>,
    pub post: Post,
    /// Appends that wait for the end of the step.
    pub loads: Vec<Load>,
    pub news: News,
    pub counters: GroupsCounters,
}

impl Common {
    /// Steps a replica that is awake: with the links as they are now, and with its records told again before, if the
    /// journal is being rewritten.
    pub fn enter(&mut self, group: GroupId, slot: &mut Slot, input: Input<Raft>, cx: &mut Cx<'_, Groups>) {
        self.open(group, slot, cx);
        self.tell_again_first(group, slot, cx);
        self.tell_links_to(group, slot, cx);
        self.step_in(group, slot, input, cx);
        self.plan(group, slot, cx.now);
    }

    /// The port is told of it, and its replica starts, if that was not done yet.
    pub fn open(&mut self, group: GroupId, slot: &mut Slot, cx: &mut Cx<'_, Groups>) {
        let (Some(boot), State::Awake(awake)) = (self.boot, &mut slot.state) else { return };
        if std::mem::replace(&mut awake.started, true) {
            return;
        }
        // News of what is here, no promise.
        cx.emit_now(Event::Opened { group });
        self.tell_again_first(group, slot, cx);
        // Before links: what a founder says to those that it meets is to name its own journal.
        self.step_in(group, slot, Input::Start(boot), cx);
        self.tell_links_to(group, slot, cx);
        self.plan(group, slot, cx.now);
        cx.emit_now(Event::Woken { group });
    }

    /// It learns what became of links since it was told last.
    pub fn tell_links_to(&mut self, group: GroupId, slot: &mut Slot, cx: &mut Cx<'_, Groups>) {
        let State::Awake(awake) = &mut slot.state else { return };
        if std::mem::replace(&mut awake.links_seen, self.links_version) == self.links_version {
            return;
        }
        let known = awake.raft.links().clone();
        let lost: Vec<NodeId> = known.keys().filter(|id| !self.links.contains_key(id)).copied().collect();
        let new = |(id, boot): &(&NodeId, &Boot)| known.get(id) != Some(boot);
        let new: Vec<(NodeId, Boot)> = self.links.iter().filter(new).map(|(id, boot)| (*id, *boot)).collect();
        // One that comes back may have a replica by now.
        awake.absent.retain(|id| !new.iter().any(|(peer, _)| peer == id));
        for peer in lost {
            self.step_in(group, slot, Input::Link { peer, state: LinkState::Down }, cx);
        }
        for (peer, boot) in new {
            self.step_in(group, slot, Input::Link { peer, state: LinkState::Up(boot) }, cx);
        }
    }

    /// One step of a replica, and its effects as those of the scope.
    fn step_in(&mut self, group: GroupId, slot: &mut Slot, input: Input<Raft>, cx: &mut Cx<'_, Groups>) {
        let Slot { based, state: State::Awake(awake) } = slot else { return };
        let durable = match self.config.suffers(GroupsMutation::MarksOutOfStep) {
            true => cx.appended(),
            false => cx.durable(),
        };
        // From here on each of its records is one of the scope's, so its marks are the scope's.
        self.inner.keep_step(cx.appended(), durable);
        let was_leader = awake.raft.is_leader();
        awake.raft.step(input, &mut Cx::new(cx.now, cx.wall, cx.rng, &mut self.inner));
        self.inner.swap(&mut self.effects);
        let mut effects = std::mem::take(&mut self.effects);
        let (mut wrote, mut compacted, mut told) = (false, false, Vec::new());
        for effect in effects.drain() {
            match effect {
                Effect::Append(record) => {
                    wrote = true;
                    let record = Record::Of { group, record };
                    self.rewrite.wrote(record.bytes());
                    cx.append(record);
                }
                // Other groups have records in between: these are told again, all of them, behind what this step wrote.
                Effect::Compact { .. } => compacted = true,
                Effect::Send { msg, .. } if is_unasked(&msg) => {}
                Effect::Send { to, msg, after } => self.post(to, group, msg, after > cx.durable(), cx),
                Effect::Emit { event, after } => {
                    let event = Event::Of { group, event };
                    match after > cx.durable() {
                        // Behind what may be told again: an object goes when no record names it any more.
                        true => told.push(event),
                        // The replica said beside it why this promises nothing.
                        false => cx.emit_now(event),
                    }
                }
            }
        }
        self.effects = effects;
        if compacted {
            self.write_instead(group, based, awake, cx);
        }
        told.into_iter().for_each(|event| cx.emit(event));
        let is_leader = awake.raft.is_leader();
        if wrote || was_leader != is_leader {
            awake.active_at = cx.now;
        }
        if is_leader {
            self.take_news(group, awake, cx.now);
        }
        if (wrote || compacted) && (is_leader || awake.raft.is_campaigning()) {
            self.unsynced.push_back((cx.appended(), group));
        }
    }

    /// Notes when a replica wants to be woken, and whether its election is over.
    pub fn plan(&mut self, group: GroupId, slot: &mut Slot, now: Time) {
        let State::Awake(awake) = &mut slot.state else { return };
        if !awake.raft.is_campaigning() {
            self.gate.leave(&mut awake.pass);
        }
        if awake.raft.is_leader() {
            awake.pass.stop_waiting();
        }
        if self.rests(awake) {
            awake.pass.stop_waiting();
            self.agenda.forget(group, &mut awake.place);
        } else if !awake.pass.waits() {
            self.agenda.plan(group, &mut awake.place, awake.raft.wake_at(), now);
        }
    }
}

/// Whether it says no more than that a follower has what it was told in no round ([`news`](super::news)): no leader waits for it.
fn is_unasked(msg: &raft::Msg) -> bool {
    matches!(msg, raft::Msg::AppendReply(AppendReply { round: NO_ROUND, outcome: Outcome::Matched(_), .. }))
}
