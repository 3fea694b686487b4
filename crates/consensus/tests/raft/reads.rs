//! Linearizable reads without a log entry (thesis §6.4, Raft §8).

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{AppendReply, Cmd, Event, Msg, NotPlaced, Outcome, RaftConfig};
use quorate_core::{Input, NodeId};

fn ready(cluster: &mut Cluster, id: NodeId) -> Vec<(u64, Vec<u64>)> {
    let events = cluster.take_events(id).into_iter();
    events
        .filter_map(
            |e| if let Event::ReadReady { index, requests } = e { Some((index, requests)) } else { None },
        )
        .collect()
}

fn others(id: NodeId) -> Vec<NodeId> {
    ids(3).into_iter().filter(|other| *other != id).collect()
}

// 16. [S] No ReadIndex before the first commit of the term.
#[test]
fn no_read_is_answered_before_the_first_commit_of_the_term() {
    let mut cluster = Cluster::new(3);
    let first = cluster.elect();
    for _ in 0..5 {
        cluster.propose(first, b"x");
        cluster.settle();
    }
    let commit = cluster.raft(first).commit();
    cluster.crash(first);
    // Elected, and its own entry is with nobody: it does not know how far the last leader had committed.
    let is_entries = |msg: &Msg| matches!(msg, Msg::Append(a) if !a.batches.as_slice().is_empty());
    while cluster.leader().is_none() {
        cluster.now = cluster.now + std::time::Duration::from_millis(1);
        for id in ids(3) {
            if cluster.is_up(id) && cluster.wake_at(id).unwrap() <= cluster.now {
                cluster.step(id, Input::Wake);
            }
        }
        while let Some(at) = cluster.wire.iter().position(|(_, _, msg)| !is_entries(msg)) {
            let (from, to, msg) = cluster.wire.remove(at);
            cluster.deliver(from, to, msg);
        }
        cluster.wire.clear();
    }
    let leader = cluster.leader().unwrap();
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Read { request: 1 });
    // Heartbeats are answered by everybody.
    let follower = others(leader).into_iter().find(|id| cluster.is_up(*id)).unwrap();
    let term = cluster.raft(leader).term();
    for round in 0..3 {
        let outcome = Outcome::Matched(commit);
        cluster.deliver(follower, leader, Msg::AppendReply(AppendReply { term, round, outcome }));
        cluster.step(leader, Input::Wake);
    }
    assert_eq!(ready(&mut cluster, leader), []);
    cluster.pass(200);
    let answers = ready(&mut cluster, leader);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].0 > commit);
}

// 17. [S] Each read attempt has a unique context: an old heartbeat's ack never confirms a retried read.
#[test]
fn an_old_heartbeats_acknowledgement_never_confirms_a_later_read() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(100);
    cluster.take_events(leader);
    // A round is asked for the first read, and its answers are held back.
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.step(leader, Input::Wake);
    for (from, to, msg) in std::mem::take(&mut cluster.wire) {
        cluster.deliver(from, to, msg);
    }
    let answers = std::mem::take(&mut cluster.wire);
    assert_eq!(answers.len(), 2);
    cluster.command(leader, Cmd::Read { request: 2 });
    cluster.step(leader, Input::Wake);
    cluster.wire.clear();
    for (from, to, msg) in answers {
        for _ in 0..3 {
            cluster.deliver(from, to, msg.clone());
        }
    }
    assert_eq!(ready(&mut cluster, leader).iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [[1]]);
    cluster.pass(100);
    assert_eq!(ready(&mut cluster, leader).iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [[2]]);
}

// 17, from the other end: an answer to a round that was never asked confirms nothing.
#[test]
fn an_answer_to_a_round_that_was_not_asked_confirms_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(100);
    cluster.take_events(leader);
    let (term, last) = (cluster.raft(leader).term(), cluster.last(leader).index);
    for from in others(leader) {
        for round in [100, u64::MAX] {
            let outcome = Outcome::Matched(last);
            cluster.deliver(from, leader, Msg::AppendReply(AppendReply { term, round, outcome }));
        }
    }
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.settle_where(|_, _| false);
    assert_eq!(ready(&mut cluster, leader), []);
}

#[test]
fn a_leader_that_was_replaced_answers_no_read() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    cluster.pass(10);
    // Cut off, it still believes that it leads; the others elect another and write.
    while cluster.leader() == Some(old) {
        cluster.pass_where(1, |from, to| from != old && to != old);
        if cluster.raft(old).is_leader() {
            cluster.command(old, Cmd::Read { request: cluster.now.0 });
        }
        assert_eq!(ready(&mut cluster, old), []);
        assert!(cluster.now.0 < 10_000_000_000);
    }
    let new = cluster.elect();
    assert_ne!(new, old);
    cluster.command(old, Cmd::Read { request: 1 });
    cluster.pass(500);
    assert_eq!(ready(&mut cluster, old), []);
}

#[test]
fn many_reads_share_a_round_and_too_many_are_refused() {
    let mut cluster = Cluster::with(3, RaftConfig { promises_max: 100, ..RaftConfig::default() });
    let leader = cluster.elect();
    cluster.pass(100);
    cluster.take_events(leader);
    for request in 0..150 {
        cluster.command(leader, Cmd::Read { request });
    }
    let busy = |e: &Event| matches!(e, Event::ReadRefused { why: NotPlaced::Busy, .. });
    assert_eq!(cluster.take_events(leader).iter().filter(|e| busy(e)).count(), 50);
    cluster.step(leader, Input::Wake);
    let rounds = cluster.wire.iter().filter(|(from, _, _)| *from == leader).count();
    assert_eq!(rounds, 2, "one message to each follower");
    cluster.settle();
    assert_eq!(ready(&mut cluster, leader).iter().map(|(_, r)| r.len()).sum::<usize>(), 100);
}

#[test]
fn a_follower_refuses_a_read_and_names_the_leader() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = others(leader)[0];
    cluster.take_events(follower);
    cluster.command(follower, Cmd::Read { request: 3 });
    let why = NotPlaced::NotLeader(Some(leader));
    assert_eq!(cluster.take_events(follower), [Event::ReadRefused { request: 3, why }]);
}

#[test]
fn a_single_node_reads_at_once() {
    let mut cluster = Cluster::new(1);
    let leader = cluster.elect();
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Read { request: 3 });
    cluster.settle();
    assert_eq!(ready(&mut cluster, leader), [(cluster.raft(leader).commit(), vec![3])]);
}
