//! The one way in.

use super::common::Common;
use super::sleep::Why;
use super::state::{Slot, State};
use super::{Cmd, GroupId, Groups, Msg, Record};
use crate::raft::{self, Raft};
use quorate_core::{Boot, Corrupt, Cx, Input, LinkState, Mark, NodeId, Protocol, Time};
use std::collections::BTreeMap;

/// Groups whose turn comes in one step, so that a step stays short.
pub(super) const GROUPS_PER_STEP: usize = 256;

/// Groups that are looked at in one step, where most need nothing.
pub(super) const LOOKS_PER_STEP: usize = 4 * GROUPS_PER_STEP;

impl Protocol for Groups {
    type Msg = Msg;
    type Cmd = Cmd;
    type Event = super::Event;
    type Record = Record;

    fn step(&mut self, input: Input<Groups>, cx: &mut Cx<'_, Groups>) {
        let gathers = matches!(input, Input::Command(Cmd::Of { .. }));
        match input {
            Input::Message { from, msg } => self.on_message(from, msg, cx),
            Input::Command(Cmd::Of { group, cmd }) => self.on_command(group, cmd, cx),
            Input::Command(Cmd::Create { group, founding }) => self.on_create(group, founding, cx),
            Input::Command(Cmd::Remove { group }) => self.on_remove(group, cx),
            Input::Command(Cmd::Wake { group }) => {
                self.begin(group, cx);
                self.open(group, cx);
                self.wake_up(group, Why::Asked, cx);
                self.plan(group, cx.now);
            }
            Input::Wake => self.on_wake(cx),
            Input::Durable(mark) => self.on_durable(mark, cx),
            Input::Link { peer, state } => self.on_link(peer, state, cx),
            Input::Start(boot) => self.on_start(boot, cx),
        }
        self.common.deliver(gathers, self.slots.len(), self.bundle_max, cx);
    }

    fn wake_at(&self) -> Time {
        let starts = self.starting.is_some() || !self.begins.is_empty();
        let has_more = !self.to_wake.is_empty() || self.walk.is_some() || self.common.has_loads();
        if starts || has_more || self.wants_rewrite() {
            return Time::ZERO;
        }
        let Common { agenda, gate, news, .. } = &self.common;
        agenda.wake_at().min(gate.wake_at()).min(news.wake_at()).min(self.beat_at).min(self.silence_at)
    }

    fn replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.on_replay(record)
    }
}

