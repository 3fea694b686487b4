//! Who may vote: sorted voters with weights, for one epoch. What is decided about them is elsewhere.

use super::{Fraction, Rule, max_faulty};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug};
use std::sync::Arc;

/// Voters of one electorate. Consensus among more would drown in its own messages (guess).
pub const VOTERS_MAX: usize = 65_536;

/// Who may vote in one epoch of one scope. Never empty, nobody twice, no weight of 0, and the sum of the
/// weights fits. `V` is a `NodeId`, or a pair with its `JournalId` where votes are bound to a disk.
/// Cheap to clone: the voters are shared.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked<V>", into = "Unchecked<V>")]
#[serde(bound(serialize = "V: Ord + Clone + Debug + Serialize"))]
#[serde(bound(deserialize = "V: Ord + Clone + Debug + Deserialize<'de>"))]
pub struct Electorate<V> {
    epoch: u64,
    /// Sorted by voter.
    voters: Arc<[(V, u64)]>,
    total: u64,
    /// Every weight is 1, as mostly: then the quorum index needs no weights.
    uniform: bool,
}

/// Not an electorate. Nothing was made or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectorateError {
    /// Nobody may vote.
    #[error("an electorate of nobody")]
    Empty,
    /// More than [`VOTERS_MAX`].
    #[error("{0} voters, at most {VOTERS_MAX}")]
    TooMany(usize),
    /// A voter whose vote is nothing.
    #[error("voter {0} has weight 0")]
    ZeroWeight(String),
    /// One voter named twice.
    #[error("voter {0} is there twice")]
    Duplicate(String),
    /// The sum of the weights does not fit into 64 bits.
    #[error("the weights sum to more than 2^64 - 1")]
    Overflow,
    /// One voter alone, if it lies, is more than the faults that are tolerated.
    #[error("voter {voter} weighs {weight}, more than the tolerated faulty weight {max_faulty}")]
    TooHeavy {
        /// Who.
        voter: String,
        /// Its weight.
        weight: u64,
        /// What may be faulty.
        max_faulty: u64,
    },
    /// The honest alone could not reach the raised threshold.
    #[error("a threshold of {threshold} cannot be reached by the honest weight {honest}")]
    Unreachable {
        /// The weight asked for.
        threshold: u64,
        /// Total less the tolerated faulty weight.
        honest: u64,
    },
}

impl<V: Ord + Clone + Debug> Electorate<V> {
    /// These voters with their weights, in any order.
    pub fn new(
        epoch: u64,
        voters: impl IntoIterator<Item = (V, u64)>,
    ) -> Result<Electorate<V>, ElectorateError> {
        let mut voters: Vec<(V, u64)> = voters.into_iter().take(VOTERS_MAX + 1).collect();
        if voters.is_empty() {
            return Err(ElectorateError::Empty);
        }
        if voters.len() > VOTERS_MAX {
            return Err(ElectorateError::TooMany(voters.len()));
        }
        voters.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = voters.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ElectorateError::Duplicate(format!("{:?}", pair[0].0)));
        }
        if let Some((voter, _)) = voters.iter().find(|(_, weight)| *weight == 0) {
            return Err(ElectorateError::ZeroWeight(format!("{voter:?}")));
        }
        let total = voters
            .iter()
            .try_fold(0u64, |sum, (_, weight)| sum.checked_add(*weight))
            .ok_or(ElectorateError::Overflow)?;
        let uniform = voters.iter().all(|(_, weight)| *weight == 1);
        Ok(Electorate { epoch, voters: voters.into(), total, uniform })
    }

    /// These voters, one vote each.
    pub fn equal(epoch: u64, voters: impl IntoIterator<Item = V>) -> Result<Electorate<V>, ElectorateError> {
        Electorate::new(epoch, voters.into_iter().map(|voter| (voter, 1)))
    }

    /// Refuses a voter that alone is heavier than the faulty weight `(W-1)/3`, unless it is allowed by name.
    /// For weights of 1 that refuses fewer than 4 voters, which tolerate no liar at all.
    pub fn refuse_heavy(&self, allowed: &[V]) -> Result<(), ElectorateError> {
        let max_faulty = max_faulty(self.total);
        match self.voters.iter().find(|(voter, weight)| *weight > max_faulty && !allowed.contains(voter)) {
            None => Ok(()),
            Some((voter, weight)) => {
                Err(ElectorateError::TooHeavy { voter: format!("{voter:?}"), weight: *weight, max_faulty })
            }
        }
    }

    /// The Byzantine quorum, raised to at least `raised` of the total; never lowered. Refused where the honest
    /// weight alone could not reach it.
    pub fn byzantine_quorum(&self, raised: Option<Fraction>) -> Result<u64, ElectorateError> {
        let threshold =
            Rule::Byzantine.weight(self.total).max(raised.map_or(0, |fraction| fraction.of(self.total)));
        let honest = self.total - max_faulty(self.total);
        if threshold > honest {
            return Err(ElectorateError::Unreachable { threshold, honest });
        }
        Ok(threshold)
    }

    /// Counts electorates of a scope: each agreed change is a new epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many voters; never 0.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.voters.len()
    }

    /// Voters with their weights, sorted by voter.
    pub fn voters(&self) -> &[(V, u64)] {
        &self.voters
    }

    /// Whether every weight is 1.
    pub fn is_uniform(&self) -> bool {
        self.uniform
    }

    /// Where a voter stands in [`Electorate::voters`]; `None` for outsiders.
    pub fn position(&self, voter: &V) -> Option<usize> {
        self.voters.binary_search_by(|(v, _)| v.cmp(voter)).ok()
    }

    /// Whether it may vote.
    pub fn contains(&self, voter: &V) -> bool {
        self.position(voter).is_some()
    }

    /// A voter's weight; 0 for outsiders.
    pub fn weight_of(&self, voter: &V) -> u64 {
        self.position(voter).map_or(0, |at| self.voters[at].1)
    }

    /// The least weight that decides here under `rule`.
    pub fn quorum(&self, rule: Rule) -> u64 {
        rule.weight(self.total)
    }

    /// The weight of the voters for whom `counts` says yes.
    pub fn weight_where(&self, mut counts: impl FnMut(&V) -> bool) -> u64 {
        // The sum of all weights fits, so that of some does.
        self.voters.iter().filter(|(voter, _)| counts(voter)).map(|(_, weight)| weight).sum()
    }

    /// Whether the voters for whom `counts` says yes decide under `rule`.
    pub fn is_quorum(&self, rule: Rule, counts: impl FnMut(&V) -> bool) -> bool {
        self.weight_where(counts) >= self.quorum(rule)
    }
}

