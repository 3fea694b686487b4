//! The journal's thread: steps do not wait for it, one sync serves all, and what waits for it is bounded.

mod common;

use common::*;
use quorate_core::{Failure, NodeId, Reason};
use quorate_node::Next;
use std::time::{Duration, Instant};

#[test]
fn one_sync_serves_all_that_waited_in_every_scope() {
    let mut setup = Setup::new(1);
    setup.scopes = (0..3).map(scope).collect();
    setup.gate.close();
    let (node, app) = setup.start();
    let first = app.keep(0);
    setup.gate.await_arrivals(1);
    let rest: Vec<_> = (1..100).map(|n| app.keep_in(scope(n % 3), u64::from(n))).collect();
    eventually("all are taken", || node.status().asks == 100);
    assert!(!first.is_settled() && rest.iter().all(|ticket| !ticket.is_settled()), "promised too early");
    setup.gate.open();
    assert_eq!(outcome(first), Ok(0));
    for (n, ticket) in (1..).zip(rest) {
        assert_eq!(outcome(ticket), Ok(n));
    }
    assert_eq!(setup.gate.synced(), 2, "one that was under way, one for all the others");
    let status = node.status();
    assert_eq!((status.journal.appends, status.journal.syncs, status.journal.sync.count), (100, 2, 2));
    assert_eq!((status.journal.undurable_bytes, status.held_effects), (0, 0));
}

#[test]
fn steps_do_not_wait_for_the_disk() {
    let mut setup = Setup::new(1);
    setup.beat_every = Some(Duration::from_millis(1));
    setup.gate.close();
    let (node, app) = setup.start();
    let ticket = app.keep(1);
    setup.gate.await_arrivals(1);
    let beats = || node.inspect(scope(0), |ledger: &Ledger| ledger.beats).expect("it runs");
    let before = beats();
    eventually("beats while the disk stands still", || beats() >= before + 20);
    assert!(!ticket.is_settled());
    setup.gate.open();
    assert_eq!(outcome(ticket), Ok(1));
}

#[test]
fn a_journal_in_memory_answers_in_the_same_turn() {
    let setup = Setup::in_memory(1);
    let (mut lane, _node, app) = setup.prepare();
    let ticket = app.keep(1);
    assert_eq!(lane.turn(Instant::now()), Next::Ring);
    assert!(ticket.is_settled());
    assert_eq!(setup.gate.synced(), 1);
}

/// A node whose disk stands still, with a peer that talks to it. The limit is reached by some ten records.
fn full() -> (Setup, quorate_node::Lane, quorate_node::Running, App, Vec<quorate_core::Ticket<u64>>) {
    let mut setup = Setup::new(1);
    setup.asks_max = 20;
    setup.config.turn.undurable_bytes_max = 500;
    setup.gate.close();
    let (mut lane, node, app) = setup.prepare();
    let mut tickets = Vec::new();
    while app.door.len() < 20 {
        tickets.push(app.keep(tickets.len() as u64));
        lane.turn(Instant::now());
    }
    (setup, lane, node, app, tickets)
}

#[test]
fn a_full_lane_leaves_asks_in_the_door_until_the_door_says_busy() {
    let (setup, mut lane, _node, app, tickets) = full();
    assert_eq!(outcome(app.keep(999)), Err(Failure::Rejected(Reason::Busy)));
    let status = lane.status();
    assert!(status.full);
    assert!(status.asks < 20, "{} asks were taken past the limit", status.asks);
    assert!((500..1000).contains(&status.journal.undurable_bytes), "{status:?}");
    assert_eq!(status.held_effects, status.asks);
    assert_ne!(lane.next(), Next::Now, "it would spin until the disk answers");
    setup.gate.open();
    for (n, ticket) in (0..).zip(tickets) {
        eventually("there is room again", || {
            lane.turn(Instant::now());
            ticket.is_settled()
        });
        assert_eq!(outcome(ticket), Ok(n));
    }
    assert!(!lane.status().full);
}

#[test]
fn a_full_lane_drops_and_counts_data_and_hears_control() {
    let (setup, mut lane, _node, _app, _tickets) = full();
    let peer = Setup { switch: setup.switch.clone(), ..Setup::in_memory(2) };
    let (mut peer_lane, _peer, peer_app) = peer.prepare();
    for n in 0..3 {
        peer_app.say(NodeId(1), Say::Data(n));
        peer_app.say(NodeId(1), Say::Control(n));
    }
    for _ in 0..5 {
        peer_lane.turn(Instant::now());
        lane.turn(Instant::now());
    }
    let heard: Vec<_> = ledger(&lane).heard.iter().map(|(_, say)| say.clone()).collect();
    assert_eq!(heard, [Say::Control(0), Say::Control(1), Say::Control(2)]);
    assert_eq!(lane.status().frames.dropped_full, 3);
    assert_eq!(ledger(&lane).up, [NodeId(2)]);
    setup.gate.open();
}

#[test]
fn what_the_transport_does_not_carry_is_counted_and_not_sent() {
    let setup = Setup::in_memory(1);
    let peer = Setup { switch: setup.switch.clone(), ..Setup::in_memory(2) };
    let ((mut lane, _node, app), (mut peer_lane, _peer, _)) = (setup.prepare(), peer.prepare());
    app.say(NodeId(2), Say::Long(vec![0; 5000]));
    app.say(NodeId(2), Say::Long(vec![0; 50]));
    for _ in 0..5 {
        lane.turn(Instant::now());
        peer_lane.turn(Instant::now());
    }
    assert_eq!(ledger(&peer_lane).heard, [(NodeId(1), Say::Long(vec![0; 50]))]);
    assert_eq!(lane.status().frames.oversized, 1);
}
