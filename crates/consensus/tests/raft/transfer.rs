//! Handing leadership over (thesis §3.10).

use crate::cluster::{Cluster, ids};
use crate::hosts::Hosts;
use crate::made::append;
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{Cmd, Event, Founding, Msg, NotPlaced, RaftConfig, RaftHandle};
use quorate_core::{Failure, JournalId, NoDecider, NodeId, Reason};

fn elected() -> (Cluster, NodeId, Vec<NodeId>) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    cluster.take_events(leader);
    let others = ids(3).into_iter().filter(|id| *id != leader).collect();
    (cluster, leader, others)
}

fn not_transferred(cluster: &mut Cluster, id: NodeId) -> Vec<bool> {
    let events = cluster.take_events(id).into_iter();
    events.filter_map(|e| if let Event::NotTransferred { begun } = e { Some(begun) } else { None }).collect()
}

#[test]
fn the_voter_named_leads_at_once_and_everybody_hears_it() {
    for pick in [0, 1] {
        let (mut cluster, leader, others) = elected();
        let (to, term, now) = (others[pick], cluster.raft(leader).term(), cluster.now);
        cluster.command(leader, Cmd::Transfer { to: Some(to) });
        cluster.settle();
        assert_eq!((cluster.leader(), cluster.raft(to).term()), (Some(to), term + 1));
        assert_eq!(cluster.now, now, "nobody waits for an election timeout");
        for id in ids(3) {
            assert_eq!(cluster.raft(id).leader(), Some(to));
        }
        assert!(not_transferred(&mut cluster, leader).is_empty());
    }
}

#[test]
fn whoever_is_furthest_takes_over_if_nobody_is_named() {
    let (mut cluster, leader, others) = elected();
    cluster.propose(leader, b"x");
    cluster.settle_where(|_, to| to != others[0]);
    cluster.wire.clear();
    cluster.command(leader, Cmd::Transfer { to: None });
    cluster.settle();
    assert_eq!(cluster.leader(), Some(others[1]));
}

#[test]
fn a_voter_that_lags_is_brought_up_before_it_takes_over() {
    let (mut cluster, leader, others) = elected();
    for _ in 0..20 {
        cluster.propose(leader, b"x");
        cluster.settle_where(|from, to| from != others[0] && to != others[0]);
    }
    let is_take_over = |msg: &Msg| matches!(msg, Msg::TakeOver { .. });
    cluster.wire.clear();
    cluster.command(leader, Cmd::Transfer { to: Some(others[0]) });
    assert!(!cluster.wire.iter().any(|(_, _, msg)| is_take_over(msg)), "it has not got everything");
    cluster.pass(60);
    assert_eq!(cluster.leader(), Some(others[0]));
    assert_eq!(cluster.commands(others[0]).len(), 20);
}

// 27. [L] A transfer that fails gives the leader its writes back.
#[test]
pub fn a_transfer_that_fails_gives_the_leader_its_writes_back() {
    let (mut cluster, leader, others) = elected();
    let term = cluster.raft(leader).term();
    cluster.command(leader, Cmd::Transfer { to: Some(others[0]) });
    assert!(cluster.raft(leader).is_transferring());
    cluster.take_events(leader);
    cluster.propose(leader, b"meanwhile");
    let busy = |e: &Event| matches!(e, Event::Placed { placed: Err(NotPlaced::Busy), .. });
    assert!(cluster.take_events(leader).iter().any(busy));
    // Nothing gets through to the one that is to take over.
    let timeout = RaftConfig::default().election_timeout.as_millis() as u64;
    cluster.pass_where(timeout + 1, |from, to| from != others[0] && to != others[0]);
    assert_eq!(not_transferred(&mut cluster, leader), [true]);
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
    cluster.propose(leader, b"again");
    cluster.pass_where(5, |from, to| from != others[0] && to != others[0]);
    assert_eq!(cluster.commands(leader).len(), 1);
}