impl<V: Debug> Debug for Electorate<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} ", self.epoch)?;
        let mut set = f.debug_set();
        for (voter, weight) in &*self.voters {
            if self.uniform {
                set.entry(voter);
            } else {
                set.entry(&format_args!("{voter:?}x{weight}"));
            }
        }
        set.finish()
    }
}

/// What an electorate is as bytes: checked again when it is read.
#[derive(Serialize, Deserialize)]
struct Unchecked<V> {
    epoch: u64,
    voters: Vec<(V, u64)>,
}

impl<V: Ord + Clone + Debug> TryFrom<Unchecked<V>> for Electorate<V> {
    type Error = ElectorateError;
    fn try_from(read: Unchecked<V>) -> Result<Electorate<V>, ElectorateError> {
        Electorate::new(read.epoch, read.voters)
    }
}

impl<V: Clone> From<Electorate<V>> for Unchecked<V> {
    fn from(electorate: Electorate<V>) -> Unchecked<V> {
        Unchecked { epoch: electorate.epoch, voters: electorate.voters.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    #[test]
    fn what_is_no_electorate_is_refused_by_name() {
        let make = |voters: &[(u64, u64)]| Electorate::new(1, voters.iter().map(|(v, w)| (NodeId(*v), *w)));
        assert_eq!(make(&[]), Err(ElectorateError::Empty));
        assert_eq!(make(&[(1, 1), (2, 0)]), Err(ElectorateError::ZeroWeight("n2".into())));
        assert_eq!(make(&[(2, 1), (1, 1), (2, 3)]), Err(ElectorateError::Duplicate("n2".into())));
        assert_eq!(make(&[(1, u64::MAX), (2, 1)]), Err(ElectorateError::Overflow));
        assert!(make(&[(1, u64::MAX)]).is_ok());
        let endless = Electorate::equal(1, 0u64..);
        assert_eq!(endless, Err(ElectorateError::TooMany(VOTERS_MAX + 1)));
    }

    #[test]
    fn a_voter_that_outweighs_the_faults_is_refused_unless_it_is_allowed() {
        let four = Electorate::new(1, [(1u8, 1), (2, 1), (3, 1), (4, 1)]).expect("valid");
        assert_eq!(four.refuse_heavy(&[]), Ok(()));
        let heavy = Electorate::new(1, [(1u8, 4), (2, 1), (3, 1), (4, 1)]).expect("valid");
        let too_heavy = ElectorateError::TooHeavy { voter: "1".into(), weight: 4, max_faulty: 2 };
        assert_eq!(heavy.refuse_heavy(&[2]), Err(too_heavy));
        assert_eq!(heavy.refuse_heavy(&[1]), Ok(()));
        assert!(Electorate::equal(1, [1u8, 2, 3]).expect("valid").refuse_heavy(&[]).is_err());
    }

    #[test]
    fn a_byzantine_threshold_may_be_raised_but_not_beyond_the_honest() {
        let percent = |p| Some(Fraction::new(p, 100).expect("a share"));
        for n in 4..=100u64 {
            let all = Electorate::equal(1, 0..n).expect("valid");
            let plain = all.byzantine_quorum(None).expect("reachable");
            assert_eq!(all.byzantine_quorum(percent(1)), Ok(plain), "never lowered");
            assert!(all.byzantine_quorum(percent(67)).is_ok_and(|q| q >= plain), "0.67 of {n}");
            assert!(matches!(all.byzantine_quorum(percent(100)), Err(ElectorateError::Unreachable { .. })));
        }
    }

    #[test]
    fn an_electorate_is_checked_again_when_it_is_read() {
        let three = Electorate::equal(7, [3u64, 1, 2]).expect("valid");
        let bytes = postcard::to_stdvec(&three).expect("writes");
        assert_eq!(bytes, [7, 3, 1, 1, 2, 1, 3, 1], "part of wire and disk");
        assert_eq!(postcard::from_bytes(&bytes), Ok(three));
        assert!(postcard::from_bytes::<Electorate<u64>>(&[7, 2, 1, 1, 1, 1]).is_err(), "one voter twice");
        assert!(postcard::from_bytes::<Electorate<u64>>(&[7, 0]).is_err(), "nobody");
    }

    #[test]
    fn outsiders_weigh_nothing() {
        let some = Electorate::new(1, [(5u8, 10), (1, 3)]).expect("valid");
        assert_eq!((some.weight_of(&5), some.weight_of(&2), some.total(), some.len()), (10, 0, 13, 2));
        assert_eq!((some.position(&1), some.position(&5), some.position(&9)), (Some(0), Some(1), None));
        assert!(some.is_quorum(Rule::Majority, |v| *v == 5) && !some.is_quorum(Rule::Majority, |v| *v == 1));
        assert_eq!(format!("{some:?}"), "epoch 1 {1x3, 5x10}");
    }
}
