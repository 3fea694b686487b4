//! An order of preference of leaders.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Change, Cmd, Event, Founding, Msg, RaftConfig, RaftConfigError};
use quorate_core::{Input, JournalId, LinkState, NodeId};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

/// What a leader waits with a more preferred voter beside it, and a few heartbeats.
const PATIENCE_MS: u64 = 1500 + 200;

fn preferring(preferred: &[NodeId]) -> RaftConfig {
    RaftConfig { preferred: preferred.to_vec(), ..RaftConfig::default() }
}

fn founded(preferred: &[NodeId], seed: u64) -> Cluster {
    let mut cluster = Cluster::seeded(preferring(preferred), seed);
    for id in ids(3) {
        cluster.add(id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.settle();
    cluster
}

/// A cluster that prefers `preferred` and is led by `leader`.
fn led_by(leader: NodeId, preferred: &[NodeId]) -> Cluster {
    let mut cluster = founded(preferred, 0);
    let first = cluster.elect();
    if first != leader {
        cluster.command(first, Cmd::Transfer { to: Some(leader) });
        cluster.settle();
    }
    assert_eq!(cluster.leader(), Some(leader));
    cluster
}

fn made_way(cluster: &Cluster, id: NodeId) -> u64 {
    cluster.raft(id).counters().made_way
}

#[test]
fn the_first_in_the_order_is_mostly_elected_and_without_it_the_next() {
    let mut first = [0u32; 2];
    for seed in 0..100 {
        let mut cluster = founded(&[C, A], seed);
        let leader = cluster.elect();
        first[0] += u32::from(leader == C);
        cluster.crash(C);
        cluster.pass_where(600, |_, to| to != C);
        first[1] += u32::from(leader == C && cluster.leader() == Some(A));
    }
    // By chance alone it were 33 and 17.
    assert!(first[0] > 65 && first[1] > 50, "{first:?}");
}

#[test]
fn the_least_preferred_waits_half_a_timeout_longer_and_no_more() {
    let least = RaftConfig::default().election_timeout;
    for (preferred, id, extra) in
        [(&[A, B][..], A, 0), (&[A, B], B, 1), (&[A, B], C, 2), (&[], C, 0), (&[C], A, 2), (&[C], C, 0)]
    {
        let extra = least / 4 * extra;
        for seed in 0..100 {
            let mut cluster = Cluster::seeded(preferring(preferred), seed);
            cluster.add(id, Founding::Found(ids(3)), JournalId(1));
            let wait = cluster.wake_at(id).unwrap().since(cluster.now);
            assert!(wait >= least + extra && wait < least * 2 + extra, "{id} of {preferred:?}: {wait:?}");
        }
    }
}

#[test]
fn a_preferred_voter_that_is_there_for_a_while_is_handed_leadership() {
    let mut cluster = led_by(B, &[C, A]);
    cluster.pass(1000);
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(B), 0), "not at once");
    // Proposals go on meanwhile, so that no log is ever quite equal.
    for _ in 0..PATIENCE_MS - 1000 {
        let leader = cluster.leader().unwrap();
        cluster.propose(leader, b"x");
        cluster.pass(1);
    }
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(C), 1));
    // There it stays: nobody is above it.
    cluster.pass(20_000);
    assert_eq!((cluster.leader(), cluster.raft(C).term()), (Some(C), cluster.raft(A).term()));
    assert_eq!(made_way(&cluster, C), 0);
    // While the first is away the second is next.
    let mut cluster = led_by(B, &[C, A]);
    cluster.crash(C);
    cluster.pass_where(PATIENCE_MS, |_, to| to != C);
    assert_eq!(cluster.leader(), Some(A));
}

#[test]
fn without_an_order_leaders_stay() {
    let mut cluster = led_by(B, &[]);
    cluster.pass(20_000);
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(B), 0));
}

#[test]
fn one_that_comes_and_goes_or_lags_is_not_handed_leadership() {
    // Heard with every second heartbeat or so, and silent for longer than a timeout in between.
    let mut cluster = led_by(B, &[C]);
    for _ in 0..20 {
        cluster.pass_where(200, |from, _| from != C);
        cluster.pass(300);
    }
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(B), 0));
    // It answers, and entries never reach it.
    let mut cluster = led_by(B, &[C]);
    for _ in 0..50 {
        cluster.propose(B, b"x");
        cluster.now = cluster.now + std::time::Duration::from_millis(40);
        for _ in 0..8 {
            let lost = |to: NodeId, msg: &Msg| matches!(msg, Msg::Append(a) if to == C && !a.batches.as_slice().is_empty());
            cluster.wire.retain(|(_, to, msg)| !lost(*to, msg));
            let wire = std::mem::take(&mut cluster.wire);
            wire.into_iter().for_each(|(from, to, msg)| cluster.deliver(from, to, msg));
            ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
        }
    }
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(B), 0));
    cluster.settle();
    cluster.pass(PATIENCE_MS);
    assert_eq!(cluster.leader(), Some(C), "nothing else was in the way");
}

