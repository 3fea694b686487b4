//! All groups of a node, and what each of them is at the moment.

use super::agenda::{Agenda, Place};
use super::beats::Neighbour;
use super::common::Common;
use super::gate::{Gate, Pass};
use super::news::News;
use super::post::{Post, bundle_max};
use super::rewrite::{Parts, Rewrite};
use super::sleep::{Asking, Why};
use super::{GroupId, GroupsConfig, GroupsConfigError};
use crate::raft::{Folded, Founding, Index, Raft, RaftConfig, Shared, Term};
use quorate_core::{Mark, NodeId, Outbox, Slots, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Many Raft groups of one node, as one protocol: one journal, one sync, one heartbeat a pair of nodes. See
/// [`super`] for how.
pub struct Groups {
    pub(super) id: NodeId,
    /// What every replica has.
    pub(super) raft: Arc<RaftConfig>,
    /// While the journal is replayed: groups that are being told again.
    pub(super) parts: BTreeMap<GroupId, Parts>,
    /// To be created at the start, unless the journal knows them.
    pub(super) begins: BTreeMap<GroupId, Founding>,
    /// Behind which group those of the journal are still to be started, some in each step.
    pub(super) starting: Option<GroupId>,
    pub(super) slots: BTreeMap<GroupId, Slot>,
    pub(super) asleep: usize,
    /// Removed for good.
    pub(super) gone: BTreeSet<GroupId>,
    /// Behind which group all that are awake are still to be told of links.
    pub(super) walk: Option<GroupId>,
    pub(super) neighbours: BTreeMap<NodeId, Neighbour>,
    pub(super) beat_at: Time,
    /// Nobody falls silent before.
    pub(super) silence_at: Time,
    /// Are to wake, some in each step.
    pub(super) to_wake: BTreeMap<GroupId, Why>,
    pub(super) bundle_max: usize,
    pub(super) shared: Shared,
    /// Records replayed.
    pub(super) replayed: u64,
    pub(super) common: Common,
}

/// One group.
#[derive(Debug)]
pub(super) struct Slot {
    /// The record that stands for all that was written of it before.
    pub based: Mark,
    pub state: State,
}

#[derive(Debug)]
pub(super) enum State {
    Awake(Box<Awake>),
    Asleep(Box<Asleep>),
}

#[derive(Debug)]
pub(super) struct Awake {
    pub raft: Raft,
    /// Its replica was told in which life it is.
    pub started: bool,
    pub place: Place,
    pub pass: Pass,
    pub links_seen: u64,
    /// When something was asked of it or changed last.
    pub active_at: Time,
    /// Who was asked whether it may sleep.
    pub asking: Option<Asking>,
    /// Who is there and has no replica of it.
    pub absent: Vec<NodeId>,
    /// Is among those whose followers are to learn what is committed.
    pub has_news: bool,
    /// How often it woke soon after it fell asleep, of late: the next sleep comes later.
    pub restless: u8,
}

#[derive(Debug)]
pub(super) struct Asleep {
    pub folded: Folded,
    /// As leader: who agreed.
    pub agreed: Arc<[NodeId]>,
    pub since: Time,
    pub restless: u8,
}

/// What happened to the groups of a node in this life, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct GroupsCounters {
    /// Groups that fell asleep.
    pub slept: u64,
    /// Groups that woke.
    pub woken: u64,
    /// Of them, because their leader's node fell silent or was started anew.
    pub orphaned: u64,
    /// Of them, leaders whose followers fell silent.
    pub deserted: u64,
    /// Of them, because the node that leads them, or is led, said that it sees them otherwise.
    pub corrected: u64,
    /// Times that a leader asked whether all may sleep and not all agreed in time.
    pub restless: u64,
    /// Beats between nodes.
    pub beats: u64,
    /// Sleeping replicas named to nodes that see them otherwise.
    pub claims: u64,
    /// Commit indices that were told to followers together.
    pub committed: u64,
    /// Small messages that left together with others.
    pub bundled: u64,
    /// Elections that had to wait for others to end.
    pub elections_delayed: u64,
    /// Times that the journal was rewritten.
    pub rewrites: u64,
    /// Groups whose records were told again for that.
    pub told_again: u64,
    /// Messages of groups that are not here.
    pub unknown: u64,
    /// Small messages that were given up, as the disk did not take for long what they waited for.
    pub unsaid: u64,
}

/// How a group stands on this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct GroupStatus {
    /// Which.
    pub group: GroupId,
    /// Whether it sleeps.
    pub sleeps: bool,
    /// Whether this node leads it.
    pub leads: bool,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: Term,
    /// The last index known to be committed.
    pub commit: Index,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Groups({} of {} asleep)", self.asleep, self.slots.len())
    }
}

