//! Replicas without a vote, and messages of nobody.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use quorate_consensus::raft::{Candidacy, Event, ForwardReply, Founding, LogId, Msg, RaftConfig};
use quorate_core::{JournalId, NodeId};

#[test]
fn a_newcomer_learns_the_log_and_has_no_vote() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    cluster.add(NodeId(9), Founding::Join(ids(3)), JournalId(9));
    cluster.pass(500);
    assert_eq!(cluster.commands(NodeId(9)), cluster.commands(leader));
    // Its acknowledgement commits nothing ...
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"y");
    cluster.settle_where(|from, to| [from, to].contains(&NodeId(9)));
    assert_eq!(cluster.raft(leader).commit(), commit);
    assert_eq!(cluster.last(NodeId(9)), cluster.last(leader));
    // ... and it never stands for election.
    for id in ids(3) {
        cluster.crash(id);
    }
    cluster.pass(2_000);
    assert_eq!(cluster.raft(NodeId(9)).counters().pre_campaigns, 0);
}

#[test]
fn learners_that_fall_silent_make_room_for_others() {
    let mut cluster = Cluster::with(3, RaftConfig { learners_max: 2, ..RaftConfig::default() });
    let leader = cluster.elect();
    for id in 10..13 {
        cluster.add(NodeId(id), Founding::Join(ids(3)), JournalId(id.into()));
    }
    cluster.pass(1_000);
    let served = |cluster: &Cluster, id| cluster.last(NodeId(id)) == cluster.last(leader);
    assert_eq!((10..13).filter(|id| served(&cluster, *id)).count(), 2);
    let last = (10..13).find(|id| !served(&cluster, *id)).unwrap();
    for id in (10..13).filter(|id| *id != last) {
        cluster.crash(NodeId(id));
    }
    cluster.pass(5_000);
    assert!(served(&cluster, last));
}

#[test]
fn a_learner_is_no_flood_of_journal_records_for_one_that_leads_no_group() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(NodeId(9), Founding::Join(ids(3)), JournalId(9));
    let before = cluster.nodes[&NodeId(9)].disk.records().count();
    for _ in 0..10 {
        cluster.deliver(NodeId(1), NodeId(9), append(0, 1, LogId::ZERO, 0, vec![entries(1, 1, 1)]));
    }
    assert_eq!(cluster.nodes[&NodeId(9)].disk.records().count(), before);
    assert_eq!(cluster.last(NodeId(9)), LogId::ZERO);
}

#[test]
fn a_joined_replica_keeps_its_group_through_a_restart() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(NodeId(9), Founding::Join(ids(3)), JournalId(9));
    cluster.deliver(NodeId(1), NodeId(9), append(5, 1, LogId::ZERO, 0, vec![entries(1, 1, 1)]));
    cluster.crash(NodeId(9));
    cluster.start(NodeId(9));
    cluster.deliver(NodeId(2), NodeId(9), append(6, 2, LogId::new(1, 1), 0, vec![entries(2, 2, 1)]));
    assert_eq!(cluster.last(NodeId(9)), LogId::new(1, 1));
    assert_eq!(cluster.raft(NodeId(9)).counters().foreign, 1);
}

#[test]
fn nobody_who_is_no_voter_is_elected_or_believed() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let group = cluster.group_of(&ids(3));
    let follower = ids(3).into_iter().find(|id| *id != leader).unwrap();
    let before = (cluster.raft(follower).term(), cluster.commands(follower));
    let (far, last) = (LogId::new(50, 50), cluster.last(follower));
    cluster.take_events(follower);
    let messages = [
        Msg::PreVote(Candidacy { group, term: 50, last, handed_over: false }),
        Msg::Vote(Candidacy { group, term: 50, last, handed_over: false }),
        Msg::ForwardReply(ForwardReply { first: 0, count: 1, placed: Ok(far) }),
    ];
    for msg in messages {
        cluster.deliver(NodeId(66), follower, msg);
    }
    assert_eq!((cluster.raft(follower).term(), cluster.commands(follower)), before);
    assert!(!cluster.take_events(follower).iter().any(|e| matches!(e, Event::Placed { .. })));
}
