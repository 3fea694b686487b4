//! The examples that a newcomer reads first: that they run, and that they are as short as they are said to be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and what only they use")]

#[path = "../own_transport/main.rs"]
mod own_transport;
#[path = "../replicate.rs"]
mod replicate;
#[path = "../voters.rs"]
mod voters;
#[path = "../work.rs"]
mod work;

use own_transport::udp::{self, Udp};
use quorate::NodeId;
use quorate::transport::Inbox;
use quorate::transport::conformance::{Lab, NODES, check};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

#[test]
fn replicate_runs() {
    replicate::main().unwrap();
}

#[test]
fn voters_change_under_a_client() {
    voters::main().unwrap();
}

#[test]
fn work_outlives_its_leader() {
    work::main().unwrap();
}

#[test]
fn raft_runs_over_a_transport_of_ones_own() {
    own_transport::main().unwrap();
}

/// Lines that somebody has to write: no `use`, no comment, nothing empty.
fn lines(path: &str) -> usize {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let written = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//") && !line.starts_with("use ")
    };
    text.lines().filter(written).count()
}

#[test]
fn the_first_example_and_a_whole_transport_are_thirty_lines_each() {
    for path in ["replicate.rs", "own_transport/udp.rs"] {
        assert!(lines(path) <= 30, "{path} has {} lines", lines(path));
    }
}

/// Sockets of this machine, on ports that were free.
struct Machine {
    peers: udp::Peers,
    sockets: BTreeMap<NodeId, Weak<UdpSocket>>,
    begun: Instant,
}

impl Machine {
    fn new() -> Machine {
        // All at once, so that they differ; they are free again when this returns.
        let bound = NODES.map(|id| (id, UdpSocket::bind("127.0.0.1:0").unwrap()));
        let peers = bound.iter().map(|(id, socket)| (*id, socket.local_addr().unwrap())).collect();
        Machine { peers, sockets: BTreeMap::new(), begun: Instant::now() }
    }
}

impl Lab for Machine {
    type Net = Udp;

    fn start(&mut self, id: NodeId, inbox: Inbox) -> Udp {
        let socket = Arc::new(UdpSocket::bind(self.peers[&id]).unwrap());
        self.sockets.insert(id, Arc::downgrade(&socket));
        udp::start(id, socket, self.peers.clone(), inbox).unwrap()
    }

    fn stop(&mut self, id: NodeId, net: Udp) {
        drop(net);
        let Some(socket) = self.sockets.remove(&id) else { return };
        assert!(self.wait(&mut || socket.strong_count() == 0), "the receive loop does not end");
    }

    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(500) {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }

    fn now(&mut self) -> Duration {
        self.begun.elapsed()
    }
}

#[test]
fn datagrams_conform() {
    check(&mut Machine::new()).unwrap();
}
