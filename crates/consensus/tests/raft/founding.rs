//! Before the first election all founders have met, and know one another by the same journals.

use crate::cluster::{Cluster, ids};
use crate::hosts::{Hosts, WORK};
use crate::ports::take;
use quorate_consensus::raft::{
    Event, Founding, Msg, Raft, RaftConfig, RaftNotice, RaftPort, Record, WitnessHandle,
};
use quorate_core::{Alarm, Boot, HostBuilder, Input, JournalId, LinkState, NodeId};
use std::any::Any;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

fn found(cluster: &mut Cluster, id: NodeId) {
    cluster.add(id, Founding::Found(ids(3)), JournalId(id.0.into()));
}

#[test]
fn nobody_is_elected_before_all_founders_have_met() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    found(&mut cluster, A);
    found(&mut cluster, B);
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), None);
    assert_eq!((cluster.raft(A).term(), cluster.raft(A).is_founded()), (0, false));
    found(&mut cluster, C);
    cluster.elect();
    // Once they have, a majority is enough, also after a start.
    cluster.crash(C);
    for id in [A, B] {
        cluster.crash(id);
    }
    for id in [A, B] {
        cluster.start(id);
        assert!(cluster.raft(id).is_founded());
    }
    cluster.elect();
}

// One founder met the third under another journal than the other did: its disk was lost in between.
#[test]
fn founders_that_know_one_of_them_by_different_journals_elect_nobody() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    found(&mut cluster, A);
    let lost = Boot { incarnation: 1, journal: JournalId(33) };
    cluster.step(A, Input::Link { peer: C, state: LinkState::Up(lost) });
    cluster.step(A, Input::Link { peer: C, state: LinkState::Down });
    found(&mut cluster, B);
    found(&mut cluster, C);
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), None);
}

#[test]
fn what_a_founder_says_of_the_others_is_on_its_disk() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.sync = false;
    for id in [A, B, C] {
        found(&mut cluster, id);
    }
    let told = |cluster: &Cluster| {
        cluster
            .wire
            .iter()
            .any(|(from, _, msg)| *from == A && matches!(msg, Msg::Pins { digest: Some(_), .. }))
    };
    assert!(!told(&cluster));
    cluster.sync_node(A);
    assert!(told(&cluster));
    let pinned = cluster.nodes[&A].disk.records().filter(|r| matches!(r, Record::Pinned(_))).count();
    assert_eq!(pinned, 3);
}

#[test]
fn meetings_that_are_lost_are_repeated_and_strangers_are_not_counted() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    for id in [A, B, C] {
        found(&mut cluster, id);
    }
    let told = cluster.wire.iter().find_map(|(_, _, msg)| match msg {
        Msg::Pins { founders, .. } => Some(*founders),
        _ => None,
    });
    let founders = told.unwrap();
    for (founders, digest) in [(founders, None), (founders, Some(1)), (founders + 1, None)] {
        cluster.deliver(NodeId(9), A, Msg::Pins { founders, digest, ask: true });
    }
    assert_eq!((cluster.raft(A).counters().strangers, cluster.raft(A).counters().foreign), (2, 1));
    cluster.wire.clear();
    cluster.pass(1_000);
    assert!(cluster.leader().is_some());
}

// Told apart before anything is founded: a cluster that nobody can lead would have to be thrown away.
#[test]
fn founders_that_are_all_witnesses_found_nothing_and_say_why() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    for id in ids(3) {
        cluster.add_as(true, id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.pass(3_000);
    for id in ids(3) {
        let raft = cluster.raft(id);
        let founding = raft.founding().expect("it founds");
        assert!(founding.only_witnesses && founding.missing.is_empty() && founding.disagreeing.is_empty());
        assert!(!raft.is_founded());
        let told = cluster.take_events(id).iter().filter(|event| **event == Event::OnlyWitnesses).count();
        assert!((1..=2).contains(&told), "{told} times");
    }
    // In another life they meet again, and know again.
    cluster.crash(NodeId(1));
    cluster.start(NodeId(1));
    cluster.pass(1_000);
    assert!(cluster.raft(NodeId(1)).founding().is_some_and(|founding| founding.only_witnesses));
    assert!(cluster.take_events(NodeId(1)).contains(&Event::OnlyWitnesses));
    // While one is missing nobody knows; with one that has state they found.
    let mut cluster = Cluster::empty(RaftConfig::default());
    for id in [1, 2].map(NodeId) {
        cluster.add_as(true, id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.pass(1_000);
    assert!(cluster.raft(NodeId(1)).founding().is_some_and(|founding| !founding.only_witnesses));
    cluster.add(NodeId(3), Founding::Found(ids(3)), JournalId(3));
    assert_eq!(cluster.elect(), NodeId(3));
    assert_eq!(cluster.raft(NodeId(1)).founding(), None);
}

#[test]
fn whoever_asks_one_of_founders_that_are_all_witnesses_is_told_so() {
    let mut hosts = Hosts::new(3, 1, |id, _| {
        let raft = Raft::witness(id, RaftConfig::default(), Founding::Found(ids(3))).unwrap();
        let mut builder = HostBuilder::new();
        builder.scope(WORK, raft, RaftPort::of_witness(RaftConfig::default()));
        builder.build().unwrap()
    });
    hosts.pass(1_000);
    let one = hosts.nodes.get_mut(&NodeId(1)).unwrap();
    let handle = WitnessHandle::new(one.door.clone(), WORK);
    let told = std::mem::take(&mut one.notices);
    let told: Vec<&dyn Any> = told.iter().map(|(_, notice)| &**notice as &dyn Any).collect();
    assert!(told.iter().any(|notice| notice.downcast_ref() == Some(&RaftNotice::OnlyWitnesses)));
    let alarms: Vec<&Alarm> = told.iter().filter_map(|notice| notice.downcast_ref()).collect();
    assert!((1..=2).contains(&alarms.len()), "{alarms:?}");
    let (leader, status) = (handle.leader(), handle.status());
    hosts.pass(11_000);
    let why = take(leader).unwrap_err().to_string();
    assert!(why.contains("all founders are witnesses"), "{why}");
    assert!(take(status).unwrap().founding.is_some_and(|founding| founding.only_witnesses));
}
