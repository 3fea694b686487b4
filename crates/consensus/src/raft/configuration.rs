//! Who decides: voters by name and disk, with weights, and the quorums that elect and that commit. While voters change
//! there are two such bodies at once, and both must agree (Raft §6, joint consensus).
//!
//! **Invariant.** In every body that can be made or read, each quorum that elects meets each that elects and each that
//! commits. What decides during a change decides in both bodies, so it meets whatever decides before or after it.

use quorate_core::quorum::{Electorate, ElectorateError, Rule, meet};
use quorate_core::{JournalId, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A voter: a node on one disk. The same node on another disk is another voter, as it has forgotten what it promised.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Voter {
    /// The node.
    pub node: NodeId,
    /// The journal that its word is given under.
    pub journal: JournalId,
}

/// Changes that can be counted; more than a million a second for a hundred thousand years.
const EPOCH_MAX: u64 = 1 << 62;

/// What a quorum is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Who leads.
    Election,
    /// What is committed, and whether one that leads still does.
    Replication,
}

/// How much weight elects, and how much commits. The default is a majority for both. Others are flexible quorums
/// (Howard, Malkhi, Spiegelman 2016): with five voters `Rule::AtLeast` 4/5 elects and 2/5 commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quorums {
    /// Elects. Any two such quorums must share a voter, or a term could have two leaders.
    pub election: Rule,
    /// Commits, and confirms a leader. It must share a voter with every quorum that elects.
    pub replication: Rule,
}

impl Default for Quorums {
    fn default() -> Self {
        Quorums { election: Rule::Majority, replication: Rule::Majority }
    }
}

/// One body of voters with its quorums.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(Electorate<Voter>, Quorums)", into = "(Electorate<Voter>, Quorums)")]
pub struct Electors {
    voters: Electorate<Voter>,
    quorums: Quorums,
}

/// Voters that cannot decide safely. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The voters are no electorate.
    #[error(transparent)]
    Electorate(#[from] ElectorateError),
    /// One node cannot vote under two disks at once.
    #[error("{0} votes under two journals")]
    TwoJournals(NodeId),
    /// No cluster has changed so often.
    #[error("epoch {0} is beyond all that can be reached")]
    Epoch(u64),
    /// Two leaders of one term could be elected.
    #[error("two quorums of {election} of {total} need not share a voter, so a term could have two leaders")]
    Elections {
        /// The weight that elects.
        election: u64,
        /// The weight of all.
        total: u64,
    },
    /// A new leader could lack what was committed.
    #[error(
        "a quorum of {election} that elects and one of {replication} that commits need not share a voter of {total}"
    )]
    Replication {
        /// The weight that elects.
        election: u64,
        /// The weight that commits.
        replication: u64,
        /// The weight of all.
        total: u64,
    },
    /// More weight is asked for than there is.
    #[error("a quorum of {quorum} of {total} can never be reached")]
    Unreachable {
        /// The weight asked for.
        quorum: u64,
        /// The weight of all.
        total: u64,
    },
}

impl Electors {
    /// These voters with these quorums.
    ///
    /// # Errors
    /// See [`ConfigurationError`].
    pub fn new(voters: Electorate<Voter>, quorums: Quorums) -> Result<Electors, ConfigurationError> {
        // Sorted by node, so the same one stands side by side.
        if let Some(pair) = voters.voters().windows(2).find(|pair| pair[0].0.node == pair[1].0.node) {
            return Err(ConfigurationError::TwoJournals(pair[0].0.node));
        }
        if voters.epoch() > EPOCH_MAX {
            return Err(ConfigurationError::Epoch(voters.epoch()));
        }
        let total = voters.total();
        let (election, replication) = (voters.quorum(quorums.election), voters.quorum(quorums.replication));
        let quorum = election.max(replication);
        if quorum > total {
            return Err(ConfigurationError::Unreachable { quorum, total });
        }
        if !meet(total, election, election) {
            return Err(ConfigurationError::Elections { election, total });
        }
        if !meet(total, election, replication) {
            return Err(ConfigurationError::Replication { election, replication, total });
        }
        Ok(Electors { voters, quorums })
    }

    /// The voters with their weights, ascending.
    pub fn voters(&self) -> &[(Voter, u64)] {
        self.voters.voters()
    }

    /// Counts the changes.
    pub fn epoch(&self) -> u64 {
        self.voters.epoch()
    }

    /// The weights that decide.
    pub fn quorums(&self) -> Quorums {
        self.quorums
    }

