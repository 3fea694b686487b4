//! A change from its question to its answer.

use super::{answer, change, configurations, sole_voters, with_newcomers, works};
use crate::cluster::{Cluster, ids};
use crate::made::{append, configured, electors, entries, founders};
use quorate_consensus::raft::{Change, Configuration, Event, Founding, LogId, NotChanged, RaftConfig};
use quorate_core::{JournalId, NodeId};

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
