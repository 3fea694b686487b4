//! The handle of a running node.

use crate::observe::{Event, Events, NodeStatus};
use crate::shared::Shared;
use crate::{Lane, Stopped};
use crossbeam_channel::bounded;
use quorate_core::{NodeId, Protocol, ScopeId};
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a status waits for a lane that is in the middle of something.
const STATUS_PATIENCE: Duration = Duration::from_secs(1);

/// A node that runs. Dropped, it is killed.
///
/// None of its methods may be called by what runs *on* the node (ports, jobs, transports): they wait for the
/// lane, which would wait for itself.
#[must_use = "a node whose handle is dropped is killed"]
pub struct Running {
    shared: Arc<Shared>,
    patience: Duration,
}

/// Why there was nothing to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// The node ended.
    #[error("the node ended")]
    Ended,
    /// No such scope runs here, or it is of another type.
    #[error("no scope {0} of this type")]
    NotHere(ScopeId),
    /// The closure panicked. The node goes on.
    #[error("the closure panicked: {0}")]
    Panicked(String),
}

impl Running {
    pub(crate) fn new(shared: Arc<Shared>, patience: Duration) -> Running {
        Running { shared, patience }
    }

    /// Its name.
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// Stops it in order: nobody comes in any more, what was appended reaches the disk and its answers leave,
    /// running jobs may end (for as long as [`crate::NodeConfig::stop_patience`] says), ports settle their
    /// promises, threads are joined. Tells why it really ended: it may have before. A lane that the caller
    /// drives itself must be driven on, elsewhere; see [`Running::ask_to_stop`].
    ///
    /// A replica that leads hands nothing over: have it transfer leadership first, and nobody waits for an election.
    pub fn stop(&self) -> Stopped {
        self.shared.ask_to_stop();
        self.wait()
    }

    /// As [`Running::stop`], but does not wait.
    pub fn ask_to_stop(&self) {
        self.shared.ask_to_stop();
    }

    /// Ends it as a crash would: from now on nothing is appended, synced or sent. What was not acknowledged
    /// may be lost, and promises that were in doubt answer Unknown. Returns when its threads are gone (a job or a sync
    /// that hangs is left behind after [`crate::NodeConfig::stop_patience`]).
    pub fn kill(&self) -> Stopped {
        self.shared.kill();
        self.wait()
    }

    /// Waits until it ended, by whatever cause.
    pub fn wait(&self) -> Stopped {
        let why = self.shared.wait();
        self.shared.join_workers(self.patience);
        why
    }

    /// As [`Running::wait`], for at most `patience`; `None` if it still runs.
    pub fn wait_timeout(&self, patience: Duration) -> Option<Stopped> {
        let why = self.shared.wait_timeout(patience)?;
        self.shared.join_workers(self.patience);
        Some(why)
    }

    /// Why it ended; `None` while it runs.
    pub fn stopped(&self) -> Option<Stopped> {
        self.shared.why()
    }

    /// How it is; after its end, how it was. Asks the lane. One that does not answer within a second, or that the
    /// caller drives itself, is shown as it was looked at last: see [`NodeStatus::uptime_ns`].
    pub fn status(&self) -> NodeStatus {
        if self.shared.driven.load(Ordering::Acquire) {
            let (answer, status) = bounded(1);
            self.shared.call(Box::new(move |lane: &Lane| {
                let _ = answer.send(lane.status());
            }));
            if let Ok(status) = status.recv_timeout(STATUS_PATIENCE) {
                return status;
            }
        }
        self.shared.last.lock().clone()
    }

    /// The news of all scopes from now on. At most `capacity` wait to be taken; what comes while they do is
    /// lost and counted.
    pub fn events(&self, capacity: NonZeroUsize) -> Events {
        self.shared.hub.subscribe(None, capacity)
    }

    /// The news of one scope from now on, as [`Running::events`].
    pub fn events_of(&self, scope: ScopeId, capacity: NonZeroUsize) -> Events {
        self.shared.hub.subscribe(Some(scope), capacity)
    }

    /// Looks at the protocol of a scope, on the lane between two steps. The lane waits meanwhile.
    ///
    /// # Errors
    /// See [`InspectError`]. Nothing is changed in any case.
    pub fn inspect<P, R>(
        &self,
        scope: ScopeId,
        look: impl FnOnce(&P) -> R + Send + 'static,
    ) -> Result<R, InspectError>
    where
        P: Protocol + 'static,
        R: Send + 'static,
    {
        self.on_lane(scope, move |lane| lane.host()?.protocol::<P>(scope).map(look))
    }

    /// Looks at the port of a scope, as [`Running::inspect`].
    ///
    /// # Errors
    /// See [`InspectError`]. Nothing is changed in any case.
    pub fn inspect_port<Q, R>(
        &self,
        scope: ScopeId,
        look: impl FnOnce(&Q) -> R + Send + 'static,
    ) -> Result<R, InspectError>
    where
        Q: 'static,
        R: Send + 'static,
    {
        self.on_lane(scope, move |lane| lane.host()?.port::<Q>(scope).map(look))
    }

    fn on_lane<R: Send + 'static>(
        &self,
        scope: ScopeId,
        look: impl FnOnce(&Lane) -> Option<R> + Send + 'static,
    ) -> Result<R, InspectError> {
        let (answer, seen) = bounded(1);
        self.shared.call(Box::new(move |lane: &Lane| {
            let seen = catch_unwind(AssertUnwindSafe(|| look(lane)));
            let _ = answer.send(match seen {
                Ok(Some(seen)) => Ok(seen),
                Ok(None) => Err(InspectError::NotHere(scope)),
                Err(panic) => Err(InspectError::Panicked(crate::panic_text(&*panic))),
            });
        }));
        seen.recv().unwrap_or(Err(InspectError::Ended))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.kill();
        // A lane that its owner drives may be driven by this very thread.
        if self.shared.driven.load(Ordering::Acquire) {
            self.wait();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stopped() {
            None => write!(f, "Running({})", self.id()),
            Some(why) => write!(f, "Running({}, {why})", self.id()),
        }
    }
}

const _: fn() = || {
    fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Running>();
    shared_between_threads::<Events>();
    shared_between_threads::<Event>();
};
