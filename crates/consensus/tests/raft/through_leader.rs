//! Linearizable reads on replicas that do not lead (thesis §6.4).

use crate::cluster::{Cluster, ids};
use crate::hosts::Hosts;
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{Cmd, Event, Msg, NotPlaced, RaftConfig, RaftHandle, Read};
use quorate_core::{Failure, NoDecider, NodeId, Reason, Ticket};

fn three(seed: u64) -> (Hosts, NodeId, NodeId) {
    let mut hosts = Hosts::of(3, seed, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    (hosts, leader, NodeId(leader.0 % 3 + 1))
}

fn count(hosts: &Hosts, at: NodeId) -> Ticket<usize> {
    let handle: RaftHandle<Tally> = hosts.handle(at);
    handle.read(Read::Follower, |tally| tally.added.len())
}

#[test]
fn a_follower_reads_what_was_done_before_it_was_asked() {
    let (mut hosts, leader, follower) = three(1);
    for number in 0..20 {
        let handle: RaftHandle<Tally> = hosts.handle(leader);
        let done = handle.propose(Do::Add(number));
        // No time passes: the follower has not been told that it is committed.
        hosts.settle();
        assert!(done.try_take().unwrap().is_ok());
        let (read, own) = (count(&hosts, follower), count(&hosts, leader));
        hosts.settle();
        assert_eq!(read.try_take().unwrap(), Ok(number as usize + 1));
        assert_eq!(own.try_take().unwrap(), Ok(number as usize + 1), "the leader reads like any other");
    }
}

#[test]
fn reads_that_come_together_share_a_question() {
    let (mut hosts, _, follower) = three(2);
    hosts.hold = |msg| matches!(msg, Msg::ReadIndex { .. });
    let reads: Vec<_> = (0..50).map(|_| count(&hosts, follower)).collect();
    hosts.settle();
    assert_eq!(hosts.held.len(), 1);
    let held = std::mem::take(&mut hosts.held);
    hosts.wire.extend(held);
    hosts.hold = |_| false;
    hosts.settle();
    assert!(reads.into_iter().all(|read| read.try_take().unwrap() == Ok(0)));
}

#[test]
fn a_read_whose_question_or_answer_is_lost_is_asked_again() {
    for lost in [
        |msg: &Msg| matches!(msg, Msg::ReadIndex { .. }),
        |msg: &Msg| matches!(msg, Msg::ReadIndexReply { .. }),
    ] {
        let (mut hosts, _, follower) = three(3);
        hosts.hold = lost;
        let read = count(&hosts, follower);
        hosts.pass(10);
        assert_eq!(std::mem::take(&mut hosts.held).len(), 1);
        hosts.hold = |_| false;
        hosts.pass(200);
        assert_eq!(read.try_take().unwrap(), Ok(0));
    }
}

#[test]
fn a_read_outlives_the_leader_that_it_was_asked_of() {
    let (mut hosts, leader, follower) = three(4);
    let read = count(&hosts, follower);
    hosts.crash(leader);
    hosts.pass(2_000);
    assert_eq!(read.try_take().unwrap(), Ok(0));
}

#[test]
fn without_a_quorum_a_read_ends_rejected_and_never_stale() {
    let (mut hosts, leader, follower) = three(5);
    let read = count(&hosts, follower);
    // It reaches the leader, which reaches nobody.
    hosts.pass_where(20_000, |from, to, _| from == follower && to == leader);
    assert!(matches!(
        read.try_take().unwrap(),
        Err(Failure::Rejected(Reason::Deadline | Reason::NotLeader(_)))
    ));
}

// The leader may name an index that never comes here.
#[test]
fn a_read_whose_index_does_not_come_ends_with_its_patience() {
    let (mut hosts, leader, follower) = three(6);
    let handle: RaftHandle<Tally> = hosts.handle(leader);
    hosts.hold = |msg| matches!(msg, Msg::Append(_));
    let elsewhere = |hosts: &mut Hosts| {
        let held = std::mem::take(&mut hosts.held);
        hosts.hold = |_| false;
        hosts.wire.extend(held.into_iter().filter(|(_, to, _)| *to != follower));
        hosts.settle();
        hosts.hold = |msg| matches!(msg, Msg::Append(_));
    };
    let done = handle.propose(Do::Add(1));
    hosts.settle();
    elsewhere(&mut hosts);
    let read = count(&hosts, follower);
    hosts.settle();
    elsewhere(&mut hosts);
    hosts.hold = |_| false;
    assert_eq!(hosts.state::<Tally, NoDecider>(leader).added.len(), 1);
    drop(done);
    hosts.pass_where(11_000, |from, to, _| from != follower && to != follower);
    assert_eq!(read.try_take().unwrap(), Err(Failure::Rejected(Reason::Deadline)));
}

#[test]
fn an_index_is_given_only_after_a_round_that_was_asked_behind_the_question() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    let others: Vec<_> = ids(3).into_iter().filter(|id| *id != leader).collect();
    let group = cluster.group_of(&ids(3));
    cluster.wire.clear();
    cluster.deliver(others[0], leader, Msg::ReadIndex { group, request: 5 });
    let answers = |cluster: &Cluster| {
        cluster.wire.iter().filter(|(_, _, msg)| matches!(msg, Msg::ReadIndexReply { .. })).count()
    };
    cluster.step(leader, quorate_core::Input::Wake);
    assert_eq!(answers(&cluster), 0, "the round is asked, not answered");
    // Only the one that asked hears the leader: together they are a quorum.
    cluster.settle_where(|from, to| from != others[1] && to != others[1]);
    let ready = |e: &Event| matches!(e, Event::ReadReady { requests, .. } if requests == &[5]);
    assert!(cluster.take_events(others[0]).iter().any(ready));
    // A leader that nobody hears says nothing.
    cluster.wire.clear();
    cluster.deliver(others[0], leader, Msg::ReadIndex { group, request: 6 });
    cluster.pass_where(100, |from, _| from == leader);
    assert_eq!(
        cluster.take_events(others[0]).iter().filter(|e| matches!(e, Event::ReadReady { .. })).count(),
        0
    );
}

