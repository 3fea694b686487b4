//! Fault plans beyond the swarm's own draw.

use super::kv::Fuse;
use quorate::Rng;
use quorate::core::Class;
use quorate::sim::{Delay, Fault, FaultPlan, Garbled, Passing, Settings, Source, Swarm, Verdict, World};
use quorate::{NodeId, ScopeId};
use std::time::Duration;

/// The plan of a seed: mostly the swarm's; every fourth seed hunts leaders as well, so that leaderships are
/// short, overlap, and end in the middle of things.
pub fn draw(swarm: &Swarm, seed: u64) -> FaultPlan {
    let mut swarm = swarm.clone();
    if Rng::from_seed(seed ^ 0x6a5b_1ed5).chance(0.5) {
        swarm.garbled = Garbled::Delivered;
    }
    let mut plan = swarm.draw(seed);
    let mut rng = Rng::from_seed(seed ^ 0x1eade5);
    if rng.chance(0.25) {
        let unit = swarm.unit;
        let hunt = |fault, pace: u32, longest: u32| Source {
            fault,
            every: unit * pace,
            lasts: (unit / 3, unit * longest),
        };
        plan.sources.push(hunt(Fault::CrashLeader, 4 + rng.index(8) as u32, 8));
        plan.sources.push(hunt(Fault::IsolateLeader, 4 + rng.index(8) as u32, 8));
        plan.sources.push(hunt(Fault::CutLink, 3 + rng.index(6) as u32, 10));
        plan.downtime = Delay::Uniform(Duration::from_millis(1), unit * 6);
    }
    plan
}

/// Isolates leaders just after their election, between their first append and its acknowledgement: there figure 8 of
/// the Raft paper lives, where blows at random times hardly ever fall.
pub struct Hunter {
    rng: Rng,
    unit: Duration,
    until: Duration,
    seen: Option<NodeId>,
}

impl Hunter {
    /// Hunts in every fourth seed, up to this time. Messages are slow then, so that there is an in-between.
    pub fn release<A: 'static>(world: &mut World<A>, plan: &mut FaultPlan, unit: Duration, until: Duration) {
        let mut rng = Rng::from_seed(world.seed() ^ 0x0ffe_4512);
        if rng.chance(0.25) {
            plan.weather.delay = Delay::Uniform(unit / 20, unit / 4);
            Hunter { rng, unit, until, seen: None }.look(world);
        }
    }

    fn look<A: 'static>(mut self, world: &mut World<A>) {
        if world.now() >= self.until {
            return;
        }
        let leader = world.leader();
        if leader != self.seen
            && let Some(victim) = leader
            && self.rng.chance(0.8)
        {
            world.isolate(victim);
            let ends = world.now() + self.unit + self.unit.mul_f64(self.rng.unit() * 6.0);
            world.at(ends, move |world| {
                let others: Vec<NodeId> = world.ids().filter(|id| *id != victim).collect();
                others.into_iter().for_each(|other| world.mend(victim, other));
            });
        }
        self.seen = leader;
        let again = world.now() + self.unit.mul_f64(self.rng.unit() / 10.0);
        world.at(again, move |world| self.look(world));
    }
}

/// Every fourth world has inboxes, or lanes, that hold next to nothing, for ever: what overflows there is lost or waits.
pub fn settings(seed: u64) -> Settings {
    let mut rng = Rng::from_seed(seed ^ 0x7197_4a11);
    let mut settings = Settings::default();
    if rng.chance(0.25) {
        settings.inbox.frames_max = 1 + rng.index(16);
        settings.inbox.control_frames_max = 1 + rng.index(16);
    }
    if rng.chance(0.25) {
        settings.jobs_max = 1 + rng.index(3);
        settings.turn.held_max = 1 + rng.index(8);
    }
    settings
}

/// In every fifth seed state machines panic: a fuse for each of these nodes.
pub fn fuses(seed: u64, nodes: usize) -> Option<Vec<Fuse>> {
    let burns = Rng::from_seed(seed ^ 0x000f_05e5).chance(0.2);
    burns.then(|| (0..nodes).map(|_| Fuse::default()).collect())
}

/// Loses or delays some messages and lets others pass, by turns.
struct Sieve {
    rng: Rng,
    unit: Duration,
    scope: ScopeId,
    class: Class,
    /// Of one node, or of all.
    from: Option<NodeId>,
    /// How many of those that are meant.
    share: f64,
    delays: bool,
    /// Strikes from here to there, every other of these periods.
    lasts: (Duration, Duration),
    period: Duration,
}

/// In every fifth seed messages of one class are filtered up to this time, those of one node or of all: votes and
/// heartbeats pass while no entry does, or the other way round. Founding is over when it begins.
pub fn sieve<A>(world: &mut World<A>, scope: ScopeId, unit: Duration, until: Duration) {
    let mut rng = Rng::from_seed(world.seed() ^ 0x0051_e7e5);
    if !rng.chance(0.2) {
        return;
    }
    let ids: Vec<NodeId> = world.ids().collect();
    let class = if rng.chance(0.5) { Class::Control } else { Class::Data };
    let from = rng.pick(&ids).copied().filter(|_| rng.chance(0.5));
    let share = 0.2 + 0.8 * rng.unit();
    let (delays, period) = (rng.chance(0.5), unit * (4 + rng.index(40) as u32));
    let lasts = (Duration::from_secs(1), until);
    let mut sieve = Sieve { rng, unit, scope, class, from, share, delays, lasts, period };
    world.filter(move |passing| sieve.judge(passing));
}

impl Sieve {
    fn judge(&mut self, passing: &Passing<'_>) -> Verdict {
        let Some((scope, class, _)) = passing.message else { return Verdict::Pass };
        let is_meant = (scope, class) == (self.scope, self.class)
            && self.from.is_none_or(|from| from == passing.from)
            && passing.now >= self.lasts.0
            && passing.now < self.lasts.1
            && (passing.now.as_nanos() / self.period.as_nanos().max(1)).is_multiple_of(2);
        if !is_meant || !self.rng.chance(self.share) {
            Verdict::Pass
        } else if self.delays {
            Verdict::Delay(self.unit.mul_f64(self.rng.unit() * 3.0))
        } else {
            Verdict::Drop
        }
    }
}
