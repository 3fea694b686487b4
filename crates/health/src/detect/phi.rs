//! The accrual detector of Hayashibara, Defago, Yared and Katayama (2004): suspicion grows with how unlikely
//! the silence is under the rhythm that was seen. `phi = -log10(P(a beat comes later than this))`.
//!
//! Computed the other way round: a threshold of phi is a number of standard deviations, hence a length of
//! silence, known at each beat. So nothing is polled, and the arithmetic is whole: integers, a table of the
//! normal distribution's quantiles, and an integer square root. No floats.
//!
//! Differs from the paper, section 5.2: mean and variance are exponentially weighted (1/16) instead of over a
//! window of 1,000, so that a detector is 24 bytes and not 8,000.

use super::Thresholds;
use quorate_core::Time;
use std::time::Duration;

/// How a silence is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhiConfig {
    /// Phi at which it is suspected: 8 is one mistake in 10^8 beats if the rhythm is normal. 1 to 16. Default 8
    /// (what the accrual detectors of Akka and Cassandra take).
    pub suspect: u8,
    /// Phi at which it has failed, but never before `critical_after` nor later than `failed_after`. 1 to 16, at
    /// least `suspect`. Default 12 (guess).
    pub failed: u8,
    /// The least standard deviation believed: a rhythm that was very even so far promises nothing. Default 100 ms.
    pub deviation_min: Duration,
    /// Added to what the rhythm says: pauses of a process that are no failure. Default 0.
    pub pause: Duration,
}

impl Default for PhiConfig {
    fn default() -> Self {
        PhiConfig { suspect: 8, failed: 12, deviation_min: Duration::from_millis(100), pause: Duration::ZERO }
    }
}

impl PhiConfig {
    /// Whether both phis are in the table and in order.
    pub fn is_valid(&self) -> bool {
        self.suspect >= 1 && self.suspect <= self.failed && usize::from(self.failed) <= QUANTILES.len()
    }
}

/// Thousandths of standard deviations beyond which a normal variable lies with probability 10^-1, 10^-2 ...
const QUANTILES: [u64; 16] =
    [1282, 2326, 3090, 3719, 4265, 4753, 5199, 5612, 5998, 6361, 6706, 7034, 7349, 7651, 7941, 8222];

/// The rhythm of one subject's beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phi {
    last: Time,
    mean_us: u64,
    /// In square microseconds. A gap is cut to [`GAP_MAX_US`], so this fits.
    variance: u64,
}

/// An hour. Longer gaps say nothing about a rhythm.
const GAP_MAX_US: u64 = 3_600_000_000;
const WEIGHT: u64 = 16;

impl Phi {
    /// Before the first gap, the rhythm is guessed: the interval, give or take a quarter (as Akka guesses).
    pub fn new(interval: Duration, now: Time) -> Phi {
        let mean_us = micros(interval);
        Phi { last: now, mean_us, variance: (mean_us / 4).pow(2) }
    }

    /// A beat came.
    pub fn beat(&mut self, now: Time) {
        let gap = micros(now.since(self.last));
        self.last = self.last.max(now);
        let off = gap.abs_diff(self.mean_us);
        // West's update: the variance first, with the old mean.
        self.variance = self.variance - self.variance / WEIGHT + off.saturating_mul(off) / WEIGHT;
        self.variance = self.variance.min(GAP_MAX_US * GAP_MAX_US);
        self.mean_us = self.mean_us - self.mean_us / WEIGHT + gap / WEIGHT;
    }

    /// The silence at which phi reaches `phi` (1 to 16).
    pub fn silence_at(&self, phi: u8, config: &PhiConfig) -> Duration {
        let at = usize::from(phi.max(1)).min(QUANTILES.len()) - 1;
        let us = self.mean_us + self.deviation_us(config) * QUANTILES[at] / 1000;
        Duration::from_micros(us).saturating_add(config.pause)
    }

    /// Phi of a silence, in tenths, between the table's whole numbers by straight lines; at most 160. For
    /// display: what decides is [`Phi::thresholds`].
    pub fn tenths(&self, silence: Duration, config: &PhiConfig) -> u32 {
        let over = micros(silence.saturating_sub(config.pause)).saturating_sub(self.mean_us);
        let thousandths = over.saturating_mul(1000) / self.deviation_us(config).max(1);
        let (mut below, mut phi) = (0, 0);
        for quantile in QUANTILES {
            if thousandths < quantile {
                let part = (thousandths - below) * 10 / (quantile - below);
                return phi + part as u32;
            }
            (below, phi) = (quantile, phi + 10);
        }
        phi
    }

