//! Connections begin, break, move and end.

#![allow(clippy::unwrap_used)] // Helpers of tests may fail them.

mod common;

use bytes::Bytes;
use common::{A, B, bind, control, data, gets_through, taken, until};
use quorate_core::NodeId;
use quorate_transport::{Inbox, InboxLimits, Transport};
use quorate_transport_tcp::{Accepted, Plain, Secure, Stream, Tcp, TcpConfig, TcpError};
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn config() -> TcpConfig {
    TcpConfig::default()
}

/// Opens a connection when it is told to.
struct Gate(Mutex<Receiver<()>>);

impl Secure for Gate {
    fn connect(&self, tcp: TcpStream, peer: NodeId) -> io::Result<Box<dyn Stream>> {
        let _ = self.0.lock().unwrap().recv();
        Plain.connect(tcp, peer)
    }
    fn accept(&self, tcp: TcpStream) -> io::Result<Accepted> {
        Plain.accept(tcp)
    }
}

#[test]
fn frames_arrive_in_the_order_of_their_class_and_many_share_one_system_call() {
    let inbox = Inbox::default();
    let there = bind(B, &inbox, &config());
    let (open, gate) = channel();
    let gate = Arc::new(Gate(Mutex::new(gate)));
    let mut here = Tcp::bind_with("127.0.0.1:0", A, Inbox::default(), config(), gate).unwrap();
    here.peers().set(B, there.local_addr()).unwrap();
    for n in 0..2000u32 {
        here.send(B, &data(Bytes::copy_from_slice(&n.to_le_bytes())));
    }
    open.send(()).unwrap();
    let mut numbers = Vec::new();
    assert!(until(|| {
        numbers.extend(taken(&inbox).iter().map(|(from, frame)| {
            assert_eq!(*from, A);
            u32::from_le_bytes(*frame[32..].first_chunk().unwrap())
        }));
        numbers.len() == 2000
    }));
    assert!(numbers.is_sorted());
    assert!(until(|| here.counters().frames_sent == 2000));
    let counters = here.counters();
    assert_eq!((counters.bytes_sent, counters.connects), (24 + 2000 * (4 + 32 + 4), 1));
    assert!(counters.writes < 100, "{} system calls for 2000 frames", counters.writes);
}

#[test]
fn closing_frees_the_port_at_once_and_again_and_again() {
    let inbox = Inbox::default();
    let mut here = bind(A, &Inbox::default(), &config());
    let mut there = bind(B, &inbox, &config());
    let addr = there.local_addr();
    here.peers().set(B, addr).unwrap();
    for _ in 0..5 {
        assert!(gets_through(&mut here, B, &inbox));
        let begun = Instant::now();
        there.close();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        there = Tcp::bind(addr, B, inbox.clone(), config()).unwrap();
        assert!(gets_through(&mut here, B, &inbox), "after the receiver's restart");
        drop(here);
        here = bind(A, &Inbox::default(), &config());
        here.peers().set(B, addr).unwrap();
    }
}

#[test]
fn a_closed_transport_leaves_no_thread_and_takes_no_peers() {
    let inbox = Inbox::default();
    let mut here = bind(A, &inbox, &config());
    let peers = here.peers();
    for id in 10..15 {
        // Nobody listens there: the writers are between two attempts.
        peers.set(NodeId(id), "127.0.0.1:1".parse().unwrap()).unwrap();
        here.send(NodeId(id), &control("x"));
    }
    here.close();
    here.close();
    assert!(matches!(peers.set(B, "127.0.0.1:1".parse().unwrap()), Err(TcpError::Closed)));
    here.send(NodeId(10), &control("x"));
    drop(here);
    assert_eq!((peers.list().len(), peers.connections()), (0, 0));
}

#[test]
fn a_peer_that_moved_is_found_at_its_new_address() {
    let (first, second) = (Inbox::default(), Inbox::default());
    let old = bind(B, &first, &config());
    let new = bind(B, &second, &config());
    let mut here = bind(A, &Inbox::default(), &config());
    here.peers().set(B, old.local_addr()).unwrap();
    assert!(gets_through(&mut here, B, &first));
    here.peers().set(B, new.local_addr()).unwrap();
    assert!(gets_through(&mut here, B, &second));
    assert_eq!(here.peers().list(), [(B, new.local_addr())]);
    assert!(here.peers().remove(B) && !here.peers().remove(B));
    here.send(B, &control("nobody"));
    assert_eq!(here.counters().dropped_unknown_peer, 1);
}

