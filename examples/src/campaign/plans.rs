//! Fault plans beyond the swarm's own draw.

use quorate::sim::{Delay, Fault, FaultPlan, Source, Swarm, World};
use quorate::{NodeId, Rng};
use std::time::Duration;

/// The plan of a seed: mostly the swarm's; every fourth seed hunts leaders as well, so that leaderships are
/// short, overlap, and end in the middle of things.
pub fn draw(swarm: &Swarm, seed: u64) -> FaultPlan {
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