    /// The fixed thresholds with suspicion and failure moved to where this rhythm puts them: never earlier
    /// than two intervals, never later than `failed_after`. So what is silent has failed at the latest when the fixed
    /// detector says so.
    pub fn thresholds(&self, fixed: &Thresholds, config: &PhiConfig) -> Thresholds {
        let two = fixed.interval.saturating_mul(2).min(fixed.failed_after);
        let bound = |phi, least: Duration| self.silence_at(phi, config).clamp(least, fixed.failed_after);
        Thresholds {
            suspect_after: bound(config.suspect, two),
            failed_after: bound(config.failed, fixed.critical_after.max(two).min(fixed.failed_after)),
            ..*fixed
        }
    }

    fn deviation_us(&self, config: &PhiConfig) -> u64 {
        self.variance.isqrt().max(micros(config.deviation_min))
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX).min(GAP_MAX_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Rng;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rhythm(gaps: impl IntoIterator<Item = u64>) -> Phi {
        let mut now = Time::ZERO;
        let mut phi = Phi::new(ms(1000), now);
        for gap in gaps {
            now = now + ms(gap);
            phi.beat(now);
        }
        phi
    }

    #[test]
    fn the_estimate_is_the_rhythm() {
        let mut rng = Rng::from_seed(5);
        // Uniform in 800..1200: mean 1000, deviation 400 / sqrt(12) = 115.
        let phi = rhythm((0..2000).map(|_| rng.within(800..1200)));
        assert!((950_000..1_050_000).contains(&phi.mean_us), "{phi:?}");
        assert!((80_000..150_000).contains(&phi.variance.isqrt()), "{phi:?}");
    }

    #[test]
    fn a_detector_is_small() {
        assert!(size_of::<Phi>() <= 24);
    }

    #[test]
    fn an_uneven_rhythm_is_given_more_time_than_an_even_one() {
        let config = PhiConfig::default();
        let even = rhythm([1000; 200]);
        let uneven = rhythm((0..200).map(|i| if i % 2 == 0 { 400 } else { 1600 }));
        assert!(even.silence_at(8, &config) < ms(1600), "{:?}", even.silence_at(8, &config));
        assert!(uneven.silence_at(8, &config) > ms(3000), "{:?}", uneven.silence_at(8, &config));
        assert!(even.silence_at(8, &config) < even.silence_at(12, &config));
    }

    #[test]
    fn phi_grows_with_silence_and_meets_its_thresholds() {
        let config = PhiConfig::default();
        let phi = rhythm([1000; 200]);
        assert_eq!(phi.tenths(ms(1000), &config), 0);
        for whole in 1..=16u8 {
            let at = phi.silence_at(whole, &config);
            assert!(phi.tenths(at + ms(1), &config) >= u32::from(whole) * 10);
            assert!(phi.tenths(at - ms(1), &config) <= u32::from(whole) * 10);
        }
        assert_eq!(phi.tenths(Duration::MAX, &config), 160);
    }

    #[test]
    fn no_rhythm_moves_a_threshold_out_of_its_bounds() {
        let (fixed, config) = (Thresholds::default(), PhiConfig::default());
        let odd = [rhythm([0; 300]), rhythm([u64::MAX / 2; 3]), rhythm([1, 3_600_000, 1, 3_600_000])];
        for phi in odd {
            let t = phi.thresholds(&fixed, &config);
            assert!(t.suspect_after >= ms(2000) && t.suspect_after <= fixed.failed_after, "{t:?}");
            assert!(t.failed_after >= fixed.critical_after && t.failed_after <= fixed.failed_after, "{t:?}");
        }
    }

    #[test]
    fn an_even_rhythm_is_suspected_sooner_than_by_the_fixed_thresholds() {
        let t = rhythm([1000; 200]).thresholds(&Thresholds::default(), &PhiConfig::default());
        assert_eq!((t.suspect_after, t.failed_after), (ms(2000), ms(5000)));
    }
}
