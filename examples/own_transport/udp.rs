//! A transport of one's own, whole: a frame is a datagram, behind the number of its sender.

use bytes::Bytes;
use quorate::NodeId;
use quorate::transport::{Frame, Inbox, Transport};
use std::collections::BTreeMap;
use std::io::Result;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

/// Where everybody is.
pub type Peers = BTreeMap<NodeId, SocketAddr>;

/// One node's socket.
pub struct Udp {
    me: NodeId,
    socket: Arc<UdpSocket>,
    peers: Peers,
}

impl Transport for Udp {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let Some(peer) = self.peers.get(&to) else { return };
        let datagram = [&self.me.0.to_le_bytes()[..], &frame.head, &frame.body].concat();
        // What cannot be sent now is lost: whoever needs it to arrive sends it again.
        let _ = self.socket.send_to(&datagram, peer);
    }
    fn frame_bytes_max(&self) -> usize {
        65_507 - 8
    }
}

/// Sends and receives as `me`. What arrives goes into the inbox, until the transport is dropped.
pub fn start(me: NodeId, socket: Arc<UdpSocket>, peers: Peers, inbox: Inbox) -> Result<Udp> {
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    socket.set_write_timeout(Some(Duration::from_millis(1)))?;
    let theirs = Arc::downgrade(&socket);
    std::thread::spawn(move || {
        let mut datagram = [0; 65_536];
        while let Some(socket) = theirs.upgrade() {
            let Ok((len, _)) = socket.recv_from(&mut datagram) else { continue };
            let Some((from, frame)) = datagram[..len].split_first_chunk() else { continue };
            // Who it really is from the link finds out. What a full inbox gives back is lost.
            let _ = inbox.deliver(NodeId(u64::from_le_bytes(*from)), Bytes::copy_from_slice(frame));
        }
    });
    Ok(Udp { me, socket, peers })
}
