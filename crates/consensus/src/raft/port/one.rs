//! One who waits for something that a leader does one at a time, and only until a deadline.

use quorate_core::{Failure, Promise, Reason, Time};

pub(super) struct One<T>(Option<(Time, Promise<T>)>);

impl<T> Default for One<T> {
    fn default() -> Self {
        One(None)
    }
}

impl<T> One<T> {
    pub fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    pub fn wait(&mut self, until: Time, mut promise: Promise<T>) {
        // From here on it may come about, also if the node dies and nobody is left to say so.
        promise.mark_in_doubt();
        self.0 = Some((until, promise));
    }

    pub fn take(&mut self) -> Option<Promise<T>> {
        self.0.take().map(|(_, promise)| promise)
    }

    /// What was begun may still come about.
    pub fn fail(&mut self, why: &Reason) {
        if let Some(promise) = self.take() {
            promise.settle(Err(Failure::Unknown(why.clone())));
        }
    }

    pub fn deadline(&self) -> Time {
        self.0.as_ref().map_or(Time::NEVER, |(until, _)| *until)
    }

    pub fn expire(&mut self, now: Time) {
        if self.deadline() <= now {
            self.fail(&Reason::Deadline);
        }
    }
}
