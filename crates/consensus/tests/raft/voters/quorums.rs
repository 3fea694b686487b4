//! Weights and flexible quorums.

use super::{answer, change, with_newcomers, works};
use crate::cluster::ids;
use quorate_consensus::raft::{Change, NotChanged, Quorums};
use quorate_core::{NodeId, quorum::Rule};

#[test]
fn a_heavy_voter_decides_with_one_other_and_the_light_ones_do_not_without_it() {
    let (mut cluster, leader) = with_newcomers(5, 5);
    change(&mut cluster, leader, Change::new().add_weighted(leader, 4));
    cluster.pass(200);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    // 4 of 8 is no majority; with one more it is.
    let other = ids(5).into_iter().find(|id| *id != leader).unwrap();
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"x");
    cluster.settle_where(|_, _| false);
    assert_eq!(cluster.raft(leader).commit(), commit);
    cluster.propose(leader, b"y");
    cluster.pass_where(60, |from, to| [from, to] == [leader, other] || [from, to] == [other, leader]);
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
    cluster.crash(leader);
    cluster.pass(2_000);
    assert_eq!(cluster.leader(), None, "four voters, four of eight");
    cluster.start(leader);
    assert!(works(&mut cluster));
}

// Howard, Malkhi, Spiegelman 2016: what elects must meet what commits.
#[test]
fn with_flexible_quorums_few_commit_and_many_elect() {
    let (mut cluster, leader) = with_newcomers(5, 5);
    let quorums = Quorums { election: Rule::Weight(4), replication: Rule::Weight(2) };
    change(&mut cluster, leader, Change::new().quorums(quorums));
    cluster.pass(200);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    // Two commit ...
    let others: Vec<NodeId> = ids(5).into_iter().filter(|id| *id != leader).collect();
    for id in &others[1..] {
        cluster.crash(*id);
    }
    cluster.propose(leader, b"two of five");
    cluster.pass(1_000);
    assert_eq!((cluster.leader(), cluster.raft(leader).commit()), (Some(leader), cluster.last(leader).index));
    // ... and three do not elect, as the two may be the others.
    cluster.crash(leader);
    for id in &others[1..3] {
        cluster.start(*id);
    }
    cluster.pass(2_000);
    assert_eq!(cluster.leader(), None);
    cluster.start(others[3]);
    let next = cluster.elect();
    assert!(cluster.commands(next).iter().any(|(_, _, data)| data == b"two of five"));
}

#[test]
fn quorums_that_need_not_meet_are_refused() {
    let (mut cluster, leader) = with_newcomers(5, 5);
    for (election, replication) in [(3, 2), (2, 4), (6, 1), (4, 1)] {
        let quorums = Quorums { election: Rule::Weight(election), replication: Rule::Weight(replication) };
        change(&mut cluster, leader, Change::new().quorums(quorums));
        let refused = answer(&mut cluster, leader);
        assert!(
            matches!(refused, Some(Err(NotChanged::Invalid(_)))),
            "{election} {replication}: {refused:?}"
        );
    }
    // Sound for five, and not for the seven that are to come.
    let quorums = Quorums { election: Rule::Weight(4), replication: Rule::Weight(2) };
    change(&mut cluster, leader, Change::new().quorums(quorums));
    cluster.pass(200);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    change(&mut cluster, leader, Change::new().add_weighted(leader, 3));
    assert!(matches!(answer(&mut cluster, leader), Some(Err(NotChanged::Invalid(_)))));
}
