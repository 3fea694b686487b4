//! The planted bugs, and how many seeds a campaign may need to catch each. One that needs more has lost its eyes.

use super::{PROTOCOLS, Protocol};
use quorate::raft::Mutation;

/// A campaign's name, a planted bug's, and the seeds within which it must be caught, counted from 0. A few times
/// what was measured, so that a harmless change of what seeds mean does not fail.
const BUDGETS: &[(&str, &str, u64)] = &[
    ("groups", "claims-unchecked", 6_000),
    ("groups", "marks-out-of-step", 4_000),
    ("groups", "removal-forgotten", 500),
    ("groups", "rewrite-drops-others", 100),
    ("groups", "sleeps-through-death", 1_500),
    ("raft", "ack-before-sync", 500),
    ("raft", "append-without-previous", 200),
    ("raft", "change-too-early", 2_000),
    ("raft", "change-without-joint", 200),
    ("raft", "commit-beyond-log", 200),
    ("raft", "commit-beyond-matched", 200),
    ("raft", "commit-older-term-by-counting", 3_000),
    ("raft", "configuration-not-taken-back", 1_000),
    ("raft", "joint-by-one-body", 1_500),
    ("raft", "journal-ignored", 5_000),
    ("raft", "leader-counts-itself-early", 500),
    ("raft", "lease-outlives-transfer", 4_000),
    ("raft", "logs-by-length-only", 500),
    ("raft", "pre-vote-counts-as-vote", 500),
    ("raft", "pre-vote-frees-vote", 500),
    ("raft", "pull-any-log", 6_000),
    ("raft", "quorum-off-by-one", 200),
    ("raft", "read-before-first-commit", 200),
    ("raft", "read-by-an-old-round", 200),
    ("raft", "read-unapplied", 200),
    ("raft", "read-unconfirmed", 200),
    ("raft", "record-before-object", 1_000),
    ("raft", "removed-counts-itself", 3_000),
    ("raft", "snapshot-holds-follower", 1_000),
    ("raft", "snapshot-without-outgoing", 200),
    ("raft", "snapshot-without-sessions", 200),
    ("raft", "stale-append-truncates", 500),
    ("raft", "unbound-by-newer-term", 2_000),
    ("raft", "vote-before-sync", 2_000),
    ("raft", "vote-for-shorter-log", 200),
    ("raft", "vote-not-persisted", 200),
    ("raft", "vote-twice", 200),
    ("raft", "window-leaks", 500),
    ("work", "lease-without-epoch", 200),
    ("work", "stale-completion-accepted", 100),
];

/// A planted bug that a campaign must catch.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// By this campaign.
    pub protocol: &'static Protocol,
    /// The bug.
    pub mutation: &'static str,
    /// Within this many seeds, counted from 0.
    pub budget: u64,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Seeds that were needed, this one included.
    pub seeds: u64,
    /// The invariant that saw it.
    pub by: String,
}

/// All planted bugs that a campaign is held to.
pub fn planted() -> impl Iterator<Item = Planted> {
    BUDGETS.iter().filter_map(|(protocol, mutation, budget)| {
        let protocol = PROTOCOLS.iter().find(|known| known.name == *protocol)?;
        Some(Planted { protocol, mutation, budget: *budget })
    })
}

/// The other ones, each with the test of `quorate-consensus` that fails with it: campaigns miss them, since something else
/// helps in the end, or meet them too rarely.
pub fn by_test() -> impl Iterator<Item = (&'static str, &'static str)> {
    Mutation::BY_TEST.iter().filter_map(|(bug, test)| {
        let (name, _) = Mutation::ALL.iter().find(|(_, known)| known == bug)?;
        Some((*name, *test))
    })
}

impl Planted {
    /// Runs seeds until one catches it.
    pub fn catch(&self) -> Option<Caught> {
        (0..self.budget).find_map(|seed| {
            let report = self.protocol.campaign(seed..seed + 1, Some(self.mutation), |_| {});
            let violation = report.violations.into_iter().next()?;
            Some(Caught { seeds: seed + 1, by: violation.what })
        })
    }
}
