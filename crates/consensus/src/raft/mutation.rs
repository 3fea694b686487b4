//! Planted classic bugs. A campaign that does not catch each of them proves nothing.

/// Which bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Acknowledges entries before they are on disk, as follower and as leader.
    AckBeforeSync,
    /// Term and vote are not written down.
    VoteNotPersisted,
    /// One voter less than a majority decides.
    QuorumOffByOne,
    /// Commits an entry of an older term because a quorum has it (Raft figure 8).
    CommitOlderTermByCounting,
    /// Answers reads before the term's first commit.
    ReadBeforeFirstCommit,
    /// Snapshots leave out the sessions, so that a repeated command is applied again.
    SnapshotWithoutSessions,
}

impl Mutation {
    /// All of them, by the names that campaigns use.
    pub const ALL: [(&'static str, Mutation); 6] = [
        ("ack-before-sync", Mutation::AckBeforeSync),
        ("vote-not-persisted", Mutation::VoteNotPersisted),
        ("quorum-off-by-one", Mutation::QuorumOffByOne),
        ("commit-older-term-by-counting", Mutation::CommitOlderTermByCounting),
        ("read-before-first-commit", Mutation::ReadBeforeFirstCommit),
        ("snapshot-without-sessions", Mutation::SnapshotWithoutSessions),
    ];
}
