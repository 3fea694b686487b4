//! A node's clocks: one that drives it and never goes back, one that believes in UTC and may jump.

use quorate_core::{Time, Wall};

/// UTC at the beginning of every world: 2025-01-01.
const EPOCH: u64 = 1_735_689_600_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of one node, as functions of the world's time. A straight line until the next change.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// The world's time of the last change, and what the clock showed then.
    changed_at: u64,
    shown: i128,
    /// Parts per million that it runs fast; `None` while frozen.
    drift_ppm: Option<i32>,
    /// What was read last: the driver never shows less.
    last: u64,
    wall_offset: i128,
}

impl Clock {
    /// A right clock that was just switched on.
    pub(crate) fn new(now: u64) -> Clock {
        Clock { changed_at: now, shown: 0, drift_ppm: Some(0), last: 0, wall_offset: i128::from(now) }
    }

    /// The node boots: its clock starts from zero and keeps its drift; UTC goes on as it was.
    pub(crate) fn boot(&mut self, now: u64) {
        self.wall_offset += self.raw(now);
        self.changed_at = now;
        self.shown = 0;
        self.last = 0;
    }

    fn raw(&self, now: u64) -> i128 {
        let Some(ppm) = self.drift_ppm else { return self.shown };
        let passed = i128::from(now.saturating_sub(self.changed_at));
        // Nearly every clock is right, and a division of 128 bits is what a whole step costs.
        let gained = if ppm == 0 { 0 } else { passed * i128::from(ppm) / MILLION };
        self.shown + passed + gained
    }

    /// What drives the node.
    pub(crate) fn time(&mut self, now: u64) -> Time {
        self.last = self.last.max(u64::try_from(self.raw(now)).unwrap_or(0));
        Time(self.last)
    }

    /// What it believes UTC to be.
    pub(crate) fn wall(&self, now: u64) -> Wall {
        Wall(u64::try_from(i128::from(EPOCH) + self.wall_offset + self.raw(now)).unwrap_or(0))
    }

    /// When, in the world's time, the clock shows `time`; `None` if it never will as it runs now.
    pub(crate) fn when(&self, time: Time, now: u64) -> Option<u64> {
        if time == Time::NEVER {
            return None;
        }
        let ahead = i128::from(time.0) - self.raw(now).max(i128::from(self.last));
        if ahead <= 0 {
            return Some(now);
        }
        let ppm = self.drift_ppm?;
        // From the last change, not from now: rounding must not add up. One nanosecond late, never early.
        let shows = i128::from(time.0) - self.shown;
        let passed = 1 + if ppm == 0 { shows } else { shows * MILLION / (MILLION + i128::from(ppm)) };
        Some(u64::try_from(i128::from(self.changed_at) + passed).unwrap_or(u64::MAX).max(now))
    }

    fn change(&mut self, now: u64) {
        self.time(now);
        self.shown = self.raw(now);
        self.changed_at = now;
    }

    /// From now on it runs this many parts per million fast (slow, if negative).
    pub(crate) fn drift(&mut self, ppm: i32, now: u64) {
        self.change(now);
        self.drift_ppm = Some(ppm.clamp(-900_000, 900_000));
    }

    /// It stands still until [`Clock::drift`].
    pub(crate) fn freeze(&mut self, now: u64) {
        self.change(now);
        self.drift_ppm = None;
    }

    /// The clock source jumps. Backwards the node sees it stand still for as long.
    pub(crate) fn jump(&mut self, by: i64, now: u64) {
        self.change(now);
        self.shown += i128::from(by);
        // UTC is another clock: it does not jump along.
        self.wall_offset -= i128::from(by);
    }

    /// UTC jumps, as when somebody sets it.
    pub(crate) fn jump_wall(&mut self, by: i64) {
        self.wall_offset += i128::from(by);
    }

    /// A right clock again, without a jump of what drives the node.
    pub(crate) fn repair(&mut self, now: u64) {
        self.drift(0, now);
        // What a jump back left behind is made up for, else the node would stand still for as long.
        self.shown = self.shown.max(i128::from(self.last));
        self.wall_offset = i128::from(now) - self.shown;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_goes_back_and_a_wake_time_is_never_met_early() {
        let mut clock = Clock::new(1000);
        assert_eq!(clock.time(1500), Time(500));
        clock.jump(-400, 1500);
        assert_eq!(clock.time(1600), Time(500), "it stands still instead of going back");
        assert_eq!(clock.time(2000), Time(600));
        for ppm in [-50_000, -1, 0, 3, 50_000] {
            clock.drift(ppm, 2000);
            let at = clock.when(Time(10_000_000), 2000).expect("it runs");
            assert!(clock.clone().time(at) >= Time(10_000_000), "{ppm} ppm");
            assert!(clock.clone().time(at - 3) < Time(10_000_000), "{ppm} ppm");
        }
        clock.freeze(3000);
        assert_eq!(clock.when(Time(10_000_000), 3000), None);
        assert_eq!(clock.when(Time(5), 3000), Some(3000), "the past is now");
        assert_eq!(clock.when(Time::NEVER, 3000), None);
    }

    #[test]
    fn utc_survives_a_boot_and_jumps_alone() {
        let mut clock = Clock::new(0);
        let before = clock.wall(7_000);
        clock.boot(7_000);
        assert_eq!((clock.wall(7_000), clock.time(7_000)), (before, Time(0)));
        clock.jump_wall(-50);
        assert_eq!(clock.wall(7_000).0, before.0 - 50);
        clock.jump(1_000, 7_000);
        assert_eq!(clock.wall(7_000).0, before.0 - 50);
        clock.repair(7_000);
        assert_eq!((clock.wall(7_000), clock.time(7_000)), (before, Time(1_000)));
    }
}
