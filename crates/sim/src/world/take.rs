//! What comes in: each event is taken at once by a node that is free, and waits where the node is busy. The order of
//! a turn is the driver's: syncs and jobs, frames, asks, wakes, then the disk.

use super::life::{Ended, Work};
use super::node::{Kept, Node, run_job};
use super::stage::Stage;
use crate::FaultKind;
use bytes::Bytes;
use quorate_core::{Class, HostCmd, HostMsg, Input, LinkState, NodeId, Received, ScopeId};

/// Frames that a busy node takes in one turn.
const FRAMES_PER_TURN: usize = 64;

impl Node {
    pub(crate) fn on_frame(&mut self, from: NodeId, bytes: Bytes, stage: &mut Stage) -> bool {
        if self.life.is_none() {
            stage.seen.hit(FaultKind::Undeliverable);
            return false;
        }
        if self.is_busy(stage) {
            if self.inbox.deliver(from, bytes).is_err() {
                stage.seen.hit(FaultKind::InboxFull);
            }
            self.plan_turn(stage);
            return false;
        }
        self.take_frame(from, bytes, stage);
        self.settle(false, stage);
        true
    }

    pub(crate) fn on_wake(&mut self, stage: &mut Stage) -> bool {
        let Some(life) = &mut self.life else { return false };
        if life.wake_planned != stage.now {
            return false;
        }
        life.wake_planned = u64::MAX;
        if self.is_busy(stage) {
            self.plan_turn(stage);
            return false;
        }
        let acted = self.wake_if_due(stage);
        self.settle(false, stage);
        acted
    }

    pub(crate) fn on_synced(&mut self, life_number: u32, stage: &mut Stage) -> bool {
        let Some(life) = self.life.as_mut().filter(|_| self.lives == life_number) else { return false };
        let Some(mark) = life.syncing.take() else { return false };
        if stage.rng.chance(stage.disks.sync_fails) {
            stage.seen.hit(FaultKind::SyncFailed);
            self.crash(Kept::Chance, stage);
            return true;
        }
        if stage.rng.chance(stage.disks.crash_on_sync) {
            stage.seen.hit(FaultKind::CrashedOnSync);
            if stage.rng.chance(0.5) {
                self.disk.end_sync();
            }
            self.crash(Kept::Chance, stage);
            return true;
        }
        self.disk.end_sync();
        stage.stats.syncs += 1;
        self.on_ended(Ended::Sync(mark), stage)
    }

    pub(crate) fn on_job(&mut self, life_number: u32, slot: u32, stage: &mut Stage) -> bool {
        let Some(life) = self.life.as_mut().filter(|_| self.lives == life_number) else { return false };
        let Some((scope, work)) = life.jobs.take(slot) else { return false };
        stage.stats.jobs += 1;
        let answer = match work {
            Work::Early(answer) => answer,
            Work::Late(job) => run_job(job, &mut self.disk, stage),
        };
        if answer.is_err() {
            stage.seen.hit(FaultKind::JobPanicked);
        }
        self.on_ended(Ended::Job(scope, answer), stage)
    }

    fn on_ended(&mut self, ended: Ended, stage: &mut Stage) -> bool {
        if self.is_busy(stage) {
            if let Some(life) = &mut self.life {
                life.ended.push_back(ended);
            }
            self.plan_turn(stage);
            return false;
        }
        self.take_ended(ended, stage);
        self.settle(false, stage);
        true
    }

    /// Takes everything that waits.
    pub(crate) fn on_turn(&mut self, stage: &mut Stage) -> bool {
        self.turn_planned = false;
        if self.paused || self.life.is_none() {
            return false;
        }
        if self.busy_until > stage.now {
            self.plan_turn(stage);
            return false;
        }
        let mut acted = false;
        while let Some(ended) = self.life.as_mut().and_then(|life| life.ended.pop_front()) {
            self.take_ended(ended, stage);
            acted = true;
        }
        let mut frames = Vec::new();
        self.inbox.take(FRAMES_PER_TURN, &mut frames);
        for (from, bytes) in frames {
            self.take_frame(from, bytes, stage);
            acted = true;
        }
        acted |= self.take_lost(stage);
        acted |= self.take_asks(stage);
        acted |= self.wake_if_due(stage);
        self.settle(true, stage);
        if !self.inbox.is_empty() {
            self.plan_turn(stage);
        }
        acted
    }