impl Groups {
    /// No groups yet, but for those in the journal that is replayed.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn new(id: NodeId, config: GroupsConfig) -> Result<Groups, GroupsConfigError> {
        config.validate()?;
        let raft = Arc::new(config.raft.clone());
        // An election takes two round trips and two syncs; a timeout is at least ten round trips.
        let gate = Gate::new(config.elections_max, raft.election_timeout / 4);
        let common = Common {
            boot: None,
            links: BTreeMap::new(),
            links_version: 0,
            agenda: Agenda::default(),
            gate,
            rewrite: Rewrite::default(),
            unsynced: VecDeque::new(),
            inner: Outbox::default(),
            effects: Slots::default(),
            post: Post::default(),
            loads: Vec::new(),
            news: News::default(),
            counters: GroupsCounters::default(),
            config,
        };
        Ok(Groups {
            id,
            raft,
            parts: BTreeMap::new(),
            begins: BTreeMap::new(),
            starting: None,
            slots: BTreeMap::new(),
            asleep: 0,
            gone: BTreeSet::new(),
            walk: None,
            neighbours: BTreeMap::new(),
            beat_at: Time::NEVER,
            silence_at: Time::NEVER,
            to_wake: BTreeMap::new(),
            bundle_max: bundle_max(common.config.frame_bytes_max()),
            shared: Shared::default(),
            replayed: 0,
            common,
        })
    }

    /// A group that is to be here from the start. One that the journal knows stays as it is; one that was removed stays
    /// removed.
    pub fn begin_with(&mut self, group: GroupId, founding: Founding) {
        self.begins.entry(group).or_insert(founding);
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The settings.
    pub fn config(&self) -> &GroupsConfig {
        &self.common.config
    }

    /// The groups that are here, in order.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.slots.keys().copied()
    }

    /// How groups stand, from this one on, in order. What is before it is not looked at.
    pub fn look_from(&self, from: GroupId) -> impl Iterator<Item = GroupStatus> + '_ {
        self.slots.range(from..).map(|(group, slot)| slot.look(*group))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many of them sleep.
    pub fn asleep(&self) -> usize {
        self.asleep
    }

    /// How many of them this node leads.
    pub fn led(&self) -> usize {
        self.look_from(GroupId(0)).filter(|status| status.leads).count()
    }

    /// Whether the group is here.
    pub fn has(&self, group: GroupId) -> bool {
        self.slots.contains_key(&group)
    }

    /// Whether it was named at the build and is about to be here.
    pub(super) fn is_to_begin(&self, group: GroupId) -> bool {
        self.begins.contains_key(&group)
    }

    /// Whether it was removed here.
    pub fn is_gone(&self, group: GroupId) -> bool {
        self.gone.contains(&group)
    }

    /// All that were removed.
    pub(super) fn removed(&self) -> impl Iterator<Item = GroupId> + '_ {
        self.gone.iter().copied()
    }

    /// The replica of a group, unless it sleeps or has not started yet.
    pub fn raft(&self, group: GroupId) -> Option<&Raft> {
        match &self.slots.get(&group)?.state {
            State::Awake(awake) => awake.started.then_some(&awake.raft),
            State::Asleep(_) => None,
        }
    }

    /// How a group stands, awake or asleep.
    pub fn look(&self, group: GroupId) -> Option<GroupStatus> {
        Some(self.slots.get(&group)?.look(group))
    }

    /// What happened in this life.
    pub fn counters(&self) -> GroupsCounters {
        self.common.counters
    }

    /// Elections that were begun here and have a place.
    pub fn elections(&self) -> usize {
        self.common.gate.taken()
    }

    pub(super) fn awake_mut(&mut self, group: GroupId) -> Option<&mut Awake> {
        match &mut self.slots.get_mut(&group)?.state {
            State::Awake(awake) => Some(awake),
            State::Asleep(_) => None,
        }
    }

    pub(super) fn asleep_at(&self, group: GroupId) -> Option<&Asleep> {
        match &self.slots.get(&group)?.state {
            State::Awake(_) => None,
            State::Asleep(asleep) => Some(asleep),
        }
    }
}

impl Slot {
    fn look(&self, group: GroupId) -> GroupStatus {
        match &self.state {
            State::Awake(awake) => GroupStatus {
                group,
                sleeps: false,
                leads: awake.raft.is_leader(),
                leader: awake.raft.leader(),
                term: awake.raft.term(),
                commit: awake.raft.commit(),
            },
            State::Asleep(asleep) => GroupStatus {
                group,
                sleeps: true,
                leads: asleep.folded.leads(),
                leader: Some(asleep.folded.leader()),
                term: asleep.folded.term(),
                commit: asleep.folded.last().index,
            },
        }
    }
}
