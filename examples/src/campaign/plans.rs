//! Fault plans beyond the swarm's own draw.

use quorate::Rng;
use quorate::sim::{Fault, FaultPlan, Source, Swarm};
use std::time::Duration;

/// The plan of a seed: mostly the swarm's; every fourth seed hunts leaders as well, so that leaderships are
/// short, overlap, and end in the middle of things. That is where figure 8 of the Raft paper lives.
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
        plan.downtime = quorate::sim::Delay::Uniform(Duration::from_millis(1), unit * 6);
    }
    plan
}
