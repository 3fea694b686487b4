//! The least weight that decides, as a function of the total weight. No voters here.

use serde::{Deserialize, Serialize};

/// How much weight decides. The unit is weight: with every weight 1 it is a number of voters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// More than half: `W/2 + 1`. Crash faults; also the classic quorum of Fast Paxos.
    Majority,
    /// At least this share: `ceil(W * fraction)`. 3/4 of 5 is 4, never 3.
    AtLeast(Fraction),
    /// At least this much, whatever the total: for flexible quorums, which their owner checks with [`meet`].
    Weight(u64),
    /// With `F = (W-1)/3` faulty: `(W+F)/2 + 1`, which for weights of 1 is `ceil((n+f+1)/2)`. Any two quorums
    /// share an honest voter, and the honest alone are one (Castro and Liskov 1999, for any n and not just 3f+1).
    Byzantine,
    /// The fast quorum of Fast Paxos: the least `Qf` with `Qc + 2 Qf > 2 W` for the classic quorum
    /// `Qc = W/2 + 1` (Lamport 2006, section 2.2), which is `ceil(3W/4)`.
    Fast,
    /// All of it.
    Unanimous,
}

impl Rule {
    /// The least weight that decides among `total`. Never 0: nobody's silence decides anything, not even in an
    /// electorate of nobody. It may exceed `total` for [`Rule::Weight`] (then nothing is ever decided).
    pub const fn weight(self, total: u64) -> u64 {
        match self {
            Rule::Majority => total / 2 + 1,
            Rule::AtLeast(fraction) => fraction.of(total),
            Rule::Weight(weight) => at_least_one(weight),
            Rule::Byzantine => {
                // In u128, as the sum of two weights need not fit.
                ((total as u128 + max_faulty(total) as u128) / 2) as u64 + 1
            }
            Rule::Fast => {
                let classic = Rule::Majority.weight(total) as u128;
                ((2 * total as u128).saturating_sub(classic) / 2) as u64 + 1
            }
            Rule::Unanimous => at_least_one(total),
        }
    }

    /// Whether any two quorums of this rule share a voter.
    pub const fn meets_itself(self, total: u64) -> bool {
        meet(total, self.weight(total), self.weight(total))
    }
}

/// The largest faulty weight under which Byzantine agreement is possible: `(W-1)/3`.
pub const fn max_faulty(total: u64) -> u64 {
    total.saturating_sub(1) / 3
}

/// Whether every two sets of at least these weights share a voter: `a + b > total`. Flexible Paxos (Howard,
/// Malkhi, Spiegelman 2016) asks it of every election quorum with every replication quorum.
pub const fn meet(total: u64, a: u64, b: u64) -> bool {
    a as u128 + b as u128 > total as u128
}

const fn at_least_one(weight: u64) -> u64 {
    if weight == 0 { 1 } else { weight }
}

/// A share of a whole: above 0, at most 1, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Fraction {
    of: u32,
    whole: u32,
}

/// Not a share. Nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{of}/{whole} is not above 0 and at most 1")]
pub struct FractionError {
    of: u32,
    whole: u32,
}

impl Fraction {
    /// Three fifths: what weighted votes take by default.
    pub const THREE_FIFTHS: Fraction = Fraction { of: 3, whole: 5 };
    /// Two thirds.
    pub const TWO_THIRDS: Fraction = Fraction { of: 2, whole: 3 };

    /// `of` in `whole`: `Fraction::new(67, 100)` is 0.67.
    pub const fn new(of: u32, whole: u32) -> Result<Fraction, FractionError> {
        if of == 0 || of > whole { Err(FractionError { of, whole }) } else { Ok(Fraction { of, whole }) }
    }

    /// The least weight that is at least this share of `total`; at least 1.
    pub const fn of(self, total: u64) -> u64 {
        let share = (total as u128 * self.of as u128).div_ceil(self.whole as u128);
        at_least_one(share as u64)
    }
}

impl TryFrom<(u32, u32)> for Fraction {
    type Error = FractionError;
    fn try_from((of, whole): (u32, u32)) -> Result<Fraction, FractionError> {
        Fraction::new(of, whole)
    }
}

