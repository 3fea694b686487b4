//! Disks that are put back to an earlier copy.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Candidacy, Change, Cmd, Founding, LogId, Msg, RaftConfig, Record, VoteReply};
use quorate_core::{JournalId, NodeId};

/// Three, the leader first.
fn three(config: RaftConfig) -> (Cluster, [NodeId; 3]) {
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    cluster.propose(leader, b"before");
    cluster.pass(100);
    let others: Vec<NodeId> = ids(3).into_iter().filter(|id| *id != leader).collect();
    (cluster, [leader, others[0], others[1]])
}

fn has(cluster: &Cluster, id: NodeId, command: &[u8]) -> bool {
    cluster.commands(id).iter().any(|(_, _, data)| data == command)
}

/// The first follower's disk is put back to before an entry that it acknowledged and that was committed by it.
fn forgot_an_entry(config: RaftConfig) -> (Cluster, [NodeId; 3]) {
    let (mut cluster, nodes) = three(config);
    let [leader, voter, away] = nodes;
    let copy = cluster.copy(voter);
    cluster.propose(leader, b"x");
    cluster.pass_where(60, |from, to| ![from, to].contains(&away));
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
    cluster.put_back(voter, copy);
    assert!(!has(&cluster, voter, b"x"));
    cluster.pass_where(100, |from, to| ![from, to].contains(&away));
    (cluster, nodes)
}

#[test]
fn a_voter_that_lacks_what_it_acknowledged_counts_no_more_and_is_served() {
    let (mut cluster, [leader, voter, away]) = forgot_an_entry(RaftConfig::default());
    assert_eq!(cluster.raft(leader).rolled_back(), [voter]);
    assert_eq!(cluster.raft(voter).rolled_back(), [voter], "it was told");
    assert!(has(&cluster, voter, b"x"), "it gets what it lacks");
    cluster.propose(leader, b"y");
    cluster.pass_where(50, |from, to| ![from, to].contains(&away));
    assert!(has(&cluster, voter, b"y"));
    assert!(
        cluster.raft(leader).commit() < cluster.last(leader).index,
        "its acknowledgement commits nothing"
    );
    cluster.pass(1_000);
    assert!(has(&cluster, away, b"y"), "the other two go on");
    let leader = cluster.leader().unwrap();
    assert!(leader != voter && cluster.raft(leader).commit() == cluster.last(leader).index);
}

/// Whether what was committed is still there after the leader that saw it was away while the others could elect.
fn committed_survives(config: RaftConfig) -> bool {
    let (mut cluster, [leader, ..]) = forgot_an_entry(config);
    cluster.crash(leader);
    cluster.pass(3_000);
    let elected = cluster.leader();
    cluster.start(leader);
    cluster.pass(3_000);
    let survives = ids(3).into_iter().all(|id| has(&cluster, id, b"x"));
    assert_eq!(survives, elected.is_none(), "whoever is elected without the leader lacks it");
    survives
}

#[test]
pub fn nobody_is_elected_with_the_vote_of_a_disk_that_forgot_what_is_committed() {
    assert!(committed_survives(RaftConfig::default()));
}

/// The first follower runs on the copy of an earlier life.
fn on_an_earlier_life() -> (Cluster, [NodeId; 3]) {
    let (mut cluster, nodes) = three(RaftConfig::default());
    let copy = cluster.copy(nodes[1]);
    for _ in 0..2 {
        cluster.crash(nodes[1]);
        cluster.start(nodes[1]);
        cluster.pass(100);
    }
    cluster.put_back(nodes[1], copy);
    cluster.pass(100);
    (cluster, nodes)
}

#[test]
fn a_life_that_is_counted_lower_than_one_that_was_met_is_of_an_old_disk() {
    let (mut cluster, [leader, voter, other]) = on_an_earlier_life();
    for id in [leader, voter, other] {
        assert_eq!(cluster.raft(id).rolled_back(), [voter], "{id}");
        assert_eq!(cluster.raft(id).counters().rolled_back, 1);
    }
    // With it alone nobody decides.
    cluster.crash(leader);
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), None);
    assert_eq!(cluster.raft(voter).counters().campaigns, 0);
    cluster.start(leader);
    assert_ne!(cluster.elect(), voter);
}