    /// The transport noticed that frames did not get through. As on a real node scopes are told behind what the peer
    /// still said.
    pub(super) fn note_lost(&mut self, stage: &mut Stage) {
        if !stage.net.lost.is_empty() {
            stage.net.lost.drain(..).for_each(|peer| self.inbox.lost(peer));
            self.plan_turn(stage);
        }
    }

    fn take_lost(&mut self, stage: &mut Stage) -> bool {
        let mut lost = Vec::new();
        self.inbox.take_lost(&mut lost);
        for peer in &lost {
            let Some(life) = &mut self.life else { break };
            if life.link.peer(*peer).is_some() && life.down.insert(*peer) {
                stage.seen.hit(FaultKind::Noticed);
                self.act(Input::Link { peer: *peer, state: LinkState::Down }, stage);
            }
        }
        !lost.is_empty()
    }

    fn take_asks(&mut self, stage: &mut Stage) -> bool {
        let mut acted = false;
        while let Some(life) = &mut self.life {
            // A full lane leaves asks at the door, which answers Busy once it is full too.
            if life.is_full(&stage.settings) {
                break;
            }
            if life.asks.is_empty() {
                life.door.take(&mut life.asks);
            }
            let Some((scope, ask)) = life.asks.pop_front() else { break };
            stage.stats.asks += 1;
            self.act(Input::Command(HostCmd::Ask { scope, ask }), stage);
            acted = true;
        }
        acted
    }

    fn take_frame(&mut self, from: NodeId, bytes: Bytes, stage: &mut Stage) {
        let Some(life) = &mut self.life else { return };
        stage.stats.frames_arrived += 1;
        let now = self.clock.time(stage.now);
        let received = life.link.receive(from, bytes, now, &mut life.link_rng, &mut stage.frames);
        if !stage.frames.is_empty() {
            stage.dispatch((self.place, self.id), None);
            self.note_lost(stage);
        }
        let Some(life) = &mut self.life else { return };
        match received {
            Received::Nothing => {}
            Received::Up { peer, boot } => {
                life.down.remove(&peer);
                self.act(Input::Link { peer, state: LinkState::Up(boot) }, stage);
            }
            Received::Message { class: Class::Data, .. } if life.is_full(&stage.settings) => {
                stage.seen.hit(FaultKind::LaneFull);
            }
            Received::Message { from, scope, class, body } => {
                stage.stats.messages += 1;
                if life.down.remove(&from)
                    && let Some(boot) = life.link.peer(from)
                {
                    self.act(Input::Link { peer: from, state: LinkState::Up(boot) }, stage);
                }
                if stage.lines.are_wanted() {
                    self.write_down(from, scope, &body, stage);
                }
                let msg = HostMsg { scope, class, body };
                self.act(Input::Message { from, msg }, stage);
            }
        }
    }

    fn write_down(&self, from: NodeId, scope: ScopeId, body: &[u8], stage: &mut Stage) {
        let text = stage.describe.as_ref().and_then(|describe| describe(scope, body));
        let text = text.unwrap_or_else(|| format!("{} bytes", body.len()));
        stage.lines.line(stage.now, format_args!("{from} -> {}: {scope} {text}", self.id));
    }

    fn take_ended(&mut self, ended: Ended, stage: &mut Stage) {
        match ended {
            Ended::Sync(mark) => self.act(Input::Durable(mark), stage),
            Ended::Job(scope, answer) => self.act(Input::Command(HostCmd::Done { scope, answer }), stage),
        }
        // The lane may have been full until now.
        if self.life.as_ref().is_some_and(|life| !life.asks.is_empty() || !life.door.is_empty()) {
            self.ring();
        }
    }

    fn wake_if_due(&mut self, stage: &mut Stage) -> bool {
        let Some(life) = &self.life else { return false };
        if life.turn.wake_at() > self.clock.time(stage.now) {
            return false;
        }
        stage.stats.wakes += 1;
        self.act(Input::Wake, stage);
        true
    }
}