#[test]
fn one_that_does_not_lead_names_the_leader_and_answers_no_index() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    let others: Vec<_> = ids(3).into_iter().filter(|id| *id != leader).collect();
    let group = cluster.group_of(&ids(3));
    cluster.wire.clear();
    cluster.deliver(others[1], others[0], Msg::ReadIndex { group, request: 5 });
    let index = Err(NotPlaced::NotLeader(Some(leader)));
    let expected = (others[0], others[1], Msg::ReadIndexReply { request: 5, index });
    assert_eq!(cluster.wire, [expected]);
    cluster.command(others[0], Cmd::ReadThroughLeader { request: 9 });
    assert!(
        cluster.wire.iter().any(|(_, to, msg)| *to == leader && *msg == Msg::ReadIndex { group, request: 9 })
    );
}

// C9: any node says whether a quorum can be reached, and who leads.
#[test]
fn every_node_tells_whether_a_quorum_confirms_its_leader() {
    let (mut hosts, leader, follower) = three(11);
    let verify = |hosts: &Hosts, at: NodeId| {
        let handle: RaftHandle<Tally> = hosts.handle(at);
        handle.verify_quorum()
    };
    for id in ids(3) {
        let report = verify(&hosts, id);
        hosts.pass(10);
        let report = report.try_take().unwrap().unwrap();
        assert_eq!((report.node, report.leader, report.term), (id, Some(leader), 1));
        assert_eq!((report.voters, report.linked, report.unconfirmed), (ids(3), ids(3), None));
    }
    // The one that is left is asked, and says so, within the request's patience.
    for id in ids(3).into_iter().filter(|id| *id != follower) {
        hosts.crash(id);
    }
    let report = verify(&hosts, follower);
    hosts.pass(12_000);
    let report = report.try_take().unwrap().unwrap();
    assert!(report.unconfirmed.is_some(), "{report:?}");
}
