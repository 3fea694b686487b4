//! What scopes are told of links: up, down, and up again.

mod common;

use common::*;
use quorate_core::{LinkLimits, NodeId};
use quorate_node::{Lane, NodeConfig};
use quorate_transport::Loopback;
use std::time::Instant;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

/// Turns of all of them: more rounds than a handshake and what waits for it take.
fn exchange(lanes: &mut [&mut Lane]) {
    for _ in 0..10 {
        lanes.iter_mut().for_each(|lane| {
            settle(lane, Instant::now());
        });
    }
}

fn links(lane: &Lane) -> &[(NodeId, Option<u64>, usize)] {
    &ledger(lane).links
}

fn is_down(lane: &Lane) -> Vec<bool> {
    lane.status().sessions.iter().map(|session| session.down).collect()
}

#[test]
fn a_peer_that_is_lost_is_down_until_it_is_heard_and_then_up_before_its_message() {
    let net = Loopback::new();
    let (mut a, _a, at_a) = Setup::in_memory(1).prepare_on(&net);
    let (mut b, _b, at_b) = Setup::in_memory(2).prepare_on(&net);
    at_a.say(B, Say::Data(1));
    exchange(&mut [&mut a, &mut b]);
    assert_eq!((links(&a), links(&b)), (&[(B, Some(1), 0)][..], &[(A, Some(1), 0)][..]));
    net.cut(A, B);
    exchange(&mut [&mut a, &mut b]);
    assert_eq!((&links(&a)[1..], &links(&b)[1..]), (&[(B, None, 0)][..], &[(A, None, 1)][..]));
    assert_eq!((is_down(&a), is_down(&b)), (vec![true], vec![true]));
    // Told again, it is no news.
    net.cut(A, B);
    exchange(&mut [&mut a, &mut b]);
    assert_eq!((links(&a).len(), links(&b).len()), (2, 2));
    // Heard one way alone, it is up there alone, and under the session that stood all along.
    net.mend_all();
    at_b.say(A, Say::Control(2));
    exchange(&mut [&mut a, &mut b]);
    assert_eq!((&links(&a)[2..], links(&b).len()), (&[(B, Some(1), 0)][..], 2));
    assert_eq!(ledger(&a).heard, [(B, Say::Control(2))]);
    assert_eq!((is_down(&a), is_down(&b)), (vec![false], vec![true]));
    assert_eq!(a.status().link.sessions, 1);
}

#[test]
fn a_peer_that_restarts_is_down_and_comes_up_as_its_next_life() {
    let net = Loopback::new();
    let (mut a, _a, at_a) = Setup::in_memory(1).prepare_on(&net);
    let second = Setup::in_memory(2);
    let (mut b, b_runs, _) = second.prepare_on(&net);
    at_a.say(B, Say::Data(1));
    exchange(&mut [&mut a, &mut b]);
    drop((b, b_runs));
    exchange(&mut [&mut a]);
    assert_eq!(links(&a), [(B, Some(1), 0), (B, None, 0)]);
    let (mut b, _b, _) = second.prepare_on(&net);
    at_a.say(B, Say::Data(2));
    exchange(&mut [&mut a, &mut b]);
    assert_eq!(links(&a)[2..], [(B, Some(2), 0)]);
    assert_eq!(is_down(&a), [false]);
}

#[test]
fn a_session_that_the_link_gave_up_is_told_as_down() {
    let net = Loopback::new();
    let limits = LinkLimits { peers_max: 1, ..LinkLimits::default() };
    let config = NodeConfig { link: limits, ..NodeConfig::memory() };
    let (mut a, _a, at_a) = Setup { config, ..Setup::in_memory(1) }.prepare_on(&net);
    let (mut b, _b, _) = Setup::in_memory(2).prepare_on(&net);
    let (mut c, _c, _) = Setup::in_memory(3).prepare_on(&net);
    at_a.say(B, Say::Data(1));
    exchange(&mut [&mut a, &mut b, &mut c]);
    at_a.say(NodeId(3), Say::Data(1));
    exchange(&mut [&mut a, &mut b, &mut c]);
    assert_eq!(links(&a), [(B, Some(1), 0), (B, None, 0), (NodeId(3), Some(1), 0)]);
}
