//! Reads by lease (thesis §6.4.1): no round while nobody else can be elected, and a round whenever that is not sure.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use quorate_consensus::raft::{
    Batches, Candidacy, Cmd, Event, LogId, Msg, Pulled, RaftConfig, RaftConfigError, VoteReply,
};
use quorate_core::{Input, NodeId};
use std::time::Duration;

const TIMEOUT: u64 = 150;

fn with_leases() -> (Cluster, NodeId) {
    let config = RaftConfig { lease_drift_ppm: Some(50_000), ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    cluster.pass(200);
    (cluster, leader)
}

/// Whether a read is answered in the same instant, without a word to anybody.
fn reads_at_once(cluster: &mut Cluster, leader: NodeId) -> bool {
    cluster.take_events(leader);
    cluster.wire.clear();
    cluster.command(leader, Cmd::LeasedRead { request: 1 });
    let commit = cluster.raft(leader).commit();
    cluster.take_events(leader).contains(&Event::ReadReady { index: commit, requests: vec![1] })
}

#[test]
fn a_leader_that_heard_a_quorum_a_moment_ago_reads_without_a_round() {
    let (mut cluster, leader) = with_leases();
    assert!(reads_at_once(&mut cluster, leader) && cluster.wire.is_empty());
    assert_eq!((cluster.raft(leader).counters().leased_reads, cluster.raft(leader).counters().reads), (1, 0));
}

// 19. [S] Off by default.
#[test]
fn without_a_stated_bound_of_clocks_there_is_no_lease() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(200);
    assert!(!reads_at_once(&mut cluster, leader));
    cluster.pass(20);
    assert_eq!(cluster.raft(leader).counters().reads, 1, "a round answers");
    let config = RaftConfig { lease_drift_ppm: Some(250_001), ..RaftConfig::default() };
    assert_eq!(config.validate(), Err(RaftConfigError::LeaseDrift(250_001)));
}

// 19. The lease ends, by the leader's clock, before a voter whose clock is as fast as is allowed may vote again.
#[test]
fn a_lease_ends_a_drift_before_the_first_vote_for_somebody_else() {
    let (mut cluster, leader) = with_leases();
    // The last heartbeat that was answered was asked at most a heartbeat ago; from here on nothing is heard.
    let mut last = 0;
    for ms in 1..=TIMEOUT {
        cluster.now = cluster.now + Duration::from_millis(1);
        cluster.settle_where(|_, _| false);
        if reads_at_once(&mut cluster, leader) {
            last = ms;
        }
    }
    assert!((80..=135).contains(&last), "{last} ms: at most 150 less twice 5 %");
    assert!(cluster.raft(leader).is_leader());
}

// 16, for leases as well.
#[test]
fn there_is_no_lease_before_the_first_commit_of_the_term() {
    let (mut cluster, leader) = with_leases();
    cluster.crash(leader);
    cluster.hung = ids(3);
    while cluster.leader().is_none() {
        cluster.pass(1);
        // Votes and terms reach the disk, and the new leader's first entry does not.
        if cluster.leader().is_none() {
            let hung = std::mem::take(&mut cluster.hung);
            for id in ids(3).into_iter().filter(|id| *id != leader) {
                cluster.sync_node(id);
            }
            cluster.hung = hung;
        }
    }
    let next = cluster.leader().unwrap();
    cluster.pass(60);
    assert!(!reads_at_once(&mut cluster, next));
}

// 18. [S] The lease is void from the moment a transfer starts, and for the rest of the term, should it come to nothing.
#[test]
fn a_leader_that_hands_over_has_no_lease_any_more() {
    let (mut cluster, leader) = with_leases();
    assert!(reads_at_once(&mut cluster, leader));
    let target = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.command(leader, Cmd::Transfer { to: Some(target) });
    assert!(!reads_at_once(&mut cluster, leader));
    // Nothing gets through to the one that is to take over, and the leader leads on.
    cluster.pass_where(TIMEOUT + 100, |from, to| from != target && to != target);
    assert!(cluster.leader() == Some(leader) && !cluster.raft(leader).is_transferring());
    // What asked the other one to take over may come at any time.
    assert!(!reads_at_once(&mut cluster, leader));
}

// 19. Visible skew makes it refuse: somebody set a clock, or the machine was suspended.
#[test]
pub fn a_leader_whose_clocks_disagree_has_no_lease() {
    const HOUR: u64 = 3_600_000_000_000;
    for (before, after) in [(0, HOUR), (HOUR, 0), (0, TIMEOUT * 100_000)] {
        let (mut cluster, leader) = with_leases();
        cluster.wall_ahead = before;
        cluster.pass(200);
        assert!(reads_at_once(&mut cluster, leader));
        cluster.wall_ahead = after;
        assert!(!reads_at_once(&mut cluster, leader), "{before} to {after}");
        // What was asked since is asked by clocks that agree.
        cluster.pass(200);
        assert!(reads_at_once(&mut cluster, leader));
    }
}

