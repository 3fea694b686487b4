//! The network, which the application brings.
//!
//! [`Transport`] is the one trait that must be implemented; what arrives is pushed into an [`Inbox`] from the
//! application's own receive loop, thread or task. [`Loopback`] joins nodes of one process; [`conformance`] is the
//! suite for a transport of your own.
//!
//! What is deliberately absent: sockets, threads and clocks (adapters have them), and any notion of who a peer
//! really is (that is the link's).

pub mod conformance;
mod inbox;
mod loopback;

/// What [`Inbox::deliver`] takes; of the `bytes` crate.
pub use bytes::Bytes;
pub use inbox::{Full, Inbox, InboxLimits};
pub use loopback::{Loopback, LoopbackTransport};
pub use quorate_core::{Frame, HEAD_BYTES, NodeId};

/// Sends frames to peers. Never blocks; may drop, delay, double or reorder: protocols repeat what matters.
pub trait Transport: Send {
    /// Hands one frame over, or drops it.
    fn send(&mut self, to: NodeId, frame: &Frame);

    /// The largest frame that it carries, head included. What is larger is never sent.
    fn frame_bytes_max(&self) -> usize {
        1 << 20
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        (**self).send(to, frame);
    }
    fn frame_bytes_max(&self) -> usize {
        (**self).frame_bytes_max()
    }
}
