//! Groups come to be here, and go for good.

use super::state::{Awake, Slot, State};
use super::{Event, GroupId, Groups, NotCreated, Record};
use crate::raft::{Founding, Raft};
use quorate_core::{Cx, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Groups that start in one step. Each has much to say then, and what a step has room for it keeps.
const STARTS_PER_STEP: usize = 32;

impl Awake {
    pub fn of(raft: Raft) -> Awake {
        Awake {
            raft,
            started: false,
            place: Default::default(),
            pass: Default::default(),
            links_seen: 0,
            active_at: Time::ZERO,
            asking: None,
            absent: Vec::new(),
            has_news: false,
            restless: 0,
        }
    }
}

impl Groups {
    /// Groups that the journal knows start, and those that were named come to be, some in each step: thousands at once
    /// would be one long step, and one that grows all memory that it goes through.
    pub(super) fn start_some(&mut self, cx: &mut Cx<'_, Groups>) {
        if let Some(from) = self.starting.take() {
            let mut some = self.slots.range(from..).map(|(group, _)| *group);
            let now: Vec<GroupId> = some.by_ref().take(STARTS_PER_STEP).collect();
            self.starting = some.next();
            now.into_iter().for_each(|group| self.open(group, cx));
            return;
        }
        for _ in 0..STARTS_PER_STEP {
            let Some(group) = self.begins.keys().next().copied() else { break };
            self.begin(group, cx);
        }
    }

    /// One that was named at the build comes to be, if it is still to: when its turn comes, or when somebody asks for it.
    pub(super) fn begin(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        let Some(founding) = self.begins.remove(&group) else { return };
        if self.begins.is_empty() {
            self.begins = BTreeMap::new();
        }
        // What is wrong with it was said when the node was built; but there may be too many by now.
        if self.create(group, founding, cx).is_err() {
            // News of what is here, no promise.
            cx.emit_now(Event::Closed { group });
        }
    }

    /// The port is told of it, and its replica starts, if that was not done yet.
    pub(super) fn open(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        if let Some(slot) = self.slots.get_mut(&group) {
            self.common.open(group, slot, cx);
        }
    }

    pub(super) fn on_create(&mut self, group: GroupId, founding: Founding, cx: &mut Cx<'_, Groups>) {
        self.begin(group, cx);
        let created = match self.slots.get(&group) {
            None => self.create(group, founding, cx),
            Some(slot) if is_same(slot.founding(), &founding) => Ok(()),
            Some(_) => Err(NotCreated::Otherwise),
        };
        match created {
            // Once it is on disk.
            Ok(()) => cx.emit(Event::Created { group }),
            // Promises nothing, and waits all the same: answers come in the order in which they were asked for.
            Err(why) => cx.emit(Event::NotCreated { group, why }),
        }
    }

    pub(super) fn create(
        &mut self,
        group: GroupId,
        founding: Founding,
        cx: &mut Cx<'_, Groups>,
    ) -> Result<(), NotCreated> {
        if self.gone.contains(&group) {
            return Err(NotCreated::Removed);
        }
        if self.slots.len() >= self.common.config.groups_max {
            return Err(NotCreated::TooMany);
        }
        if !founding.validated()?.contains(&self.id) && matches!(founding, Founding::Found(_)) {
            return Err(NotCreated::NotAVoter);
        }
        let mut raft = Raft::new(self.id, self.raft.clone(), founding.clone())?;
        raft.share_beats();
        let record = Record::Created { group, founding };
        self.common.rewrite.wrote(record.bytes());
        let mark = cx.append(record);
        self.slots.insert(group, Slot::of(raft, mark));
        self.open(group, cx);
        Ok(())
    }

    pub(super) fn on_remove(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        self.begins.remove(&group);
        // Whether it was here or not: it never will be.
        if self.gone.insert(group) {
            let record = Record::Removed { group };
            self.common.rewrite.wrote(record.bytes());
            cx.append(record);
            self.drop_slot(group);
        }
        // News of what is here, no promise.
        cx.emit_now(Event::Closed { group });
        cx.emit(Event::Removed { group });
    }

    fn drop_slot(&mut self, group: GroupId) {
        let Some(mut slot) = self.slots.remove(&group) else { return };
        match &mut slot.state {
            State::Awake(awake) => {
                self.common.agenda.forget(group, &mut awake.place);
                self.common.gate.leave(&mut awake.pass);
            }
            State::Asleep(asleep) => {
                self.asleep -= 1;
                self.unrelate(group, asleep);
            }
        }
    }
}

/// The same nodes, in whatever order they are named.
fn is_same(one: &Founding, other: &Founding) -> bool {
    match (one, other) {
        (Founding::Found(one), Founding::Found(other)) | (Founding::Join(one), Founding::Join(other)) => {
            BTreeSet::from_iter(one) == BTreeSet::from_iter(other)
        }
        _ => false,
    }
}

impl Slot {
    fn founding(&self) -> &Founding {
        match &self.state {
            State::Awake(awake) => awake.raft.founding_told(),
            State::Asleep(asleep) => asleep.folded.founding(),
        }
    }
}