// 19b. After a boot a voter grants no vote for one maximal lease. And it keeps what it promised by acknowledging a leader
// also when it has learned of a newer term since.
#[test]
pub fn a_voter_grants_nothing_for_a_timeout_after_a_boot_or_an_acknowledgement() {
    for boots in [true, false] {
        let (mut cluster, leader) = with_leases();
        let [voter, other] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else {
            panic!()
        };
        if boots {
            cluster.crash(voter);
            cluster.start(voter);
        }
        let group = cluster.raft(voter).group();
        let (term, last) = (cluster.raft(leader).term() + 1, cluster.last(leader));
        // A newer term, said by somebody who was refused.
        let refused = VoteReply { term, granted: false, last };
        cluster.deliver(other, voter, Msg::PreVoteReply(refused));
        assert_eq!(cluster.raft(voter).term(), term);
        let asks = |handed_over| Msg::Vote(Candidacy { group, term, last, handed_over });
        let granted = |cluster: &mut Cluster, msg| {
            cluster.wire.clear();
            cluster.deliver(other, voter, msg);
            cluster.wire.iter().any(|(_, _, msg)| matches!(msg, Msg::VoteReply(reply) if reply.granted))
        };
        cluster.now = cluster.now + Duration::from_millis(TIMEOUT - 60);
        assert!(!granted(&mut cluster, asks(false)), "boots {boots}");
        cluster.now = cluster.now + Duration::from_millis(61);
        assert!(granted(&mut cluster, asks(false)), "boots {boots}");
    }
}

// Whom it voted for in vain in an older term has no claim on it.
#[test]
fn a_restarted_voter_is_bound_also_towards_whom_it_voted_for_in_vain() {
    let (mut cluster, leader) = with_leases();
    let [v, x] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else { panic!() };
    cluster.now = cluster.now + Duration::from_millis(2 * TIMEOUT);
    let (group, term, last) = (cluster.raft(v).group(), cluster.raft(v).term(), cluster.last(v));
    let asks = |term, last| Msg::Vote(Candidacy { group, term, last, handed_over: false });
    cluster.deliver(x, v, asks(term + 1, last));
    assert_eq!(cluster.raft(v).vote(), Some(x));
    // Another one is elected by others, and acknowledged.
    let entry = entries(last.index + 1, term + 1, 1);
    cluster.deliver(leader, v, append(group, term + 1, last, last.index, vec![entry]));
    let last = cluster.last(v);
    cluster.crash(v);
    cluster.now = cluster.now + Duration::from_millis(1);
    cluster.start(v);
    cluster.wire.clear();
    cluster.deliver(x, v, asks(term + 2, last));
    assert!(!cluster.wire.iter().any(|(_, _, msg)| matches!(msg, Msg::VoteReply(reply) if reply.granted)));
}

// Its own vote is a vote: what it asked for before it heard the leader does not make it stand.
#[test]
fn a_voter_that_is_bound_does_not_stand_either() {
    let (mut cluster, leader) = with_leases();
    let [v, other] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else { panic!() };
    let (group, term, last) = (cluster.raft(v).group(), cluster.raft(v).term(), cluster.last(v));
    let refuses = |term, last| Msg::PreVoteReply(VoteReply { term, granted: false, last });
    cluster.now = cluster.now + Duration::from_millis(2 * TIMEOUT + 1);
    cluster.wire.clear();
    cluster.step(v, Input::Wake);
    cluster.deliver(other, v, refuses(term + 1, last));
    cluster.now = cluster.now + Duration::from_millis(2 * TIMEOUT + 1);
    cluster.step(v, Input::Wake);
    cluster.deliver(other, v, refuses(term + 1, LogId::new(term + 1, last.index + 1)));
    assert!(
        cluster.wire.iter().any(|(_, _, msg)| matches!(msg, Msg::Pull { .. })),
        "it asks for what it lacks"
    );
    // It hears the leader of that term, then of a newer term, and then what it asked for comes.
    cluster.deliver(leader, v, append(group, term + 1, last, 0, vec![]));
    cluster.deliver(other, v, refuses(term + 2, LogId::ZERO));
    let batches = Batches::One(entries(last.index + 1, term + 1, 1));
    let ends = LogId::new(term + 1, last.index + 1);
    cluster.deliver(other, v, Msg::Pulled(Pulled { group, after: last, last: ends, batches }));
    cluster.step(v, Input::Wake);
    cluster.deliver(
        other,
        v,
        Msg::PreVoteReply(VoteReply { term: term + 3, granted: true, last: LogId::ZERO }),
    );
    assert_ne!((cluster.raft(v).term(), cluster.raft(v).vote()), (term + 3, Some(v)));
}

#[test]
fn a_lease_has_its_margin_whatever_the_timeout_is() {
    let us = Duration::from_micros;
    let (election_timeout, heartbeat) = (us(1_990), us(600));
    let config =
        RaftConfig { lease_drift_ppm: Some(250_000), election_timeout, heartbeat, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    cluster.pass(20);
    let mut last = 0;
    for at in 1..1_990 {
        cluster.now = cluster.now + us(1);
        cluster.settle_where(|_, _| false);
        if reads_at_once(&mut cluster, leader) {
            last = at;
        }
    }
    assert!(last <= 995, "{last} us of at most half of 1,990");
}
