//! Changes that are interrupted: whoever leads next, and whoever restarts, completes them.

use super::{Cluster, change, sole_voters, with_newcomers, works};
use crate::cluster::ids;
use quorate_consensus::raft::{Change, Event, Founding, LogId, RaftConfig};
use quorate_core::{Input, JournalId, NodeId};

/// How far a change came, in messages delivered, before `strike`.
fn struck_after(messages: usize, strike: impl Fn(&mut Cluster, NodeId)) -> Cluster {
    let (mut cluster, leader) = with_newcomers(3, 5);
    change(&mut cluster, leader, Change::to([3, 4, 5]));
    for _ in 0..messages {
        if cluster.wire.is_empty() {
            cluster.step(leader, Input::Wake);
        }
        if !cluster.wire.is_empty() {
            let (from, to, msg) = cluster.wire.remove(0);
            cluster.deliver(from, to, msg);
        }
    }
    strike(&mut cluster, leader);
    cluster
}

fn completed(cluster: &mut Cluster, what: &str) {
    cluster.pass(1_500);
    assert!(works(cluster), "{what}");
    let leader = cluster.leader().unwrap();
    let voters = sole_voters(cluster, leader);
    // Either it was not begun for the next leader, or it is complete: never in between.
    assert!(voters == [3, 4, 5] || voters == [1, 2, 3], "{what}: {voters:?}");
    assert!(cluster.commands(leader).iter().any(|(_, _, data)| data == b"before"), "{what}");
}

// 20. ... also across a change of leader
#[test]
pub fn a_change_is_completed_by_the_next_leader_wherever_the_first_one_crashed() {
    let mut complete = 0;
    for messages in 0..40 {
        let mut cluster = struck_after(messages, |cluster, leader| cluster.crash(leader));
        completed(&mut cluster, &format!("after {messages} messages"));
        let leader = cluster.leader().unwrap();
        complete += usize::from(sole_voters(&cluster, leader) == [3, 4, 5]);
    }
    assert!(complete > 10, "{complete} of 40 were completed by another leader");
}

// 20. ... and after restore.
#[test]
fn a_change_is_completed_after_all_restarted_at_any_point() {
    for messages in 0..40 {
        let mut cluster = struck_after(messages, |cluster, _| {
            for id in ids(5) {
                cluster.crash(id);
            }
            for id in ids(5) {
                cluster.start(id);
            }
        });
        completed(&mut cluster, &format!("after {messages} messages"));
    }
}

// 23. [S] A snapshot carries the whole configuration, joint part included.
#[test]
fn a_snapshot_taken_during_a_change_carries_both_bodies() {
    let config = RaftConfig { trailing_entries: 0, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    for id in 4..=5 {
        cluster.add(NodeId(id), Founding::Join(ids(3)), JournalId(id.into()));
    }
    let leader = cluster.elect();
    change(&mut cluster, leader, Change::to([leader.0, 4, 5]));
    cluster.pass(300);
    let voters = [leader.0, 4, 5];
    assert_eq!(sole_voters(&cluster, leader), voters);
    // A machine that is slow to apply has come to the joint entry, and the snapshot ends there.
    let at = LogId::new(cluster.raft(leader).term(), cluster.raft(leader).configuration().unwrap().0 - 1);
    cluster.snapshot(leader, at, b"joint");
    let snapshot = cluster.raft(leader).snapshot().unwrap().clone();
    assert!(snapshot.last == at && snapshot.configuration.is_joint());
    // One that begins with it has both bodies, and only the incoming one when it has the entry behind it.
    let newcomer = NodeId(6);
    cluster.add(newcomer, Founding::Join(vec![leader]), JournalId(6));
    while cluster.take_events(newcomer).iter().all(|event| !matches!(event, Event::Install(_))) {
        cluster.pass(1);
    }
    cluster.installed(newcomer, true);
    let (since, configuration) = cluster.raft(newcomer).configuration().unwrap();
    assert_eq!((since, configuration), (at.index, &*snapshot.configuration));
    cluster.pass(100);
    assert_eq!(sole_voters(&cluster, newcomer), voters);
    // The same for one that restarts on it. (A compaction is on disk with the next record.)
    cluster.propose(leader, b"next");
    cluster.pass(10);
    for id in [leader, newcomer] {
        cluster.crash(id);
        cluster.start(id);
        assert_eq!(*cluster.raft(id).snapshot().unwrap().configuration, *snapshot.configuration);
        assert_eq!(sole_voters(&cluster, id), voters);
    }
    cluster.pass(500);
    assert!(works(&mut cluster));
}