#[test]
fn nobody_without_a_vote_and_nobody_unknown_is_handed_leadership() {
    let (mut cluster, leader, _) = elected();
    cluster.add(NodeId(9), Founding::Join(ids(3)), JournalId(9));
    cluster.pass(2000);
    let leader = cluster.leader().unwrap_or(leader);
    for to in [NodeId(9), NodeId(77), leader] {
        cluster.command(leader, Cmd::Transfer { to: Some(to) });
        assert_eq!(not_transferred(&mut cluster, leader), [false], "to {to}");
        assert!(!cluster.raft(leader).is_transferring());
    }
}

#[test]
fn only_the_leader_of_the_term_makes_a_voter_stand_for_election() {
    let (mut cluster, leader, others) = elected();
    let (group, term) = (cluster.group_of(&ids(3)), cluster.raft(leader).term());
    for (from, term) in [(others[1], term), (leader, term - 1), (leader, term + 1), (NodeId(9), term)] {
        cluster.deliver(from, others[0], Msg::TakeOver { group, term });
        cluster.settle();
        assert_eq!(cluster.leader(), Some(leader));
    }
    cluster.deliver(leader, others[0], Msg::TakeOver { group, term });
    cluster.settle();
    assert_eq!(cluster.leader(), Some(others[0]));
}

#[test]
fn proposals_that_come_while_leadership_is_handed_over_wait_and_are_done() {
    for succeeds in [true, false] {
        let mut hosts = Hosts::of(3, 3, RaftConfig::default(), |_| (Tally::default(), NoDecider));
        let leader = hosts.elect();
        hosts.pass(50);
        let to = NodeId(leader.0 % 3 + 1);
        let handle: RaftHandle<Tally> = hosts.handle(leader);
        let handed = handle.transfer(Some(to));
        // It is under way, and nothing passes yet.
        hosts.pass_where(0, |_, _, _| true);
        let second = handle.transfer(None);
        let tickets: Vec<_> = (0..4).map(|n| handle.propose(Do::Add(n))).collect();
        match succeeds {
            true => hosts.pass(400),
            false => hosts.pass_where(400, |from, other, _| from != to && other != to),
        }
        let outcome = handed.try_take().unwrap();
        match succeeds {
            true => assert_eq!(outcome, Ok(to)),
            false => assert_eq!(outcome, Err(Failure::Unknown(Reason::Deadline))),
        }
        // Asked twice: the second was refused or found another leader.
        assert!(second.try_take().unwrap().is_err());
        for ticket in tickets {
            assert!(ticket.try_take().unwrap().is_ok());
        }
        assert_eq!(hosts.state::<Tally, NoDecider>(leader).added.len(), 4);
    }
}

#[test]
fn a_replica_that_does_not_lead_hands_nothing_over() {
    let mut hosts = Hosts::of(3, 4, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    let other = NodeId(leader.0 % 3 + 1);
    let handle: RaftHandle<Tally> = hosts.handle(other);
    let ticket = handle.transfer(None);
    hosts.pass(1);
    assert_eq!(ticket.try_take().unwrap(), Err(Failure::Rejected(Reason::NotLeader(Some(leader)))));
}

// It knew a leader, of the term before; another one may win the term that it stands for.
#[test]
fn one_that_was_handed_leadership_and_is_not_elected_follows_whoever_is() {
    let (mut cluster, leader, others) = elected();
    let (group, term) = (cluster.raft(leader).group(), cluster.raft(leader).term());
    let [heir, other] = others[..] else { panic!() };
    cluster.deliver(leader, heir, Msg::TakeOver { group, term });
    assert_eq!((cluster.raft(heir).term(), cluster.raft(heir).leader()), (term + 1, None));
    let prev = cluster.last(heir);
    cluster.wire.clear();
    cluster.deliver(other, heir, append(group, term + 1, prev, 0, vec![]));
    assert_eq!(cluster.raft(heir).leader(), Some(other));
    assert_eq!(cluster.raft(heir).counters().nonsense, 0);
}
