//! When which group wants to be woken, and whose turn it is. Groups that sleep are not here and cost nothing.

use super::GroupId;
use quorate_core::Time;
use std::collections::{BTreeSet, VecDeque};

/// Times of groups, and groups whose time has come, in the order in which it came: so one that always has something to do
/// waits behind all others that have.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    timers: BTreeSet<(Time, GroupId)>,
    due: VecDeque<GroupId>,
}

/// What an [`Agenda`] knows of one group. Kept with the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    timer: Time,
    is_due: bool,
}

impl Default for Place {
    fn default() -> Self {
        Place { timer: Time::NEVER, is_due: false }
    }
}

impl Agenda {
    /// It wants to be woken then. One whose turn is near says so again when it had it. A timer that is earlier stays as it is,
    /// and when it is over the group is asked again: followers put their elections off with each message, leaders their
    /// heartbeats, and moving a timer costs more than one turn in vain for many of them.
    pub fn plan(&mut self, group: GroupId, place: &mut Place, at: Time, now: Time) {
        if place.is_due {
            return;
        }
        if at <= now {
            place.is_due = true;
            self.due.push_back(group);
        } else if at < place.timer {
            self.forget(group, place);
            place.timer = at;
            self.timers.insert((at, group));
        }
    }

    /// It wants nothing any more. (If its turn is near, it comes up and is looked at in vain.)
    pub fn forget(&mut self, group: GroupId, place: &mut Place) {
        if place.timer != Time::NEVER {
            self.timers.remove(&(place.timer, group));
            place.timer = Time::NEVER;
        }
    }

    /// The next one whose time has come, before or at `now`. The caller says [`Agenda::ring`] to its place.
    pub fn ripe(&mut self, now: Time) -> Option<GroupId> {
        let (at, group) = *self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        Some(group)
    }

    /// Its time has come.
    pub fn ring(&mut self, group: GroupId, place: &mut Place) {
        place.timer = Time::NEVER;
        if !std::mem::replace(&mut place.is_due, true) {
            self.due.push_back(group);
        }
    }

    /// How many wait for their turn.
    pub fn due(&self) -> usize {
        self.due.len()
    }

    /// Whose turn it is.
    pub fn next(&mut self) -> Option<GroupId> {
        self.due.pop_front()
    }

    /// When somebody wants to be woken.
    pub fn wake_at(&self) -> Time {
        match self.due.is_empty() {
            false => Time::ZERO,
            true => self.timers.first().map_or(Time::NEVER, |(at, _)| *at),
        }
    }
}

impl Place {
    /// Its turn has come. False if it was given up meanwhile.
    pub fn begin(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }
}