impl From<Fraction> for (u32, u32) {
    fn from(fraction: Fraction) -> (u32, u32) {
        (fraction.of, fraction.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least weight for which `enough` says yes, by asking them all.
    fn least(total: u64, enough: impl Fn(u64) -> bool) -> u64 {
        (1..=total + 1).find(|w| enough(*w)).expect("some weight is enough")
    }

    #[test]
    fn every_rule_is_the_least_weight_with_its_property() {
        for total in 1..=1000u64 {
            let faulty = (0..total).rev().find(|f| 3 * f < total).expect("0 is below");
            let classic = least(total, |w| 2 * w > total);
            assert_eq!(max_faulty(total), faulty);
            assert_eq!(Rule::Majority.weight(total), classic);
            // Two quorums overlap in more than the faulty weight.
            assert_eq!(Rule::Byzantine.weight(total), least(total, |w| 2 * w > total + faulty));
            assert_eq!(Rule::Byzantine.weight(total), (total + faulty + 1).div_ceil(2));
            assert!(Rule::Byzantine.weight(total) <= total - faulty, "the honest alone decide");
            assert_eq!(Rule::Fast.weight(total), least(total, |w| classic + 2 * w > 2 * total));
            assert_eq!(Rule::Fast.weight(total), (3 * total).div_ceil(4));
            assert_eq!(Rule::Unanimous.weight(total), total);
            for (of, whole) in [(1, 2), (3, 5), (2, 3), (67, 100), (3, 4), (9, 10), (1, 1)] {
                let fraction = Fraction::new(of, whole).expect("a share");
                let expected = least(total, |w| w * u64::from(whole) >= total * u64::from(of));
                assert_eq!(Rule::AtLeast(fraction).weight(total), expected);
            }
        }
    }

    #[test]
    fn the_published_tables_hold() {
        for (n, fast) in [(3, 3), (4, 3), (5, 4), (6, 5), (7, 6), (100, 75)] {
            assert_eq!(Rule::Fast.weight(n), fast, "fast quorum of {n}");
        }
        for (n, f, q) in [(1, 0, 1), (3, 0, 2), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (100, 33, 67)] {
            assert_eq!((max_faulty(n), Rule::Byzantine.weight(n)), (f, q), "byzantine quorum of {n}");
        }
        for (n, q) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4), (100, 51)] {
            assert_eq!(Rule::Majority.weight(n), q, "majority of {n}");
        }
        let three_quarters = Fraction::new(3, 4).expect("a share");
        assert_eq!(Rule::AtLeast(three_quarters).weight(5), 4, "75 % of 5 is not 3");
    }

    #[test]
    fn no_rule_overflows_and_none_is_met_by_nobody() {
        let all = [
            Rule::Majority,
            Rule::AtLeast(Fraction::THREE_FIFTHS),
            Rule::AtLeast(Fraction::new(u32::MAX, u32::MAX).expect("a share")),
            Rule::Weight(0),
            Rule::Byzantine,
            Rule::Fast,
            Rule::Unanimous,
        ];
        for rule in all {
            assert!(rule.weight(0) >= 1, "{rule:?} of nobody");
            assert!(rule.weight(u64::MAX) >= 1, "{rule:?} of the most");
        }
        assert_eq!(Rule::Majority.weight(u64::MAX), 1 << 63);
        assert_eq!(Rule::Fast.weight(u64::MAX), 3 << 62);
        assert!(meet(u64::MAX, u64::MAX, 1) && !meet(u64::MAX, u64::MAX - 1, 1));
    }

    #[test]
    fn a_share_is_above_nothing_and_at_most_the_whole() {
        assert!(Fraction::new(0, 5).is_err());
        assert!(Fraction::new(6, 5).is_err());
        assert!(Fraction::new(0, 0).is_err());
        assert!(postcard::from_bytes::<Fraction>(&[6, 5]).is_err(), "nor from bytes");
        assert_eq!(postcard::from_bytes::<Fraction>(&[3, 5]), Ok(Fraction::THREE_FIFTHS));
        assert!(Rule::Majority.meets_itself(6));
        assert!(!Rule::AtLeast(Fraction::new(1, 2).expect("a share")).meets_itself(6));
    }
}
