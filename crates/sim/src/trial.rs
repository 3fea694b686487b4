//! One run: a workload under faults (safety), then without (progress within a deadline), then its verdict.

use crate::{Coverage, FaultPlan, Stats, Violation, World};
use quorate_core::NodeId;
use std::time::Duration;

/// What an application does in a world, and what it expects of it.
pub trait Workload<A> {
    /// Before any fault.
    fn setup(&mut self, _world: &mut World<A>) {}

    /// A bit of work: asks through handles, looks at tickets. Must not wait (no [`World::finish`] here: what a
    /// fault holds up would hold the workload up). The answer says how long until the next bit.
    fn step(&mut self, world: &mut World<A>) -> Duration;

    /// Which nodes are to heal once faults end; all others are down from then on. `None`: all heal. A protocol
    /// that claims to live with a quorum is asked for progress with no more than one.
    fn core(&mut self, _world: &World<A>) -> Option<Vec<NodeId>> {
        None
    }

    /// Faults have ended.
    fn calmed(&mut self, _world: &mut World<A>) {}

    /// Whether everything has come to what it should be, now that faults have ended.
    fn has_recovered(&mut self, world: &World<A>) -> bool;

    /// What is not yet as it should be, for the report of a run that has not recovered in time.
    fn lacks(&self, _world: &World<A>) -> String {
        String::new()
    }

    /// The verdict at the end; `Err` says what is wrong.
    fn check(&mut self, _world: &mut World<A>) -> Result<(), String> {
        Ok(())
    }
}

/// How a run goes.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What fails while the first phase lasts.
    pub plan: FaultPlan,
    /// How long that is, in simulated time.
    pub safety: Duration,
    /// Within which simulated time the workload must have recovered once faults have ended.
    pub healing: Duration,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run's integer.
    pub seed: u64,
    /// What must not be and was seen.
    pub violation: Option<Violation>,
    /// Everything that happened, as one number.
    pub trace_hash: u64,
    /// How much was done.
    pub stats: Stats,
    /// What really happened.
    pub coverage: Coverage,
}

impl<A> World<A> {
    /// What the run has come to so far.
    pub fn outcome(&self) -> Outcome {
        Outcome {
            seed: self.seed(),
            violation: self.violation().cloned(),
            trace_hash: self.trace_hash(),
            stats: self.stats(),
            coverage: self.coverage(),
        }
    }
}

impl Trial {
    /// Runs it to its end, or to the first violation.
    pub fn run<A>(&self, world: &mut World<A>, workload: &mut impl Workload<A>) -> Outcome {
        workload.setup(world);
        world.unleash(self.plan.clone());
        let end = world.now() + self.safety;
        while world.violation().is_none() && world.now() < end {
            let pause = workload.step(world).max(Duration::from_nanos(1));
            world.run_for(pause.min(end.saturating_sub(world.now())));
        }
        if world.violation().is_none() {
            self.heal(world, workload);
        }
        if world.violation().is_none()
            && let Err(why) = workload.check(world)
        {
            world.violate(None, "the workload's verdict", why);
        }
        world.outcome()
    }

    fn heal<A>(&self, world: &mut World<A>, workload: &mut impl Workload<A>) {
        match workload.core(world) {
            Some(core) => world.calm_core(&core),
            None => world.calm(),
        }
        workload.calmed(world);
        let end = world.now() + self.healing;
        while world.violation().is_none() && !workload.has_recovered(world) {
            if world.now() >= end {
                let lacks = workload.lacks(world);
                let colon = if lacks.is_empty() { "" } else { ": " };
                let why =
                    format!("{:?} after the last fault it has not recovered{colon}{lacks}", self.healing);
                return world.violate(None, "progress after healing", why);
            }
            let pause = workload.step(world).max(Duration::from_nanos(1));
            world.run_for(pause.min(end.saturating_sub(world.now())));
        }
    }
}
