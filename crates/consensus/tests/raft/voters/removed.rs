//! Those who have no vote any more.

use super::{answer, change, sole_voters, with_newcomers, works};
use crate::cluster::ids;
use quorate_consensus::raft::{Candidacy, Change, Msg};
use quorate_core::NodeId;

// 21. [S] A removed leader does not count itself ...
#[test]
fn a_leader_that_is_removed_commits_that_without_itself_and_leads_no_more() {
    let (mut cluster, leader) = with_newcomers(3, 3);
    change(&mut cluster, leader, Change::new().remove(leader));
    // The joint entry is there, and of the new body one of two has it: with the leader that is no quorum of it.
    let [a, b] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else { panic!() };
    cluster.pass_where(60, |from, to| ![from, to].contains(&b));
    let (since, configuration) = cluster.raft(leader).configuration().unwrap();
    assert!(configuration.is_joint() && cluster.last(a).index == since);
    assert_eq!(cluster.raft(leader).commit(), since - 1);
    assert!(cluster.raft(leader).is_leader());
    cluster.pass(120);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    assert!(!cluster.raft(leader).is_leader());
    // The next one is asked to lead at once: no timeout is waited for.
    let next = cluster.leader().unwrap();
    assert!([a, b].contains(&next), "{next}");
    assert!(works(&mut cluster));
    // And the one that was removed goes on as a replica without a vote.
    cluster.pass(1_000);
    assert_eq!(cluster.last(leader), cluster.last(next));
    assert_eq!(sole_voters(&cluster, leader), [a.0, b.0]);
}

// 21. ... a removed node does not disturb the cluster.
#[test]
pub fn a_voter_that_was_removed_while_it_was_away_raises_no_term_and_is_told() {
    let (mut cluster, leader) = with_newcomers(4, 4);
    let away = ids(4).into_iter().find(|id| *id != leader).unwrap();
    let passes = move |from: NodeId, to: NodeId| from != away && to != away;
    change(&mut cluster, leader, Change::new().remove(away));
    cluster.pass_where(2_000, passes);
    assert_eq!(answer(&mut cluster, leader), Some(Ok(())));
    let term = cluster.raft(leader).term();
    assert!(cluster.raft(away).voters().contains(&away), "it does not know");
    cluster.pass(1_500);
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
    assert!(!cluster.raft(away).voters().contains(&away));
    // From then on it does not even ask.
    let asked = cluster.raft(away).counters().pre_campaigns;
    cluster.crash(leader);
    cluster.pass(2_000);
    assert_eq!(cluster.raft(away).counters().pre_campaigns, asked);
}

// 22. [L] Removal in a 2-node cluster does not wedge it.
#[test]
fn of_two_nodes_either_is_removed_and_the_other_goes_on_alone() {
    for removes_leader in [false, true] {
        let (mut cluster, leader) = with_newcomers(2, 2);
        let other = ids(2).into_iter().find(|id| *id != leader).unwrap();
        let (gone, stays) = if removes_leader { (leader, other) } else { (other, leader) };
        change(&mut cluster, leader, Change::new().remove(gone));
        cluster.pass(600);
        cluster.crash(gone);
        assert!(works(&mut cluster));
        assert_eq!((cluster.leader(), sole_voters(&cluster, stays)), (Some(stays), vec![stays.0]));
    }
}

// 22. [L] A learner asked to vote in a configuration where it is a voter must vote.
#[test]
pub fn one_that_does_not_know_yet_that_it_votes_does_vote_when_it_is_asked() {
    let (mut cluster, leader) = with_newcomers(3, 4);
    let newcomer = NodeId(4);
    // It has caught up, and then hears nothing of what makes it a voter.
    let deaf = move |from: NodeId, to: NodeId| from != newcomer && to != newcomer;
    change(&mut cluster, leader, Change::to([leader.0, 4]));
    cluster.settle_where(deaf);
    assert_eq!(sole_voters(&cluster, newcomer), [1, 2, 3]);
    cluster.wire.clear();
    cluster.pass_where(400, |_, _| false);
    let (raft, group) = (cluster.raft(leader), cluster.raft(leader).group());
    let (term, last) = (raft.term() + 1, raft.last());
    assert!(last > cluster.last(newcomer));
    cluster.wire.clear();
    let candidacy = Candidacy { group, term, last, handed_over: false };
    cluster.deliver(leader, newcomer, Msg::PreVote(candidacy));
    cluster.deliver(leader, newcomer, Msg::Vote(candidacy));
    let granted = |msg: &Msg| matches!(msg, Msg::PreVoteReply(r) | Msg::VoteReply(r) if r.granted);
    assert_eq!(cluster.wire.iter().filter(|(_, _, msg)| granted(msg)).count(), 2, "{:?}", cluster.wire);
    // So the change is completed even though nobody else of the old body can be reached but one.
    let down = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(down);
    assert!(works(&mut cluster));
    cluster.pass(1_000);
    assert_eq!(sole_voters(&cluster, cluster.leader().unwrap()), [leader.0, 4]);
}
