//! Cuts a plan that fails down to what it needs to fail.

use super::plan::FaultPlan;
use crate::{DiskWeather, Weather};

const PASSES_MAX: usize = 4;

impl FaultPlan {
    /// The smallest plan found by leaving things out of this one, one by one, for which `fails` still says yes:
    /// first whole halves of its sources and script, then single ones, then each trait of its weather. Runs `fails`
    /// some dozens of times, always with the same seed if the caller is wise.
    pub fn shrink(mut self, mut fails: impl FnMut(&FaultPlan) -> bool) -> FaultPlan {
        // What one pass leaves out changes what the next one can.
        for _ in 0..PASSES_MAX {
            let before = self.clone();
            self.pass(&mut fails);
            if self == before {
                break;
            }
        }
        self
    }

    fn pass(&mut self, fails: &mut impl FnMut(&FaultPlan) -> bool) {
        let mut piece = self.sources.len().max(self.script.len()).div_ceil(2);
        while piece > 0 {
            self.leave_out(piece, fails);
            piece /= 2;
        }
        for calmer in CALMER {
            let mut plan = self.clone();
            calmer(&mut plan);
            if plan != *self && fails(&plan) {
                *self = plan;
            }
        }
    }

    /// Pieces of this many sources or lines, from the end.
    fn leave_out(&mut self, piece: usize, fails: &mut impl FnMut(&FaultPlan) -> bool) {
        let mut end = self.sources.len();
        while end > 0 {
            let start = end.saturating_sub(piece);
            let mut plan = self.clone();
            plan.sources.drain(start..end);
            if fails(&plan) {
                *self = plan;
            }
            end = start;
        }
        let mut end = self.script.len();
        while end > 0 {
            let start = end.saturating_sub(piece);
            let mut plan = self.clone();
            plan.script.drain(start..end);
            if fails(&plan) {
                *self = plan;
            }
            end = start;
        }
    }
}

/// What can be taken from a plan's weather, the coarse before the fine.
const CALMER: &[fn(&mut FaultPlan)] = &[
    |plan| plan.weather = Weather::fair(),
    |plan| plan.disks = DiskWeather::fair(),
    |plan| plan.jobs = FaultPlan::none().jobs,
    |plan| plan.weather.loss = 0.0,
    |plan| plan.weather.duplicate = 0.0,
    |plan| plan.weather.replay = 0.0,
    |plan| plan.weather.truncate = 0.0,
    |plan| plan.weather.noticed = 0.0,
    |plan| plan.weather.flip = 0.0,
    |plan| plan.weather.bytes_per_second = None,
    |plan| plan.weather.frame_bytes_max = None,
    |plan| plan.weather.delay = Weather::fair().delay,
    |plan| plan.disks.stall.0 = 0.0,
    |plan| plan.disks.sync_fails = 0.0,
    |plan| plan.disks.crash_on_append = 0.0,
    |plan| plan.disks.crash_on_sync = 0.0,
    |plan| plan.disks.object_fails = 0.0,
    |plan| plan.disks.sync = DiskWeather::fair().sync,
];

#[cfg(test)]
mod tests {
    use super::super::plan::Fault;
    use crate::Swarm;
    use std::time::Duration;

    #[test]
    fn what_a_failure_does_not_need_is_left_out() {
        let swarm = Swarm::new(Duration::from_millis(50));
        let needs = |plan: &crate::FaultPlan| {
            plan.sources.iter().any(|source| source.fault == Fault::Crash) && plan.weather.loss > 0.0
        };
        let failing: Vec<_> = (0..200).map(|seed| swarm.draw(seed)).filter(needs).collect();
        assert!(failing.len() > 5);
        for plan in failing {
            let loss = plan.weather.loss;
            let small = plan.shrink(needs);
            assert_eq!(small.sources.len(), 1);
            let mut left = crate::FaultPlan::none();
            left.weather.loss = loss;
            assert_eq!((small.disks, small.jobs), (left.disks, left.jobs));
            assert_eq!((small.weather.loss, small.weather.flip), (loss, 0.0));
        }
    }
}
