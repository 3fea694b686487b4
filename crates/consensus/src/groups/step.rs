//! The one way in.

use super::sleep::Why;
use super::state::{Slot, State};
use super::{Cmd, GroupId, Groups, GroupsMutation, Msg, Record};
use crate::raft::{self, Raft};
use quorate_core::{Boot, Corrupt, Cx, Effect, Input, LinkState, Mark, NodeId, Protocol, Time};
use std::collections::VecDeque;

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
        self.deliver(cx);
    }

    fn wake_at(&self) -> Time {
        let starts = self.starting.is_some() || !self.begins.is_empty();
        if starts || !self.to_wake.is_empty() || self.walk.is_some() || self.wants_rewrite() {
            return Time::ZERO;
        }
        self.agenda.wake_at().min(self.gate.wake_at()).min(self.beat_at).min(self.silence_at)
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
            Msg::Many(all) => {
                for (group, msg) in all.iter() {
                    self.on_group(from, *group, msg.clone(), cx);
                }
            }
            Msg::Beat(beat) => self.on_beat(from, &beat, cx),
            Msg::Doze(all) => all.iter().for_each(|doze| self.on_doze(from, *doze, cx)),
            Msg::Dozed(all) => all.iter().for_each(|(group, nonce)| self.on_dozed(from, *group, *nonce, cx)),
            Msg::NotSo(groups) => groups.iter().for_each(|group| self.on_not_so(from, *group, cx)),
        }
    }

    fn on_group(&mut self, from: NodeId, group: GroupId, msg: raft::Msg, cx: &mut Cx<'_, Groups>) {
        if !self.slots.contains_key(&group) {
            // It may have been removed for good: a message never brings a group about.
            self.counters.unknown += 1;
            return;
        }
        if self.asleep_at(group).is_some_and(|asleep| asleep.folded.is_no_news(&msg)) {
            return;
        }
        self.wake_up(group, Why::Asked, cx);
        let is_answer = matches!(msg, raft::Msg::AppendReply(_));
        self.enter(group, Input::Message { from, msg }, cx);
        if is_answer {
            self.consider_sleep(group, cx);
        }
    }

    fn on_command(&mut self, group: GroupId, cmd: raft::Cmd, cx: &mut Cx<'_, Groups>) {
        self.wake_up(group, Why::Asked, cx);
        if let Some(awake) = self.awake_mut(group) {
            awake.active_at = cx.now;
            self.enter(group, Input::Command(cmd), cx);
        }
    }

    fn on_start(&mut self, boot: Boot, cx: &mut Cx<'_, Groups>) {
        self.boot = Some(boot);
        let (slots, gone) = (&self.slots, &self.gone);
        self.begins.retain(|group, _| !slots.contains_key(group) && !gone.contains(group));
        self.starting = Some(GroupId(0));
        self.start_some(cx);
    }

    fn on_durable(&mut self, mark: Mark, cx: &mut Cx<'_, Groups>) {
        let mut wrote = Vec::new();
        while self.unsynced.front().is_some_and(|(at, _)| *at <= mark) {
            wrote.extend(self.unsynced.pop_front().map(|(_, group)| group));
        }
        wrote.sort_unstable();
        wrote.dedup();
        for group in wrote {
            self.enter(group, Input::Durable(mark), cx);
        }
    }

    fn on_link(&mut self, peer: NodeId, state: LinkState, cx: &mut Cx<'_, Groups>) {
        match state {
            LinkState::Down => self.links.remove(&peer),
            LinkState::Up(boot) => self.links.insert(peer, boot),
        };
        self.links_version += 1;
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
            let Some((group, why)) = self.to_wake.pop_front() else {
                // What a lost node left behind takes no room for ever.
                self.to_wake = VecDeque::new();
                break;
            };
            self.wake_up(group, why, cx);
            self.plan(group, cx.now);
        }
        self.tell_links(cx);
        self.rewrite_some(cx);
        self.let_in(cx);
        for _ in 0..LOOKS_PER_STEP {
            let Some(group) = self.agenda.ripe(cx.now) else { break };
            // A timer is of one that is awake.
            let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { break };
            self.agenda.plan(group, &mut awake.place, cx.now, cx.now);
        }
        for _ in 0..self.agenda.due().min(GROUPS_PER_STEP) {
            let Some(group) = self.agenda.next() else { break };
            self.take_turn(group, cx);
        }
    }

    /// Elections that waited for others to end.
    fn let_in(&mut self, cx: &mut Cx<'_, Groups>) {
        while let Some((end, group)) = self.gate.ended(cx.now) {
            if let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) {
                self.gate.expire(end, &mut awake.pass);
            }
        }
        for _ in 0..GROUPS_PER_STEP {
            let Some(group) = self.gate.next() else { break };
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
        let Some(awake) = self.awake_mut(group) else { return };
        if !awake.place.begin() {
            return;
        }
        if awake.raft.wake_at() > cx.now {
            return self.plan(group, cx.now);
        }
        if !awake.raft.is_leader() {
            return self.stand(group, cx);
        }
        self.give_up_sleep(group, cx.now);
        self.enter(group, Input::Wake, cx);
        self.consider_sleep(group, cx);
    }

    /// It heard no leader for too long. It stands for election, unless too many others do.
    fn stand(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { return };
        if self.gate.enter(group, &mut awake.pass, cx.now) {
            self.enter(group, Input::Wake, cx);
        } else {
            self.counters.elections_delayed += 1;
        }
    }

    /// Steps a replica that is awake: with the links as they are now, and with its records told again before, if the
    /// journal is being rewritten.
    pub(super) fn enter(&mut self, group: GroupId, input: Input<Raft>, cx: &mut Cx<'_, Groups>) {
        self.open(group, cx);
        self.tell_again_first(group, cx);
        let version = self.links_version;
        let Some(awake) = self.awake_mut(group) else { return };
        if std::mem::replace(&mut awake.links_seen, version) != version {
            self.tell_links_to(group, cx);
        }
        self.step_in(group, input, cx);
        self.plan(group, cx.now);
    }

    fn tell_links_to(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let Some(awake) = self.awake_mut(group) else { return };
        let known = awake.raft.links().clone();
        let lost: Vec<NodeId> = known.keys().filter(|id| !self.links.contains_key(id)).copied().collect();
        let new = |(id, boot): &(&NodeId, &Boot)| known.get(id) != Some(boot);
        let new: Vec<(NodeId, Boot)> = self.links.iter().filter(new).map(|(id, boot)| (*id, *boot)).collect();
        for peer in lost {
            self.step_in(group, Input::Link { peer, state: LinkState::Down }, cx);
        }
        for (peer, boot) in new {
            self.step_in(group, Input::Link { peer, state: LinkState::Up(boot) }, cx);
        }
    }

    /// Some of those that are awake are told of links that changed.
    fn tell_links(&mut self, cx: &mut Cx<'_, Groups>) {
        let Some(from) = self.walk else { return };
        let version = self.links_version;
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
            self.tell_again_first(group, cx);
            if let Some(awake) = self.awake_mut(group) {
                awake.links_seen = version;
                self.tell_links_to(group, cx);
                self.plan(group, cx.now);
            }
        }
    }

    /// One step of a replica, and its effects as those of the scope.
    fn step_in(&mut self, group: GroupId, input: Input<Raft>, cx: &mut Cx<'_, Groups>) {
        let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { return };
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
        for effect in effects.drain(..) {
            match effect {
                Effect::Append(record) => {
                    wrote = true;
                    let record = Record::Of { group, record };
                    self.rewrite.wrote(record.bytes());
                    cx.append(record);
                }
                // Other groups have records in between: these are told again, all of them, behind what this step wrote.
                Effect::Compact { .. } => compacted = true,
                Effect::Send { to, msg, after } => self.post(to, group, msg, after > cx.durable(), cx),
                Effect::Emit { event, after } => {
                    let event = super::Event::Of { group, event };
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
        let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { return };
        if compacted {
            let instead = Record::Instead {
                group,
                founding: awake.raft.founding_told().clone(),
                records: awake.raft.records(),
            };
            self.rewrite.wrote(instead.bytes());
            let mark = cx.append(instead);
            if let Some(slot) = self.slots.get_mut(&group) {
                slot.based = mark;
            }
        }
        told.into_iter().for_each(|event| cx.emit(event));
        let Some(awake) = self.awake_mut(group) else { return };
        if wrote || was_leader != awake.raft.is_leader() {
            awake.active_at = cx.now;
        }
        if (wrote || compacted) && (awake.raft.is_leader() || awake.raft.is_campaigning()) {
            self.unsynced.push_back((cx.appended(), group));
        }
    }

    /// Notes when a replica wants to be woken, and whether its election is over.
    pub(super) fn plan(&mut self, group: GroupId, now: Time) {
        let Some(Slot { state: State::Awake(awake), .. }) = self.slots.get_mut(&group) else { return };
        if !awake.raft.is_campaigning() {
            self.gate.leave(&mut awake.pass);
        }
        if awake.raft.is_leader() {
            awake.pass.stop_waiting();
        }
        if !awake.pass.waits() {
            self.agenda.plan(group, &mut awake.place, awake.raft.wake_at(), now);
        }
    }
}