#[test]
fn a_handover_that_comes_to_nothing_is_tried_ever_more_rarely() {
    let mut cluster = led_by(B, &[C]);
    let mut tries = Vec::new();
    for ms in 0..60_000 {
        cluster.now = cluster.now + std::time::Duration::from_millis(1);
        // C never hears that it is to take over.
        for _ in 0..8 {
            let wire = std::mem::take(&mut cluster.wire);
            let heard = wire.into_iter().filter(|(_, _, msg)| !matches!(msg, Msg::TakeOver { .. }));
            heard.for_each(|(from, to, msg)| cluster.deliver(from, to, msg));
            for id in ids(3) {
                if cluster.wake_at(id).is_some_and(|at| at <= cluster.now) {
                    cluster.step(id, Input::Wake);
                }
            }
        }
        if made_way(&cluster, B) > tries.len() as u64 {
            tries.push(ms);
        }
    }
    assert_eq!(cluster.leader(), Some(B), "it leads on");
    assert!((4..=5).contains(&tries.len()), "{tries:?}");
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.windows(2).all(|pair| pair[1] * 10 > pair[0] * 19), "each twice the last: {waits:?}");
    let failed = cluster.take_events(B).into_iter().filter(|e| matches!(e, Event::NotTransferred { .. }));
    assert_eq!(failed.count(), tries.len());
}

#[test]
fn a_preferred_voter_that_cannot_keep_leadership_is_handed_it_ever_more_rarely() {
    let mut cluster = led_by(B, &[C]);
    let mut terms = Vec::new();
    for ms in 0..60_000 {
        cluster.pass(1);
        if cluster.leader() == Some(C) {
            terms.push(ms);
            // It stops as soon as it leads, and B is asked instead.
            cluster.command(C, Cmd::Transfer { to: Some(B) });
            cluster.settle();
        }
    }
    assert!((4..=5).contains(&terms.len()), "{terms:?}");
    let waits: Vec<u64> = terms.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.windows(2).all(|pair| pair[1] * 10 > pair[0] * 19), "each twice the last: {waits:?}");
}

#[test]
fn nobody_makes_way_while_voters_change_or_for_one_without_a_vote() {
    let mut cluster = led_by(B, &[NodeId(4), C]);
    cluster.add(NodeId(4), Founding::Join(ids(3)), JournalId(4));
    // A change that waits for a newcomer that never comes.
    cluster.command(B, Cmd::Change { request: 1, change: Box::new(Change::new().add(9)) });
    cluster.pass(10_000);
    assert_eq!((cluster.leader(), made_way(&cluster, B)), (Some(B), 0));
    cluster.pass(60_000);
    assert_eq!(cluster.leader(), Some(C), "the best of those that vote, once the change is given up");
    cluster.command(C, Cmd::Change { request: 1, change: Box::new(Change::new().add(4)) });
    cluster.pass(PATIENCE_MS);
    assert_eq!(cluster.leader(), Some(NodeId(4)));
    // On another disk it has no vote.
    let boot = quorate_core::Boot { incarnation: 1, journal: JournalId(44) };
    cluster.crash(NodeId(4));
    cluster.pass_where(1_000 + PATIENCE_MS, |_, to| to != NodeId(4));
    let leader = cluster.leader().unwrap();
    cluster.step(leader, Input::Link { peer: NodeId(4), state: LinkState::Up(boot) });
    assert_eq!(leader, C);
}

#[test]
fn of_equally_far_voters_leadership_is_handed_to_the_more_preferred() {
    for preferred in [[A, C], [C, A]] {
        let mut cluster = led_by(B, &preferred);
        cluster.pass(60);
        cluster.command(B, Cmd::Transfer { to: None });
        cluster.settle();
        assert_eq!(cluster.leader(), Some(preferred[0]));
    }
}

#[test]
fn an_order_with_one_node_at_two_places_is_refused() {
    assert_eq!(preferring(&[A, B, A]).validate(), Err(RaftConfigError::PreferredTwice(A)));
    assert_eq!(preferring(&[A, B, NodeId(77)]).validate(), Ok(()));
}
