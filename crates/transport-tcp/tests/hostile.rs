//! Bytes from strangers: refused, counted, and of no consequence to others.

#![allow(clippy::unwrap_used)] // Helpers of tests may fail them.

mod common;

use bytes::Bytes;
use common::{A, B, bind, control, data, gets_through, taken, until};
use quorate_core::{NodeId, Rng};
use quorate_transport::{Inbox, Transport};
use quorate_transport_tcp::{Tcp, TcpConfig};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn preamble(from: u64, to: u64) -> Vec<u8> {
    [&b"qrte\x01\0\0\0"[..], &from.to_le_bytes(), &to.to_le_bytes()].concat()
}

fn frame(length: u32, bytes: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], bytes].concat()
}

fn connect(to: &Tcp) -> TcpStream {
    TcpStream::connect(to.local_addr()).unwrap()
}

/// Whether the other side closes the connection.
fn is_closed(mut tcp: &TcpStream) -> bool {
    tcp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    until(|| match tcp.read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    })
}

fn patient_friend(to: &Tcp) -> Tcp {
    let friend = bind(A, &Inbox::default(), &TcpConfig::default());
    friend.peers().set(B, to.local_addr()).unwrap();
    friend
}

#[test]
fn a_beginning_that_is_no_preamble_for_this_node_closes_the_connection() {
    let inbox = Inbox::default();
    let there = bind(B, &inbox, &TcpConfig::default());
    let mut old = preamble(9, 2);
    old[4] = 2;
    let beginnings =
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), vec![0; 100], old, preamble(9, 3), preamble(2, 2)];
    for (done, beginning) in beginnings.iter().enumerate() {
        let mut tcp = connect(&there);
        tcp.write_all(beginning).unwrap();
        assert!(is_closed(&tcp));
        assert!(until(|| there.counters().refused_preamble == done as u64 + 1));
    }
    assert!(gets_through(&mut patient_friend(&there), B, &inbox));
}

#[test]
fn a_length_beyond_the_bounds_closes_the_connection_before_anything_is_allocated() {
    let inbox = Inbox::default();
    let config = TcpConfig { frame_bytes_max: 1000, ..TcpConfig::default() };
    let there = bind(B, &inbox, &config);
    for (done, length) in [u32::MAX, 1001, 31, 0].into_iter().enumerate() {
        let mut tcp = connect(&there);
        tcp.write_all(&preamble(9, 2)).unwrap();
        tcp.write_all(&frame(32, &[7; 32])).unwrap();
        tcp.write_all(&frame(length, &[])).unwrap();
        assert!(is_closed(&tcp));
        assert!(until(|| there.counters().refused_length == done as u64 + 1));
        assert!(
            until(|| taken(&inbox) == [(NodeId(9), Bytes::from_static(&[7; 32]))]),
            "the one before came"
        );
    }
}

#[test]
fn who_says_nothing_or_speaks_a_byte_at_a_time_is_shown_out() {
    let inbox = Inbox::default();
    let config = TcpConfig {
        preamble_timeout: Duration::from_millis(100),
        frame_timeout: Duration::from_millis(200),
        ..TcpConfig::default()
    };
    let there = bind(B, &inbox, &config);
    let silent = connect(&there);
    assert!(is_closed(&silent));
    let mut dripping = connect(&there);
    let drips = preamble(9, 2);
    let mut drip = drips.iter();
    assert!(until(|| {
        // Never idle, never done.
        if drip.len() > 1 {
            let _ = dripping.write_all(&[*drip.next().unwrap()]);
        }
        std::thread::sleep(Duration::from_millis(10));
        there.counters().refused_silent == 2
    }));
    let mut endless = connect(&there);
    endless.write_all(&preamble(9, 2)).unwrap();
    endless.write_all(&frame(1 << 20, &[0; 10])).unwrap();
    assert!(until(|| {
        let _ = endless.write_all(&[0]);
        std::thread::sleep(Duration::from_millis(10));
        there.counters().closed_slow == 1
    }));
    assert!(until(|| there.peers().connections() == 0));
    assert!(gets_through(&mut patient_friend(&there), B, &inbox));
}

