//! Whoever is to vote catches up first.

use super::{answer, change, sole_voters, with_newcomers};
use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Change, Founding, NotChanged, RaftConfig};
use quorate_core::{JournalId, NodeId};
use std::time::Duration;

const NEW: NodeId = NodeId(4);

// Thesis §4.2.1: a newcomer with an empty log would hold up every commit.
#[test]
fn a_newcomer_votes_once_it_has_caught_up() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    for _ in 0..50 {
        cluster.propose(leader, b"x");
    }
    cluster.pass(10);
    change(&mut cluster, leader, Change::new().add(4));
    cluster.pass(400);
    assert_eq!(sole_voters(&cluster, leader), [1, 2, 3], "it does not even run");
    cluster.add(NEW, Founding::Join(ids(3)), JournalId(4));
    // Its link is up, and it gets nothing.
    cluster.pass_where(400, |from, to| from != NEW && to != NEW);
    assert_eq!(sole_voters(&cluster, leader), [1, 2, 3]);
    assert_eq!(answer(&mut cluster, leader), None);
    cluster.pass(300);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    assert_eq!(sole_voters(&cluster, NEW), [1, 2, 3, 4]);
    assert_eq!(cluster.commands(NEW), cluster.commands(leader));
}

#[test]
fn a_newcomer_that_never_comes_is_named_and_nothing_changes() {
    let config = RaftConfig { promotion_timeout: Duration::from_secs(2), ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    cluster.pass(100);
    let before = cluster.last(leader);
    change(&mut cluster, leader, Change::new().add(4));
    cluster.pass(1_900);
    assert_eq!(answer(&mut cluster, leader), None);
    cluster.pass(200);
    let why = NotChanged::NotCaughtUp { node: NEW, behind: before.index, linked: false };
    assert_eq!(answer(&mut cluster, leader), Some(Err(why)));
    assert_eq!((cluster.last(leader), sole_voters(&cluster, leader)), (before, vec![1, 2, 3]));
    // And the next change is not held up by it.
    change(&mut cluster, leader, Change::new().remove(leader));
    cluster.pass(100);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
}

// All its seeds are gone or follow: whoever is asked names the leader.
#[test]
fn a_newcomer_that_asks_a_follower_is_told_who_leads() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.add(NEW, Founding::Join(vec![follower]), JournalId(4));
    cluster.pass(500);
    assert_eq!(cluster.last(NEW), cluster.last(leader));
}

// 29. A node that lost its disk enters as one without a vote, and votes again by a change that names its new disk.
#[test]
fn a_voter_that_lost_its_disk_is_replaced_by_itself_on_the_new_one() {
    let (mut cluster, leader) = with_newcomers(3, 3);
    let wiped = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(wiped);
    cluster.add(wiped, Founding::Join(ids(3)), JournalId(99));
    cluster.pass(500);
    assert_eq!(cluster.last(wiped), cluster.last(leader), "it is served");
    change(&mut cluster, leader, Change::new().add(wiped));
    cluster.pass(300);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    let (_, configuration) = cluster.raft(leader).configuration().unwrap();
    let (voter, _) = configuration.incoming.voter(wiped).unwrap();
    assert_eq!((voter.journal, configuration.nodes()), (JournalId(99), ids(3)));
    // With its vote alone beside that of one other there is a leader, and what was committed is there.
    cluster.crash(leader);
    let next = cluster.elect();
    assert!(cluster.commands(next).iter().any(|(_, _, data)| data == b"before"));
    cluster.propose(next, b"after");
    cluster.pass(100);
    assert_eq!(cluster.raft(next).commit(), cluster.last(next).index);
}

// 29c. [S] A node removed and added again within one term, on another disk: what its former life acknowledged does not
// count for it.
#[test]
fn a_voter_added_again_on_another_disk_has_acknowledged_nothing_yet() {
    let (mut cluster, leader) = with_newcomers(3, 3);
    let [again, other] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
        panic!()
    };
    let term = cluster.raft(leader).term();
    change(&mut cluster, leader, Change::new().remove(again));
    cluster.pass(200);
    cluster.crash(again);
    cluster.add(again, Founding::Join(ids(3)), JournalId(77));
    cluster.pass(500);
    change(&mut cluster, leader, Change::new().add(again));
    cluster.pass(200);
    assert_eq!(sole_voters(&cluster, leader), [1, 2, 3]);
    assert_eq!(cluster.raft(leader).term(), term);
    // Its empty disk comes back a third time: the old acknowledgements are of a disk that is gone.
    cluster.crash(again);
    cluster.add(again, Founding::Join(ids(3)), JournalId(78));
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"needs two");
    cluster.settle_where(|from, to| from != other && to != other);
    assert_eq!(cluster.raft(leader).commit(), commit);
}

// It missed that all had met, and the others went on without it.
#[test]
fn a_founder_that_lost_its_vote_before_it_knew_that_it_had_one_is_served() {
    let mut cluster = Cluster::seeded(RaftConfig::default(), 1);
    let left = NodeId(3);
    for id in ids(3) {
        cluster.add(id, Founding::Found(ids(3)), JournalId(id.0.into()));
    }
    // It tells the others whom it met, and hears nothing itself.
    let deaf = move |_, to: NodeId| to != left;
    cluster.pass_where(1_000, deaf);
    let leader = cluster.leader().unwrap();
    change(&mut cluster, leader, Change::new().remove(left));
    cluster.pass_where(300, deaf);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    assert!(!cluster.raft(left).is_founded());
    cluster.pass(500);
    assert_eq!(cluster.last(left), cluster.last(leader));
    assert_eq!(cluster.raft(left).voters(), ids(2));
}
