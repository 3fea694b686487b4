//! Each kind of blow.

use super::nemesis::Relief;
use super::plan::Fault;
use crate::world::{Direction, NodeState};
use crate::{Delay, FaultKind, World};
use quorate_core::NodeId;
use std::time::Duration;

/// A link that flaps comes and goes this often.
const FLAPS: u32 = 10;
/// 5 %.
const DRIFT_PPM_MAX: u64 = 50_000;

impl<A> World<A> {
    /// Strikes once, for `lasts` nanoseconds. Where no victim qualifies, nothing happens.
    pub(super) fn inflict(&mut self, fault: Fault, lasts: u64, victim: Option<NodeId>) {
        self.stage
            .lines
            .line(self.stage.now, format_args!("{fault:?} for {:?}", Duration::from_nanos(lasts)));
        match fault {
            Fault::PowerLoss => return self.power_loss(lasts),
            Fault::Split | Fault::OneWaySplit | Fault::Bridge | Fault::Ring => {
                return self.cut_shape(fault, lasts);
            }
            Fault::Storm => return self.storm(lasts),
            _ => {}
        }
        let leader = match fault {
            Fault::CrashLeader | Fault::PauseLeader | Fault::IsolateLeader => self.leader(),
            _ => None,
        };
        let Some(victim) = victim.or(leader).or_else(|| self.some_node_up()) else { return };
        match fault {
            Fault::Crash | Fault::CrashLeader => {
                self.crash(victim);
                self.relieve_after(lasts, Relief::Start(victim));
            }
            Fault::Wipe | Fault::OldDisk | Fault::Rot | Fault::Twin => self.amnesia(fault, victim, lasts),
            Fault::NoSpace => {
                self.fill_disk(victim, true);
                self.relieve_after(lasts, Relief::Space(victim));
            }
            Fault::Pause | Fault::PauseLeader => {
                self.pause(victim);
                self.relieve_after(lasts, Relief::Resume(victim));
            }
            Fault::Slow => {
                let cost = Duration::from_nanos(lasts / 100).min(Duration::from_millis(50));
                self.slow(victim, cost);
                self.relieve_after(lasts, Relief::Quicken(victim));
            }
            Fault::Isolate | Fault::IsolateLeader => {
                let hunted = leader == Some(victim);
                self.stage.seen.hit(if hunted { FaultKind::LeaderIsolated } else { FaultKind::Isolated });
                let directions = self.links_of(victim);
                self.cut_for(directions, lasts);
            }
            Fault::CutLink | Fault::CutOneWay => self.cut_some_link(fault, victim, lasts),
            Fault::Flap => {
                self.stage.seen.hit(FaultKind::Flapped);
                let directions = self.links_of(victim);
                self.cut_directions(&directions);
                let flap = Relief::Flap { directions, period: lasts, left: FLAPS, cut: true };
                self.relieve_after(lasts, flap);
            }
            Fault::Clog => {
                let others: Vec<NodeId> = self.ids().filter(|id| *id != victim).collect();
                for other in others {
                    self.clog(other, victim, Duration::from_nanos(lasts));
                }
            }
            Fault::Drift => {
                let ppm = self.nemesis.rng.within(0..2 * DRIFT_PPM_MAX + 1) as i32 - DRIFT_PPM_MAX as i32;
                self.drift(victim, ppm);
                self.relieve_after(lasts, Relief::Clock(victim));
            }
            Fault::ClockJump => {
                let by = self.either_way(lasts);
                self.jump_clock(victim, by);
            }
            Fault::ClockFreeze => {
                self.freeze_clock(victim);
                self.relieve_after(lasts, Relief::Clock(victim));
            }
            Fault::WallJump => {
                let by = self.either_way(lasts.saturating_mul(100));
                self.jump_wall(victim, by);
            }
            Fault::PowerLoss
            | Fault::Storm
            | Fault::Split
            | Fault::OneWaySplit
            | Fault::Bridge
            | Fault::Ring => unreachable!("struck above"),
        }
    }

    fn either_way(&mut self, nanos: u64) -> i64 {
        let by = i64::try_from(nanos).unwrap_or(i64::MAX);
        if self.nemesis.rng.chance(0.5) { by } else { -by }
    }

    fn some_node_up(&mut self) -> Option<NodeId> {
        let up: Vec<NodeId> = self.ids().filter(|id| self.state(*id) == NodeState::Up).collect();
        self.nemesis.rng.pick(&up).copied()
    }