#[test]
fn many_connections_find_a_closed_door_and_those_that_stand_go_on() {
    let inbox = Inbox::default();
    let config = TcpConfig { unnamed_max: 5, connections_max: 8, ..TcpConfig::default() };
    let there = bind(B, &inbox, &config);
    let mut friend = patient_friend(&there);
    assert!(gets_through(&mut friend, B, &inbox));
    let crowd: Vec<TcpStream> = (0..50).map(|_| connect(&there)).collect();
    assert!(until(|| there.counters().refused_too_many >= 45));
    assert!(there.peers().connections() <= 6);
    friend.send(B, &control("still here"));
    assert!(until(|| !taken(&inbox).is_empty()));
    drop(crowd);
    assert!(until(|| there.peers().connections() == 1));

    let mut named = Vec::new();
    for id in 100..120 {
        let mut tcp = connect(&there);
        let _ = tcp.write_all(&preamble(id, 2));
        named.push(tcp);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(there.peers().connections() <= 8);
    drop(named);
    assert!(gets_through(&mut friend, B, &inbox));
}

#[test]
fn a_peer_that_connects_again_and_again_displaces_itself_only() {
    let inbox = Inbox::default();
    let config = TcpConfig { connections_a_peer_max: 2, ..TcpConfig::default() };
    let there = bind(B, &inbox, &config);
    let mut friend = patient_friend(&there);
    assert!(gets_through(&mut friend, B, &inbox));
    let mut all = Vec::new();
    for _ in 0..10 {
        let mut tcp = connect(&there);
        tcp.write_all(&preamble(9, 2)).unwrap();
        tcp.write_all(&frame(32, &[7; 32])).unwrap();
        assert!(until(|| taken(&inbox).iter().any(|(from, _)| from.0 == 9)));
        all.push(tcp);
    }
    assert!(until(|| there.peers().connections() == 3));
    assert_eq!(there.counters().superseded, 8);
    let mut last = all.pop().unwrap();
    last.write_all(&frame(32, &[8; 32])).unwrap();
    assert!(until(|| !inbox.is_empty()), "the newest stands");
    assert!(is_closed(&all[0]) && gets_through(&mut friend, B, &inbox));
}

#[test]
fn random_and_mutated_bytes_neither_panic_nor_stay() {
    let inbox = Inbox::default();
    let config = TcpConfig { unnamed_max: 1000, connections_a_peer_max: 1000, ..TcpConfig::default() };
    let there = bind(B, &inbox, &config);
    for seed in 0..200 {
        let mut rng = Rng::from_seed(seed);
        let mut bytes = preamble(9, 2);
        for _ in 0..rng.within(0..5) {
            let body: Vec<u8> = (0..rng.within(32..300)).map(|_| rng.bits() as u8).collect();
            bytes.extend(frame(body.len() as u32, &body));
        }
        for _ in 0..rng.within(0..4) {
            match rng.index(3) {
                0 => bytes.truncate(rng.index(bytes.len() + 1)),
                1 => bytes.extend((0..rng.within(0..50)).map(|_| rng.bits() as u8)),
                _ if bytes.is_empty() => {}
                _ => {
                    let at = rng.index(bytes.len());
                    bytes[at] ^= 1 << rng.index(8);
                }
            }
        }
        // The other side may have closed already.
        let _ = connect(&there).write_all(&bytes);
        taken(&inbox);
    }
    assert!(until(|| there.counters().accepted == 200 && there.peers().connections() == 0));
    let counters = there.counters();
    assert!(counters.frames_received > 100 && counters.refused_preamble > 10, "{counters:?}");
    assert!(gets_through(&mut patient_friend(&there), B, &inbox));
}

#[test]
fn a_peer_that_accepts_and_reads_nothing_holds_up_neither_sender_nor_memory() {
    let hole = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = TcpConfig {
        queue_bytes_max: 1 << 20,
        write_timeout: Duration::from_millis(100),
        ..TcpConfig::default()
    };
    let mut here = bind(A, &Inbox::default(), &config);
    here.peers().set(B, hole.local_addr().unwrap()).unwrap();
    // Until more has gone than the sockets' own buffers take.
    assert!(until(|| {
        for _ in 0..1000 {
            here.send(B, &data(Bytes::from_static(&[0; 10_000])));
        }
        here.counters().connections_lost > 0
    }));
    let counters = here.counters();
    assert!(counters.dropped_data > 0 && counters.dropped_in_flight > 0, "{counters:?}");
    here.send(B, &control("x"));
    here.close();
}

#[test]
fn a_peer_that_closes_every_connection_is_not_asked_without_end() {
    let rude = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = rude.local_addr().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let door = std::thread::spawn(move || {
        rude.set_nonblocking(true).unwrap();
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            drop(rude.accept());
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    let mut here = bind(A, &Inbox::default(), &TcpConfig::default());
    here.peers().set(B, addr).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        here.send(B, &control("x"));
        std::thread::sleep(Duration::from_millis(1));
    }
    let (connects, seconds) = (here.counters().connects, begun.elapsed().as_secs());
    // 20, 40, 80, 160, 320, 640 ms between them at least, then a second.
    assert!((1..=7 + seconds).contains(&connects), "{connects} connections in {seconds} s");
    stop.send(()).unwrap();
    door.join().unwrap();
}
