//! What a lane and its handle share: orders one way, an end the other.

use crate::bell::Bell;
use crate::observe::{Hub, NodeStatus};
use crate::{Lane, StartError, Stopped};
use parking_lot::{Condvar, Mutex};
use quorate_core::NodeId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Something to be done on the lane, between steps. Dropped undone when the node ends.
pub(crate) type Call = Box<dyn FnOnce(&Lane) + Send>;

pub(crate) struct Shared {
    pub(crate) id: NodeId,
    pub(crate) bell: Bell,
    pub(crate) hub: Hub,
    /// Nothing leaves any more, at once. Seen by the journal's thread too.
    pub(crate) killed: Arc<AtomicBool>,
    stopping: AtomicBool,
    has_calls: AtomicBool,
    /// `None` once the node ended. A plain queue, because a channel would keep what is in it.
    calls: Mutex<Option<VecDeque<Call>>>,
    end: Mutex<Option<Stopped>>,
    /// As it was last looked at.
    pub(crate) last: Mutex<NodeStatus>,
    ended: Condvar,
    /// Somebody other than the handle's owner drives the lane, so waiting for its end makes sense.
    pub(crate) driven: AtomicBool,
    pub(crate) workers: Mutex<Vec<Worker>>,
}

impl Shared {
    pub(crate) fn new(id: NodeId, status: NodeStatus) -> Shared {
        Shared {
            id,
            bell: Bell::new(),
            hub: Hub::default(),
            killed: Arc::default(),
            stopping: AtomicBool::new(false),
            has_calls: AtomicBool::new(false),
            calls: Mutex::new(Some(VecDeque::new())),
            end: Mutex::new(None),
            last: Mutex::new(status),
            ended: Condvar::new(),
            driven: AtomicBool::new(false),
            workers: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Queues a call; drops it if the node ended.
    pub(crate) fn call(&self, call: Call) {
        let refused = match &mut *self.calls.lock() {
            Some(calls) => {
                calls.push_back(call);
                None
            }
            None => Some(call),
        };
        // Outside the lock: it may own anything.
        drop(refused);
        self.has_calls.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn take_calls(&self) -> Option<VecDeque<Call>> {
        if !self.has_calls.load(Ordering::Acquire) {
            return None;
        }
        self.has_calls.store(false, Ordering::Release);
        self.calls.lock().as_mut().map(std::mem::take)
    }

    /// The lane's last word. Everything it owned is gone by now.
    pub(crate) fn set_end(&self, why: Stopped, status: NodeStatus) {
        *self.last.lock() = status;
        let undone = self.calls.lock().take();
        drop(undone);
        self.hub.close();
        let mut end = self.end.lock();
        end.get_or_insert(why);
        self.ended.notify_all();
    }

    /// Why it ended, if it did.
    pub(crate) fn why(&self) -> Option<Stopped> {
        self.end.lock().clone()
    }

    /// Waits for the end.
    pub(crate) fn wait(&self) -> Stopped {
        let mut end = self.end.lock();
        loop {
            match &*end {
                Some(why) => return why.clone(),
                None => self.ended.wait(&mut end),
            }
        }
    }

    /// Waits for the end, for at most `patience`.
    pub(crate) fn wait_timeout(&self, patience: Duration) -> Option<Stopped> {
        let deadline = Instant::now() + patience;
        let mut end = self.end.lock();
        while end.is_none() && !self.ended.wait_until(&mut end, deadline).timed_out() {}
        end.clone()
    }

    /// Joins the node's threads, once it ended. A job that hangs, or a disk, must not hang those who stop the
    /// node: past the patience its thread is left behind.
    pub(crate) fn join_workers(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let workers = std::mem::take(&mut *self.workers.lock());
        for worker in workers {
            worker.join(self.id, deadline);
        }
    }
}

/// A thread of a node.
pub(crate) struct Worker {
    role: &'static str,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) fn spawn(
        node: NodeId,
        role: &'static str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<Worker, StartError> {
        let thread = Builder::new()
            .name(format!("{node} {role}"))
            .spawn(run)
            .map_err(|error| StartError::Thread { role, error })?;
        Ok(Worker { role, thread })
    }

    pub(crate) fn join(self, node: NodeId, deadline: Instant) {
        // The library offers no join with a deadline. What is waited for here takes microseconds, or is a
        // job or a disk, for which a millisecond is nothing.
        let mut pause = Duration::from_micros(20);
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!(%node, thread = self.role, "left behind: it did not end in time");
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(1));
        }
        if self.thread.join().is_err() {
            tracing::error!(%node, thread = self.role, "a thread panicked");
        }
    }
}
