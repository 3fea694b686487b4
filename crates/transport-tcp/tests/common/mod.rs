//! What the tests share.

use bytes::Bytes;
use quorate_core::{Frame, HEAD_BYTES, NodeId};
use quorate_transport::{Inbox, Transport};
use quorate_transport_tcp::{Tcp, TcpConfig};
use std::time::{Duration, Instant};

pub(crate) const A: NodeId = NodeId(1);
pub(crate) const B: NodeId = NodeId(2);

/// Waits, generously, for what must come.
pub(crate) fn until(mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

pub(crate) fn bind(me: NodeId, inbox: &Inbox, config: &TcpConfig) -> Tcp {
    Tcp::bind("127.0.0.1:0", me, inbox.clone(), config.clone()).unwrap()
}

pub(crate) fn control(body: &'static str) -> Frame {
    Frame { head: [0; HEAD_BYTES], body: Bytes::from_static(body.as_bytes()) }
}

pub(crate) fn data(body: Bytes) -> Frame {
    let mut head = [0; HEAD_BYTES];
    head[2] = 1;
    Frame { head, body }
}

pub(crate) fn taken(inbox: &Inbox) -> Vec<(NodeId, Bytes)> {
    let mut frames = Vec::new();
    inbox.take(usize::MAX, &mut frames);
    frames
}

/// Sends until it comes: a frame may be lost with its connection.
pub(crate) fn gets_through(tcp: &mut Tcp, to: NodeId, inbox: &Inbox) -> bool {
    let mut sent = Instant::now() - Duration::from_secs(1);
    until(|| {
        if sent.elapsed() > Duration::from_millis(50) {
            tcp.send(to, &control("through"));
            sent = Instant::now();
        }
        taken(inbox).iter().any(|(_, frame)| frame.ends_with(b"through"))
    })
}
