//! How long something takes, as a distribution. Integer arithmetic and square roots only, so that every
//! machine draws the same.

use quorate_core::Rng;
use std::time::Duration;

/// A distribution of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Always this.
    Constant(Duration),
    /// Uniform between the two.
    Uniform(Duration, Duration),
    /// Mostly near `floor`, now and then very long: a Pareto distribution of shape 2, whose median lies 0.41
    /// `scale` above the floor, cut off at `max`.
    HeavyTail {
        /// The shortest.
        floor: Duration,
        /// How wide it is.
        scale: Duration,
        /// The longest.
        max: Duration,
    },
}

impl Delay {
    /// Nothing takes any time.
    pub const ZERO: Delay = Delay::Constant(Duration::ZERO);

    /// Draws one, in nanoseconds.
    pub(crate) fn draw(&self, rng: &mut Rng) -> u64 {
        match *self {
            Delay::Constant(d) => nanos(d),
            Delay::Uniform(from, to) => rng.within(nanos(from)..nanos(to).saturating_add(1)),
            Delay::HeavyTail { floor, scale, max } => {
                // 1 - u lies in (0, 1], so there is no division by zero. Only / and sqrt: exact everywhere.
                let stretch = 1.0 / (1.0 - rng.unit()).sqrt() - 1.0;
                let tail = (nanos(scale) as f64 * stretch) as u64;
                nanos(floor).saturating_add(tail).min(nanos(max))
            }
        }
    }

    /// The longest that can come out.
    pub fn max(&self) -> Duration {
        match *self {
            Delay::Constant(d) => d,
            Delay::Uniform(from, to) => from.max(to),
            Delay::HeavyTail { max, .. } => max,
        }
    }
}

/// Nanoseconds, saturating after 584 years.
pub(crate) fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds_and_the_tail_is_heavy() {
        let mut rng = Rng::from_seed(3);
        let ms = Duration::from_millis;
        let uniform = Delay::Uniform(ms(2), ms(4));
        let tail = Delay::HeavyTail { floor: ms(1), scale: ms(1), max: ms(500) };
        let mut long = 0;
        for _ in 0..10_000 {
            assert!((nanos(ms(2))..=nanos(ms(4))).contains(&uniform.draw(&mut rng)));
            let drawn = tail.draw(&mut rng);
            assert!((nanos(ms(1))..=nanos(ms(500))).contains(&drawn));
            long += u32::from(drawn > nanos(ms(11)));
        }
        // P(tail > 10 scales) = 1/121, about 83 of 10,000.
        assert!((40..160).contains(&long), "{long} of 10,000 were long");
        assert_eq!(Delay::ZERO.draw(&mut rng), 0);
    }
}
