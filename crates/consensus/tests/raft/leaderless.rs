//! What is asked while nobody is known to lead, and what was asked of a leader that is gone.

use crate::hosts::{Hosts, WORK};
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{Founding, Msg, Raft, RaftConfig, RaftHandle, RaftPort, Read, Session};
use quorate_core::{Failure, HostBuilder, NoDecider, NodeId, Reason, Ticket};
use std::time::Duration;

const NOBODY: Failure = Failure::Rejected(Reason::NotLeader(None));

fn three(config: RaftConfig) -> Hosts {
    Hosts::of(3, 1, config, |_| (Tally::default(), NoDecider))
}

fn handle(hosts: &Hosts, id: u64) -> RaftHandle<Tally> {
    hosts.handle(NodeId(id))
}

fn take<T>(ticket: Ticket<T>) -> Result<T, Failure> {
    ticket.try_take().unwrap_or_else(|_| panic!("it is not settled"))
}

#[test]
fn what_is_proposed_before_the_first_election_is_applied_after_it_in_its_order() {
    let mut hosts = three(RaftConfig::default());
    let asked: Vec<_> = (0..9).map(|n| handle(&hosts, 1 + n % 3).propose(Do::Add(n))).collect();
    let leaders: Vec<_> = (1..=3).map(|id| handle(&hosts, id).leader()).collect();
    hosts.pass(900);
    assert!(asked.into_iter().all(|ticket| take(ticket).is_ok()));
    let leader = hosts.leader().unwrap();
    assert!(leaders.into_iter().all(|ticket| take(ticket) == Ok(leader)));
    let added = &hosts.state::<Tally, NoDecider>(leader).added;
    for node in 0..3 {
        let of_node: Vec<u64> = added.iter().copied().filter(|n| n % 3 == node).collect();
        assert_eq!(of_node, [node, node + 3, node + 6], "each replica keeps the order of its own: {added:?}");
    }
}

#[test]
fn what_waited_goes_before_what_came_later() {
    let mut hosts = three(RaftConfig::default());
    let early = handle(&hosts, 1).propose(Do::Add(1));
    let read = handle(&hosts, 1).read(Read::Linearizable, |tally| tally.added.clone());
    hosts.pass_where(500, |_, _, _| false);
    assert!(!early.is_settled());
    let mut late = None;
    while late.is_none() {
        hosts.pass(1);
        if hosts.raft(NodeId(1)).leader().is_some() {
            late = Some(handle(&hosts, 1).propose(Do::Add(2)));
        }
    }
    hosts.pass(100);
    assert_eq!((take(early), late.map(take)), (Ok(1), Some(Ok(2))));
    assert_eq!(hosts.state::<Tally, NoDecider>(NodeId(2)).added, [1, 2]);
    // A read is answered where it was asked or not at all.
    match take(read) {
        Ok(_) => assert!(hosts.raft(NodeId(1)).is_leader()),
        Err(why) => assert_eq!(why, Failure::Rejected(Reason::NotLeader(hosts.leader()))),
    }
}

#[test]
fn patience_ends_with_a_no_that_stays_true() {
    let mut hosts = three(RaftConfig::default());
    let propose = handle(&hosts, 1).propose(Do::Add(1));
    let read = handle(&hosts, 1).read(Read::Linearizable, |tally| tally.added.len());
    let leader = handle(&hosts, 1).leader();
    hosts.pass_where(990, |_, _, _| false);
    assert!(!propose.is_settled() && !read.is_settled());
    hosts.pass_where(20, |_, _, _| false);
    assert_eq!((take(propose), take(read)), (Err(NOBODY), Err(NOBODY)));
    assert!(!leader.is_settled(), "who only wants to know who leads is more patient");
    hosts.pass_where(9_000, |_, _, _| false);
    assert_eq!(take(leader), Err(NOBODY));
    hosts.pass(2_000);
    assert_eq!(hosts.state::<Tally, NoDecider>(NodeId(1)).added, [] as [u64; 0]);
}

#[test]
fn without_patience_the_answer_comes_at_once() {
    let mut hosts = three(RaftConfig { leader_patience: Duration::ZERO, ..RaftConfig::default() });
    let propose = handle(&hosts, 2).propose(Do::Add(1));
    hosts.pass_where(1, |_, _, _| false);
    assert_eq!(take(propose), Err(NOBODY));
}

#[test]
fn waiting_for_a_leader_is_bounded_in_number_and_bytes_and_ends_with_the_node() {
    let config = RaftConfig {
        promises_max: 4,
        uncommitted_bytes_max: 16,
        leader_patience: Duration::from_secs(5),
        ..RaftConfig::default()
    };
    let mut hosts = three(config);
    let kept: Vec<_> = (0..3).map(|n| handle(&hosts, 1).propose(Do::Add(n))).collect();
    let large = handle(&hosts, 1).propose(Do::Add(u64::MAX));
    let asked = handle(&hosts, 1).leader();
    let one_more = handle(&hosts, 1).leader();
    hosts.pass_where(1, |_, _, _| false);
    let busy = Failure::Rejected(Reason::Busy);
    assert_eq!((take(large), take(one_more)), (Err(busy.clone()), Err(busy)));
    hosts.stop(NodeId(1));
    let stopped = Failure::Rejected(Reason::Stopped);
    assert!(kept.into_iter().all(|ticket| take(ticket) == Err(stopped.clone())));
    assert_eq!(take(asked), Err(stopped));
}

