//! How a lane ends: in order, or at once.

use super::{Lane, Life, Next, Phase};
use crate::Stopped;
use quorate_core::{HostCmd, Input, Time};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Life {
    /// Nobody comes in any more. What came in is finished: records reach the disk and their answers leave,
    /// jobs that are out may end.
    pub(super) fn begin_closing(&mut self, now: Time) {
        tracing::info!(node = %self.id, "stopping");
        self.door.close();
        // They were never looked at: their promises say Rejected.
        self.asks.clear();
        self.phase = Phase::Closing { until: now + self.config.stop_patience };
    }

    /// Whether nothing is under way. The disk is always waited for, jobs only so long.
    pub(super) fn is_settled(&self, until: Time, now: Time) -> bool {
        let crew = &self.hands.crew;
        self.hands.scribe.is_idle() && (now >= until || crew.out() + crew.waiting() == 0)
    }

    /// The last step: ports settle what is still open.
    pub(super) fn finish(&mut self) -> Stopped {
        self.step(Input::Command(HostCmd::Stop));
        self.check().err().unwrap_or(Stopped::Asked)
    }
}

impl Lane {
    /// Drops everything the node was: open promises answer by themselves. Then, and only then, says so.
    pub(super) fn end(&mut self, why: Stopped) {
        let Some(life) = self.life.take() else { return };
        self.next = Next::Ended;
        match &why {
            Stopped::Asked | Stopped::Killed => tracing::info!(node = %life.id, %why, "ended"),
            Stopped::Journal(_) | Stopped::Panicked(_) => tracing::error!(node = %life.id, %why, "ended"),
        }
        life.door.close();
        let mut status = life.status(self.clock.now());
        status.stopped = Some(why.clone());
        life.meters.publish(&status);
        // A port of somebody else's may panic when it is dropped. The handle must hear of the end all the same.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(life))) {
            tracing::error!(node = %self.shared.id, panic = crate::panic_text(&*panic), "panicked while it ended");
        }
        self.shared.set_end(why, status);
    }
}

impl Drop for Lane {
    /// A lane that is dropped before its end was killed.
    fn drop(&mut self) {
        self.shared.kill();
        self.end(Stopped::Killed);
    }
}
