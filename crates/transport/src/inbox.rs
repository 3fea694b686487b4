//! Where frames arrive: bounded a peer and a class, drained round robin, so that one loud peer cannot starve the
//! others, nor its own control frames.
//!
//! The class is read from the frame's head, before anybody has judged the frame: a peer that lies about it
//! competes with itself only.

use bytes::Bytes;
use quorate_core::{Class, NodeId, class_of};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bounds of an inbox. A frame that is larger than the bytes left is given back, and so is every frame of its
/// class until some are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxLimits {
    /// Data frames of one peer that wait to be taken. Default 4,096 (guess).
    pub frames_max: usize,
    /// Bytes of data frames of one peer that wait to be taken; at least the largest frame. Default 16 MiB (guess).
    pub bytes_max: usize,
    /// Control frames of one peer that wait to be taken. Default 4,096 (guess).
    pub control_frames_max: usize,
    /// Bytes of control frames of one peer that wait to be taken; at least the largest frame. Default 4 MiB (guess).
    pub control_bytes_max: usize,
    /// Bytes of one class that wait to be taken, over all peers. Default 256 MiB (guess).
    pub total_bytes_max: usize,
    /// Peers whose frames wait at the same time, and peers that are known to be lost. Default 4,096 (guess).
    pub peers_max: usize,
}