    fn power_loss(&mut self, lasts: u64) {
        self.stage.seen.hit(FaultKind::PowerLoss);
        let up: Vec<NodeId> = self.ids().filter(|id| self.state(*id) == NodeState::Up).collect();
        for id in up {
            self.crash(id);
            let each = self.nemesis.rng.within(lasts / 2..lasts + 1);
            self.relieve_after(each, Relief::Start(id));
        }
    }

    fn amnesia(&mut self, fault: Fault, victim: NodeId, lasts: u64) {
        if !self.nemesis.may_forget(victim) {
            return;
        }
        match fault {
            Fault::OldDisk => {
                self.keep_disk(victim);
                self.relieve_after(lasts, Relief::OldDisk(victim));
            }
            Fault::Twin => {
                self.start_twin(victim);
                self.relieve_after(lasts, Relief::EndTwins);
            }
            Fault::Wipe => {
                self.crash(victim);
                self.relieve_after(lasts, Relief::Wipe(victim));
            }
            _ => {
                self.crash(victim);
                self.rot(victim);
                self.relieve_after(lasts, Relief::Start(victim));
            }
        }
    }

    fn storm(&mut self, lasts: u64) {
        let mut weather = self.weather().clone();
        weather.loss = 0.1 + self.nemesis.rng.unit() * 0.4;
        weather.duplicate = 0.1;
        let typical = weather.delay.max().min(Duration::from_nanos(lasts / 10));
        weather.delay = Delay::HeavyTail { floor: Duration::ZERO, scale: typical, max: typical * 20 };
        self.set_weather(weather);
        self.relieve_after(lasts, Relief::Fair);
    }

    fn cut_for(&mut self, directions: Vec<Direction>, lasts: u64) {
        self.cut_directions(&directions);
        self.relieve_after(lasts, Relief::Mend(directions));
    }

    fn links_of(&self, id: NodeId) -> Vec<Direction> {
        let me = self.expect_place(id) as u32;
        let others = (0..self.nodes.len() as u32).filter(|other| *other != me);
        others.flat_map(|other| [(me, other), (other, me)]).collect()
    }

    fn cut_some_link(&mut self, fault: Fault, victim: NodeId, lasts: u64) {
        let me = self.expect_place(victim) as u32;
        let others: Vec<u32> = (0..self.nodes.len() as u32).filter(|other| *other != me).collect();
        let Some(&other) = self.nemesis.rng.pick(&others) else { return };
        let directions = if fault == Fault::CutLink {
            vec![(me, other), (other, me)]
        } else if self.nemesis.rng.chance(0.5) {
            vec![(me, other)]
        } else {
            vec![(other, me)]
        };
        self.cut_for(directions, lasts);
    }

    fn cut_shape(&mut self, fault: Fault, lasts: u64) {
        let mut places: Vec<u32> = (0..self.nodes.len() as u32).collect();
        self.nemesis.rng.shuffle(&mut places);
        let half = 1 + self.nemesis.rng.index(places.len().saturating_sub(1));
        let cuts = |joined: &dyn Fn(usize, usize) -> bool| {
            let mut directions = Vec::new();
            for (i, from) in places.iter().enumerate() {
                for (j, to) in places.iter().enumerate() {
                    if i != j && !joined(i, j) {
                        directions.push((*from, *to));
                    }
                }
            }
            directions
        };
        let n = places.len();
        let (kind, directions) = match fault {
            Fault::OneWaySplit => (FaultKind::OneWaySplit, cuts(&|i, j| i >= half || j < half)),
            // The last of the first group is the bridge.
            Fault::Bridge => {
                (FaultKind::Bridge, cuts(&|i, j| (i < half) == (j < half) || i == half - 1 || j == half - 1))
            }
            Fault::Ring => {
                let reach = (n / 2).div_ceil(2);
                (FaultKind::Ring, cuts(&|i, j| ((i + n - j) % n).min((j + n - i) % n) <= reach))
            }
            _ => (FaultKind::Split, cuts(&|i, j| (i < half) == (j < half))),
        };
        // A bridge of three or a ring of three cuts nothing: then it did not happen.
        if !directions.is_empty() {
            self.stage.seen.hit(kind);
            self.cut_for(directions, lasts);
        }
    }

    /// As fast as the settings say.
    pub(super) fn quicken(&mut self, id: NodeId) {
        let cost = crate::delay::nanos(self.stage.settings.step_cost);
        let place = self.expect_place(id);
        self.nodes[place].cost = cost;
    }
}
