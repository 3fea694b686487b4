//! The network of the swarm: TCP on 127.0.0.1 or inside the process, with a gate in it that can cut nodes off.

use super::options::Wires;
use quorate::NodeId;
use quorate::transport::{Frame, Inbox, Loopback, Peers, Tcp, TcpConfig, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who can talk to whom.
#[derive(Clone, Default)]
pub struct Network(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    loopback: Option<Loopback>,
    /// Where each node listens, and the handles to tell it where others are.
    addrs: BTreeMap<NodeId, SocketAddr>,
    peers: BTreeMap<NodeId, Peers>,
    cut_off: BTreeSet<NodeId>,
}

impl Network {
    /// A network of this kind.
    pub fn new(wires: Wires) -> Network {
        let loopback = (wires == Wires::Loopback).then(Loopback::new);
        Network(Arc::new(Mutex::new(Inner { loopback, ..Inner::default() })))
    }

    /// Connects a node, again after it was killed.
    pub fn connect(&self, id: NodeId, inbox: Inbox) -> io::Result<Gate> {
        let mut inner = self.inner();
        let transport: Box<dyn Transport> = match &inner.loopback {
            Some(loopback) => Box::new(loopback.transport(id, inbox)),
            None => {
                // The same address as before if it is free again, so that nobody needs to be told.
                let before = inner
                    .addrs
                    .get(&id)
                    .and_then(|addr| Tcp::bind(*addr, id, inbox.clone(), TcpConfig::default()).ok());
                let tcp = match before {
                    Some(tcp) => tcp,
                    None => {
                        Tcp::bind("127.0.0.1:0", id, inbox, TcpConfig::default()).map_err(io::Error::other)?
                    }
                };
                let (own, peers) = (tcp.local_addr(), tcp.peers());
                for (other, addr) in inner.addrs.iter().filter(|(other, _)| **other != id) {
                    peers.set(*other, *addr).map_err(io::Error::other)?;
                }
                for (_, theirs) in inner.peers.iter().filter(|(other, _)| **other != id) {
                    // One that was killed is told when it connects again.
                    let _ = theirs.set(id, own);
                }
                inner.addrs.insert(id, own);
                inner.peers.insert(id, peers);
                Box::new(tcp)
            }
        };
        Ok(Gate { id, transport, network: self.clone() })
    }

    /// Cuts a node off from everybody, both ways.
    pub fn cut_off(&self, id: NodeId) {
        self.inner().cut_off.insert(id);
    }

    /// Connects it again.
    pub fn heal(&self, id: NodeId) {
        self.inner().cut_off.remove(&id);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's way into the network.
pub struct Gate {
    id: NodeId,
    transport: Box<dyn Transport>,
    network: Network,
}

impl Transport for Gate {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let cut = {
            let inner = self.network.inner();
            inner.cut_off.contains(&self.id) || inner.cut_off.contains(&to)
        };
        if !cut {
            self.transport.send(to, frame);
        }
    }

    fn frame_bytes_max(&self) -> usize {
        self.transport.frame_bytes_max()
    }
}
