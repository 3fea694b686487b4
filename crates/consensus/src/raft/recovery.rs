//! A cluster that lost a quorum of its disks for ever, made anew by hand out of what one survivor holds.
//!
//! **What it is not.** No agreement: what it does no quorum agreed to. Of what was committed, the survivors may lack what
//! only the lost disks held; that is lost, and whoever was answered is not told. What was not committed and is in the
//! survivor's log is committed by it.
//!
//! **What keeps it from mixing two logs.** The survivor with the greatest log (Raft §5.4.1) goes on alone, as the only voter
//! of a cluster with a *new name*, in a new term. Everybody else enters that cluster as a newcomer on an empty journal, the
//! other survivors too. Whoever comes back on a journal of the old cluster is foreign to the new one: neither takes a
//! message of the other's. (Should a quorum of the old disks come back after all, there are two clusters. That is why the lost
//! ones are to be named one by one.)
//!
//! The records of a stopped replica go in and those of the new cluster come out; reading and writing a journal is its
//! owner's. Absent: recovery from parts of several logs, and without a survivor, which is a restore from a backup.

use super::{
    Batch, Configuration, ConfigurationError, Electors, Founding, LogId, Quorums, Raft, RaftConfig, Record,
    Term, Voter, configuration::Decision, founding::Digest,
};
use quorate_core::{Corrupt, JournalId, NodeId, quorum::Electorate};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a stopped replica holds, in short: of every survivor, so that the one with the greatest log is found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remains {
    /// The replica.
    pub node: NodeId,
    /// Its journal.
    pub journal: JournalId,
    /// The cluster that it is of.
    pub group: u64,
    /// The last term that it knows.
    pub term: Term,
    /// The last entry of its log.
    pub last: LogId,
    /// The last entry that is no longer in its log.
    pub base: LogId,
    /// Up to where it knows that all is committed: what its snapshot stands for. The rest of the log may be.
    pub committed: LogId,
    /// Who decides, as its log says.
    pub configuration: Configuration,
    /// It holds the log and no state: nothing can be recovered from it alone.
    pub witness: bool,
}

impl Remains {
    fn is(&self, voter: &Voter) -> bool {
        (self.node, self.journal) == (voter.node, voter.journal)
    }
}

/// What whoever recovers a cluster answers for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LostForGood {
    voters: Vec<NodeId>,
}

impl LostForGood {
    /// The disks of these voters are gone, or nobody will ever start a node on one of them; and I accept that what was
    /// committed and is on none of the surviving disks is lost.
    ///
    /// Nothing can check this. If it is not true and they are a quorum, two clusters go on side by side.
    pub fn i_accept_the_loss_of<I: Into<NodeId>>(voters: impl IntoIterator<Item = I>) -> LostForGood {
        let mut voters: Vec<NodeId> = voters.into_iter().map(Into::into).collect();
        voters.sort_unstable();
        voters.dedup();
        LostForGood { voters }
    }
}

/// Why nothing was recovered. Nothing was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRecovered {
    /// Its records are none that a replica writes.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The replica was in no cluster: it holds nothing to go on with.
    #[error("this replica was never founded, and never joined a cluster that did anything")]
    Nothing,
    /// The journal is one under which somebody else votes.
    #[error("this is the journal under which {0} votes")]
    JournalOf(NodeId),
    /// A witness holds no state to go on with.
    #[error("{0} is a witness, which holds no state: recover a replica that does")]
    Witness(NodeId),
    /// A witness holds entries that this replica, the one with the greatest log of those with state, may lack.
    #[error(
        "the log of the witness {node} goes on to {last}, further than this one. What it has not forgotten can be had while a \
         quorum is there, and not here: to give that up, leave it out of the survivors and name it among the lost"
    )]
    WitnessHoldsMore {
        /// Who.
        node: NodeId,
        /// Its last entry.
        last: LogId,
    },
    /// One of the survivors is of another cluster.
    #[error("{0} is of another cluster")]
    OtherCluster(NodeId),
    /// Those who survive can decide.
    #[error("a quorum survives: start these nodes, and replace the lost voters by a change")]
    QuorumSurvives,
    /// Another survivor holds more.
    #[error("the log of {node} goes on to {last}, further than this one: recover that one")]
    HoldsLess {
        /// Who.
        node: NodeId,
        /// Its last entry.
        last: LogId,
    },
    /// The voters said to be lost are not those that are neither here nor among the survivors.
    #[error("the lost voters are {lost:?}, and {named:?} were named: each must be, and nobody else")]
    NotAcknowledged {
        /// The voters that did not survive.
        lost: Vec<NodeId>,
        /// Those that were named.
        named: Vec<NodeId>,
    },
    /// The terms or epochs of this cluster are at their end.
    #[error(transparent)]
    Invalid(#[from] ConfigurationError),
}

/// A stopped replica, read from its journal.
#[derive(Clone, Debug)]
pub struct Survivor {
    raft: Raft,
    remains: Remains,
}

/// What is to stand in the survivor's journal in place of all records of the scope, all or none of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Recovery {
    /// The records.
    pub records: Vec<Record>,
    /// The new cluster's name.
    pub group: u64,
    /// The last entry that was kept.
    pub kept: LogId,
    /// Who decides now: the survivor, alone.
    pub configuration: Configuration,
}

