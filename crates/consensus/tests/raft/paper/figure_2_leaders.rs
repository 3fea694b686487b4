//! Figure 2, "Rules for Servers": leaders, and what all servers apply.

use super::{F, L, M, alone, appends, candidate, lead, yes};
use crate::cluster::{Cluster, ids};
use crate::hosts::Hosts;
use crate::made::{append, entries};
use crate::replication::matched;
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{
    AppendReply, EntryKind, Index, LogId, Msg, Outcome, RaftConfig, RaftHandle, Term,
};
use quorate_core::{Input, NoDecider, NodeId};

/// A leader of three with so many commands behind its first entry, of which nobody has heard anything.
fn leader(commands: usize) -> (Cluster, Term) {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 4)]));
    let term = lead(&mut cluster, 3);
    for _ in 0..commands {
        cluster.propose(F, b"x");
        cluster.step(F, Input::Wake);
    }
    (cluster, term)
}

// "Upon election: send initial empty AppendEntries RPCs (heartbeat) to each server": here with the term's first entry.
#[test]
fn upon_election_every_server_is_sent_an_append_at_once() {
    for founders in 2..=7u64 {
        let (mut cluster, _) = candidate(founders);
        cluster.wire.clear();
        for peer in ids(founders).into_iter().skip(1).take(founders as usize / 2) {
            cluster.deliver(peer, F, Msg::VoteReply(yes(2)));
        }
        let to: Vec<NodeId> = appends(&mut cluster).into_iter().map(|(to, _)| to).collect();
        assert_eq!(to, ids(founders)[1..], "{founders}");
    }
}

// "repeat during idle periods to prevent election timeouts (§5.2)".
#[test]
fn heartbeats_are_repeated_in_idle_periods() {
    let (mut cluster, term) = leader(0);
    cluster.wire.clear();
    for _ in 0..20 {
        let heartbeat = RaftConfig::default().heartbeat.as_millis() as u64;
        for _ in 0..heartbeat {
            cluster.now = cluster.now + std::time::Duration::from_millis(1);
            cluster.step(F, Input::Wake);
        }
        let to: Vec<_> = appends(&mut cluster).into_iter().map(|(to, append)| (to, append.term)).collect();
        assert_eq!(to, [(L, term), (M, term)]);
        cluster.deliver(L, F, matched(term, 0));
        cluster.wire.clear();
    }
}

// "If last log index >= nextIndex for a follower: send AppendEntries RPC with log entries starting at nextIndex. If
// successful: update nextIndex and matchIndex for follower (§5.3)". Wherever the follower is.
#[test]
fn a_follower_is_sent_all_entries_from_its_next_index_on() {
    for has in 0..=7u64 {
        let (mut cluster, term) = leader(3);
        let last = cluster.last(F).index;
        assert_eq!(last, 8);
        cluster.wire.clear();
        // It refuses the first append if it lacks the entry before, and has the next one.
        if has < 4 {
            let outcome = Outcome::Conflict { refused: 4, hint: LogId::new(has.min(1), has) };
            cluster.deliver(L, F, Msg::AppendReply(AppendReply { term, round: 1, outcome }));
        } else {
            cluster.deliver(L, F, matched(term, has));
        }
        let all = appends(&mut cluster);
        let [(L, append)] = &all[..] else { panic!("{has}: {all:?}") };
        assert_eq!(append.prev.index, has);
        let sent: Vec<Index> = append.batches.as_slice().iter().flat_map(|b| b.first()..=b.last()).collect();
        assert_eq!(sent, (has + 1..=last).collect::<Vec<_>>());
        // Once it has all, the next command alone is sent.
        cluster.deliver(L, F, matched(term, last));
        cluster.wire.clear();
        cluster.propose(F, b"next");
        cluster.step(F, Input::Wake);
        let next = appends(&mut cluster).into_iter().find(|(to, _)| *to == L).unwrap().1;
        assert_eq!((next.prev.index, next.batches.as_slice()[0].first()), (last, last + 1));
    }
}

