//! What groups and their port tell each other.

use super::GroupId;
use crate::raft::{self, Founding, RaftConfigError};

/// What the port asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Cmd {
    /// Of one group. One that sleeps wakes.
    Of {
        /// Which.
        group: GroupId,
        /// What its port asks.
        cmd: raft::Cmd,
    },
    /// A group is to be here. Answered by [`Event::Created`] or [`Event::NotCreated`].
    Create {
        /// Which.
        group: GroupId,
        /// How.
        founding: Founding,
    },
    /// A group is to be here no more, and never again. Answered by [`Event::Removed`].
    Remove {
        /// Which.
        group: GroupId,
    },
    /// Its port has something to do, or to look at.
    Wake {
        /// Which.
        group: GroupId,
    },
}

/// What the port is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// Of one group.
    Of {
        /// Which.
        group: GroupId,
        /// What its replica tells.
        event: raft::Event,
    },
    /// It is here, and may tell something from now on.
    Opened {
        /// Which.
        group: GroupId,
    },
    /// It was created, and that is on disk.
    Created {
        /// Which.
        group: GroupId,
    },
    /// It was not.
    NotCreated {
        /// Which.
        group: GroupId,
        /// Why.
        why: NotCreated,
    },
    /// It is here no more.
    Closed {
        /// Which.
        group: GroupId,
    },
    /// It was removed, and that is on disk.
    Removed {
        /// Which.
        group: GroupId,
    },
    /// It is awake.
    Woken {
        /// Which.
        group: GroupId,
    },
    /// It sleeps.
    Asleep {
        /// Which.
        group: GroupId,
    },
}

/// Why a group was not created. Nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotCreated {
    /// It was removed here, for good.
    #[error("it was removed for good")]
    Removed,
    /// It is here and was founded or joined otherwise.
    #[error("it is here already, founded otherwise")]
    Otherwise,
    /// It would be founded by others only; this node may join it.
    #[error("this node is not among the voters that found it")]
    NotAVoter,
    /// There are `groups_max` already.
    #[error("this node has as many groups as it may")]
    TooMany,
    /// Nobody could vote in it.
    #[error(transparent)]
    Founding(#[from] RaftConfigError),
}