#[test]
fn bounds_of_peers_and_of_configuration_are_typed() {
    let config = TcpConfig { peers_max: 1, ..config() };
    let here = bind(A, &Inbox::default(), &config);
    let addr = here.local_addr();
    assert!(matches!(here.peers().set(A, addr), Err(TcpError::Myself)));
    here.peers().set(B, addr).unwrap();
    here.peers().set(B, addr).unwrap();
    assert!(matches!(here.peers().set(NodeId(3), addr), Err(TcpError::TooManyPeers(1))));
    let wrong = TcpConfig { batch_frames_max: 0, ..config };
    assert!(matches!(Tcp::bind("127.0.0.1:0", A, Inbox::default(), wrong), Err(TcpError::Config(_))));
    let taken = Tcp::bind(addr, A, Inbox::default(), TcpConfig::default());
    assert!(matches!(taken, Err(TcpError::Io(_))));
}

#[test]
fn an_absent_peer_costs_few_attempts_and_holds_little() {
    let config = TcpConfig { queue_frames_max: 100, backoff: Duration::from_millis(50), ..config() };
    let mut here = bind(A, &Inbox::default(), &config);
    let gone = bind(B, &Inbox::default(), &config);
    let addr = gone.local_addr();
    drop(gone);
    here.peers().set(B, addr).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        here.send(B, &data(Bytes::from(vec![0; 1000])));
        std::thread::sleep(Duration::from_micros(100));
    }
    let (counters, seconds) = (here.counters(), begun.elapsed().as_secs());
    // 50, 100, 200, 400, 800 ms at least, then a second: six attempts in the first one and a half.
    assert!((1..=6 + seconds).contains(&counters.connects_failed), "{counters:?} in {seconds} s");
    assert!(counters.dropped_data > 0);
}

#[test]
fn a_full_inbox_holds_up_data_for_a_moment_and_control_frames_hardly() {
    let limits = InboxLimits { frames_max: 10, ..InboxLimits::default() };
    let inbox = Inbox::new(limits);
    let there = bind(B, &inbox, &config());
    let mut here = bind(A, &Inbox::default(), &config());
    here.peers().set(B, there.local_addr()).unwrap();
    for n in 0..5000 {
        here.send(B, &data(Bytes::from(vec![0; 100])));
        if n == 2500 {
            here.send(B, &control("urgent"));
        }
    }
    // Nobody takes anything: all must have been read, and all but ten and the control frame dropped.
    assert!(until(|| there.counters().inbox_drops == 4990), "{:?}", there.counters());
    let counters = there.counters();
    assert_eq!(counters.frames_received, 11);
    assert!(counters.inbox_waits <= 3, "one wait, not one a frame: {counters:?}");
    assert!(taken(&inbox).iter().any(|(_, frame)| frame.ends_with(b"urgent")));
    assert!(gets_through(&mut here, B, &inbox));
}

#[test]
fn room_that_comes_in_time_loses_nothing() {
    let inbox = Inbox::new(InboxLimits { frames_max: 4, ..InboxLimits::default() });
    let config = TcpConfig { full_patience: Duration::from_secs(20), ..config() };
    let there = bind(B, &inbox, &config);
    let mut here = bind(A, &Inbox::default(), &config);
    here.peers().set(B, there.local_addr()).unwrap();
    for _ in 0..200 {
        here.send(B, &data(Bytes::from_static(b"x")));
    }
    let mut count = 0;
    assert!(until(|| {
        count += taken(&inbox).len();
        count == 200
    }));
    assert!(there.counters().inbox_waits > 0);
}