    /// The weight that elects, and the weight that commits, of the weight of all.
    pub fn weights(&self) -> (u64, u64, u64) {
        let Quorums { election, replication } = self.quorums;
        (self.voters.quorum(election), self.voters.quorum(replication), self.voters.total())
    }

    /// The voter that this node is, if it is one.
    pub fn voter(&self, node: NodeId) -> Option<(Voter, u64)> {
        let at = self.voters().binary_search_by_key(&node, |(voter, _)| voter.node).ok()?;
        Some(self.voters()[at])
    }

    fn rule(&self, decision: Decision) -> Rule {
        match decision {
            Decision::Election => self.quorums.election,
            Decision::Replication => self.quorums.replication,
        }
    }
}

impl TryFrom<(Electorate<Voter>, Quorums)> for Electors {
    type Error = ConfigurationError;
    fn try_from((voters, quorums): (Electorate<Voter>, Quorums)) -> Result<Electors, ConfigurationError> {
        Electors::new(voters, quorums)
    }
}

impl From<Electors> for (Electorate<Voter>, Quorums) {
    fn from(electors: Electors) -> Self {
        (electors.voters, electors.quorums)
    }
}

/// Who decides from one entry of the log on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// The only body, or the one that is coming.
    pub incoming: Electors,
    /// The one that is going, while voters change.
    pub outgoing: Option<Electors>,
}

impl Configuration {
    /// One body alone.
    pub fn simple(electors: Electors) -> Configuration {
        Configuration { incoming: electors, outgoing: None }
    }

    /// Whether voters are changing.
    pub fn is_joint(&self) -> bool {
        self.outgoing.is_some()
    }

    /// The nodes that vote in either body, ascending, each once.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> =
            self.bodies().flat_map(Electors::voters).map(|(voter, _)| voter.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Whether a node votes in either body, on whatever disk.
    pub fn names(&self, node: NodeId) -> bool {
        self.bodies().any(|electors| electors.voter(node).is_some())
    }

    /// Whether this node on this disk votes in either body.
    pub fn has(&self, voter: Voter) -> bool {
        self.bodies().any(|electors| electors.voter(voter.node).is_some_and(|(found, _)| found == voter))
    }

    /// Bytes of its encoding.
    pub(crate) fn bytes(&self) -> usize {
        postcard::to_stdvec(self).map_or(0, |bytes| bytes.len())
    }

    pub(super) fn is_quorum(&self, decision: Decision, mut says: impl FnMut(&Voter) -> bool) -> bool {
        let mut of = |electors: &Electors| electors.voters.is_quorum(electors.rule(decision), &mut says);
        of(&self.incoming) && self.outgoing.as_ref().is_none_or(of)
    }

    /// The highest index that is reached by what decides.
    pub(super) fn quorum_index(&self, mut reached: impl FnMut(&Voter) -> u64) -> u64 {
        let of = |electors: &Electors, reached: &mut dyn FnMut(&Voter) -> u64| {
            electors.voters.quorum_index(electors.quorums.replication, reached)
        };
        match &self.outgoing {
            // The usual one, without a call through a pointer.
            None => self.incoming.voters.quorum_index(self.incoming.quorums.replication, reached),
            Some(outgoing) => of(&self.incoming, &mut reached).min(of(outgoing, &mut reached)),
        }
    }

    /// The highest index that in every body some voter has reached.
    pub(super) fn some_reached(&self, reached: impl Fn(&Voter) -> u64) -> u64 {
        let of = |electors: &Electors| electors.voters().iter().map(|(voter, _)| reached(voter)).max();
        self.bodies().filter_map(of).min().unwrap_or(0)
    }

    pub(super) fn bodies(&self) -> impl Iterator<Item = &Electors> {
        std::iter::once(&self.incoming).chain(&self.outgoing)
    }
}

impl fmt::Debug for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.node)
    }
}

