//! A change from its question to its answer.

use super::{answer, change, configurations, sole_voters, with_newcomers, works};
use crate::cluster::{Cluster, ids};
use crate::made::{append, configured, electors, entries, founders};
use quorate_consensus::raft::{
    Change, Configuration, ConfigurationError, Electors, Event, Founding, LogId, NotChanged, Quorums,
    RaftConfig, Voter,
};
use quorate_core::quorum::{Electorate, Rule};
use quorate_core::{JournalId, NodeId};
use std::time::Duration;

// 20. [S] Any change of voters goes through a joint configuration; it leaves by itself.
#[test]
fn every_change_among_five_nodes_is_one_call_and_goes_through_both_bodies() {
    for bits in 1..32u64 {
        let target: Vec<u64> = (1..=5).filter(|id| bits >> (id - 1) & 1 == 1).collect();
        let (mut cluster, leader) = with_newcomers(3, 5);
        change(&mut cluster, leader, Change::to(target.iter().copied()));
        cluster.pass(300);
        assert_eq!(answer(&mut cluster, leader), Some(Ok(())), "{target:?}");
        let [founding, steps @ ..] = &configurations(&cluster, leader)[..] else { panic!() };
        assert_eq!(founding, &*founders());
        match target == [1, 2, 3] {
            true => assert!(steps.is_empty(), "nothing is to change"),
            false => {
                let [joint, last] = steps else { panic!("{steps:?}") };
                let incoming = electors(1, target.iter().copied());
                let outgoing = Some(founding.incoming.clone());
                assert_eq!(joint, &Configuration { incoming: incoming.clone(), outgoing });
                assert_eq!(last, &Configuration::simple(incoming));
            }
        }
        assert!(works(&mut cluster), "{target:?}");
        let now = cluster.leader().unwrap();
        assert!(target.contains(&now.0), "{now} of {target:?}");
        for id in &target {
            assert_eq!(sole_voters(&cluster, NodeId(*id)), target);
        }
    }
}

#[test]
fn all_nodes_are_replaced_at_once_and_the_old_ones_may_go() {
    let (mut cluster, leader) = with_newcomers(3, 6);
    change(&mut cluster, leader, Change::to([4, 5, 6]));
    cluster.pass(300);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    for id in ids(3) {
        cluster.crash(id);
    }
    assert!(works(&mut cluster));
    let leader = cluster.leader().unwrap();
    assert_eq!(sole_voters(&cluster, leader), [4, 5, 6]);
    let commands: Vec<_> = cluster.commands(leader).into_iter().map(|(_, _, data)| data).collect();
    assert_eq!(commands.first().unwrap(), b"before");
}

// Raft §6: the one in force is the last in the log, committed or not; an entry that is overwritten gives way.
#[test]
fn a_configuration_whose_entry_is_overwritten_gives_way_to_the_one_before() {
    let (f, l, m) = (NodeId(1), NodeId(2), NodeId(3));
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(f, Founding::Found(ids(3)), JournalId(1));
    cluster.meet(f);
    let group = cluster.group_of(&ids(3));
    let joint = Configuration { incoming: electors(1, [1, 4]), outgoing: Some(electors(0, 1..=3)) };
    cluster.deliver(l, f, append(group, 1, LogId::ZERO, 1, vec![configured(1, 1, &founders())]));
    cluster.deliver(l, f, append(group, 1, LogId::new(1, 1), 1, vec![configured(2, 1, &joint)]));
    assert_eq!(cluster.raft(f).configuration(), Some((2, &joint)));
    assert_eq!(cluster.raft(f).voters(), ids(4));
    cluster.crash(f);
    cluster.start(f);
    assert_eq!(cluster.raft(f).configuration(), Some((2, &joint)), "on disk, too");
    cluster.deliver(m, f, append(group, 2, LogId::new(1, 1), 2, vec![entries(2, 2, 1)]));
    assert_eq!(cluster.raft(f).configuration(), Some((1, &*founders())));
    assert_eq!(cluster.raft(f).voters(), ids(3));
    cluster.crash(f);
    cluster.start(f);
    assert_eq!(cluster.raft(f).configuration(), Some((1, &*founders())));
}

