//! How far a quorum has come. Raft asks it at every acknowledgement, so for 3 to 7 voters of equal weight
//! nothing is allocated and no general sort runs: a fixed network of compare-and-swap, without branches.

use super::{Electorate, Rule};
use std::fmt::Debug;

/// Voters up to which the stack and the networks are used.
const SMALL: usize = 7;

impl<V: Ord + Clone + Debug> Electorate<V> {
    /// The highest index that voters of at least the rule's weight have reached, where `reached` says how far
    /// each voter is. 0 if a quorum of that weight does not exist.
    pub fn quorum_index(&self, rule: Rule, mut reached: impl FnMut(&V) -> u64) -> u64 {
        let quorum = self.quorum(rule);
        let voters = self.voters();
        if voters.len() > SMALL {
            let mut all: Vec<(u64, u64)> = voters.iter().map(|(v, weight)| (reached(v), *weight)).collect();
            all.sort_unstable_by_key(|(index, _)| std::cmp::Reverse(*index));
            return descend(&all, quorum);
        }
        if self.is_uniform() {
            // Padding with 0 adds voters that have reached nothing, at the low end: ranks stay.
            let mut all = [0u64; SMALL];
            for (slot, (voter, _)) in all.iter_mut().zip(voters) {
                *slot = reached(voter);
            }
            return kth_highest(&mut all, voters.len(), quorum);
        }
        let mut all = [(0u64, 0u64); SMALL];
        for (at, (voter, weight)) in voters.iter().enumerate() {
            let new = (reached(voter), *weight);
            let mut to = at;
            while to > 0 && all[to - 1].0 < new.0 {
                all[to] = all[to - 1];
                to -= 1;
            }
            all[to] = new;
        }
        descend(&all[..voters.len()], quorum)
    }
}

/// The index at which weights, added from the highest index down, first make the quorum.
fn descend(sorted: &[(u64, u64)], quorum: u64) -> u64 {
    let mut weight = 0u64;
    for (index, more) in sorted {
        // Cannot overflow: the weights of an electorate have a sum. Saturation is a quorum anyway.
        weight = weight.saturating_add(*more);
        if weight >= quorum {
            return *index;
        }
    }
    0
}

fn kth_highest(all: &mut [u64; SMALL], len: usize, k: u64) -> u64 {
    match len {
        0..=3 => THREE.iter().for_each(|pair| exchange(all, *pair)),
        4..=5 => FIVE.iter().for_each(|pair| exchange(all, *pair)),
        _ => SEVEN.iter().for_each(|pair| exchange(all, *pair)),
    }
    usize::try_from(k - 1).ok().filter(|at| *at < len).map_or(0, |at| all[at])
}

fn exchange(all: &mut [u64; SMALL], (a, b): (usize, usize)) {
    (all[a], all[b]) = (all[a].max(all[b]), all[a].min(all[b]));
}

// Optimal sorting networks (Knuth, TAOCP 3, section 5.3.4): 3, 9 and 16 exchanges. Proven below.
const THREE: [(usize, usize); 3] = [(0, 2), (0, 1), (1, 2)];
const FIVE: [(usize, usize); 9] = [(0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3)];
const SEVEN: [(usize, usize); 16] = [
    (0, 6),
    (2, 3),
    (4, 5),
    (0, 2),
    (1, 4),
    (3, 6),
    (0, 1),
    (2, 5),
    (3, 4),
    (1, 2),
    (4, 6),
    (2, 3),
    (4, 5),
    (1, 2),
    (3, 4),
    (5, 6),
];

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Rule; 5] = [Rule::Majority, Rule::Byzantine, Rule::Fast, Rule::Unanimous, Rule::Weight(3)];

    /// By asking of every index whether a quorum has reached it.
    fn naive(electorate: &Electorate<usize>, rule: Rule, reached: &[u64]) -> u64 {
        let held = |index: u64| electorate.is_quorum(rule, |v| reached[*v] >= index);
        reached.iter().copied().filter(|index| held(*index)).max().unwrap_or(0)
    }

    #[test]
    fn the_networks_sort_every_row_of_zeros_and_ones() {
        // A network that sorts every row of zeros and ones sorts everything (the 0-1 principle).
        for (len, network) in [(3, &THREE[..]), (5, &FIVE[..]), (7, &SEVEN[..])] {
            for bits in 0u32..1 << len {
                let mut all = [0u64; SMALL];
                (0..len).for_each(|i| all[i] = u64::from(bits >> i & 1));
                network.iter().for_each(|pair| exchange(&mut all, *pair));
                assert!(all.windows(2).all(|pair| pair[0] >= pair[1]), "{len} {bits:b} {all:?}");
            }
        }
    }

    #[test]
    fn the_index_of_equals_is_the_naive_one_for_every_small_case() {
        for n in 1..=5usize {
            let electorate = Electorate::equal(1, 0..n).expect("valid");
            for code in 0..5u64.pow(n as u32) {
                let reached: Vec<u64> = (0..n).map(|i| code / 5u64.pow(i as u32) % 5).collect();
                for rule in RULES {
                    let got = electorate.quorum_index(rule, |v| reached[*v]);
                    assert_eq!(got, naive(&electorate, rule, &reached), "{rule:?} {reached:?}");
                }
            }
        }
    }

    #[test]
    fn the_index_of_weights_is_the_naive_one_for_every_small_case() {
        for code in 0..3u64.pow(4) {
            let electorate =
                Electorate::new(1, (0..4).map(|i| (i, 1 + code / 3u64.pow(i as u32) % 3))).expect("valid");
            for at in 0..4u64.pow(4) {
                let reached: Vec<u64> = (0..4).map(|i| at / 4u64.pow(i) % 4).collect();
                for rule in RULES {
                    let got = electorate.quorum_index(rule, |v| reached[*v]);
                    assert_eq!(
                        got,
                        naive(&electorate, rule, &reached),
                        "{electorate:?} {rule:?} {reached:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_index_is_the_naive_one_for_up_to_twelve_voters_of_any_weight() {
        let mut rng = crate::Rng::from_seed(3);
        for _ in 0..4000 {
            let n = 1 + rng.index(12);
            let heavy = rng.within(1..40);
            let electorate =
                Electorate::new(1, (0..n).map(|v| (v, 1 + rng.within(0..heavy)))).expect("valid");
            let reached: Vec<u64> = (0..n).map(|_| rng.within(0..20)).collect();
            for rule in RULES {
                let got = electorate.quorum_index(rule, |v| reached[*v]);
                assert_eq!(got, naive(&electorate, rule, &reached), "{electorate:?} {rule:?} {reached:?}");
            }
        }
    }

    #[test]
    fn a_quorum_that_cannot_be_has_reached_nothing() {
        let three = Electorate::equal(1, 0..3usize).expect("valid");
        assert_eq!(three.quorum_index(Rule::Weight(4), |_| 9), 0);
        assert_eq!(three.quorum_index(Rule::Weight(u64::MAX), |_| 9), 0);
        let weighted = Electorate::new(1, [(0usize, 2), (1, u64::MAX - 2)]).expect("valid");
        assert_eq!(weighted.quorum_index(Rule::Unanimous, |v| 5 + *v as u64), 5);
    }
}