impl Groups {
    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<'_, Groups>) {
        self.hear(from, cx.now);
        match msg {
            Msg::One { group, msg } => self.on_group(from, group, msg, cx),
            Msg::Many(all) | Msg::Appends(all) => {
                for (group, msg) in all.iter() {
                    self.on_group(from, *group, msg.clone(), cx);
                }
            }
            Msg::Beat(beat) => self.on_beat(from, &beat, cx),
            Msg::Doze(all) => all.iter().for_each(|doze| self.on_doze(from, *doze, cx)),
            Msg::Dozed(all) => all.iter().for_each(|(group, nonce)| self.on_dozed(from, *group, *nonce, cx)),
            Msg::NotSo(groups) => groups.iter().for_each(|group| self.on_not_so(from, *group, cx)),
            Msg::NotHere(groups) => groups.iter().for_each(|group| self.on_not_here(from, *group, cx.now)),
            Msg::Committed(all) => all.iter().for_each(|one| self.on_committed(from, *one, cx)),
        }
    }

    fn on_group(&mut self, from: NodeId, group: GroupId, msg: raft::Msg, cx: &mut Cx<'_, Groups>) {
        let Some(mut slot) = self.slots.get_mut(&group) else { return self.on_unknown(from, group) };
        if let State::Asleep(asleep) = &slot.state {
            if asleep.folded.is_no_news(&msg) || !self.common.may_wake(from, &msg, asleep, cx.now) {
                return;
            }
            self.wake_up(group, Why::Asked, cx);
            let Some(woken) = self.slots.get_mut(&group) else { return };
            slot = woken;
        }
        if let State::Awake(awake) = &mut slot.state
            && !awake.absent.is_empty()
        {
            awake.absent.retain(|id| *id != from);
        }
        let is_answer = matches!(msg, raft::Msg::AppendReply(_));
        self.common.enter(group, slot, Input::Message { from, msg }, cx);
        if is_answer && self.common.may_sleep(slot, cx.now) {
            self.consider_sleep(group, cx);
        }
    }

    fn on_command(&mut self, group: GroupId, cmd: raft::Cmd, cx: &mut Cx<'_, Groups>) {
        let Some(mut slot) = self.slots.get_mut(&group) else { return };
        if let State::Asleep(_) = &slot.state {
            self.wake_up(group, Why::Asked, cx);
            let Some(woken) = self.slots.get_mut(&group) else { return };
            slot = woken;
        }
        if let State::Awake(awake) = &mut slot.state {
            awake.active_at = cx.now;
            // Whoever had no replica may have one by now: they are asked once more.
            awake.absent.clear();
            self.common.enter(group, slot, Input::Command(cmd), cx);
        }
    }

    fn on_start(&mut self, boot: Boot, cx: &mut Cx<'_, Groups>) {
        self.common.boot = Some(boot);
        self.parts = BTreeMap::new();
        let (slots, gone) = (&self.slots, &self.gone);
        self.begins.retain(|group, _| !slots.contains_key(group) && !gone.contains(group));
        self.starting = Some(GroupId(0));
        self.start_some(cx);
    }

    fn on_durable(&mut self, mark: Mark, cx: &mut Cx<'_, Groups>) {
        self.common.rewrite.synced(mark);
        let mut wrote = Vec::new();
        while self.common.unsynced.front().is_some_and(|(at, _)| *at <= mark) {
            wrote.extend(self.common.unsynced.pop_front().map(|(_, group)| group));
        }
        wrote.sort_unstable();
        wrote.dedup();
        for group in wrote {
            self.enter(group, Input::Durable(mark), cx);
        }
    }

    fn on_link(&mut self, peer: NodeId, state: LinkState, cx: &mut Cx<'_, Groups>) {
        match state {
            LinkState::Down => self.common.links.remove(&peer),
            LinkState::Up(boot) => self.common.links.insert(peer, boot),
        };
        self.common.links_version += 1;
        // Each replica is told at the latest when something else comes in for it; a founder that waits for others has
        // nothing else.
        self.walk = Some(GroupId(0));
        if let LinkState::Up(boot) = state {
            self.hear(peer, cx.now);
            self.greet(peer, boot, cx.now);
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_, Groups>) {
        self.start_some(cx);
        if self.silence_at <= cx.now {
            self.look_for_silence(cx.now);
        }
        if self.beat_at <= cx.now {
            self.beat(cx);
        }
        for _ in 0..GROUPS_PER_STEP {
            let Some((group, why)) = self.to_wake.pop_first() else { break };
            self.wake_up(group, why, cx);
            self.plan(group, cx.now);
        }
        if self.common.news.wake_at() <= cx.now {
            self.tell_news(cx);
        }
        self.tell_links(cx);
        self.rewrite_some(cx);
        self.let_in(cx);
        for _ in 0..LOOKS_PER_STEP {
            let Some(group) = self.common.agenda.ripe(cx.now) else { break };
            // A timer is of one that is awake.
            let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { break };
            self.common.agenda.ring(group, &mut awake.place);
        }
        for _ in 0..self.common.agenda.due().min(GROUPS_PER_STEP) {
            let Some(group) = self.common.agenda.next() else { break };
            self.take_turn(group, cx);
        }
    }

    /// Elections that waited for others to end.
    fn let_in(&mut self, cx: &mut Cx<'_, Groups>) {
        while let Some((end, group)) = self.common.gate.ended(cx.now) {
            if let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) {
                self.common.gate.expire(end, &mut awake.pass);
            }
        }
        for _ in 0..GROUPS_PER_STEP {
            let Some(group) = self.common.gate.next() else { break };
            let Some(awake) = self.awake_mut(group).filter(|awake| awake.pass.waits()) else { continue };
            if !awake.raft.is_leader() && awake.raft.wake_at() <= cx.now {
                self.stand(group, cx);
            } else {
                awake.pass.stop_waiting();
                self.plan(group, cx.now);
            }
        }
    }

    /// Its time has come, or something came in for it meanwhile.
    fn take_turn(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let Some(slot) = self.slots.get_mut(&group) else { return };
        let State::Awake(awake) = &mut slot.state else { return };
        if !awake.place.begin() {
            return;
        }
        if awake.raft.wake_at() > cx.now {
            return self.common.plan(group, slot, cx.now);
        }
        if !awake.raft.is_leader() {
            return self.stand(group, cx);
        }
        // It speaks again, before all have agreed to sleep: those that have are awake again.
        if awake.give_up_sleep(cx.now) {
            self.common.counters.restless += 1;
        }
        self.common.enter(group, slot, Input::Wake, cx);
        if self.common.may_sleep(slot, cx.now) {
            self.consider_sleep(group, cx);
        }
    }

    /// It heard no leader for too long. It stands for election, unless too many others do.
    fn stand(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let Some(slot) = self.slots.get_mut(&group) else { return };
        let State::Awake(awake) = &mut slot.state else { return };
        if self.common.gate.enter(group, &mut awake.pass, cx.now) {
            self.common.enter(group, slot, Input::Wake, cx);
        } else {
            self.common.counters.elections_delayed += 1;
        }
    }

    /// Steps a replica that is awake, and plans its next turn.
    pub(super) fn enter(&mut self, group: GroupId, input: Input<Raft>, cx: &mut Cx<'_, Groups>) {
        if let Some(slot) = self.slots.get_mut(&group) {
            self.common.enter(group, slot, input, cx);
        }
    }

    /// Some of those that are awake are told of links that changed.
    fn tell_links(&mut self, cx: &mut Cx<'_, Groups>) {
        let Some(from) = self.walk else { return };
        let version = self.common.links_version;
        let (mut stale, mut looks) = (Vec::new(), 0);
        self.walk = None;
        for (group, slot) in self.slots.range(from..) {
            if looks == LOOKS_PER_STEP || stale.len() == GROUPS_PER_STEP {
                self.walk = Some(*group);
                break;
            }
            looks += 1;
            if let State::Awake(awake) = &slot.state
                && awake.started
                && awake.links_seen != version
            {
                stale.push(*group);
            }
        }
        for group in stale {
            if let Some(slot) = self.slots.get_mut(&group) {
                self.common.tell_again_first(group, slot, cx);
                self.common.tell_links_to(group, slot, cx);
                self.common.plan(group, slot, cx.now);
            }
        }
    }

    /// Notes when a replica wants to be woken, and whether its election is over.
    pub(super) fn plan(&mut self, group: GroupId, now: Time) {
        if let Some(slot) = self.slots.get_mut(&group) {
            self.common.plan(group, slot, now);
        }
    }
}
