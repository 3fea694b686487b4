//! How long a silence means what, and the presets.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a subject stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Heard of lately.
    Healthy,
    /// Missed a beat or two.
    Degraded,
    /// Silent for long.
    Critical,
    /// Silent for so long that it is to be removed.
    Failed,
    /// Taken away deliberately. Never the result of silence.
    Left,
}

/// The fixed detector: lengths of silence. Relations are checked by [`Thresholds::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// How often a beat is due. Default 1 s.
    pub interval: Duration,
    /// Silence after which it is suspected: work may be given to another under a new lease, which costs at
    /// most one extra run. At least two intervals, so that one lost beat accuses nobody. Default 3 s.
    pub suspect_after: Duration,
    /// Silence after which it is degraded. At least two intervals. Default 2 s.
    pub degraded_after: Duration,
    /// Silence after which it is critical. Default 5 s.
    pub critical_after: Duration,
    /// Silence after which it has failed. Default 10 s.
    pub failed_after: Duration,
    /// How long it must have been better, without a gap, before it is told to be: one state at a time from
    /// failed to healthy. At least one interval. Rule of thumb: three intervals. Default 3 s.
    pub steady_for: Duration,
}

/// Thresholds that contradict one another. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdsError {
    /// Beats without a pause between them.
    #[error("the interval is zero")]
    NoInterval,
    /// One beat that is lost or late would be judged.
    #[error("{field} is less than two intervals")]
    TooEager {
        /// Which one.
        field: &'static str,
    },
    /// A worse state would come before a better one.
    #[error("{field} is not after the state before it")]
    Disordered {
        /// Which one.
        field: &'static str,
    },
    /// A subject would be told healthy by its first beat.
    #[error("steady_for is less than an interval")]
    NoHysteresis,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Thresholds {
    /// One room, one machine, or agents inside a process: a beat each 200 ms, suspected after 700 ms, so that
    /// work can be elsewhere within a second; failed after 10 s as by default.
    pub const fn lan() -> Thresholds {
        Thresholds {
            interval: ms(200),
            suspect_after: ms(700),
            steady_for: ms(600),
            ..Thresholds::standard()
        }
    }

    /// The default: a beat each second, failed after 10 s.
    pub const fn standard() -> Thresholds {
        Thresholds {
            interval: ms(1000),
            suspect_after: ms(3000),
            degraded_after: ms(2000),
            critical_after: ms(5000),
            failed_after: ms(10_000),
            steady_for: ms(3000),
        }
    }

    /// Many nodes with many links: a beat each 3 s, failed after 10 s.
    pub const fn mesh() -> Thresholds {
        Thresholds {
            interval: ms(3000),
            suspect_after: ms(7000),
            degraded_after: ms(6000),
            critical_after: ms(8000),
            failed_after: ms(10_000),
            steady_for: ms(6000),
        }
    }

    /// Between sites: a beat each 5 s, failed after 15 s.
    pub const fn wan() -> Thresholds {
        Thresholds {
            interval: ms(5000),
            suspect_after: ms(11_000),
            degraded_after: ms(10_000),
            critical_after: ms(12_500),
            failed_after: ms(15_000),
            steady_for: ms(10_000),
        }
    }

    /// Checks the relations that the fields state.
    pub fn validate(&self) -> Result<(), ThresholdsError> {
        if self.interval.is_zero() {
            return Err(ThresholdsError::NoInterval);
        }
        let two = self.interval.saturating_mul(2);
        for (field, after) in [("suspect_after", self.suspect_after), ("degraded_after", self.degraded_after)]
        {
            if after < two {
                return Err(ThresholdsError::TooEager { field });
            }
        }
        for (field, before, after) in [
            ("critical_after", self.degraded_after, self.critical_after),
            ("failed_after", self.critical_after, self.failed_after),
            ("failed_after", self.suspect_after, self.failed_after),
        ] {
            if after <= before {
                return Err(ThresholdsError::Disordered { field });
            }
        }
        if self.steady_for < self.interval {
            return Err(ThresholdsError::NoHysteresis);
        }
        Ok(())
    }

    /// What a silence of this length means.
    pub fn state(&self, silence: Duration) -> State {
        if silence >= self.failed_after {
            State::Failed
        } else if silence >= self.critical_after {
            State::Critical
        } else if silence >= self.degraded_after {
            State::Degraded
        } else {
            State::Healthy
        }
    }

    /// The shortest silence that means anything.
    pub fn first(&self) -> Duration {
        self.suspect_after.min(self.degraded_after)
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds::standard()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_valid_and_are_what_is_promised() {
        let presets = [Thresholds::lan(), Thresholds::standard(), Thresholds::mesh(), Thresholds::wan()];
        let promised = [(200, 10_000), (1000, 10_000), (3000, 10_000), (5000, 15_000)];
        for (preset, (interval, failed)) in presets.iter().zip(promised) {
            assert_eq!(preset.validate(), Ok(()));
            assert_eq!((preset.interval, preset.failed_after), (ms(interval), ms(failed)));
        }
        assert!(Thresholds::lan().suspect_after < ms(1000), "work is elsewhere within a second");
        assert_eq!(Thresholds::default(), Thresholds::standard());
    }

    #[test]
    fn silence_becomes_worse_at_its_thresholds() {
        let t = Thresholds::default();
        for (silence, state) in [
            (1999, State::Healthy),
            (2000, State::Degraded),
            (4999, State::Degraded),
            (5000, State::Critical),
            (9999, State::Critical),
            (10_000, State::Failed),
        ] {
            assert_eq!(t.state(ms(silence)), state, "{silence} ms");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let t = Thresholds::default();
        let eager = |field| Err(ThresholdsError::TooEager { field });
        let disordered = |field| Err(ThresholdsError::Disordered { field });
        let zero = Duration::ZERO;
        assert_eq!(Thresholds { interval: zero, ..t }.validate(), Err(ThresholdsError::NoInterval));
        assert_eq!(Thresholds { suspect_after: ms(1999), ..t }.validate(), eager("suspect_after"));
        assert_eq!(Thresholds { degraded_after: ms(1999), ..t }.validate(), eager("degraded_after"));
        assert_eq!(Thresholds { critical_after: ms(2000), ..t }.validate(), disordered("critical_after"));
        assert_eq!(Thresholds { failed_after: ms(5000), ..t }.validate(), disordered("failed_after"));
        assert_eq!(Thresholds { suspect_after: ms(10_000), ..t }.validate(), disordered("failed_after"));
        assert_eq!(Thresholds { steady_for: ms(999), ..t }.validate(), Err(ThresholdsError::NoHysteresis));
    }
}
