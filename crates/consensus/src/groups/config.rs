//! Settings of a scope of many groups.

use crate::raft::{RaftConfig, RaftConfigError};
use std::time::Duration;

/// How all groups of a scope behave on this node.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupsConfig {
    /// Each group's settings, the same for all. With thousands of groups on a node the election timeout of
    /// [`RaftConfig::default`] holds where a turn of the node takes much less than a heartbeat.
    pub raft: RaftConfig,
    /// Falls asleep when nothing was asked of it and nothing changed for so long. At least two heartbeats. `None`: no group
    /// ever sleeps. Default 500 ms (guess: ten heartbeats).
    pub sleep_after: Option<Duration>,
    /// Elections that this node may have begun at one time; further ones wait for one to end. Bounds the work and the
    /// messages after a node with many groups is lost. Default 512 (guess).
    pub elections_max: usize,
    /// Groups on this node. Beyond it none is created. Default 100,000 (guess).
    pub groups_max: usize,
    /// Jobs of all groups that are out at one time; others wait for their turn, in turn. Below the node's own bound
    /// of jobs, or the groups would fill the lane. Default 256.
    pub jobs_max: usize,
    /// The journal is rewritten when as many bytes were appended as were alive the last time, and at least these. Default
    /// 4 MiB (guess).
    pub rewrite_bytes_min: usize,
    /// A planted bug; see [`super::GroupsMutation`].
    #[cfg(feature = "mutations")]
    pub mutation: Option<super::GroupsMutation>,
}

impl Default for GroupsConfig {
    fn default() -> Self {
        GroupsConfig {
            raft: RaftConfig::default(),
            sleep_after: Some(Duration::from_millis(500)),
            elections_max: 512,
            groups_max: 100_000,
            jobs_max: 256,
            rewrite_bytes_min: 4 << 20,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }
}

/// Settings that cannot work. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupsConfigError {
    /// Those of each group.
    #[error(transparent)]
    Raft(#[from] RaftConfigError),
    /// A group would fall asleep between two heartbeats.
    #[error("sleep_after {sleep_after:?} is less than two heartbeats of {heartbeat:?}")]
    SleepsTooSoon {
        /// The time.
        sleep_after: Duration,
        /// The heartbeat.
        heartbeat: Duration,
    },
    /// More groups are named than may be here.
    #[error("{0} groups are more than groups_max")]
    TooMany(usize),
    /// A bound of zero admits nothing.
    #[error("{0} is zero")]
    Zero(&'static str),
}

/// What a message of a group needs beside what it needs alone.
const GROUP_HEAD: usize = 24;

impl GroupsConfig {
    /// The defaults, made small enough for a transport whose frames have at most this many bytes.
    pub fn for_frames(frame_bytes_max: usize) -> GroupsConfig {
        let raft = RaftConfig::for_frames(frame_bytes_max.saturating_sub(GROUP_HEAD));
        GroupsConfig { raft, ..GroupsConfig::default() }
    }

    /// The largest frame that these settings can lead to, head included.
    pub fn frame_bytes_max(&self) -> usize {
        self.raft.frame_bytes_max().saturating_add(GROUP_HEAD)
    }

    /// Checks each setting and how they relate.
    ///
    /// # Errors
    /// The first that cannot work.
    pub fn validate(&self) -> Result<(), GroupsConfigError> {
        self.raft.validate()?;
        let positive = [
            ("elections_max", self.elections_max),
            ("groups_max", self.groups_max),
            ("jobs_max", self.jobs_max),
            ("rewrite_bytes_min", self.rewrite_bytes_min),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(GroupsConfigError::Zero(name));
        }
        let heartbeat = self.raft.heartbeat;
        match self.sleep_after.filter(|after| *after < heartbeat.saturating_mul(2)) {
            Some(sleep_after) => Err(GroupsConfigError::SleepsTooSoon { sleep_after, heartbeat }),
            None => Ok(()),
        }
    }
}
