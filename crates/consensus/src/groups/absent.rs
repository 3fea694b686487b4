//! Nodes that are there and have no replica of a group: it was not created there yet, or was removed for good.
//!
//! Whoever is spoken to in such a group says so. A leader then lets the group sleep without that node, as without one that is
//! away; and where nobody can be elected without those that are missing, or where not all founders are there to meet, nobody
//! asks for that again and again: the group rests until one of them speaks, or its link comes up, or something is asked of it
//! here. What was said is forgotten then.

use super::common::Common;
use super::state::{Awake, State};
use super::{GroupId, Groups};
use quorate_core::{NodeId, Time};

impl Groups {
    /// Somebody speaks in a group that is not here. It may have been removed for good: a message never brings a group about.
    pub(super) fn on_unknown(&mut self, from: NodeId, group: GroupId) {
        self.common.counters.unknown += 1;
        if !self.is_to_begin(group) {
            self.common.post.not_here(from, group);
        }
    }

    /// That node has no replica of this group.
    pub(super) fn on_not_here(&mut self, from: NodeId, group: GroupId, now: Time) {
        let Some(slot) = self.slots.get_mut(&group) else { return };
        let State::Awake(awake) = &mut slot.state else { return };
        let is_asked = awake.raft.peer_ids().any(|id| id == from);
        if is_asked && !awake.absent.contains(&from) {
            awake.absent.push(from);
            self.common.plan(group, slot, now);
        }
    }
}

impl Common {
    /// Whether nothing can come of its turns for now.
    pub fn rests(&self, awake: &Awake) -> bool {
        let Awake { raft, absent, .. } = awake;
        if absent.is_empty() || raft.is_leader() {
            return false;
        }
        raft.is_lacking_founders(absent)
            || raft.is_founded() && !raft.is_quorum_with(|id| !absent.contains(&id))
    }
}
