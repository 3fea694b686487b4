//! Objects of groups that were removed. Nobody names them any more, and no group of theirs comes back to look.

use crate::groups::{GroupId, Groups};
use quorate_core::{Answer, BlobId, Job, JobPanic, ScopeId};

/// Whose objects are to go.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    waiting: Vec<GroupId>,
    /// What an earlier life left was looked for.
    begun: bool,
}

/// What their removal answers.
struct Removed;

impl Leftovers {
    /// The removal of this group is on disk. (Before, a crash could bring it back, and it would miss its snapshot.)
    pub fn of(&mut self, group: GroupId) {
        self.waiting.push(group);
    }

    /// Those that wait; at first all that were ever removed, as a crash may have come before their objects went.
    pub fn next(&mut self, groups: &Groups) -> Option<Vec<GroupId>> {
        if !std::mem::replace(&mut self.begun, true) {
            self.waiting.extend(groups.removed());
        }
        if self.waiting.is_empty() { None } else { Some(std::mem::take(&mut self.waiting)) }
    }

    /// A job of a group that is not here ended. It may have written an object after the others went.
    pub fn job_ended(&mut self, group: GroupId, answer: &Result<Answer, JobPanic>) {
        if !answer.as_ref().is_ok_and(|answer| answer.is::<Removed>()) {
            self.waiting.push(group);
        }
    }
}

/// Removes all objects of these scopes.
pub(super) fn removal(scopes: Vec<ScopeId>) -> Job {
    Job::pool(move |blobs| {
        for scope in scopes {
            // What cannot be removed now is at the next start.
            let whole = blobs.list(scope).unwrap_or_default();
            let unfinished = blobs.list_unfinished(scope).unwrap_or_default();
            for number in whole.into_iter().chain(unfinished) {
                let _ = blobs.delete(BlobId { scope, number });
            }
        }
        Removed
    })
}
