//! Where frames arrive: bounded a peer, drained round robin, so that one loud peer cannot starve the others.

use bytes::Bytes;
use quorate_core::NodeId;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bounds of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    /// Frames of one peer that wait to be taken. Default 4,096 (guess).
    pub frames_max: usize,
    /// Bytes of one peer that wait to be taken. Default 16 MiB (guess).
    pub bytes_max: usize,
    /// Peers whose frames wait at the same time. Default 4,096 (guess).
    pub peers_max: usize,
}

impl Default for InboxLimits {
    fn default() -> Self {
        InboxLimits { frames_max: 4096, bytes_max: 16 << 20, peers_max: 4096 }
    }
}

/// The queue of this peer is full. The frame comes back: keep it, drop it, or stop reading for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full(pub Bytes);

/// A node's queues of arrived frames. Cheap to clone; every clone is the same inbox.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    queues: Mutex<Queues>,
    limits: InboxLimits,
    bell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Queues {
    peers: BTreeMap<NodeId, Queue>,
    /// The peer that was served last.
    last: Option<NodeId>,
    refused: u64,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Inbox {
    /// An empty inbox.
    pub fn new(limits: InboxLimits) -> Inbox {
        Inbox(Arc::new(Inner { queues: Mutex::default(), limits, bell: OnceLock::new() }))
    }

    /// Puts in a frame that arrived. `from` is only where to answer; who really spoke, the link finds out.
    pub fn deliver(&self, from: NodeId, frame: Bytes) -> Result<(), Full> {
        let limits = &self.0.limits;
        let mut guard = self.queues();
        let queues = &mut *guard;
        if queues.peers.len() >= limits.peers_max && !queues.peers.contains_key(&from) {
            queues.refused += 1;
            return Err(Full(frame));
        }
        let queue = queues.peers.entry(from).or_default();
        if queue.frames.len() >= limits.frames_max
            || queue.bytes.saturating_add(frame.len()) > limits.bytes_max
        {
            queues.refused += 1;
            return Err(Full(frame));
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(guard);
        if let Some(bell) = self.0.bell.get() {
            bell();
        }
        Ok(())
    }

    /// Takes at most `max` frames, one of each peer in turn, going on where the last call stopped.
    pub fn take(&self, max: usize, into: &mut Vec<(NodeId, Bytes)>) {
        let mut queues = self.queues();
        for _ in 0..max {
            let Some(next) = queues.next() else { return };
            into.push(next);
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues().peers.is_empty()
    }

    /// Frames given back so far because a queue was full.
    pub fn refused(&self) -> u64 {
        self.queues().refused
    }

    /// Has `bell` called after every delivery. Set once, by whoever drives the node.
    pub fn on_deliver(&self, bell: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.bell.set(Box::new(bell));
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Nothing that can panic runs under the lock, so a poisoned lock still guards whole data.
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn next(&mut self) -> Option<(NodeId, Bytes)> {
        let after = self.last.and_then(|last| {
            self.peers
                .range_mut((std::ops::Bound::Excluded(last), std::ops::Bound::Unbounded))
                .next()
                .map(|(id, _)| *id)
        });
        let id = after.or_else(|| self.peers.keys().next().copied())?;
        let queue = self.peers.get_mut(&id)?;
        let frame = queue.frames.pop_front()?;
        queue.bytes -= frame.len();
        if queue.frames.is_empty() {
            self.peers.remove(&id);
        }
        self.last = Some(id);
        Some((id, frame))
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new(InboxLimits::default())
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} peers waiting)", self.queues().peers.len())
    }
}
