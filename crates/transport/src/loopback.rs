//! A network inside one process: a frame is in its addressee's inbox when `send` returns. For nodes that share a
//! process, and for tests. It leaves out delay, loss and disorder; the simulator has those.

use crate::{Frame, Inbox, NodeId, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The network. Cheap to clone; every clone is the same network.
#[derive(Clone, Debug, Default)]
pub struct Loopback(Arc<Network>);

#[derive(Debug, Default)]
struct Network {
    state: RwLock<State>,
    delivered: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<NodeId, Attached>,
    /// (from, to): nothing passes.
    cuts: BTreeSet<(NodeId, NodeId)>,
    lives: u64,
}

#[derive(Debug)]
struct Attached {
    inbox: Inbox,
    life: u64,
}

/// One node's end of a [`Loopback`]. Detaches the node when it is dropped.
#[derive(Debug)]
pub struct LoopbackTransport {
    network: Loopback,
    me: NodeId,
    life: u64,
}

impl Loopback {
    /// A network without nodes.
    pub fn new() -> Loopback {
        Loopback::default()
    }

    /// Attaches a node. If one of this id is attached, it is replaced: its transport falls silent and its inbox
    /// gets nothing more. The others are told that they lost it.
    pub fn transport(&self, id: NodeId, inbox: Inbox) -> LoopbackTransport {
        let (replaced, life) = {
            let mut state = self.write();
            state.lives += 1;
            let life = state.lives;
            (state.nodes.insert(id, Attached { inbox, life }).is_some(), life)
        };
        if replaced {
            self.tell_lost(id);
        }
        LoopbackTransport { network: self.clone(), me: id, life }
    }

    /// Detaches a node, as its crash would: nothing comes in, and nothing that its transport sends goes out. The
    /// others are told that they lost it.
    pub fn detach(&self, id: NodeId) {
        let removed = self.write().nodes.remove(&id);
        if removed.is_some() {
            self.tell_lost(id);
        }
    }

    /// Lets nothing pass between two nodes, either way, until [`Loopback::mend`]. Both are told that they lost the
    /// other.
    pub fn cut(&self, a: NodeId, b: NodeId) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Lets nothing pass from one node to another, which the first is told; the way back stays open.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        let inbox = {
            let mut state = self.write();
            state.cuts.insert((from, to));
            state.nodes.get(&from).map(|node| node.inbox.clone())
        };
        if let Some(inbox) = inbox {
            inbox.lost(to);
        }
    }

    /// Takes back what was cut between two nodes, either way.
    pub fn mend(&self, a: NodeId, b: NodeId) {
        let mut state = self.write();
        state.cuts.remove(&(a, b));
        state.cuts.remove(&(b, a));
    }

    /// Takes back every cut.
    pub fn mend_all(&self) {
        self.write().cuts.clear();
    }

    /// Frames put into an inbox.
    pub fn delivered(&self) -> u64 {
        self.0.delivered.load(Ordering::Relaxed)
    }

    /// Frames dropped: the addressee is not there, the pair is cut, or the inbox is full.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Tells all others that they lost a node. Not under the lock: who listens to a bell may send.
    fn tell_lost(&self, id: NodeId) {
        let others: Vec<Inbox> = {
            let state = self.read();
            let others = state.nodes.iter().filter(|(other, _)| **other != id);
            others.map(|(_, node)| node.inbox.clone()).collect()
        };
        others.iter().for_each(|inbox| inbox.lost(id));
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.0.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoopbackTransport {
    /// The addressee's inbox, if a frame may get there. Cloned, because whoever listens to its bell may send.
    fn way(&self, to: NodeId) -> Option<Inbox> {
        let state = self.network.read();
        let alive = state.nodes.get(&self.me).is_some_and(|node| node.life == self.life);
        let node = state.nodes.get(&to)?;
        (alive && !state.cuts.contains(&(self.me, to))).then(|| node.inbox.clone())
    }
}

impl Transport for LoopbackTransport {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let small = frame.len() <= self.frame_bytes_max();
        let way = if small { self.way(to) } else { None };
        let counter = match way.map(|inbox| inbox.deliver(self.me, frame.to_bytes())) {
            Some(Ok(())) => &self.network.0.delivered,
            _ => &self.network.0.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for LoopbackTransport {
    fn drop(&mut self) {
        let mine = {
            let mut state = self.network.write();
            let mine = state.nodes.get(&self.me).is_some_and(|node| node.life == self.life);
            if mine {
                state.nodes.remove(&self.me);
            }
            mine
        };
        if mine {
            self.network.tell_lost(self.me);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HEAD_BYTES;
    use bytes::Bytes;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn frame(body: &'static str) -> Frame {
        Frame { head: [0; HEAD_BYTES], body: Bytes::from_static(body.as_bytes()) }
    }

    fn bodies(inbox: &Inbox) -> Vec<String> {
        let mut frames = Vec::new();
        inbox.take(100, &mut frames);
        frames.iter().map(|(_, f)| String::from_utf8_lossy(&f[HEAD_BYTES..]).into_owned()).collect()
    }

    #[test]
    fn a_frame_is_there_when_send_returns_and_a_cut_holds_until_it_is_mended() {
        let (net, inbox) = (Loopback::new(), Inbox::default());
        let mut a = net.transport(A, Inbox::default());
        let mut b = net.transport(B, inbox.clone());
        a.send(B, &frame("one"));
        net.cut(A, B);
        a.send(B, &frame("two"));
        b.send(A, &frame("two"));
        net.mend(B, A);
        net.cut_one_way(B, A);
        a.send(B, &frame("three"));
        b.send(A, &frame("three"));
        net.mend_all();
        b.send(A, &frame("four"));
        assert_eq!(bodies(&inbox), ["one", "three"]);
        assert_eq!((net.delivered(), net.dropped()), (3, 3));
    }

    #[test]
    fn a_node_that_was_replaced_or_detached_is_neither_heard_nor_told_anything() {
        let (net, first, second) = (Loopback::new(), Inbox::default(), Inbox::default());
        let mut a = net.transport(A, Inbox::default());
        let mut old = net.transport(B, first.clone());
        let mut new = net.transport(B, second.clone());
        old.send(A, &frame("old"));
        new.send(A, &frame("new"));
        a.send(B, &frame("x"));
        assert_eq!((bodies(&first).len(), bodies(&second).len(), net.dropped()), (0, 1, 1));
        drop(old);
        a.send(B, &frame("y"));
        assert_eq!(bodies(&second), ["y"], "the old one's end is not the new one's");
        net.detach(B);
        a.send(B, &frame("z"));
        new.send(A, &frame("z"));
        assert_eq!((bodies(&second).len(), net.dropped()), (0, 3));
    }

    #[test]
    fn whoever_loses_a_peer_is_told_once_and_nobody_else_is() {
        let (net, at_a, at_b) = (Loopback::new(), Inbox::default(), Inbox::default());
        let lost = |inbox: &Inbox| {
            let mut peers = Vec::new();
            inbox.take_lost(&mut peers);
            peers
        };
        let _a = net.transport(A, at_a.clone());
        let b = net.transport(B, at_b.clone());
        assert!(lost(&at_a).is_empty() && lost(&at_b).is_empty());
        net.cut_one_way(A, B);
        assert_eq!((lost(&at_a), lost(&at_b)), (vec![B], vec![]));
        net.cut(A, B);
        assert_eq!((lost(&at_a), lost(&at_b)), (vec![B], vec![A]));
        net.mend_all();
        let second = net.transport(B, Inbox::default());
        assert_eq!(lost(&at_a), [B], "replaced");
        drop(b);
        assert!(lost(&at_a).is_empty(), "the old one's end is not the new one's");
        drop(second);
        assert_eq!(lost(&at_a), [B], "dropped");
        net.detach(A);
        assert!(lost(&at_b).is_empty(), "one that is not attached itself");
    }

    #[test]
    fn what_an_inbox_gives_back_and_what_is_too_large_is_dropped_and_counted() {
        let (net, limits) =
            (Loopback::new(), crate::InboxLimits { control_frames_max: 1, ..Default::default() });
        let mut a = net.transport(A, Inbox::new(limits));
        a.send(A, &frame("fits"));
        a.send(A, &frame("is too many"));
        let huge = Frame { head: [0; HEAD_BYTES], body: Bytes::from(vec![0; a.frame_bytes_max()]) };
        a.send(A, &huge);
        assert_eq!((net.delivered(), net.dropped()), (1, 2));
    }
}
