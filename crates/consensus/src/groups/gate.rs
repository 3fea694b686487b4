//! How many elections this node may have begun at one time. A node with ten thousand groups that loses another one does not
//! send ten thousand candidacies at once; and those that cannot be won do not keep others waiting for long.

use super::GroupId;
use quorate_core::Time;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Gate {
    places_max: usize,
    /// How long a place is kept for an election that comes to nothing.
    kept_for: Duration,
    taken: usize,
    /// Who took a place, and when it is free at the latest.
    ends: VecDeque<(Time, GroupId)>,
    waiting: VecDeque<GroupId>,
}

/// What a [`Gate`] knows of one group. Kept with the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Pass {
    /// It has a place until then.
    until: Option<Time>,
    waits: bool,
}

impl Gate {
    pub fn new(places_max: usize, kept_for: Duration) -> Gate {
        Gate { places_max, kept_for, taken: 0, ends: VecDeque::new(), waiting: VecDeque::new() }
    }

    fn has_room(&self) -> bool {
        self.taken < self.places_max
    }

    /// Lets it in, or has it wait for its turn.
    pub fn enter(&mut self, group: GroupId, pass: &mut Pass, now: Time) -> bool {
        if pass.until.is_none() {
            if !self.has_room() || !self.waiting.is_empty() && !pass.waits {
                if !std::mem::replace(&mut pass.waits, true) {
                    self.waiting.push_back(group);
                }
                return false;
            }
            self.taken += 1;
            pass.until = Some(now + self.kept_for);
            self.ends.push_back((now + self.kept_for, group));
        }
        pass.waits = false;
        true
    }

    /// Its election is over, or it needs none any more.
    pub fn leave(&mut self, pass: &mut Pass) {
        if pass.until.take().is_some() {
            self.taken -= 1;
        }
    }

    /// Whose place is to be free by now. The caller says [`Gate::expire`] to its pass.
    pub fn ended(&mut self, now: Time) -> Option<(Time, GroupId)> {
        let (end, _) = *self.ends.front()?;
        if end > now { None } else { self.ends.pop_front() }
    }

    pub fn expire(&mut self, end: Time, pass: &mut Pass) {
        if pass.until == Some(end) {
            self.leave(pass);
        }
    }

    /// The next one that waits, if there is room. The caller sees whether it still does.
    pub fn next(&mut self) -> Option<GroupId> {
        if self.has_room() { self.waiting.pop_front() } else { None }
    }

    /// When somebody could be let in.
    pub fn wake_at(&self) -> Time {
        match (self.waiting.is_empty(), self.has_room()) {
            (true, _) => Time::NEVER,
            (false, true) => Time::ZERO,
            (false, false) => self.ends.front().map_or(Time::ZERO, |(end, _)| *end),
        }
    }

    /// Elections under way, as far as they have a place.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

impl Pass {
    /// Whether it waits for a place; from now on it does not.
    pub fn stop_waiting(&mut self) -> bool {
        std::mem::take(&mut self.waits)
    }

    pub fn waits(&self) -> bool {
        self.waits
    }
}
