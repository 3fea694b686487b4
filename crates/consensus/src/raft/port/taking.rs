//! Snapshots that could not be taken: counted, told, and tried again more rarely where trying costs a whole snapshot.

use super::{NotTaken, Raft};
use quorate_core::{Alarm, PortCx};

/// Doublings of the log that is awaited before what was too large is tried again (guess: 64 times a trigger, whose log is some
/// hundred megabytes, is worth another look).
const DOUBLINGS_MAX: u32 = 6;

/// What became of those in this life.
#[derive(Clone, Default, Debug)]
pub(super) struct Failures {
    pub count: u64,
    /// Why the last one was not taken, until one is.
    pub last: Option<NotTaken>,
    /// In a row, because the state is too large.
    too_large: u32,
}

impl Failures {
    /// Times the usual log after which the next one is tried. A disk may have room the next time; a state seldom shrinks.
    pub fn patience(&self) -> usize {
        1 << self.too_large.min(DOUBLINGS_MAX)
    }

    pub fn one_more(&mut self, why: &NotTaken, cx: &mut PortCx<'_, Raft>) {
        self.count += 1;
        match why {
            NotTaken::TooLarge { .. } => {
                // Nothing mends that by itself; said once.
                if self.too_large == 0 {
                    cx.notice(Alarm::new(format!("no snapshot can be taken, and the log grows: {why}")));
                }
                self.too_large += 1;
            }
            NotTaken::Unwritten(_) => self.too_large = 0,
        }
        self.last = Some(why.clone());
    }

    /// One was taken.
    pub fn ended(&mut self) {
        (self.last, self.too_large) = (None, 0);
    }
}
