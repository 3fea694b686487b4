//! Planted classic bugs. A campaign that does not catch each of them proves nothing.

use super::RaftConfig;

/// Which bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Acknowledges entries before they are on disk, as follower and as leader.
    AckBeforeSync,
    /// As leader counts itself before its own entries are on disk.
    LeaderCountsItselfEarly,
    /// Term and vote are not written down.
    VoteNotPersisted,
    /// Votes for everybody who asks, also twice in a term.
    VoteTwice,
    /// Votes for candidates whose logs lack entries.
    VoteForShorterLog,
    /// Compares logs by their length, whatever their terms.
    LogsByLengthOnly,
    /// One voter less than a majority decides.
    QuorumOffByOne,
    /// Commits an entry of an older term because a quorum has it (Raft figure 8).
    CommitOlderTermByCounting,
    /// As follower commits entries that are not known to be the leader's.
    CommitBeyondMatched,
    /// Appends without regard to the entry before (AppendEntries 2).
    AppendWithoutPrevious,
    /// Takes back the entries behind an append that matches (AppendEntries 3).
    StaleAppendTruncates,
    /// Counts a voter whatever disk it speaks from.
    JournalIgnored,
    /// Answers reads before the term's first commit.
    ReadBeforeFirstCommit,
    /// Takes answers to earlier rounds for the confirmation of a read.
    ReadByAnOldRound,
    /// Answers reads without asking anybody.
    ReadUnconfirmed,
    /// Answers reads before what was committed is applied.
    ReadUnapplied,
    /// Reads by lease while leadership is handed over.
    LeaseOutlivesTransfer,
    /// Votes although it acknowledged a leader a moment ago.
    UnboundByNewerTerm,
    /// Goes from one body of voters to another without both.
    ChangeWithoutJoint,
    /// During a change the new body decides alone.
    JointByOneBody,
    /// Begins a change before the one before is committed.
    ChangeTooEarly,
    /// Keeps a configuration whose entry was overwritten.
    ConfigurationNotTakenBack,
    /// Snapshots leave out the body that is going.
    SnapshotWithoutOutgoing,
    /// Snapshots leave out the sessions, so that a repeated command is applied again.
    SnapshotWithoutSessions,
    /// Pulls logs that are no more up to date than its own.
    PullAnyLog,
    /// Counts the word of a voter that runs on an old copy of its disk. Not in [`Mutation::ALL`]: no campaign puts disks
    /// back, as no protocol survives what nobody can find out.
    OldDiskCounts,
}

#[cfg(feature = "mutations")]
impl Mutation {
    /// Those that campaigns find, by name.
    pub const ALL: [(&'static str, Mutation); 25] = [
        ("ack-before-sync", Mutation::AckBeforeSync),
        ("leader-counts-itself-early", Mutation::LeaderCountsItselfEarly),
        ("vote-not-persisted", Mutation::VoteNotPersisted),
        ("vote-twice", Mutation::VoteTwice),
        ("vote-for-shorter-log", Mutation::VoteForShorterLog),
        ("logs-by-length-only", Mutation::LogsByLengthOnly),
        ("quorum-off-by-one", Mutation::QuorumOffByOne),
        ("commit-older-term-by-counting", Mutation::CommitOlderTermByCounting),
        ("commit-beyond-matched", Mutation::CommitBeyondMatched),
        ("append-without-previous", Mutation::AppendWithoutPrevious),
        ("stale-append-truncates", Mutation::StaleAppendTruncates),
        ("journal-ignored", Mutation::JournalIgnored),
        ("read-before-first-commit", Mutation::ReadBeforeFirstCommit),
        ("read-by-an-old-round", Mutation::ReadByAnOldRound),
        ("read-unconfirmed", Mutation::ReadUnconfirmed),
        ("read-unapplied", Mutation::ReadUnapplied),
        ("lease-outlives-transfer", Mutation::LeaseOutlivesTransfer),
        ("unbound-by-newer-term", Mutation::UnboundByNewerTerm),
        ("change-without-joint", Mutation::ChangeWithoutJoint),
        ("joint-by-one-body", Mutation::JointByOneBody),
        ("change-too-early", Mutation::ChangeTooEarly),
        ("configuration-not-taken-back", Mutation::ConfigurationNotTakenBack),
        ("snapshot-without-outgoing", Mutation::SnapshotWithoutOutgoing),
        ("snapshot-without-sessions", Mutation::SnapshotWithoutSessions),
        ("pull-any-log", Mutation::PullAnyLog),
    ];
}

impl RaftConfig {
    /// Whether this bug is planted. Never in a build without the feature `mutations`.
    #[inline]
    pub(super) fn suffers(&self, bug: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(bug);
        #[cfg(not(feature = "mutations"))]
        {
            let _ = bug;
            false
        }
    }
}