#[test]
fn what_is_too_large_is_not_sent_and_breaks_nothing() {
    let inbox = Inbox::default();
    let config = TcpConfig { frame_bytes_max: 1000, ..config() };
    let there = bind(B, &inbox, &config);
    let mut here = bind(A, &Inbox::default(), &config);
    here.peers().set(B, there.local_addr()).unwrap();
    here.send(B, &data(Bytes::from(vec![0; 969])));
    here.send(B, &data(Bytes::from(vec![0; 968])));
    assert!(until(|| !inbox.is_empty()));
    assert_eq!(taken(&inbox)[0].1.len(), 1000);
    assert_eq!(here.counters().dropped_too_large, 1);
}

#[test]
fn an_idle_connection_is_closed_and_the_next_frame_opens_another() {
    let inbox = Inbox::default();
    let config = TcpConfig { idle_timeout: Duration::from_millis(50), ..config() };
    let there = bind(B, &inbox, &config);
    let mut here = bind(A, &Inbox::default(), &config);
    here.peers().set(B, there.local_addr()).unwrap();
    here.send(B, &control("one"));
    assert!(until(|| there.counters().closed_idle == 1));
    assert!(until(|| there.peers().connections() == 0));
    taken(&inbox);
    // Not a frame is lost: the writer looks before it writes.
    here.send(B, &control("two"));
    assert!(until(|| !inbox.is_empty()));
    assert_eq!(here.counters().dropped_in_flight, 0);
}

/// Proves another name than the preamble's.
struct Misnamed(AtomicUsize);

impl Secure for Misnamed {
    fn connect(&self, tcp: TcpStream, peer: NodeId) -> io::Result<Box<dyn Stream>> {
        Plain.connect(tcp, peer)
    }
    fn accept(&self, tcp: TcpStream) -> io::Result<Accepted> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Accepted { peer: Some(NodeId(77)), ..Plain.accept(tcp)? })
    }
}

#[test]
fn a_preamble_under_another_name_than_the_proven_one_is_refused() {
    let (inbox, secure) = (Inbox::default(), Arc::new(Misnamed(AtomicUsize::new(0))));
    let there = Tcp::bind_with("127.0.0.1:0", B, inbox.clone(), config(), secure.clone()).unwrap();
    let mut here = bind(A, &Inbox::default(), &config());
    here.peers().set(B, there.local_addr()).unwrap();
    here.send(B, &control("x"));
    assert!(until(|| there.counters().refused_preamble > 0));
    assert!(inbox.is_empty() && secure.0.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_bell_that_drops_the_transport_does_not_wait_for_itself() {
    let inbox = Inbox::default();
    let there = Arc::new(Mutex::new(Some(bind(B, &inbox, &config()))));
    let addr = there.lock().unwrap().as_ref().unwrap().local_addr();
    let theirs = there.clone();
    inbox.on_deliver(move || drop(theirs.lock().unwrap().take()));
    let mut here = bind(A, &Inbox::default(), &config());
    here.peers().set(B, addr).unwrap();
    here.send(B, &control("stop"));
    assert!(until(|| there.lock().unwrap().is_none()));
}

#[test]
fn a_peer_that_ends_or_was_never_there_is_told_as_lost_and_what_strangers_close_is_not() {
    let (at_a, at_b) = (Inbox::default(), Inbox::default());
    let mut a = bind(A, &at_a, &config());
    let mut b = bind(B, &at_b, &config());
    let lost = || {
        let mut peers = Vec::new();
        at_a.take_lost(&mut peers);
        peers
    };
    a.peers().set(B, b.local_addr()).unwrap();
    assert!(gets_through(&mut a, B, &at_b));
    // Somebody says that it is B, and goes.
    let mut stranger = Tcp::bind("127.0.0.1:0", B, Inbox::default(), config()).unwrap();
    stranger.peers().set(A, a.local_addr()).unwrap();
    assert!(gets_through(&mut stranger, A, &at_a));
    drop(stranger);
    assert!(until(|| a.peers().connections() == 0));
    assert_eq!(lost(), []);
    b.close();
    // Noticed by whoever has something to say.
    assert!(until(|| {
        a.send(B, &control("hello?"));
        lost() == [B]
    }));
    // No connection can be opened: told again, as a hint may be.
    assert!(until(|| {
        a.send(B, &control("hello?"));
        lost() == [B]
    }));
    a.close();
    assert_eq!(lost(), [], "its own end is no loss");
}
