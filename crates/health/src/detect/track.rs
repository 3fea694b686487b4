//! One subject's state: worse at once, better only after it was better for a while.

use super::{State, Thresholds};
use quorate_core::Time;

/// What was told of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// How it stands.
    pub state: State,
    /// Whether it may be dead already: not yet removed, but no longer relied on.
    pub suspected: bool,
}

impl Condition {
    /// Of whom nothing bad is known.
    pub const HEALTHY: Condition = Condition { state: State::Healthy, suspected: false };

    /// Whoever is silent for long enough to be suspected is not on its way up, whatever was told of it before.
    fn is_better(self, told: Condition) -> bool {
        !self.suspected && self.state <= told.state && self != told
    }
}

/// What is kept of a subject. The last beat is not in it: many subjects share one.
///
/// **Hysteresis.** It becomes worse when its silence says so. It becomes better one state at a time, each after
/// it was better for `steady_for` without a gap that is suspect; suspicion is lifted with the first such step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    told: Condition,
    /// Since when it tells better of itself than what was told; [`Time::NEVER`] while it does not.
    better: Time,
    since: Time,
}

impl Track {
    /// A subject that is healthy from now on.
    pub fn new(now: Time) -> Track {
        Track { told: Condition::HEALTHY, better: Time::NEVER, since: now }
    }

    /// What was told of it.
    pub fn told(&self) -> Condition {
        self.told
    }

    /// When that began.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Whether it is healthy and nothing is pending: then nothing need be kept of it but its name.
    pub fn is_plain(&self) -> bool {
        self.told == Condition::HEALTHY
    }

    /// Judges the silence since `last`. `grace` is when the judge itself came back from a pause: silence before it
    /// accuses nobody, but neither does it excuse: to become better takes beats. True if what is told changed.
    pub fn judge(&mut self, now: Time, last: Time, grace: Time, t: &Thresholds) -> bool {
        let before = self.told;
        let raw = now.since(last);
        let raw = Condition { state: t.state(raw), suspected: raw >= t.suspect_after };
        let excused = now.since(last.max(grace));
        let worse = Condition {
            state: self.told.state.max(t.state(excused)),
            suspected: self.told.suspected || excused >= t.suspect_after,
        };
        if worse != self.told {
            self.told = worse;
            self.better = Time::NEVER;
        }
        if self.better != Time::NEVER && now >= self.better + t.steady_for && raw.is_better(self.told) {
            self.told = Condition { state: raw.state.max(one_better(self.told.state)), suspected: false };
            self.better = Time::NEVER;
        }
        if !raw.is_better(self.told) {
            self.better = Time::NEVER;
        } else if self.better == Time::NEVER {
            self.better = now;
        }
        if self.told != before {
            self.since = now;
        }
        self.told != before
    }

    /// It is known to be dead, without waiting for silence. True if what is told changed.
    pub fn fail(&mut self, now: Time) -> bool {
        let dead = Condition { state: State::Failed, suspected: true };
        let changed = self.told != dead;
        if changed {
            *self = Track { told: dead, better: Time::NEVER, since: now };
        }
        changed
    }

    /// When judging again may change anything, if nothing is heard until then.
    pub fn deadline(&self, now: Time, last: Time, grace: Time, t: &Thresholds) -> Time {
        let mut next = if self.better == Time::NEVER { Time::NEVER } else { self.better + t.steady_for };
        for after in [t.suspect_after, t.degraded_after, t.critical_after, t.failed_after] {
            for from in [last, last.max(grace)] {
                let at = from + after;
                if at > now {
                    next = next.min(at);
                }
            }
        }
        next
    }
}

fn one_better(state: State) -> State {
    match state {
        State::Left | State::Failed => State::Critical,
        State::Critical => State::Degraded,
        State::Degraded | State::Healthy => State::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    /// Judges at each deadline and each beat until `end`; gives what was told and when, in ms.
    fn script(beats: &[u64], grace: Time, end: u64) -> Vec<(u64, State, bool)> {
        let t = Thresholds::default();
        let (mut track, mut last, mut now) = (Track::new(at(0)), at(0), at(0));
        let mut told = Vec::new();
        let mut beats = beats.iter().map(|ms| at(*ms)).peekable();
        loop {
            let deadline = track.deadline(now, last, grace, &t);
            assert!(deadline > now, "a deadline that has passed would be judged for ever");
            now = deadline.min(beats.peek().copied().unwrap_or(Time::NEVER));
            if now > at(end) {
                return told;
            }
            if beats.next_if_eq(&now).is_some() {
                last = now;
            }
            if track.judge(now, last, grace, &t) {
                told.push((now.0 / 1_000_000, track.told().state, track.told().suspected));
            }
        }
    }

    #[test]
    fn silence_is_told_at_each_threshold() {
        let told = script(&[], Time::ZERO, 60_000);
        let expected = [
            (2000, State::Degraded, false),
            (3000, State::Degraded, true),
            (5000, State::Critical, true),
            (10_000, State::Failed, true),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_rhythm_just_beyond_a_threshold_does_not_flap() {
        let beats: Vec<u64> = (1..100).map(|i| i * 2100).collect();
        assert_eq!(script(&beats, Time::ZERO, 200_000), [(2000, State::Degraded, false)]);
    }

    #[test]
    fn what_had_failed_comes_back_one_state_at_a_time() {
        let beats: Vec<u64> = (12..40).map(|s| s * 1000).collect();
        let told = script(&beats, Time::ZERO, 39_000);
        let expected = [
            (15_000, State::Critical, false),
            (18_000, State::Degraded, false),
            (21_000, State::Healthy, false),
        ];
        assert_eq!(told[4..], expected);
    }

    #[test]
    fn a_pause_of_the_judge_accuses_nobody_and_excuses_nobody() {
        let told = script(&[], at(1500), 3600);
        assert_eq!(told, [(3500, State::Degraded, false)], "counted from the judge's return");
        let t = Thresholds::default();
        let mut track = Track::new(at(0));
        assert!(track.judge(at(10_000), at(0), at(0), &t));
        for s in 11..40 {
            assert!(!track.judge(at(s * 1000), at(0), at(s * 1000), &t), "a pause is not a beat");
        }
        assert_eq!(track.told().state, State::Failed);
    }

    #[test]
    fn every_short_script_of_beats_agrees_with_the_state_of_its_silence() {
        // Beats at any subset of ten seconds: the told state is never better than the silence says (no pause
        // here), and after a steady hold for each state it is exactly what the silence says.
        for bits in 0u32..1 << 10 {
            let beats: Vec<u64> = (0..10).filter(|s| bits >> s & 1 == 1).map(|s| (s + 1) * 1000).collect();
            let t = Thresholds::default();
            for end in (0..24_000).step_by(500) {
                let told = script(&beats, Time::ZERO, end).last().map_or(State::Healthy, |(_, s, _)| *s);
                let last = beats.iter().copied().filter(|b| *b <= end).max().unwrap_or(0);
                assert!(told >= t.state(Duration::from_millis(end - last)), "{beats:?} at {end}");
            }
        }
    }
}
