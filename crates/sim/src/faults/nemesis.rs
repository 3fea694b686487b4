//! Carries a plan out: strikes when it is time, and takes back what it did when that is over.

use super::plan::{FaultPlan, ScriptLine, Source};
use crate::World;
use crate::delay::nanos;
use crate::queue::Event;
use crate::world::{Direction, NodeState};
use quorate_core::{NodeId, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is under way.
pub(crate) struct Nemesis {
    pub(super) rng: Rng,
    pub(super) plan: Option<FaultPlan>,
    /// Counts plans, so that what an earlier one had planned is void.
    number: u32,
    reliefs: BTreeMap<u32, Relief>,
    relief_number: u32,
    /// Those that lost what was on their disk.
    pub(super) amnesiacs: BTreeSet<NodeId>,
}

/// How a blow ends.
pub(crate) enum Relief {
    Mend(Vec<Direction>),
    Flap {
        directions: Vec<Direction>,
        period: u64,
        left: u32,
        cut: bool,
    },
    Start(NodeId),
    Wipe(NodeId),
    OldDisk(NodeId),
    EndTwins,
    Resume(NodeId),
    Quicken(NodeId),
    Clock(NodeId),
    Space(NodeId),
    /// Back to the plan's weather, so that storms within storms end with the first.
    Fair,
}

impl Nemesis {
    pub(crate) fn idle(rng: Rng) -> Nemesis {
        Nemesis {
            rng,
            plan: None,
            number: 0,
            reliefs: BTreeMap::new(),
            relief_number: 0,
            amnesiacs: BTreeSet::new(),
        }
    }

    /// How long a node stays down that its disk stopped; `None`: until somebody starts it.
    pub(crate) fn downtime(&mut self) -> Option<u64> {
        let plan = self.plan.as_ref()?;
        Some(plan.downtime.draw(&mut self.rng))
    }

    /// The cuts were mended by somebody else.
    pub(crate) fn forget_cuts(&mut self) {
        self.reliefs.retain(|_, relief| !matches!(relief, Relief::Mend(_) | Relief::Flap { .. }));
    }

    pub(super) fn between(&mut self, lasts: (Duration, Duration)) -> u64 {
        by_octaves(nanos(lasts.0), nanos(lasts.1), &mut self.rng)
    }

    /// Whether a node may lose its disk: the budget counts nodes, not times.
    pub(super) fn may_forget(&mut self, id: NodeId) -> bool {
        let budget = self.plan.as_ref().map_or(0, |plan| plan.amnesia_max);
        if !self.amnesiacs.contains(&id) && self.amnesiacs.len() >= budget {
            return false;
        }
        self.amnesiacs.insert(id);
        true
    }
}

/// Between the two; each doubling is as likely as every other.
fn by_octaves(from: u64, to: u64, rng: &mut Rng) -> u64 {
    let from = from.max(1);
    let octaves = (to.max(from) / from).ilog2() + 1;
    let low = from << rng.within(0..u64::from(octaves));
    rng.within(low..low.saturating_mul(2)).min(to.max(from))
}

impl<A> World<A> {
    /// Lets a plan loose: its weather comes, its sources begin to strike. It takes the place of an earlier one,
    /// whose blows still end.
    pub fn unleash(&mut self, plan: FaultPlan) {
        self.set_weather(plan.weather.clone());
        self.set_disks(plan.disks.clone());
        self.set_jobs(plan.jobs);
        self.nemesis.number += 1;
        let number = self.nemesis.number;
        for (source, Source { every, .. }) in plan.sources.iter().enumerate() {
            let at = self.stage.now + self.nemesis.rng.within(0..2 * nanos(*every));
            self.stage.queue.push(at, Event::Strike { source: source as u32, plan: number });
        }
        for (line, ScriptLine { at, .. }) in plan.script.iter().enumerate() {
            let at = self.stage.now.saturating_add(nanos(*at));
            self.stage.queue.push(at, Event::Script { line: line as u32, plan: number });
        }
        self.nemesis.plan = Some(plan);
    }

    /// Ends all faults: links healed, weather and disks as in the settings, clocks right, paused nodes go on,
    /// nodes that are down start. Those that refused to start stay down: what was on their disk is gone.
    pub fn calm(&mut self) {
        let all: Vec<NodeId> = self.ids().collect();
        self.calm_core(&all);
    }

    /// As [`World::calm`] for these nodes; all others are down from now on. A protocol that claims to live with a
    /// quorum makes progress with any quorum as its core.
    pub fn calm_core(&mut self, core: &[NodeId]) {
        self.nemesis.plan = None;
        self.nemesis.number += 1;
        self.nemesis.reliefs.clear();
        self.heal();
        self.end_twins();
        self.set_weather(self.stage.settings.weather.clone());
        self.set_disks(self.stage.settings.disks.clone());
        self.set_jobs(self.stage.settings.jobs);
        let all: Vec<NodeId> = self.ids().collect();
        for id in all {
            self.fill_disk(id, false);
            self.repair_clock(id);
            self.quicken(id);
            if !core.contains(&id) {
                self.crash(id);
                continue;
            }
            self.resume(id);
            if self.state(id) == NodeState::Down {
                self.restart(id);
            }
        }
    }

    pub(crate) fn strike(&mut self, source: u32, plan: u32) {
        if plan != self.nemesis.number {
            return;
        }
        let Some(Source { fault, every, lasts }) =
            self.nemesis.plan.as_ref().and_then(|plan| plan.sources.get(source as usize)).copied()
        else {
            return;
        };
        let at = self.stage.now + 1 + self.nemesis.rng.within(0..2 * nanos(every));
        self.stage.queue.push(at, Event::Strike { source, plan });
        let lasts = self.nemesis.between(lasts);
        self.inflict(fault, lasts, None);
    }

    pub(crate) fn play(&mut self, line: u32, plan: u32) {
        if plan != self.nemesis.number {
            return;
        }
        let line = self.nemesis.plan.as_ref().and_then(|plan| plan.script.get(line as usize)).copied();
        if let Some(ScriptLine { fault, lasts, victim, .. }) = line {
            self.inflict(fault, nanos(lasts), victim);
        }
    }

    /// Has a blow end after this many nanoseconds.
    pub(super) fn relieve_after(&mut self, lasts: u64, relief: Relief) {
        self.nemesis.relief_number += 1;
        let number = self.nemesis.relief_number;
        self.nemesis.reliefs.insert(number, relief);
        self.stage.queue.push(self.stage.now.saturating_add(lasts), Event::Relief(number));
    }

    pub(crate) fn relieve(&mut self, number: u32) {
        let Some(relief) = self.nemesis.reliefs.remove(&number) else { return };
        match relief {
            Relief::Mend(directions) => self.mend_directions(&directions),
            Relief::Flap { directions, period, left, cut } => {
                if cut {
                    self.mend_directions(&directions);
                } else {
                    self.cut_directions(&directions);
                }
                if left > 0 || !cut {
                    let left = left.saturating_sub(1);
                    self.relieve_after(period, Relief::Flap { directions, period, left, cut: !cut });
                }
            }
            Relief::Start(id) => {
                if self.state(id) == NodeState::Down {
                    self.restart(id);
                }
            }
            Relief::Wipe(id) => self.wipe(id),
            Relief::OldDisk(id) => {
                self.old_disk(id);
            }
            Relief::EndTwins => self.end_twins(),
            Relief::Resume(id) => self.resume(id),
            Relief::Quicken(id) => self.quicken(id),
            Relief::Clock(id) => self.repair_clock(id),
            Relief::Space(id) => self.fill_disk(id, false),
            Relief::Fair => {
                if let Some(plan) = &self.nemesis.plan {
                    self.stage.net.set_weather(plan.weather.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octaves_are_equally_likely() {
        let mut rng = Rng::from_seed(1);
        let drawn: Vec<u64> = (0..8000).map(|_| by_octaves(10, 2560, &mut rng)).collect();
        assert!(drawn.iter().all(|d| (10..=2560).contains(d)));
        let short = drawn.iter().filter(|d| **d < 40).count();
        assert!((1500..2100).contains(&short), "{short} of 8000 in two of nine octaves");
        assert_eq!(by_octaves(5, 5, &mut rng), 5);
    }
}