impl Survivor {
    /// Reads what a journal holds of one scope.
    ///
    /// # Errors
    /// [`NotRecovered::Corrupt`], [`NotRecovered::Nothing`] or [`NotRecovered::JournalOf`].
    pub fn read(
        node: NodeId,
        journal: JournalId,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Survivor, NotRecovered> {
        let mut records = records.into_iter().peekable();
        let witness = matches!(records.peek(), Some(Record::Witness));
        let new = if witness { Raft::witness } else { Raft::new };
        let raft = new(node, Arc::new(RaftConfig::default()), Founding::Join(Vec::new()));
        let mut raft = raft.map_err(|why| Corrupt::new(why.to_string()))?;
        for record in records {
            raft.on_replay(record)?;
        }
        let committed = raft.snapshot().map_or(LogId::ZERO, |snapshot| snapshot.last);
        if !raft.log.has(committed) {
            // As at a start: what the snapshot stands for is not in the log.
            raft.log.rebase(committed);
            raft.history.truncate_from(committed.index + 1);
        }
        let Some(configuration) = raft.history.in_force() else { return Err(NotRecovered::Nothing) };
        let other = |(voter, _): &&(Voter, u64)| voter.journal == journal && voter.node != node;
        if let Some((voter, _)) = configuration.bodies().flat_map(Electors::voters).find(other) {
            return Err(NotRecovered::JournalOf(voter.node));
        }
        let configuration = (**configuration).clone();
        let (group, term, last, base) = (raft.group(), raft.term(), raft.last(), raft.log().base());
        let remains = Remains { node, journal, group, term, last, base, committed, configuration, witness };
        Ok(Survivor { raft, remains })
    }

    /// What it holds, in short.
    pub fn remains(&self) -> &Remains {
        &self.remains
    }

    /// The records of a new cluster with all that this replica holds. `others`: the remains of every other survivor.
    ///
    /// # Errors
    /// See [`NotRecovered`].
    pub fn recover(self, others: &[Remains], lost: &LostForGood) -> Result<Recovery, NotRecovered> {
        let Survivor { raft, remains: own } = self;
        if own.witness {
            return Err(NotRecovered::Witness(own.node));
        }
        let others: Vec<&Remains> = others.iter().filter(|other| other.journal != own.journal).collect();
        if let Some(other) = others.iter().find(|other| other.group != own.group) {
            return Err(NotRecovered::OtherCluster(other.node));
        }
        let all: Vec<&Remains> = others.iter().copied().chain([&own]).collect();
        let survives = |voter: &Voter| all.iter().any(|remains| remains.is(voter));
        if all.iter().any(|log| elects(log, &all)) {
            return Err(NotRecovered::QuorumSurvives);
        }
        if let Some(other) =
            others.iter().filter(|other| other.last > own.last).max_by_key(|other| other.last)
        {
            let (node, last) = (other.node, other.last);
            return Err(match other.witness {
                true => NotRecovered::WitnessHoldsMore { node, last },
                false => NotRecovered::HoldsLess { node, last },
            });
        }
        let voters = own.configuration.bodies().flat_map(Electors::voters).map(|(voter, _)| voter);
        let mut gone: Vec<NodeId> = voters.filter(|voter| !survives(voter)).map(|voter| voter.node).collect();
        gone.sort_unstable();
        gone.dedup();
        if gone != lost.voters {
            return Err(NotRecovered::NotAcknowledged { lost: gone, named: lost.voters.clone() });
        }
        // As if it had led a term that nobody else knows.
        let known = others.iter().map(|other| other.term).fold(own.term, Term::max);
        let Some(term) = known.checked_add(1).filter(|term| *term < Term::MAX) else {
            return Err(Corrupt::new("the last of all terms").into());
        };
        let epoch = own.configuration.bodies().map(Electors::epoch).fold(0, u64::max) + 1;
        let alone = Electorate::equal(epoch, [Voter { node: own.node, journal: own.journal }]);
        let electors = Electors::new(alone.map_err(ConfigurationError::from)?, Quorums::default())?;
        let configuration = Configuration::simple(electors);
        let group = new_name(&own, term);
        let mut records = vec![Record::Joined { group }, Record::Hard { term, vote: Some(own.node) }];
        records.extend(raft.snapshot().cloned().map(Record::Snapshot));
        let (log, kept) = (raft.log(), own.last);
        records.push(Record::Begins(log.base()));
        records.extend(log.read(log.base().index + 1, usize::MAX).into_iter().map(Record::Entries));
        records.push(Record::Entries(Batch::configuration(kept.index + 1, term, &configuration)));
        Ok(Recovery { records, group, kept, configuration })
    }
}

/// Whether some survivor would be elected with this log, its own or one that it pulls, by the voters that the log names.
fn elects(log: &Remains, all: &[&Remains]) -> bool {
    // What witnesses have forgotten is not to be had from them.
    let has_it = |r: &&Remains| !r.witness && (r.journal == log.journal || r.last.index >= log.base.index);
    // Whoever has more gives no vote (Raft §5.4.1).
    let votes = |voter: &Voter| all.iter().any(|r| r.is(voter) && r.last <= log.last);
    let keeps = |voter: &Voter| all.iter().any(|r| r.is(voter));
    all.iter().any(has_it)
        && log.configuration.is_quorum(Decision::Election, votes)
        && log.configuration.is_quorum(Decision::Replication, keeps)
}

/// A name that no other cluster has: of what it was called before, who goes on, and from where.
fn new_name(own: &Remains, term: Term) -> u64 {
    let Remains { group, node, journal, last, .. } = own;
    let mut digest = Digest::default();
    [*group, node.0, term, last.term, last.index].iter().for_each(|number| digest.add(&number.to_le_bytes()));
    digest.add(&journal.0.to_le_bytes());
    digest.finish()
}
