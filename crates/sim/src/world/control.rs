//! Doing things to nodes, disks and clocks.

use super::node::{Kept, NodeState};
use super::{Node, World};
use crate::delay::nanos;
use crate::invariant::{Touch, Touched};
use crate::queue::Event;
use crate::{Delay, DiskWeather, FaultKind, Passing, Verdict, Weather};
use quorate_core::{HostCmd, Input, NodeId};
use std::time::Duration;

impl<A> World<A> {
    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        let place = self.expect_place(id);
        &mut self.nodes[place]
    }

    /// The power of a node goes: everything is forgotten but what is on disk, where of the unsynced writes none
    /// is, or a random number of the first ones. Nothing happens to a node that is down.
    pub fn crash(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        if self.down(id, Kept::Chance) {
            self.stage.seen.hit(FaultKind::Crashed);
        }
    }

    /// The process dies and the machine goes on, so that every write gets to the disk.
    pub fn kill(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        if self.down(id, Kept::All) {
            self.stage.seen.hit(FaultKind::Crashed);
        }
    }

    /// Stops a node in good order: its ports settle their promises first.
    pub fn stop(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        let place = self.expect_place(id);
        self.nodes[place].act(Input::Command(HostCmd::Stop), &mut self.stage);
        self.down(id, Kept::All);
    }

    /// Ends a life. False if there was none.
    fn down(&mut self, id: NodeId, kept: Kept) -> bool {
        let place = self.expect_place(id);
        if self.nodes[place].life.is_none() {
            return false;
        }
        self.stage.lines.line(self.stage.now, format_args!("{id} goes down"));
        self.nodes[place].crash(kept, &mut self.stage);
        self.touched(Touch { node: id, place, how: Touched::Stopped });
        true
    }

    /// Starts a node on its disk; one that runs crashes first.
    pub fn restart(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        self.crash(id);
        self.stage.seen.hit(FaultKind::Restarted);
        self.boot(self.expect_place(id) as u32);
    }

    /// Starts a node on an empty disk, which has another [`quorate_core::JournalId`]; one that runs crashes
    /// first.
    pub fn wipe(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        self.crash(id);
        let place = self.expect_place(id);
        self.nodes[place].replace_disk(&mut self.stage.rng);
        self.stage.seen.hit(FaultKind::Wiped);
        self.boot(place as u32);
    }

    /// Puts a copy of a node's disk, as it is now, aside for [`World::old_disk`].
    pub fn keep_disk(&mut self, id: impl Into<NodeId>) {
        let node = self.node_mut(id.into());
        let mut copy = node.disk.clone();
        copy.lose(0);
        node.kept = Some(copy);
    }

    /// Starts a node on the disk that was put aside, as somebody does who restores a machine from a backup; one
    /// that runs crashes first. False, and nothing is done, if none was.
    pub fn old_disk(&mut self, id: impl Into<NodeId>) -> bool {
        let id = id.into();
        let Some(disk) = self.node_mut(id).kept.take() else { return false };
        self.crash(id);
        self.node_mut(id).disk = disk;
        self.stage.seen.hit(FaultKind::OldDisk);
        self.boot(self.expect_place(id) as u32);
        true
    }

    /// What is on a node's disk decays. Its journal finds out when it is opened next, and the node refuses to
    /// start; reading an object fails at once.
    pub fn rot(&mut self, id: impl Into<NodeId>) {
        self.node_mut(id.into()).disk.rot();
    }

    /// A node's disk takes no more writes, or does again. The first write refused stops the node.
    pub fn fill_disk(&mut self, id: impl Into<NodeId>, full: bool) {
        self.node_mut(id.into()).disk.fill(full);
    }

    /// A node stands still: its clock goes on, frames fill its inbox, syncs and jobs end unseen.
    pub fn pause(&mut self, id: impl Into<NodeId>) {
        let node = self.node_mut(id.into());
        if node.life.is_some() && !node.paused {
            node.paused = true;
            self.stage.seen.hit(FaultKind::Paused);
        }
    }

    /// A paused node goes on, and takes what has come meanwhile.
    pub fn resume(&mut self, id: impl Into<NodeId>) {
        let place = self.expect_place(id.into());
        if self.nodes[place].paused {
            self.nodes[place].resume(&mut self.stage);
        }
    }

    /// From now on every input costs a node this much time.
    pub fn slow(&mut self, id: impl Into<NodeId>, step_cost: Duration) {
        self.node_mut(id.into()).cost = nanos(step_cost);
        self.stage.seen.hit(FaultKind::Slowed);
    }

    /// A node's clocks run this many parts per million fast from now on, or slow if negative.
    pub fn drift(&mut self, id: impl Into<NodeId>, ppm: i32) {
        self.change_clock(id.into(), FaultKind::Drifted, |node, now| node.clock.drift(ppm, now));
    }

    /// A node's clock jumps. Backwards, the node sees it stand still for as long, since its driver clamps it.
    pub fn jump_clock(&mut self, id: impl Into<NodeId>, nanos: i64) {
        self.change_clock(id.into(), FaultKind::ClockJumped, |node, now| node.clock.jump(nanos, now));
    }

    /// A node's clocks stand still until the next [`World::drift`] or [`World::repair_clock`].
    pub fn freeze_clock(&mut self, id: impl Into<NodeId>) {
        self.change_clock(id.into(), FaultKind::ClockFrozen, |node, now| node.clock.freeze(now));
    }

    /// A node's belief about UTC jumps.
    pub fn jump_wall(&mut self, id: impl Into<NodeId>, nanos: i64) {
        self.change_clock(id.into(), FaultKind::WallJumped, |node, _| node.clock.jump_wall(nanos));
    }

    /// A node's clocks are right again from now on.
    pub fn repair_clock(&mut self, id: impl Into<NodeId>) {
        let place = self.expect_place(id.into());
        self.nodes[place].clock.repair(self.stage.now);
        self.nodes[place].replan_wake(&mut self.stage);
    }

    fn change_clock(&mut self, id: NodeId, kind: FaultKind, change: impl FnOnce(&mut Node, u64)) {
        let place = self.expect_place(id);
        self.stage.seen.hit(kind);
        change(&mut self.nodes[place], self.stage.now);
        self.nodes[place].replan_wake(&mut self.stage);
    }

    /// How the network behaves from now on.
    pub fn set_weather(&mut self, weather: Weather) {
        self.stage.net.set_weather(weather);
    }

    /// How the network behaves now.
    pub fn weather(&self) -> &Weather {
        self.stage.net.weather()
    }

    /// How the disks behave from now on.
    pub fn set_disks(&mut self, disks: DiskWeather) {
        self.stage.disks = disks;
    }

    /// How the disks behave now.
    pub fn disks(&self) -> &DiskWeather {
        &self.stage.disks
    }

    /// How long jobs take from now on.
    pub fn set_jobs(&mut self, jobs: Delay) {
        self.stage.work = jobs;
    }

    /// How long frames travel between these two, both ways, whatever the weather says.
    pub fn set_distance(&mut self, a: impl Into<NodeId>, b: impl Into<NodeId>, delay: Delay) {
        let (a, b) = (self.expect_place(a.into()) as u32, self.expect_place(b.into()) as u32);
        self.stage.net.set_distance(a, b, delay);
        self.stage.net.set_distance(b, a, delay);
    }

    /// Asks this of every frame that is handed to the network.
    pub fn filter(&mut self, filter: impl FnMut(&Passing<'_>) -> Verdict + 'static) {
        self.stage.net.add_filter(Box::new(filter));
    }

    /// No filters any more.
    pub fn clear_filters(&mut self) {
        self.stage.net.clear_filters();
    }

    pub(super) fn restart_if_still_down(&mut self, place: u32, life: u32) {
        let node = &self.nodes[place as usize];
        if node.state == NodeState::Down && node.lives == life {
            let id = node.id;
            self.restart(id);
        }
    }

    /// A node went down by itself, through its disk.
    pub(super) fn fell(&mut self, place: u32) {
        if self.is_twin(place) {
            return; // Nobody looks after a copy.
        }
        let node = &self.nodes[place as usize];
        self.stage.lines.line(self.stage.now, format_args!("{} goes down by its disk", node.id));
        let event = Event::Restart { node: place, life: node.lives };
        if let Some(after) = self.nemesis.downtime() {
            self.stage.queue.push(self.stage.now.saturating_add(after), event);
        }
    }
}
