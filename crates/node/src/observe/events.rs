//! The news of a node's scopes for those who watch. Lossy: a watcher that is slow loses what comes while its
//! queue is full, and is told how much; the lane never waits for it.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded};
use parking_lot::Mutex;
use quorate_core::{Notice, ScopeId};
use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What a port told observers.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose port.
    pub scope: ScopeId,
    /// What it told; one value for all who watch.
    pub notice: Arc<dyn Notice>,
}

impl Event {
    /// The notice, if it is of this type.
    pub fn downcast<N: Notice>(&self) -> Option<&N> {
        (&*self.notice as &dyn Any).downcast_ref()
    }
}

/// A subscription. Ends with the node, after what is queued.
pub struct Events {
    queue: Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

/// Nothing to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// Not yet.
    #[error("nothing has come yet")]
    Yet,
    /// The node ended and everything queued was handed out.
    #[error("the node ended")]
    Ended,
}

impl Events {
    /// The next event, if one is there.
    pub fn try_recv(&self) -> Result<Event, NoEvent> {
        self.queue.try_recv().map_err(|e| match e {
            TryRecvError::Empty => NoEvent::Yet,
            TryRecvError::Disconnected => NoEvent::Ended,
        })
    }

    /// The next event; waits for it for at most `patience`.
    pub fn recv_timeout(&self, patience: Duration) -> Result<Event, NoEvent> {
        self.queue.recv_timeout(patience).map_err(|e| match e {
            RecvTimeoutError::Timeout => NoEvent::Yet,
            RecvTimeoutError::Disconnected => NoEvent::Ended,
        })
    }

    /// Events that came while this queue was full, and are lost.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({} waiting, {} dropped)", self.queue.len(), self.dropped())
    }
}

/// All subscriptions of a node.
#[derive(Default)]
pub(crate) struct Hub {
    watchers: Mutex<Watchers>,
    /// Whether there are any: without a watcher a notice costs one load.
    watched: AtomicBool,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Watchers {
    list: Vec<Watcher>,
    closed: bool,
}

struct Watcher {
    scope: Option<ScopeId>,
    queue: Sender<Event>,
    dropped: Arc<AtomicU64>,
}

impl Hub {
    pub(crate) fn subscribe(&self, scope: Option<ScopeId>, capacity: NonZeroUsize) -> Events {
        let (queue, receiver) = bounded(capacity.get());
        let dropped = Arc::new(AtomicU64::new(0));
        let mut watchers = self.watchers.lock();
        if !watchers.closed {
            watchers.list.push(Watcher { scope, queue, dropped: dropped.clone() });
            self.watched.store(true, Ordering::Release);
        }
        Events { queue: receiver, dropped }
    }

    pub(crate) fn publish(&self, scope: ScopeId, notice: Box<dyn Notice>) {
        if !self.watched.load(Ordering::Acquire) {
            return;
        }
        let event = Event { scope, notice: Arc::from(notice) };
        let mut watchers = self.watchers.lock();
        watchers.list.retain(|watcher| {
            if watcher.scope.is_some_and(|wanted| wanted != scope) {
                return true;
            }
            match watcher.queue.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    watcher.dropped.fetch_add(1, Ordering::Relaxed);
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
        self.watched.store(!watchers.list.is_empty(), Ordering::Release);
    }

    /// Over all watchers.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The node ended.
    pub(crate) fn close(&self) {
        let mut watchers = self.watchers.lock();
        watchers.closed = true;
        watchers.list.clear();
        self.watched.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ScopeId = ScopeId(1);
    const B: ScopeId = ScopeId(2);

    fn room_for(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).expect("not zero")
    }

    #[test]
    fn a_slow_watcher_loses_and_counts_and_a_fast_one_does_not() {
        let hub = Hub::default();
        let (slow, fast) = (hub.subscribe(None, room_for(1)), hub.subscribe(None, room_for(8)));
        for n in 0..3u32 {
            hub.publish(A, Box::new(n));
        }
        assert_eq!((slow.dropped(), fast.dropped(), hub.dropped()), (2, 0, 2));
        assert_eq!(slow.try_recv().expect("the first").downcast::<u32>(), Some(&0));
        assert_eq!(slow.try_recv().err(), Some(NoEvent::Yet));
        let seen: Vec<u32> =
            std::iter::from_fn(|| fast.try_recv().ok()?.downcast::<u32>().copied()).collect();
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn a_watcher_of_one_scope_hears_of_no_other() {
        let hub = Hub::default();
        let events = hub.subscribe(Some(B), room_for(8));
        hub.publish(A, Box::new("a"));
        hub.publish(B, Box::new("b"));
        let event = events.try_recv().expect("b");
        assert_eq!((event.scope, event.downcast::<&str>()), (B, Some(&"b")));
        assert_eq!(events.try_recv().err(), Some(NoEvent::Yet));
    }

    #[test]
    fn a_subscription_ends_with_the_node_after_what_is_queued() {
        let hub = Hub::default();
        let events = hub.subscribe(None, room_for(2));
        hub.publish(A, Box::new(1u8));
        hub.close();
        assert!(events.try_recv().is_ok());
        assert_eq!(events.recv_timeout(Duration::from_secs(1)).err(), Some(NoEvent::Ended));
        assert_eq!(hub.subscribe(None, room_for(1)).try_recv().err(), Some(NoEvent::Ended));
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let hub = Hub::default();
        drop(hub.subscribe(None, room_for(1)));
        hub.publish(A, Box::new(1u8));
        assert!(!hub.watched.load(Ordering::Relaxed));
    }
}
