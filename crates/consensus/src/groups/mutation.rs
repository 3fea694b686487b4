//! Planted bugs of many groups. A campaign that does not catch each of them proves nothing.

use super::GroupsConfig;

/// Which bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupsMutation {
    /// A follower that sleeps does not mind that its leader's node is gone.
    SleepsThroughDeath,
    /// Nodes that see their sleeping groups otherwise do not say which.
    ClaimsUnchecked,
    /// When the journal is rewritten, records of groups that were not told again are dropped.
    RewriteDropsOthers,
    /// When the journal is rewritten, what was removed is forgotten.
    RemovalForgotten,
    /// What one group has written counts as on disk when another's is.
    MarksOutOfStep,
}

#[cfg(feature = "mutations")]
impl GroupsMutation {
    /// All of them, by the names that campaigns use.
    pub const ALL: [(&'static str, GroupsMutation); 5] = [
        ("sleeps-through-death", GroupsMutation::SleepsThroughDeath),
        ("claims-unchecked", GroupsMutation::ClaimsUnchecked),
        ("rewrite-drops-others", GroupsMutation::RewriteDropsOthers),
        ("removal-forgotten", GroupsMutation::RemovalForgotten),
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