#[test]
fn every_replica_tells_of_both_steps_once_they_are_committed() {
    let (mut cluster, leader) = with_newcomers(3, 4);
    for id in ids(4) {
        cluster.take_events(id);
    }
    change(&mut cluster, leader, Change::new().add(4));
    cluster.pass(300);
    for id in ids(4) {
        let told: Vec<bool> = cluster
            .take_events(id)
            .into_iter()
            .filter_map(|event| match event {
                Event::Configured { configuration, .. } => Some(configuration.is_joint()),
                _ => None,
            })
            .collect();
        assert_eq!(told, [true, false], "{id}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_nothing_changes() {
    let (mut cluster, leader) = with_newcomers(3, 3);
    let before = cluster.last(leader);
    let follower = ids(3).into_iter().find(|id| *id != leader).unwrap();
    let refused = |cluster: &mut Cluster, id, what: Change| {
        change(cluster, id, what);
        answer(cluster, id).and_then(Result::err)
    };
    assert_eq!(
        refused(&mut cluster, follower, Change::new().add(4)),
        Some(NotChanged::NotLeader(Some(leader)))
    );
    assert_eq!(refused(&mut cluster, leader, Change::new().remove(9)), Some(NotChanged::NoVoter(NodeId(9))));
    let nobody = Change::new().remove(1).remove(2).remove(3);
    assert!(matches!(refused(&mut cluster, leader, nobody), Some(NotChanged::Invalid(_))));
    let weightless = Change::new().add_weighted(2, 0);
    assert!(matches!(refused(&mut cluster, leader, weightless), Some(NotChanged::Invalid(_))));
    let other = Change::new().add(4).if_epoch(7);
    let expected = NotChanged::Epoch { expected: 7, in_force: 0 };
    assert_eq!(refused(&mut cluster, leader, other), Some(expected));
    cluster.pass(200);
    assert_eq!(cluster.last(leader), before);
}

// Thesis §4.1: at most one configuration that is not committed.
#[test]
fn a_second_change_waits_for_the_first_to_end() {
    let (mut cluster, leader) = with_newcomers(3, 5);
    change(&mut cluster, leader, Change::new().add(4));
    cluster.take_events(leader);
    change(&mut cluster, leader, Change::new().add(5));
    assert_eq!(answer(&mut cluster, leader), Some(Err(NotChanged::Busy)));
    cluster.pass(300);
    assert_eq!(sole_voters(&cluster, leader), [1, 2, 3, 4]);
    change(&mut cluster, leader, Change::new().add(5).remove(4).if_epoch(1));
    cluster.pass(300);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    assert_eq!(sole_voters(&cluster, leader), [1, 2, 3, 5]);
}

// A joint configuration is left by going on, and there is no other way out of it.
#[test]
fn a_change_to_voters_that_could_not_decide_is_not_begun() {
    let config = RaftConfig { promotion_timeout: Duration::from_secs(2), ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    let [lost, other] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
        panic!()
    };
    cluster.crash(lost);
    cluster.pass(1_000);
    // The wrong one is removed.
    let leader = cluster.leader().unwrap();
    change(&mut cluster, leader, Change::new().remove(other));
    cluster.pass(3_000);
    let refused = answer(&mut cluster, leader).and_then(Result::err);
    // Where the other one leads it is asked to remove itself, which is as wrong.
    assert_eq!(refused, Some(NotChanged::Unreachable));
    assert!(works(&mut cluster), "two of three run");
}

#[test]
fn a_change_whose_newcomers_are_not_linked_yet_is_judged_with_them() {
    let (mut cluster, leader) = with_newcomers(3, 3);
    let four = Quorums { election: Rule::Weight(4), replication: Rule::Weight(2) };
    change(&mut cluster, leader, Change::to(1..=5u64).quorums(four));
    for id in 4..=5 {
        cluster.add(NodeId(id), Founding::Join(ids(3)), JournalId(id.into()));
    }
    cluster.pass(1_000);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    let many = Change::to(0..=quorate_core::quorum::VOTERS_MAX as u64);
    change(&mut cluster, leader, many);
    assert!(matches!(answer(&mut cluster, leader), Some(Err(NotChanged::Invalid(_)))));
}

#[test]
fn a_configuration_of_an_epoch_that_none_reaches_is_not_read() {
    let voters = Electorate::equal(u64::MAX, [Voter { node: NodeId(1), journal: JournalId(1) }]).unwrap();
    let refused = Electors::new(voters, Quorums::default());
    assert_eq!(refused, Err(ConfigurationError::Epoch(u64::MAX)));
}