/// A follower, whose leader was cut off from both others, and what it asked that leader.
fn asked_of_a_lost_leader<T>(
    hosts: &mut Hosts,
    ask: impl FnOnce(&RaftHandle<Tally>) -> Ticket<T>,
) -> (NodeId, Ticket<T>) {
    let leader = hosts.elect();
    hosts.pass(50);
    let follower = NodeId(1 + leader.0 % 3);
    let ticket = ask(&handle(hosts, follower.0));
    // It is passed on, and the leader is gone before it can answer.
    hosts.pass_where(1, |from, _, _| from != leader);
    hosts.crash(leader);
    assert!(!ticket.is_settled());
    (follower, ticket)
}

#[test]
fn what_was_passed_on_to_a_leader_that_is_gone_is_unknown_as_soon_as_another_leads() {
    let mut hosts = three(RaftConfig::default());
    let (_, ticket) = asked_of_a_lost_leader(&mut hosts, |handle| handle.propose(Do::Add(7)));
    hosts.pass(1_500);
    assert!(hosts.leader().is_some());
    assert_eq!(take(ticket), Err(Failure::Unknown(Reason::LeadershipLost)));
}

#[test]
fn under_a_session_it_is_passed_on_to_the_next_leader() {
    let mut hosts = three(RaftConfig::default());
    hosts.elect();
    let opened = handle(&hosts, 1).open_session();
    hosts.pass(100);
    let mut session = Session::new(take(opened).unwrap());
    let (follower, ticket) = asked_of_a_lost_leader(&mut hosts, |handle| session.next(handle, Do::Add(7)));
    hosts.pass(1_500);
    assert_eq!(take(ticket), Ok(1));
    let ticket = session.next(&handle(&hosts, follower.0), Do::Add(8));
    hosts.pass(50);
    assert_eq!(take(ticket), Ok(2));
}

#[test]
fn under_a_session_a_leader_that_was_deposed_passes_on_what_it_could_not_commit() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    let opened = handle(&hosts, leader.0).open_session();
    hosts.pass(100);
    let mut session = Session::new(take(opened).unwrap());
    let alone = |from: NodeId, to: NodeId, _: &mut quorate_core::Rng| from != leader && to != leader;
    let plain: Vec<_> = (0..5).map(|n| handle(&hosts, leader.0).propose(Do::Add(n))).collect();
    let ticket = session.next(&handle(&hosts, leader.0), Do::Add(9));
    hosts.pass_where(600, alone);
    let next = hosts.leader().filter(|next| *next != leader).expect("the others have elected one");
    assert!(!ticket.is_settled());
    hosts.pass(1_000);
    assert_eq!(take(ticket), Ok(1));
    assert!(plain.into_iter().all(|ticket| take(ticket) == Err(Failure::Unknown(Reason::LeadershipLost))));
    assert_eq!(hosts.state::<Tally, NoDecider>(next).added, [9]);
}

#[test]
fn what_was_overwritten_is_known_to_be_lost_with_the_first_entry_of_the_next_leader() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    hosts.pass(50);
    let follower = NodeId(1 + leader.0 % 3);
    // Placed, and the place told; but nobody else ever hears of the entries.
    let lost: Vec<_> = (0..5).map(|n| handle(&hosts, follower.0).propose(Do::Add(n))).collect();
    hosts.hold = |msg| matches!(msg, Msg::Append(append) if !append.batches.as_slice().is_empty());
    hosts.pass(3);
    hosts.crash(leader);
    hosts.hold = |_| false;
    hosts.held.clear();
    hosts.pass(1_500);
    assert!(lost.into_iter().all(|ticket| take(ticket) == Err(Failure::Rejected(Reason::LeadershipLost))));
    assert_eq!(hosts.state::<Tally, NoDecider>(follower).added, [] as [u64; 0]);
}

#[test]
fn while_founders_are_missing_they_are_named_to_whoever_asks() {
    let voters: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut hosts = Hosts::new(2, 7, move |id, _| {
        let config = RaftConfig::default();
        let raft = Raft::new(id, config.clone(), Founding::Found(voters.clone())).unwrap();
        let mut builder = HostBuilder::new();
        builder.scope(WORK, raft, RaftPort::new(Tally::default(), NoDecider, config));
        builder.build().unwrap()
    });
    let asked = handle(&hosts, 1).propose(Do::Add(1));
    let (leader, read) =
        (handle(&hosts, 1).leader(), handle(&hosts, 2).read(Read::Follower, |t| t.added.len()));
    let status = handle(&hosts, 1).status();
    hosts.pass(11_000);
    let missing = Failure::Rejected(Reason::Founding(vec![NodeId(3)]));
    assert_eq!(take(asked), Err(missing.clone()));
    assert_eq!(take(leader), Err(missing.clone()));
    assert_eq!(take(read), Err(missing));
    let founding = take(status).unwrap().founding.unwrap();
    assert_eq!((founding.missing, founding.disagreeing), (vec![NodeId(3)], vec![]));
    let mut whole = three(RaftConfig::default());
    whole.pass(500);
    let status = handle(&whole, 1).status();
    whole.pass(1);
    assert_eq!(take(status).unwrap().founding, None);
}

#[test]
fn a_read_through_a_leader_that_is_lost_waits_no_longer_than_for_a_leader() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    hosts.pass(50);
    let at = NodeId(leader.0 % 3 + 1);
    let read = handle(&hosts, at.0).read(Read::Follower, |t| t.added.len());
    hosts.pass_where(1_600, |_, _, _| false);
    assert_eq!(take(read), Err(NOBODY));
}