impl fmt::Debug for Electors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.voters)?;
        match self.quorums == Quorums::default() {
            true => Ok(()),
            false => write!(f, " {:?}", self.quorums),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::quorum::Fraction;

    fn voter(node: u64) -> Voter {
        Voter { node: NodeId(node), journal: JournalId(u128::from(node)) }
    }

    fn electors(epoch: u64, nodes: impl IntoIterator<Item = u64>) -> Option<Electors> {
        let voters = Electorate::equal(epoch, nodes.into_iter().map(voter)).ok()?;
        Electors::new(voters, Quorums::default()).ok()
    }

    /// Every change between two sets of four voters that are not empty.
    fn all_changes() -> impl Iterator<Item = (Electors, Configuration)> {
        let subset = |bits: u32| electors(1, (0..4).filter(move |v| bits >> v & 1 == 1)).unwrap();
        let pairs = (1..16u32).flat_map(|a| (1..16u32).map(move |b| (a, b)));
        pairs.map(move |(a, b)| (subset(a), Configuration { incoming: subset(b), outgoing: Some(subset(a)) }))
    }

    #[test]
    fn both_bodies_decide_in_every_change_among_four_voters() {
        for (outgoing, joint) in all_changes() {
            let (before, after) =
                (Configuration::simple(outgoing), Configuration::simple(joint.incoming.clone()));
            for bits in 0..16u64 {
                let says = |v: &Voter| bits >> v.node.0 & 1 == 1;
                let both = [&before, &after].map(|c| c.is_quorum(Decision::Election, says)) == [true; 2];
                assert_eq!(joint.is_quorum(Decision::Election, says), both);
            }
            for code in 0..81u64 {
                let reached = |v: &Voter| code / 3u64.pow(v.node.0 as u32) % 3;
                let at_least = |i: u64| joint.is_quorum(Decision::Replication, |v| reached(v) >= i);
                let naive = (0..3).filter(|i| at_least(*i)).max().unwrap_or(0);
                assert_eq!(joint.quorum_index(reached), naive);
            }
        }
    }

    #[test]
    fn quorums_of_a_change_meet_those_before_and_after_it() {
        // The reason for the two bodies, checked over every change and every pair of quorums.
        for (outgoing, joint) in all_changes() {
            let (before, after) =
                (Configuration::simple(outgoing), Configuration::simple(joint.incoming.clone()));
            for (a, b) in (0..16u64).flat_map(|a| (0..16u64).map(move |b| (a, b))) {
                let during = joint.is_quorum(Decision::Election, |v| a >> v.node.0 & 1 == 1);
                let alone = [&before, &after]
                    .map(|c| c.is_quorum(Decision::Replication, |v| b >> v.node.0 & 1 == 1))
                    .contains(&true);
                assert!(!(during && alone) || a & b != 0, "{joint:?} {a:b} {b:b}");
            }
        }
    }

    #[test]
    fn flexible_quorums_must_meet_whatever_the_weights_are() {
        let five = |election, replication| {
            let voters = Electorate::equal(1, (0..5).map(voter)).unwrap();
            Electors::new(
                voters,
                Quorums { election: Rule::Weight(election), replication: Rule::Weight(replication) },
            )
        };
        for (election, replication) in (1..=6).flat_map(|e| (1..=6).map(move |r| (e, r))) {
            let sound = election <= 5 && replication <= 5 && 2 * election > 5 && election + replication > 5;
            assert_eq!(five(election, replication).is_ok(), sound, "{election} {replication}");
        }
        let share = |of| Rule::AtLeast(Fraction::new(of, 5).unwrap());
        let weighted = Electorate::new(1, (0..5).map(|n| (voter(n), n + 1))).unwrap();
        let quorums = Quorums { election: share(4), replication: share(2) };
        assert_eq!(Electors::new(weighted, quorums).unwrap().weights(), (12, 6, 15));
    }

    #[test]
    fn a_configuration_is_checked_again_when_it_is_read() {
        let configuration =
            Configuration { incoming: electors(2, [1, 4]).unwrap(), outgoing: electors(1, 1..=3) };
        let bytes = postcard::to_stdvec(&configuration).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(configuration.clone()));
        assert_eq!(configuration.nodes(), [1, 2, 3, 4].map(NodeId));
        assert!(
            configuration.has(voter(4)) && configuration.names(NodeId(2)) && !configuration.names(NodeId(5))
        );
        let other_disk = Voter { node: NodeId(4), journal: JournalId(99) };
        assert!(!configuration.has(other_disk));
        let twice = Electorate::equal(1, [voter(4), other_disk]).unwrap();
        assert_eq!(
            Electors::new(twice.clone(), Quorums::default()),
            Err(ConfigurationError::TwoJournals(NodeId(4)))
        );
        let bytes = postcard::to_stdvec(&(twice, Quorums::default())).unwrap();
        assert!(postcard::from_bytes::<Electors>(&bytes).is_err());
        let split = Quorums { election: Rule::Weight(1), replication: Rule::Majority };
        let bytes =
            postcard::to_stdvec(&(Electorate::equal(1, [voter(1), voter(2)]).unwrap(), split)).unwrap();
        assert!(postcard::from_bytes::<Electors>(&bytes).is_err(), "two leaders of one term");
    }
}