impl Default for InboxLimits {
    fn default() -> Self {
        InboxLimits {
            frames_max: 4096,
            bytes_max: 16 << 20,
            control_frames_max: 4096,
            control_bytes_max: 4 << 20,
            total_bytes_max: 256 << 20,
            peers_max: 4096,
        }
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
    /// Whether any peer may be among the lost: most turns ask, and hardly any finds one.
    any_lost: AtomicBool,
    bell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Queues {
    peers: BTreeMap<NodeId, Peer>,
    /// The peer that was served last.
    last: Option<NodeId>,
    /// Bytes that wait: control, data.
    bytes: [usize; 2],
    refused: u64,
    /// Peers whose connection the transport lost, and of whom nothing came since.
    lost: BTreeSet<NodeId>,
}

/// What waits of one peer: control, data. Never both empty.
#[derive(Default)]
struct Peer {
    queues: [Queue; 2],
    /// Which class is served next, if it has anything.
    next: usize,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Inbox {
    /// An empty inbox.
    pub fn new(limits: InboxLimits) -> Inbox {
        Inbox(Arc::new(Inner {
            queues: Mutex::default(),
            limits,
            any_lost: AtomicBool::new(false),
            bell: OnceLock::new(),
        }))
    }

    /// Puts in a frame that arrived. `from` is only where to answer; who really spoke, the link finds out.
    pub fn deliver(&self, from: NodeId, frame: Bytes) -> Result<(), Full> {
        let mut queues = self.queues();
        if !queues.has_room(from, &frame, &self.0.limits) {
            queues.refused += 1;
            return Err(Full(frame));
        }
        queues.push(from, frame);
        drop(queues);
        self.ring();
        Ok(())
    }

    /// Says that the way *to* this peer is lost: a connection that was opened to it broke, or none could be opened.
    /// A hint, for a transport that notices such things; it may come often, and a frame of the peer's that
    /// comes later takes it back.
    ///
    /// Not to be said of connections that others opened: whoever opens one says whose it is, and by closing it
    /// again would have a peer taken for lost.
    pub fn lost(&self, peer: NodeId) {
        let mut queues = self.queues();
        if queues.lost.len() >= self.0.limits.peers_max || !queues.lost.insert(peer) {
            return;
        }
        self.0.any_lost.store(true, Ordering::Release);
        drop(queues);
        self.ring();
    }

    /// Takes the peers that were lost and of whom no frame waits, each once.
    pub fn take_lost(&self, into: &mut Vec<NodeId>) {
        if !self.0.any_lost.load(Ordering::Acquire) {
            return;
        }
        let mut queues = self.queues();
        let Queues { lost, peers, .. } = &mut *queues;
        let before = into.len();
        into.extend(lost.iter().filter(|peer| !peers.contains_key(peer)));
        into[before..].iter().for_each(|peer| {
            lost.remove(peer);
        });
        self.0.any_lost.store(!lost.is_empty(), Ordering::Release);
    }

    /// Takes at most `max` frames, one of each peer in turn and of its two classes by turns, going on where the
    /// last call stopped. Frames of one peer and class come in the order of their delivery.
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

    /// Has `bell` called after every delivery and loss. Set once, by whoever drives the node.
    pub fn on_deliver(&self, bell: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.bell.set(Box::new(bell));
    }

    fn ring(&self) {
        if let Some(bell) = self.0.bell.get() {
            bell();
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Nothing that can panic runs under the lock, so a poisoned lock still guards whole data.
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lane(class: Class) -> usize {
    match class {
        Class::Control => 0,
        Class::Data => 1,
    }
}

impl Queues {
    fn has_room(&self, from: NodeId, frame: &Bytes, limits: &InboxLimits) -> bool {
        let class = class_of(frame);
        if self.bytes[lane(class)].saturating_add(frame.len()) > limits.total_bytes_max {
            return false;
        }
        let (frames_max, bytes_max) = match class {
            Class::Control => (limits.control_frames_max, limits.control_bytes_max),
            Class::Data => (limits.frames_max, limits.bytes_max),
        };
        let (frames, bytes) = match self.peers.get(&from) {
            Some(peer) => (peer.queues[lane(class)].frames.len(), peer.queues[lane(class)].bytes),
            None if self.peers.len() >= limits.peers_max => return false,
            None => (0, 0),
        };
        frames < frames_max && bytes.saturating_add(frame.len()) <= bytes_max
    }

    fn push(&mut self, from: NodeId, frame: Bytes) {
        if !self.lost.is_empty() {
            self.lost.remove(&from);
        }
        let lane = lane(class_of(&frame));
        self.bytes[lane] += frame.len();
        let queue = &mut self.peers.entry(from).or_default().queues[lane];
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
    }

    fn next(&mut self) -> Option<(NodeId, Bytes)> {
        let behind = match self.last {
            Some(last) => self.peers.range((Bound::Excluded(last), Bound::Unbounded)).next(),
            None => None,
        };
        let id = *behind.or_else(|| self.peers.iter().next())?.0;
        let peer = self.peers.get_mut(&id)?;
        let lane = if peer.queues[peer.next].frames.is_empty() { 1 - peer.next } else { peer.next };
        let frame = peer.queues[lane].frames.pop_front()?;
        peer.queues[lane].bytes -= frame.len();
        self.bytes[lane] -= frame.len();
        peer.next = 1 - lane;
        if peer.queues.iter().all(|queue| queue.frames.is_empty()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn frame(class: Class, body: &[u8]) -> Bytes {
        let mut head = [0; quorate_core::HEAD_BYTES];
        head[2] = lane(class) as u8;
        Bytes::from([&head[..], body].concat())
    }

    fn control(n: u8) -> Bytes {
        frame(Class::Control, &[n])
    }

    fn data(n: u8) -> Bytes {
        frame(Class::Data, &[n])
    }

    fn taken(inbox: &Inbox, max: usize) -> Vec<(u64, u8)> {
        let mut into = Vec::new();
        inbox.take(max, &mut into);
        into.iter().map(|(from, frame)| (from.0, frame[frame.len() - 1])).collect()
    }

    #[test]
    fn peers_are_served_by_turns_and_the_next_take_goes_on_where_the_last_stopped() {
        let inbox = Inbox::default();
        for n in 0..100 {
            inbox.deliver(NodeId(1), data(n)).unwrap();
        }
        inbox.deliver(NodeId(2), data(1)).unwrap();
        inbox.deliver(NodeId(3), data(2)).unwrap();
        assert_eq!(taken(&inbox, 2), [(1, 0), (2, 1)]);
        assert_eq!(taken(&inbox, 3), [(3, 2), (1, 1), (1, 2)]);
        assert_eq!(taken(&inbox, 1000).len(), 97);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_flood_of_data_neither_displaces_nor_delays_the_control_frames_of_its_own_sender() {
        let inbox = Inbox::new(InboxLimits { frames_max: 50, ..InboxLimits::default() });
        for _ in 0..50 {
            inbox.deliver(NodeId(1), data(0)).unwrap();
        }
        assert_eq!(inbox.deliver(NodeId(1), data(9)), Err(Full(data(9))));
        inbox.deliver(NodeId(1), control(1)).unwrap();
        inbox.deliver(NodeId(1), control(2)).unwrap();
        assert_eq!(taken(&inbox, 4), [(1, 1), (1, 0), (1, 2), (1, 0)]);
        assert_eq!(inbox.refused(), 1);
    }

    #[test]
    fn a_flood_of_control_frames_does_not_starve_data() {
        let inbox = Inbox::new(InboxLimits { control_frames_max: 3, ..InboxLimits::default() });
        for n in 0..10 {
            assert_eq!(inbox.deliver(NodeId(1), control(n)).is_ok(), n < 3);
        }
        inbox.deliver(NodeId(1), data(7)).unwrap();
        assert_eq!(taken(&inbox, 10), [(1, 0), (1, 7), (1, 1), (1, 2)]);
    }

    #[test]
    fn bytes_are_bounded_for_a_peer_and_for_all_and_come_free_when_taken() {
        let limits = InboxLimits {
            bytes_max: 100,
            control_bytes_max: 40,
            total_bytes_max: 150,
            ..InboxLimits::default()
        };
        let inbox = Inbox::new(limits);
        let large = frame(Class::Data, &[0; 68]);
        inbox.deliver(NodeId(1), large.clone()).unwrap();
        assert!(inbox.deliver(NodeId(1), data(1)).is_err(), "100 of this peer");
        assert!(inbox.deliver(NodeId(2), large.clone()).is_err(), "150 of all");
        inbox.deliver(NodeId(2), data(1)).unwrap();
        inbox.deliver(NodeId(1), control(1)).unwrap();
        assert!(inbox.deliver(NodeId(1), control(2)).is_err(), "40 of control");
        assert_eq!(taken(&inbox, 10).len(), 3);
        inbox.deliver(NodeId(1), large.clone()).unwrap();
        assert_eq!(
            inbox.deliver(NodeId(3), frame(Class::Data, &[0; 69])),
            Err(Full(frame(Class::Data, &[0; 69])))
        );
    }

    #[test]
    fn peers_that_wait_are_bounded_but_those_that_wait_already_may_go_on() {
        let inbox = Inbox::new(InboxLimits { peers_max: 2, ..InboxLimits::default() });
        inbox.deliver(NodeId(1), data(1)).unwrap();
        inbox.deliver(NodeId(2), data(1)).unwrap();
        assert!(inbox.deliver(NodeId(3), control(1)).is_err());
        inbox.deliver(NodeId(2), control(1)).unwrap();
        taken(&inbox, 1);
        inbox.deliver(NodeId(3), control(1)).unwrap();
    }

    #[test]
    fn a_frame_too_short_to_have_a_head_is_taken_for_data() {
        let inbox = Inbox::new(InboxLimits { frames_max: 1, ..InboxLimits::default() });
        inbox.deliver(NodeId(1), Bytes::new()).unwrap();
        assert!(inbox.deliver(NodeId(1), Bytes::from_static(&[0; 31])).is_err());
        assert!(inbox.deliver(NodeId(1), control(1)).is_ok());
    }

    #[test]
    fn a_lost_peer_is_told_once_behind_its_frames_unless_it_spoke_again() {
        let inbox = Inbox::new(InboxLimits { peers_max: 2, ..InboxLimits::default() });
        let lost = || {
            let mut into = Vec::new();
            inbox.take_lost(&mut into);
            into.into_iter().map(|peer| peer.0).collect::<Vec<u64>>()
        };
        inbox.deliver(NodeId(1), data(1)).unwrap();
        inbox.lost(NodeId(1));
        inbox.lost(NodeId(2));
        inbox.lost(NodeId(2));
        inbox.lost(NodeId(3));
        assert_eq!(lost(), [2], "twice is once, a frame of the first waits, and there are bounds");
        assert_eq!(taken(&inbox, 10), [(1, 1)]);
        assert_eq!(lost(), [1]);
        assert!(lost().is_empty());
        inbox.lost(NodeId(1));
        inbox.deliver(NodeId(1), data(2)).unwrap();
        taken(&inbox, 10);
        assert!(lost().is_empty(), "it spoke again");
    }

    #[test]
    fn the_bell_rings_for_what_was_delivered_and_not_for_what_was_refused() {
        let inbox = Inbox::new(InboxLimits { frames_max: 2, ..InboxLimits::default() });
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = rung.clone();
        inbox.on_deliver(move || {
            bell.fetch_add(1, Ordering::Relaxed);
        });
        let _ = [1, 2, 3].map(|n| inbox.deliver(NodeId(1), data(n)));
        assert_eq!(rung.load(Ordering::Relaxed), 2);
    }
}
