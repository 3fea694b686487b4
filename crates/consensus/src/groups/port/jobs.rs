//! Jobs of many groups, so many at a time, handed out in turn.

use crate::groups::GroupId;
use quorate_core::{Answer, Job, JobPanic};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Jobs {
    out: usize,
    out_max: usize,
    /// Groups that hold a view of their state until they have one more: before all others, or all groups whose snapshot is
    /// due would hold theirs at one time.
    first: VecDeque<GroupId>,
    /// Groups that may have one.
    asked: VecDeque<GroupId>,
}

/// Whether a group is among those that are to be asked. Kept with the group.
#[derive(Debug, Default)]
pub(super) struct JobPlace {
    is_asked: bool,
}

impl JobPlace {
    pub fn looked_at(&mut self) {
        self.is_asked = false;
    }
}

/// A job of one group ended.
struct Ended {
    group: GroupId,
    answer: Result<Answer, JobPanic>,
}

impl Jobs {
    pub fn new(out_max: usize) -> Jobs {
        Jobs { out: 0, out_max, first: VecDeque::new(), asked: VecDeque::new() }
    }

    /// Something has come to its port.
    pub fn may_have_one(&mut self, group: GroupId, place: &mut JobPlace) {
        if !std::mem::replace(&mut place.is_asked, true) {
            self.asked.push_back(group);
        }
    }

    /// Whether another one may go out.
    pub fn has_room(&self) -> bool {
        self.out < self.out_max
    }

    /// Who is to be asked next, while there is room for another.
    pub fn next(&mut self) -> Option<GroupId> {
        if !self.has_room() {
            return None;
        }
        self.first.pop_front().or_else(|| self.asked.pop_front())
    }

    /// It holds a view, and is next.
    pub fn goes_first(&mut self, group: GroupId) {
        self.first.push_back(group);
    }

    /// The job as one of the scope. In any order with those of other groups: each has its own state with it. A panic is
    /// that group's alone.
    pub fn begin(&mut self, group: GroupId, job: Job) -> Job {
        self.out += 1;
        Job::pool(move |blobs| Ended { group, answer: job.run(blobs) })
    }

    /// Whose job ended, and how. (What runs a group's job is caught there, so the other case does not come.)
    pub fn end(&mut self, answer: Result<Answer, JobPanic>) -> Option<(GroupId, Result<Answer, JobPanic>)> {
        self.out = self.out.saturating_sub(1);
        let Ended { group, answer } = *answer.ok()?.downcast::<Ended>().ok()?;
        Some((group, answer))
    }
}
