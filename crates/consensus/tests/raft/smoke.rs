use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Cmd, Event, RaftConfig};
use quorate_core::NodeId;

#[test]
fn three_nodes_elect_one_leader_and_agree_on_what_it_is_asked() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    for data in [&b"a"[..], b"b", b"c"] {
        cluster.propose(leader, data);
    }
    cluster.settle();
    cluster.pass(2);
    for id in ids(3) {
        assert_eq!(cluster.commands(id).len(), 3, "{id}");
    }
    assert_eq!(cluster.commits(), [4, 4, 4]);
}

#[test]
fn a_leader_that_crashes_is_replaced_and_its_committed_entries_stay() {
    let mut cluster = Cluster::new(5);
    let first = cluster.elect();
    cluster.propose(first, b"kept");
    cluster.settle();
    cluster.crash(first);
    let second = cluster.elect();
    assert_ne!(first, second);
    cluster.propose(second, b"more");
    cluster.settle();
    cluster.start(first);
    cluster.pass(200);
    for id in ids(5) {
        let data: Vec<_> = cluster.commands(id).into_iter().map(|(_, _, data)| data).collect();
        assert_eq!(data, [b"kept", b"more"], "{id}");
    }
}

#[test]
fn a_follower_that_lags_behind_a_compacted_log_gets_a_snapshot_and_the_rest() {
    let config = RaftConfig { trailing_entries: 0, chunk_bytes: 3, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    let late = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(late);
    for _ in 0..10 {
        cluster.propose(leader, b"x");
        cluster.settle();
    }
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, b"the state");
    cluster.propose(leader, b"y");
    cluster.settle();
    cluster.start(late);
    cluster.pass(100);
    let events = cluster.take_events(late);
    let snapshot = events.iter().find_map(|event| match event {
        Event::Install(snapshot) => Some(snapshot.clone()),
        _ => None,
    });
    assert_eq!(cluster.data(late, &snapshot.expect("a snapshot was sent")), Some(&b"the state"[..]));
    cluster.installed(late, true);
    cluster.pass(100);
    assert_eq!(cluster.commands(late).last().map(|(_, _, data)| data.clone()), Some(b"y".to_vec()));
    assert_eq!(cluster.raft(late).commit(), cluster.raft(leader).commit());
    cluster.crash(late);
    cluster.start(late);
    assert!(matches!(cluster.take_events(late).as_slice(), [.., Event::Restore(_)]));
}

#[test]
fn a_read_waits_for_a_round_of_the_majority() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Read { request: 7 });
    cluster.settle_where(|_, to| to != leader);
    assert!(cluster.take_events(leader).is_empty(), "no majority has answered");
    cluster.command(leader, Cmd::Read { request: 8 });
    cluster.settle();
    let commit = cluster.raft(leader).commit();
    let events = cluster.take_events(leader);
    assert_eq!(events, [7, 8].map(|request| Event::ReadReady { index: commit, requests: vec![request] }));
    assert_ne!(leader, NodeId(0));
}
