//! Groups come to be here, and go for good.

use super::state::{Awake, Slot, State};
use super::{Event, GroupId, Groups, NotCreated, Record};
use crate::raft::{Founding, Raft};
use quorate_core::{Boot, Cx, Input, Time};

impl Awake {
    pub fn of(raft: Raft) -> Awake {
        Awake {
            raft,
            place: Default::default(),
            pass: Default::default(),
            links_seen: 0,
            active_at: Time::ZERO,
            asking: None,
            restless: 0,
        }
    }
}

impl Groups {
    /// The port is told of it, and its replica starts.
    pub(super) fn open(&mut self, group: GroupId, boot: Boot, cx: &mut Cx<'_, Groups>) {
        // News of what is here, no promise.
        cx.emit_now(Event::Opened { group });
        self.enter(group, Input::Start(boot), cx);
    }

    pub(super) fn on_create(&mut self, group: GroupId, founding: Founding, cx: &mut Cx<'_, Groups>) {
        let created = match self.slots.get(&group) {
            None => self.create(group, founding, cx),
            Some(slot) if slot.founding() == &founding => Ok(()),
            Some(_) => Err(NotCreated::Otherwise),
        };
        match created {
            // Once it is on disk.
            Ok(()) => cx.emit(Event::Created { group }),
            // A refusal promises nothing.
            Err(why) => cx.emit_now(Event::NotCreated { group, why }),
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
        if self.slots.len() >= self.config.groups_max {
            return Err(NotCreated::TooMany);
        }
        if !founding.validated()?.contains(&self.id) && matches!(founding, Founding::Found(_)) {
            return Err(NotCreated::NotAVoter);
        }
        let mut raft = Raft::new(self.id, self.raft.clone(), founding.clone())?;
        raft.share_beats();
        let record = Record::Created { group, founding };
        self.rewrite.wrote(record.bytes());
        let mark = cx.append(record);
        self.slots.insert(group, Slot::of(raft, mark));
        if let Some(boot) = self.boot {
            self.open(group, boot, cx);
        }
        Ok(())
    }

    pub(super) fn on_remove(&mut self, group: GroupId, cx: &mut Cx<'_, Groups>) {
        // Whether it was here or not: it never will be.
        if self.gone.insert(group) {
            let record = Record::Removed { group };
            self.rewrite.wrote(record.bytes());
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
                self.agenda.forget(group, &mut awake.place);
                self.gate.leave(&mut awake.pass);
            }
            State::Asleep(asleep) => {
                self.asleep -= 1;
                self.unrelate(group, asleep);
            }
        }
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