// "If AppendEntries fails because of log inconsistency: decrement nextIndex and retry (§5.3)": at once, to the very first
// entry if it must be.
#[test]
fn a_refused_append_is_retried_further_back_until_it_fits() {
    let (mut cluster, term) = leader(0);
    let mut prev = 4;
    while prev > 0 {
        cluster.wire.clear();
        // A follower that knows no better than to refuse: the hint of one whose log is of unknown terms.
        let outcome = Outcome::Conflict { refused: prev, hint: LogId::new(1, prev) };
        cluster.deliver(L, F, Msg::AppendReply(AppendReply { term, round: 1, outcome }));
        let all = appends(&mut cluster);
        let [(L, append)] = &all[..] else { panic!("{prev}: {all:?}") };
        assert_eq!(append.prev.index, prev - 1, "one further back when the hint says nothing");
        prev -= 1;
    }
}

// §5.3: "If followers crash or run slowly, or if network packets are lost, the leader retries AppendEntries RPCs indefinitely".
#[test]
fn a_follower_that_does_not_answer_is_tried_again_for_ever() {
    let (mut cluster, term) = leader(2);
    for _ in 0..200 {
        cluster.wire.clear();
        for _ in 0..5 {
            cluster.pass_where(10, |_, _| false);
            cluster.deliver(L, F, matched(term, 7));
        }
        cluster.now = cluster.now + RaftConfig::default().heartbeat;
        cluster.wire.clear();
        cluster.step(F, Input::Wake);
        assert!(appends(&mut cluster).iter().any(|(to, _)| *to == M));
    }
    assert!(cluster.raft(F).is_leader());
}

// "If command received from client: append entry to local log, respond after entry applied to state machine (§5.3)".
#[test]
fn a_client_is_answered_after_its_command_was_applied_and_not_when_it_was_appended_or_committed() {
    let mut hosts = Hosts::of(3, 1, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    let handle: RaftHandle<Tally> = hosts.handle(leader);
    let ticket = handle.propose(Do::Add(7));
    hosts.settle_where(|_, _, _| false);
    let last = hosts.raft(leader).last().index;
    assert!(last > hosts.raft(leader).commit() && !ticket.is_settled(), "appended");
    hosts.run_jobs = false;
    hosts.pass(60);
    assert_eq!(hosts.raft(leader).commit(), last);
    assert!(!ticket.is_settled(), "committed");
    hosts.run_jobs = true;
    hosts.settle();
    assert_eq!(ticket.try_take().unwrap(), Ok(1));
}

// "All servers: If commitIndex > lastApplied: increment lastApplied, apply log[lastApplied] to state machine (§5.3)": in
// the order of the log, each once, nothing that is not committed, on every server, also behind a restart.
#[test]
fn every_server_applies_what_is_committed_in_the_order_of_the_log_each_entry_once() {
    let mut hosts = Hosts::of(3, 2, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let mut asked = Vec::new();
    for round in 0..30u64 {
        let at = NodeId(1 + round % 3);
        let handle: RaftHandle<Tally> = hosts.handle(at);
        asked.push(handle.propose(Do::Add(round)));
        hosts.pass(if round % 5 == 0 { 40 } else { 2 });
        if round == 15 {
            let follower = (1..=3).map(NodeId).find(|id| Some(*id) != hosts.leader()).unwrap();
            hosts.crash(follower);
            hosts.start(follower);
        }
        for id in (1..=3).map(NodeId) {
            assert!(hosts.state::<Tally, NoDecider>(id).reached <= hosts.raft(id).commit());
        }
    }
    hosts.pass(2_000);
    let states: Vec<Vec<u64>> =
        (1..=3).map(|id| hosts.state::<Tally, NoDecider>(NodeId(id)).added.clone()).collect();
    assert!(states[0] == states[1] && states[1] == states[2], "{states:?}");
    let log = hosts.raft(NodeId(1)).log();
    let commands = log.batches_within(1, log.last().index).filter(|batch| batch.kind() == EntryKind::Command);
    assert_eq!(commands.flat_map(|batch| batch.entries()).count(), states[0].len());
    let mut done = 0;
    for (number, ticket) in asked.into_iter().enumerate() {
        let times = states[0].iter().filter(|applied| **applied == number as u64).count();
        let is_done = matches!(ticket.try_take(), Ok(Ok(_)));
        assert!(times == 1 || !is_done && times == 0, "{number}: {times} times");
        done += usize::from(is_done);
    }
    assert!(done > 20, "{done}");
}
