//! One electorate, or two at once while voters change (Raft, section 6): then both halves must agree, each by
//! its own quorum, and their denominators are never mixed.

use super::{Electorate, Rule, Verdict};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

/// Who decides now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "V: Ord + Clone + Debug + Serialize"))]
#[serde(bound(deserialize = "V: Ord + Clone + Debug + Deserialize<'de>"))]
pub struct Joint<V> {
    /// The only electorate, or the one that is coming.
    pub incoming: Electorate<V>,
    /// The one that is going, while a change is under way.
    pub outgoing: Option<Electorate<V>>,
}

impl<V: Ord + Clone + Debug> Joint<V> {
    /// One electorate alone.
    pub fn single(electorate: Electorate<V>) -> Joint<V> {
        Joint { incoming: electorate, outgoing: None }
    }

    /// Both halves: the change from the one to the other.
    pub fn change(outgoing: Electorate<V>, incoming: Electorate<V>) -> Joint<V> {
        Joint { incoming, outgoing: Some(outgoing) }
    }

    /// Whether a change is under way.
    pub fn is_joint(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether it votes in either half.
    pub fn contains(&self, voter: &V) -> bool {
        self.incoming.contains(voter) || self.outgoing.as_ref().is_some_and(|half| half.contains(voter))
    }

    /// The voters of both halves, sorted, each once.
    pub fn voters(&self) -> Vec<V> {
        let mut all: Vec<V> = self.halves().flat_map(|half| half.voters()).map(|(v, _)| v.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether those for whom `counts` says yes decide in both halves.
    pub fn is_quorum(&self, rule: Rule, mut counts: impl FnMut(&V) -> bool) -> bool {
        self.halves().all(|half| half.is_quorum(rule, &mut counts))
    }

    /// The highest index that a quorum of both halves has reached.
    pub fn quorum_index(&self, rule: Rule, mut reached: impl FnMut(&V) -> u64) -> u64 {
        let incoming = self.incoming.quorum_index(rule, &mut reached);
        match &self.outgoing {
            None => incoming,
            Some(outgoing) => incoming.min(outgoing.quorum_index(rule, reached)),
        }
    }

    /// How a vote stands: lost once one half has lost it, won once both have won it.
    pub fn tally(&self, rule: Rule, mut says: impl FnMut(&V) -> Option<bool>) -> Verdict {
        let incoming = self.incoming.tally(rule, &mut says);
        let outgoing = match &self.outgoing {
            None => return incoming,
            Some(half) => half.tally(rule, says),
        };
        match (incoming, outgoing) {
            (Verdict::Lost, _) | (_, Verdict::Lost) => Verdict::Lost,
            (Verdict::Won, Verdict::Won) => Verdict::Won,
            _ => Verdict::Open,
        }
    }

    /// Whether every quorum of `a` shares a voter with every quorum of `b`. Asked of each half, as each also
    /// decides alone, before the change or after it.
    pub fn rules_meet(&self, a: Rule, b: Rule) -> bool {
        self.halves().all(|half| super::meet(half.total(), half.quorum(a), half.quorum(b)))
    }

    fn halves(&self) -> impl Iterator<Item = &Electorate<V>> {
        std::iter::once(&self.incoming).chain(&self.outgoing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of non-empty subsets of four voters.
    fn all_pairs() -> impl Iterator<Item = Joint<u32>> {
        let subset = |bits: u32| Electorate::equal(1, (0..4).filter(move |v| bits >> v & 1 == 1));
        (1..16u32)
            .flat_map(move |a| (1..16u32).map(move |b| (a, b)))
            .map(move |(a, b)| Joint::change(subset(a).expect("not empty"), subset(b).expect("not empty")))
    }

    #[test]
    fn both_halves_decide_in_every_change_among_four_voters() {
        for joint in all_pairs() {
            let outgoing = joint.outgoing.clone().expect("a change");
            for bits in 0..16u32 {
                let counts = |v: &u32| bits >> v & 1 == 1;
                let both = joint.incoming.is_quorum(Rule::Majority, counts)
                    && outgoing.is_quorum(Rule::Majority, counts);
                assert_eq!(joint.is_quorum(Rule::Majority, counts), both);
            }
            for code in 0..81u32 {
                let reached = |v: &u32| u64::from(code / 3u32.pow(*v) % 3);
                let naive = (0..3)
                    .filter(|i| joint.is_quorum(Rule::Majority, |v| reached(v) >= *i))
                    .max()
                    .unwrap_or(0);
                assert_eq!(joint.quorum_index(Rule::Majority, reached), naive);
                let says = |v: &u32| [None, Some(true), Some(false)][reached(v) as usize];
                let with = |rest| joint.is_quorum(Rule::Majority, |v| says(v).unwrap_or(rest));
                let expected = match (with(false), with(true)) {
                    (true, _) => Verdict::Won,
                    (false, false) => Verdict::Lost,
                    (false, true) => Verdict::Open,
                };
                assert_eq!(joint.tally(Rule::Majority, says), expected);
            }
        }
    }

    #[test]
    fn quorums_of_a_change_meet_those_before_and_after_it() {
        // The reason for the two halves, checked over every change and every pair of quorums.
        for joint in all_pairs() {
            let outgoing = joint.outgoing.clone().expect("a change");
            for a in 0..16u32 {
                let during = joint.is_quorum(Rule::Majority, |v| a >> v & 1 == 1);
                for b in 0..16u32 {
                    let counts = |v: &u32| b >> v & 1 == 1;
                    let single = joint.incoming.is_quorum(Rule::Majority, counts)
                        || outgoing.is_quorum(Rule::Majority, counts);
                    assert!(!(during && single) || a & b != 0, "{joint:?} {a:b} {b:b}");
                }
            }
        }
    }

    #[test]
    fn flexible_quorums_are_checked_in_both_halves() {
        let five = Electorate::equal(1, 0..5u8).expect("valid");
        let seven = Electorate::equal(2, 0..7u8).expect("valid");
        let single = Joint::single(five.clone());
        assert!(single.rules_meet(Rule::Weight(4), Rule::Weight(2)));
        assert!(!Joint::change(five, seven).rules_meet(Rule::Weight(4), Rule::Weight(2)), "4 + 2 of 7");
        assert_eq!(single.voters(), [0, 1, 2, 3, 4]);
        assert!(single.contains(&4) && !single.contains(&5) && !single.is_joint());
    }
}
