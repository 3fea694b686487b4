//! Before the first election all founders have met, and know one another by the same journals.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Founding, Msg, RaftConfig, Record};
use quorate_core::{Boot, Input, JournalId, LinkState, NodeId};

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
