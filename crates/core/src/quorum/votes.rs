//! Counting: one vote a voter, outsiders never.

use super::{Electorate, Rule};
use std::fmt::Debug;

/// What became of a vote that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// It is the voter's first and counts.
    Counted,
    /// The voter said the same before; nothing changed.
    Repeated,
    /// The voter said something else before, which stays; nothing changed. Signed, the two are evidence.
    Conflict,
    /// No voter of this electorate; nothing changed.
    Outsider,
}

/// A set of voters of one electorate, with their weight. Its owner uses it with one electorate only: positions
/// mean nothing in another. Up to 64 voters it allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteSet {
    weight: u64,
    first: u64,
    more: Vec<u64>,
}

impl VoteSet {
    /// Nobody.
    pub const fn new() -> VoteSet {
        VoteSet { weight: 0, first: 0, more: Vec::new() }
    }

    /// Adds a voter: [`Cast::Counted`], [`Cast::Repeated`] or [`Cast::Outsider`].
    pub fn add<V: Ord + Clone + Debug>(&mut self, electorate: &Electorate<V>, voter: &V) -> Cast {
        let Some(at) = electorate.position(voter) else { return Cast::Outsider };
        if self.has(at) {
            return Cast::Repeated;
        }
        let (word, bit) = (at / 64, 1 << (at % 64));
        if word == 0 {
            self.first |= bit;
        } else {
            if self.more.len() < word {
                self.more.resize(word, 0);
            }
            self.more[word - 1] |= bit;
        }
        self.weight += electorate.voters()[at].1;
        Cast::Counted
    }

    /// Whether the voter is in it.
    pub fn contains<V: Ord + Clone + Debug>(&self, electorate: &Electorate<V>, voter: &V) -> bool {
        electorate.position(voter).is_some_and(|at| self.has(at))
    }

    /// The sum of its voters' weights.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.first.count_ones() as usize + self.more.iter().map(|w| w.count_ones() as usize).sum::<usize>()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.weight == 0
    }

    /// Its voters, sorted.
    pub fn voters<'a, V: Ord + Clone + Debug>(
        &'a self,
        electorate: &'a Electorate<V>,
    ) -> impl Iterator<Item = &'a V> + 'a {
        electorate.voters().iter().enumerate().filter(|(at, _)| self.has(*at)).map(|(_, (voter, _))| voter)
    }

    /// Empties it; the memory is kept.
    pub fn clear(&mut self) {
        self.weight = 0;
        self.first = 0;
        self.more.fill(0);
    }

    fn has(&self, at: usize) -> bool {
        let word = match at / 64 {
            0 => self.first,
            word => self.more.get(word - 1).copied().unwrap_or(0),
        };
        word >> (at % 64) & 1 == 1
    }
}

/// What a voter may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Choice {
    /// For it.
    For,
    /// Against it.
    Against,
    /// Neither, and no more than that: the quorum is of the whole electorate, so it helps neither side.
    Abstain,
}

/// How a ballot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The weight for it decides.
    Won,
    /// The weight for it can no longer decide, whatever the silent say.
    Lost,
    /// The silent decide.
    Open,
}

/// Who said what, once each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    yes: VoteSet,
    no: VoteSet,
    abstained: VoteSet,
}

impl Ballot {
    /// Nobody has voted.
    pub const fn new() -> Ballot {
        Ballot { yes: VoteSet::new(), no: VoteSet::new(), abstained: VoteSet::new() }
    }

    /// Counts a vote, if it is the voter's first.
    pub fn cast<V: Ord + Clone + Debug>(
        &mut self,
        electorate: &Electorate<V>,
        voter: &V,
        choice: Choice,
    ) -> Cast {
        match self.choice(electorate, voter) {
            Some(said) if said == choice => Cast::Repeated,
            Some(_) => Cast::Conflict,
            None => self.set_mut(choice).add(electorate, voter),
        }
    }

    /// What a voter said.
    pub fn choice<V: Ord + Clone + Debug>(&self, electorate: &Electorate<V>, voter: &V) -> Option<Choice> {
        [Choice::For, Choice::Against, Choice::Abstain]
            .into_iter()
            .find(|choice| self.set(*choice).contains(electorate, voter))
    }

    /// Those who said this.
    pub fn set(&self, choice: Choice) -> &VoteSet {
        match choice {
            Choice::For => &self.yes,
            Choice::Against => &self.no,
            Choice::Abstain => &self.abstained,
        }
    }

    /// How it stands under `rule`.
    pub fn verdict<V: Ord + Clone + Debug>(&self, electorate: &Electorate<V>, rule: Rule) -> Verdict {
        verdict(
            electorate.quorum(rule),
            electorate.total(),
            self.yes.weight(),
            self.no.weight() + self.abstained.weight(),
        )
    }

    fn set_mut(&mut self, choice: Choice) -> &mut VoteSet {
        match choice {
            Choice::For => &mut self.yes,
            Choice::Against => &mut self.no,
            Choice::Abstain => &mut self.abstained,
        }
    }
}

