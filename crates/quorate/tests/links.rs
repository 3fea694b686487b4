//! What scopes are told of links over TCP: a peer that ends is down, and its next life comes up.
#![cfg(feature = "tcp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use quorate_core::*;
use quorate_journal::MemoryDisk;
use quorate_node::{NodeConfig, Running, start};
use quorate_transport::Inbox;
use quorate_transport_tcp::{Peers, Tcp, TcpConfig};
use std::convert::Infallible;
use std::time::{Duration, Instant};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

/// Greets its peer every few milliseconds and writes down what it is told.
#[derive(Clone, Debug)]
struct Greeter {
    peer: NodeId,
    next: Time,
    /// Ups with their incarnations; downs are `None`.
    links: Vec<Option<u64>>,
    /// Messages that came while the peer was not up.
    unannounced: u64,
    heard: u64,
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Hello;

impl Wire for Hello {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.part(self);
    }
    fn decode(_: u8, from: &mut Decoder) -> Result<Hello, WireError> {
        from.part()
    }
}

impl Protocol for Greeter {
    type Msg = Hello;
    type Cmd = ();
    type Event = ();
    type Record = Infallible;

    fn step(&mut self, input: Input<Greeter>, cx: &mut Cx<'_, Greeter>) {
        match input {
            Input::Message { .. } => {
                self.heard += 1;
                self.unannounced += u64::from(!matches!(self.links.last(), Some(Some(_))));
            }
            Input::Link { state: LinkState::Up(boot), .. } => self.links.push(Some(boot.incarnation)),
            Input::Link { state: LinkState::Down, .. } => self.links.push(None),
            Input::Start(_) | Input::Wake if self.next <= cx.now => {
                // Promises nothing.
                cx.send_now(self.peer, Hello);
                self.next = cx.now + Duration::from_millis(5);
            }
            _ => {}
        }
    }
    fn wake_at(&self) -> Time {
        self.next
    }
    fn replay(&mut self, record: Infallible) -> Result<(), Corrupt> {
        match record {}
    }
}

struct Silent;

impl Port<Greeter> for Silent {
    type Ask = ();
    fn ask(&mut self, (): (), _: &mut PortCx<'_, Greeter>) {}
    fn event(&mut self, (): (), _: &mut PortCx<'_, Greeter>) {}
}

fn scope() -> ScopeId {
    ScopeId::new("greeter", "test", 0)
}

fn node(me: NodeId, peer: NodeId, disk: &MemoryDisk) -> (Running, Peers, std::net::SocketAddr) {
    let inbox = Inbox::default();
    let backoff = Duration::from_millis(5);
    let config = TcpConfig { backoff, backoff_max: backoff * 4, ..TcpConfig::default() };
    let tcp = Tcp::bind("127.0.0.1:0", me, inbox.clone(), config).unwrap();
    let (peers, addr) = (tcp.peers(), tcp.local_addr());
    let mut host = HostBuilder::new();
    let greeter = Greeter { peer, next: Time::ZERO, links: Vec::new(), unannounced: 0, heard: 0 };
    host.scope(scope(), greeter, Silent);
    let host = host.build().unwrap();
    let assembly = Assembly { id: me, cluster: ClusterId(3), host, door: Door::new(10) };
    (start(assembly, tcp, inbox, disk.open(), NodeConfig::memory()).unwrap(), peers, addr)
}

fn until(what: &str, node: &Running, holds: impl Fn(&Greeter) -> bool + Copy + Send + 'static) {
    let begun = Instant::now();
    loop {
        if node.inspect(scope(), move |greeter: &Greeter| holds(greeter)).unwrap() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_peer_that_ends_is_down_and_its_next_life_comes_up() {
    let (at_a, at_b) = (MemoryDisk::new(JournalId(1)), MemoryDisk::new(JournalId(2)));
    let (a, a_peers, a_addr) = node(A, B, &at_a);
    let (b, b_peers, b_addr) = node(B, A, &at_b);
    a_peers.set(B, b_addr).unwrap();
    b_peers.set(A, a_addr).unwrap();
    until("the first life", &a, |greeter| greeter.links.last() == Some(&Some(1)) && greeter.heard > 3);
    drop((b, b_peers));
    until("its end", &a, |greeter| greeter.links.last() == Some(&None));
    assert!(a.status().sessions.iter().all(|session| session.down));
    let (b, b_peers, b_addr) = node(B, A, &at_b);
    b_peers.set(A, a_addr).unwrap();
    a_peers.set(B, b_addr).unwrap();
    until("the second life", &a, |greeter| greeter.links.last() == Some(&Some(2)));
    let heard = a.inspect(scope(), |greeter: &Greeter| greeter.heard).unwrap();
    until("its messages", &a, move |greeter| greeter.heard > heard + 3);
    until("no message of one who is not up", &a, |greeter| greeter.unannounced == 0);
    drop((a, b));
}
