//! Planted bugs of many groups. A campaign that does not catch each of them proves nothing.

use super::GroupsConfig;

/// Which bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupsMutation {
    /// A follower that sleeps does not mind that its leader's node is gone.
    SleepsThroughDeath,
    /// A follower that sleeps does not mind that its leader's node was started anew.
    SleepsThroughRestart,
    /// A leader falls asleep while a follower that is there is behind.
    SleepsWithFollowerBehind,
    /// A leader that sleeps does not say which groups, and nobody asks.
    ClaimsUnchecked,
    /// When the journal is rewritten, records of groups that were not told again are dropped.
    RewriteDropsOthers,
    /// What one group has written counts as on disk when another's is.
    MarksOutOfStep,
}

#[cfg(feature = "mutations")]
impl GroupsMutation {
    /// All of them, by the names that campaigns use.
    pub const ALL: [(&'static str, GroupsMutation); 6] = [
        ("sleeps-through-death", GroupsMutation::SleepsThroughDeath),
        ("sleeps-through-restart", GroupsMutation::SleepsThroughRestart),
        ("sleeps-with-follower-behind", GroupsMutation::SleepsWithFollowerBehind),
        ("claims-unchecked", GroupsMutation::ClaimsUnchecked),
        ("rewrite-drops-others", GroupsMutation::RewriteDropsOthers),
        ("marks-out-of-step", GroupsMutation::MarksOutOfStep),
    ];
}

impl GroupsConfig {
    /// Whether this bug is planted. Never in a build without the feature `mutations`.
    #[inline]
    pub(super) fn suffers(&self, bug: GroupsMutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(bug);
        #[cfg(not(feature = "mutations"))]
        {
            let _ = bug;
            false
        }
    }
}
