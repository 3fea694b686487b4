//! What travels: a small head of each peer's own, and a body that all recipients share.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a frame's head. Its layout belongs to the link and is the same with and without a seal.
pub const HEAD_BYTES: usize = 32;

/// One frame on its way to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Made for this peer: version, kind, scope, sequence, seal.
    pub head: [u8; HEAD_BYTES],
    /// Shared by all recipients of one send.
    pub body: Bytes,
}

impl Frame {
    /// Bytes of head and body.
    pub fn len(&self) -> usize {
        HEAD_BYTES + self.body.len()
    }

    /// Never: there is always a head.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Head and body in one piece, for transports that write single buffers or datagrams.
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.len());
        whole.put_slice(&self.head);
        whole.put_slice(&self.body);
        whole.freeze()
    }
}