impl<V: Ord + Clone + Debug> Electorate<V> {
    /// How it stands under `rule` when `says` tells what each voter has said: yes, no, or nothing yet. For
    /// those who keep the votes themselves.
    pub fn tally(&self, rule: Rule, mut says: impl FnMut(&V) -> Option<bool>) -> Verdict {
        let (mut yes, mut no) = (0, 0);
        for (voter, weight) in self.voters() {
            match says(voter) {
                Some(true) => yes += weight,
                Some(false) => no += weight,
                None => {}
            }
        }
        verdict(self.quorum(rule), self.total(), yes, no)
    }
}

fn verdict(quorum: u64, total: u64, yes: u64, not_yes: u64) -> Verdict {
    if yes >= quorum {
        Verdict::Won
    } else if total - not_yes < quorum {
        Verdict::Lost
    } else {
        Verdict::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_what_the_silent_could_still_make_of_it() {
        for n in 1..=5usize {
            let electorate = Electorate::new(1, (0..n).map(|v| (v, 1 + v as u64 % 3))).expect("valid");
            for code in 0..3u32.pow(n as u32) {
                let said = |v: usize| match code / 3u32.pow(v as u32) % 3 {
                    0 => None,
                    x => Some(x == 1),
                };
                for rule in [Rule::Majority, Rule::Byzantine, Rule::Fast, Rule::Unanimous] {
                    let with = |rest: bool| electorate.is_quorum(rule, |v| said(*v).unwrap_or(rest));
                    let expected = match (with(false), with(true)) {
                        (true, _) => Verdict::Won,
                        (false, false) => Verdict::Lost,
                        (false, true) => Verdict::Open,
                    };
                    assert_eq!(electorate.tally(rule, |v| said(*v)), expected);
                    let mut ballot = Ballot::new();
                    for v in 0..n {
                        if let Some(yes) = said(v) {
                            let choice = if yes { Choice::For } else { Choice::Against };
                            assert_eq!(ballot.cast(&electorate, &v, choice), Cast::Counted);
                        }
                    }
                    assert_eq!(ballot.verdict(&electorate, rule), expected);
                }
            }
        }
    }

    #[test]
    fn nobody_votes_twice_and_outsiders_never() {
        let three = Electorate::equal(1, [1u8, 2, 3]).expect("valid");
        let mut ballot = Ballot::new();
        assert_eq!(ballot.cast(&three, &1, Choice::For), Cast::Counted);
        assert_eq!(ballot.cast(&three, &1, Choice::For), Cast::Repeated);
        assert_eq!(ballot.cast(&three, &1, Choice::Against), Cast::Conflict);
        assert_eq!(ballot.cast(&three, &9, Choice::For), Cast::Outsider);
        assert_eq!(ballot.cast(&three, &2, Choice::Abstain), Cast::Counted);
        assert_eq!(ballot.cast(&three, &2, Choice::For), Cast::Conflict);
        assert_eq!(ballot.verdict(&three, Rule::Majority), Verdict::Open);
        assert_eq!(ballot.cast(&three, &3, Choice::Against), Cast::Counted);
        assert_eq!(ballot.verdict(&three, Rule::Majority), Verdict::Lost, "one yes, one no, one abstained");
    }

    #[test]
    fn one_for_and_ninety_nine_against_is_lost() {
        let hundred = Electorate::equal(1, 0..100u64).expect("valid");
        let mut ballot = Ballot::new();
        ballot.cast(&hundred, &0, Choice::For);
        assert_eq!(ballot.verdict(&hundred, Rule::Majority), Verdict::Open);
        (1..100).for_each(|v| assert_eq!(ballot.cast(&hundred, &v, Choice::Against), Cast::Counted));
        assert_eq!(ballot.verdict(&hundred, Rule::Majority), Verdict::Lost);
        assert_eq!(ballot.set(Choice::Against).len(), 99);
    }

    #[test]
    fn a_set_of_voters_is_what_a_plain_set_is() {
        let many = Electorate::new(1, (0..200u64).map(|v| (v * 3, 1 + v % 5))).expect("valid");
        let mut rng = crate::Rng::from_seed(9);
        let (mut set, mut plain) = (VoteSet::new(), std::collections::BTreeSet::new());
        for _ in 0..500 {
            let voter = rng.within(0..650);
            let expected = match many.contains(&voter) {
                false => Cast::Outsider,
                true if plain.insert(voter) => Cast::Counted,
                true => Cast::Repeated,
            };
            assert_eq!(set.add(&many, &voter), expected);
            assert_eq!(set.len(), plain.len());
            assert_eq!(set.weight(), plain.iter().map(|v| many.weight_of(v)).sum::<u64>());
        }
        assert!(set.voters(&many).eq(plain.iter()));
        set.clear();
        assert!(set.is_empty() && !set.contains(&many, &0) && set.voters(&many).next().is_none());
    }
}