#[test]
fn what_was_found_out_outlives_restarts_and_compaction_on_both_sides() {
    let (mut cluster, [leader, voter, other]) = on_an_earlier_life();
    let at = cluster.last(leader);
    for id in [leader, voter, other] {
        cluster.snapshot(id, at, b"state");
    }
    ids(3).into_iter().for_each(|id| cluster.crash(id));
    cluster.wire.clear();
    for id in [leader, voter, other] {
        // In the base, and perhaps behind it still.
        let named = cluster.nodes[&id].disk.records();
        let named: Vec<&Record> = named.filter(|r| matches!(r, Record::RolledBack { .. })).collect();
        assert!(!named.is_empty() && named.iter().all(|record| *record == named[0]), "{id}: {named:?}");
    }
    // Met by one that remembers, and alone with one that does not: neither counts its word.
    for id in [voter, other] {
        cluster.start(id);
    }
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), None);
    assert_eq!(
        (cluster.raft(other).rolled_back(), cluster.raft(voter).rolled_back()),
        (vec![voter], vec![voter])
    );
    cluster.start(leader);
    cluster.elect();
    cluster.pass(500);
    assert_eq!(cluster.raft(voter).counters().campaigns, 0);
}

#[test]
fn on_an_empty_journal_it_votes_again() {
    let (mut cluster, [leader, voter, other]) = on_an_earlier_life();
    cluster.nodes.remove(&voter);
    cluster.add(voter, Founding::Join(vec![leader, other]), JournalId(77));
    cluster.pass(500);
    let change = Box::new(Change::new().add(voter));
    cluster.command(leader, Cmd::Change { request: 1, change });
    cluster.pass(500);
    for id in ids(3) {
        assert_eq!(cluster.raft(id).rolled_back(), [], "{id}");
    }
    cluster.crash(leader);
    cluster.pass_where(2_000, |_, to| to != leader);
    assert!(cluster.leader().is_some(), "its vote counts");
}

#[test]
fn a_voter_that_names_a_lower_term_than_before_its_restart_has_an_old_disk() {
    let answer = |term| Msg::VoteReply(VoteReply { term, granted: false, last: LogId::ZERO });
    for restarted in [false, true] {
        for stands in [false, true] {
            let (mut cluster, [leader, voter, _]) = three(RaftConfig::default());
            let (term, group) = (cluster.raft(leader).term(), cluster.raft(leader).group());
            if restarted {
                cluster.crash(voter);
                cluster.start(voter);
            }
            let last = LogId::new(9, 9);
            let vote = Candidacy { group, term: term - 1, last, handed_over: false };
            cluster.deliver(voter, leader, if stands { Msg::Vote(vote) } else { answer(term - 1) });
            // In one life an older message may come late.
            assert_eq!(!cluster.raft(leader).rolled_back().is_empty(), restarted);
        }
    }
}

#[test]
fn whoever_leads_on_an_old_disk_stops() {
    let (mut cluster, [leader, voter, other]) = three(RaftConfig::default());
    let copy = cluster.copy(voter);
    cluster.crash(voter);
    cluster.start(voter);
    cluster.crash(voter);
    cluster.start(voter);
    // Nobody who was there is met before it leads.
    cluster.pass(100);
    cluster.command(leader, Cmd::Transfer { to: Some(voter) });
    cluster.settle();
    assert_eq!(cluster.leader(), Some(voter));
    let (group, journal) = (cluster.raft(voter).group(), copy.1.journal);
    cluster.deliver(other, voter, Msg::RolledBack { group, journal: journal.into() });
    assert!(!cluster.raft(voter).is_leader());
    assert_ne!(cluster.elect(), voter);
    cluster.pass(500);
    assert_eq!(cluster.raft(voter).rolled_back(), [voter]);
}

#[test]
fn only_a_voter_is_believed_and_only_about_the_journal_that_is_there() {
    let (mut cluster, [leader, voter, _]) = three(RaftConfig::default());
    let group = cluster.raft(leader).group();
    let journal = JournalId(u128::from(leader.0));
    cluster.deliver(NodeId(9), leader, Msg::RolledBack { group, journal: journal.into() });
    cluster.deliver(voter, leader, Msg::RolledBack { group, journal: JournalId(99).into() });
    cluster.deliver(voter, leader, Msg::RolledBack { group: group ^ 1, journal: journal.into() });
    assert!(cluster.raft(leader).is_leader() && cluster.raft(leader).rolled_back().is_empty());
    cluster.deliver(voter, leader, Msg::RolledBack { group, journal: journal.into() });
    assert!(!cluster.raft(leader).is_leader());
}

#[test]
fn whoever_crashes_and_loses_what_it_did_not_promise_is_not_accused() {
    for kept in 0..4 {
        let (mut cluster, [leader, voter, _]) = three(RaftConfig::default());
        cluster.hung = vec![voter];
        for _ in 0..3 {
            cluster.propose(leader, b"x");
            cluster.settle();
        }
        cluster.crash_keeping(voter, kept);
        cluster.hung.clear();
        cluster.start(voter);
        cluster.pass(500);
        let (found, log) = (cluster.raft(leader).rolled_back(), cluster.last(voter));
        assert_eq!((found, log), (vec![], cluster.last(leader)), "{kept} writes reached the disk");
    }
}
