//! What handles ask a scope of groups, and what it tells observers.

use crate::groups::{GroupId, GroupStatus, Groups, GroupsCounters};
use crate::raft::{Founding, RaftNotice};
use quorate_core::{AnyAsk, NodeId, Promise};

pub enum Ask {
    /// Of one group; made by its handle.
    Of {
        group: GroupId,
        ask: AnyAsk,
    },
    Create {
        group: GroupId,
        founding: Founding,
        promise: Promise<()>,
    },
    Remove {
        group: GroupId,
        promise: Promise<()>,
    },
    Status {
        promise: Promise<GroupsStatus>,
    },
    Look {
        from: GroupId,
        most: usize,
        promise: Promise<Vec<GroupStatus>>,
    },
}

/// How all groups of a node stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct GroupsStatus {
    /// This node.
    pub node: NodeId,
    /// Groups that are here.
    pub groups: usize,
    /// Of them, asleep.
    pub asleep: usize,
    /// Of them, led by this node.
    pub led: usize,
    /// Of them, without a leader as far as this node knows.
    pub leaderless: usize,
    /// Elections under way that were begun here.
    pub elections: usize,
    /// What happened in this life.
    pub counters: GroupsCounters,
}

impl GroupsStatus {
    /// Takes a look at each of them.
    pub(super) fn of(groups: &Groups) -> GroupsStatus {
        let (mut led, mut leaderless) = (0, 0);
        for status in groups.look_from(GroupId(0)) {
            led += usize::from(status.leads);
            leaderless += usize::from(status.leader.is_none());
        }
        GroupsStatus {
            node: groups.id(),
            groups: groups.len(),
            asleep: groups.asleep(),
            led,
            leaderless,
            elections: groups.elections(),
            counters: groups.counters(),
        }
    }
}

/// What observers of a scope of groups learn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupsNotice {
    /// The group.
    pub group: GroupId,
    /// What its replica on this node tells.
    pub notice: RaftNotice,
}
