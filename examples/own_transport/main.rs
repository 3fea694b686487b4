//! Raft over a transport of one's own, which is the file beside this one.
//!
//! cargo run --example own_transport

pub(crate) mod udp;

use quorate::raft::{RaftConfig, RaftHandle, Session};
use quorate::transport::Transport;
use quorate::{Applied, NoDecider, Node, NodeId, Running, StateMachine, journal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::UdpSocket;

/// What was said, in the order that all agreed on.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Talk(Vec<String>);

impl StateMachine for Talk {
    type Command = String;
    type Reply = usize;
    quorate::freeze_by_clone!();
    fn apply(&mut self, line: String, _: Applied) -> usize {
        self.0.push(line);
        self.0.len()
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let nodes = three()?;
    let mut session = Session::new(nodes[0].1.open_session().wait()?);
    for (number, (running, talk)) in nodes.iter().enumerate() {
        let place = session.next(talk, format!("{} says hello", running.id())).wait()?;
        assert_eq!(place, number + 1);
    }
    // Long ones too, as far as a datagram carries them.
    for (_, talk) in &nodes {
        session.next(talk, "o".repeat(30_000)).wait()?;
    }
    for (running, talk) in &nodes {
        let frames = running.status().frames;
        let talk = talk.inspect(|talk| talk.0[..3].join(", ")).wait()?;
        println!("{}: {talk} ({} datagrams sent, {} received)", running.id(), frames.sent, frames.received);
    }
    Ok(())
}

/// Nodes that run, each with its handle.
type Nodes = Vec<(Running, RaftHandle<Talk>)>;

/// Three of them, on ports that are free.
fn three() -> Result<Nodes, Box<dyn std::error::Error>> {
    let sockets = [1, 2, 3].map(|id| (NodeId(id), UdpSocket::bind("127.0.0.1:0")));
    let (mut bound, mut peers) = (Vec::new(), BTreeMap::new());
    for (id, socket) in sockets {
        let socket = socket?;
        peers.insert(id, socket.local_addr()?);
        bound.push((id, socket));
    }
    let mut nodes = Vec::new();
    for (id, socket) in bound {
        let mut node = Node::builder(id).found([1, 2, 3]);
        let transport = udp::start(id, socket.into(), peers.clone(), node.inbox())?;
        // A datagram holds less than the default settings may send at once; the node would not start with them.
        let config = RaftConfig::for_frames(transport.frame_bytes_max());
        let talk = node.raft_with("talk", Talk::default(), NoDecider, config);
        nodes.push((node.start(transport, journal::in_memory())?, talk));
    }
    Ok(nodes)
}
