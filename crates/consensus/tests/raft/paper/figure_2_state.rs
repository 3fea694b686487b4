//! Figure 2, the box "State".

use super::{F, L, M, alone, appends, lead, meet, sent, until_it_asks, vote};
use crate::cluster::Cluster;
use crate::made::{append, entries};
use crate::replication::matched;
use quorate_consensus::raft::{AppendReply, LogId, Msg, Outcome, RaftConfig, Record};

#[test]
fn current_term_is_zero_voted_for_is_null_and_the_log_is_empty_on_first_boot() {
    let (cluster, _) = alone(3);
    let raft = cluster.raft(F);
    assert_eq!((raft.term(), raft.vote(), raft.last(), raft.commit()), (0, None, LogId::ZERO, 0));
}

// "currentTerm: latest term server has seen (initialized to 0 on first boot, increases monotonically)": whatever is said in
// whatever order, by requests and by answers.
#[test]
fn current_term_increases_monotonically_and_is_on_disk() {
    let message = |group, kind: u64, term| match kind {
        0 => vote(group, term, LogId::new(9, 9)),
        1 => append(group, term, LogId::ZERO, 0, vec![]),
        2 => Msg::AppendReply(AppendReply { term, round: 1, outcome: Outcome::Stale }),
        _ => Msg::VoteReply(quorate_consensus::raft::VoteReply { term, granted: false, last: LogId::ZERO }),
    };
    for code in 0..16u64.pow(3) {
        let (mut cluster, group) = alone(3);
        let mut before = 0;
        for at in 0..3 {
            let (kind, term) = (code / 16u64.pow(at) % 4, code / 16u64.pow(at) / 4 % 4);
            cluster.deliver(if at == 1 { M } else { L }, F, message(group, kind, term));
            let raft = cluster.raft(F);
            assert!(raft.term() >= before, "{code}: {} behind {before}", raft.term());
            before = raft.term();
            let hard = cluster.nodes[&F].disk.records().filter_map(|record| match record {
                Record::Hard { term, vote } => Some((*term, *vote)),
                _ => None,
            });
            assert_eq!(hard.last().unwrap_or_default(), (raft.term(), raft.vote()), "{code}");
        }
    }
}

// "Persistent state on all servers: (Updated on stable storage before responding to RPCs)".
#[test]
fn no_answer_leaves_before_what_it_rests_on_is_on_stable_storage() {
    let (_, group) = alone(3);
    let requests = [
        vote(group, 3, LogId::ZERO),
        append(group, 3, LogId::ZERO, 0, vec![]),
        append(group, 3, LogId::ZERO, 0, vec![entries(1, 3, 2)]),
        append(group, 3, LogId::new(2, 5), 0, vec![]),
    ];
    for request in requests {
        let (mut cluster, _) = alone(3);
        cluster.sync = false;
        cluster.deliver(L, F, request.clone());
        assert_eq!(sent(&mut cluster), [], "{request:?} was answered from memory");
        // And what was not answered may be forgotten.
        let mut crashed = Cluster::empty(RaftConfig::default());
        crashed.nodes.insert(F, cluster.nodes[&F].asleep());
        crashed.crash(F);
        crashed.start(F);
        assert_eq!((crashed.raft(F).term(), crashed.last(F)), (0, LogId::ZERO));
        cluster.sync_node(F);
        let to: Vec<_> = sent(&mut cluster).into_iter().map(|(to, _)| to).collect();
        assert_eq!(to, [L], "{request:?}");
        cluster.crash(F);
        cluster.start(F);
        assert_eq!(cluster.raft(F).term(), 3);
    }
}

#[test]
fn the_first_index_of_the_log_is_one() {
    let mut cluster = Cluster::new(1);
    cluster.elect();
    cluster.propose(F, b"x");
    cluster.settle();
    let log = cluster.raft(F).log();
    assert_eq!(log.entry(0), None);
    assert_eq!(log.read(1, 0).first().map(|batch| batch.first()), Some(1));
    assert_eq!(log.last(), LogId::new(1, 2));
}

// "commitIndex: ... (initialized to 0, increases monotonically)": appends with every prev and commit, in every order.
#[test]
fn commit_index_increases_monotonically() {
    for code in 0..16u64.pow(3) {
        let (mut cluster, group) = alone(3);
        cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
        let mut before = 0;
        for at in 0..3 {
            let (prev, commit) = (code / 16u64.pow(at) % 4, code / 16u64.pow(at) / 4 % 4);
            cluster.deliver(L, F, append(group, 1, LogId::new(prev.min(1), prev), commit, vec![]));
            let now = cluster.raft(F).commit();
            assert!(now >= before && now <= 3, "{code}: {now} behind {before}");
            before = now;
        }
    }
}

// "nextIndex[]: for each server, index of the next log entry to send to that server (initialized to leader last log index + 1)".
#[test]
fn next_index_is_the_leaders_last_index_plus_one_at_its_election() {
    for length in 0..5 {
        let (mut cluster, group) = alone(5);
        if length > 0 {
            cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, length)]));
        }
        let last = cluster.last(F);
        lead(&mut cluster, 5);
        let first: Vec<_> =
            appends(&mut cluster).into_iter().map(|(to, append)| (to.0, append.prev)).collect();
        assert_eq!(first, [(2, last), (3, last), (4, last), (5, last)]);
    }
}

// "matchIndex[]: ... (initialized to 0, ...)", "(Reinitialized after election)": what was acknowledged to an earlier leadership
// of the same node was replaced since, here by another leader, and does not count in the next one.
#[test]
fn match_index_is_zero_again_after_each_election() {
    let propose = |cluster: &mut Cluster| {
        for _ in 0..5 {
            cluster.propose(F, b"x");
            cluster.step(F, quorate_core::Input::Wake);
        }
    };
    let (mut cluster, group) = alone(5);
    let term = lead(&mut cluster, 5);
    propose(&mut cluster);
    cluster.deliver(L, F, matched(term, 6));
    cluster.deliver(M, F, matched(term, 1));
    assert_eq!(cluster.raft(F).commit(), 1);
    cluster.deliver(M, F, append(group, term + 1, LogId::new(term, 1), 0, vec![entries(2, term + 1, 1)]));
    assert_eq!(cluster.last(F), LogId::new(term + 1, 2));
    let term = lead(&mut cluster, 5);
    propose(&mut cluster);
    let last = cluster.last(F);
    assert_eq!(last, LogId::new(term, 8));
    cluster.deliver(M, F, matched(term, 8));
    assert_eq!(cluster.raft(F).commit(), 1, "it and M are two of five");
    cluster.deliver(L, F, matched(term, 3));
    assert_eq!(cluster.raft(F).commit(), 3);
}

// "matchIndex[]: ... increases monotonically": a late answer about less takes nothing back.
#[test]
fn match_index_increases_monotonically() {
    let (mut cluster, _) = alone(5);
    let term = lead(&mut cluster, 5);
    cluster.propose(F, b"x");
    cluster.step(F, quorate_core::Input::Wake);
    let last = cluster.last(F).index;
    for index in [last, 0, 1] {
        cluster.deliver(L, F, matched(term, index));
    }
    cluster.deliver(M, F, matched(term, last));
    assert_eq!(cluster.raft(F).commit(), last);
}

// A term that another one began is a term that was seen: it is not stood for again.
#[test]
fn a_candidate_stands_for_a_term_behind_the_latest_that_it_has_seen() {
    let (mut cluster, group) = alone(3);
    meet(&mut cluster, 3);
    cluster.deliver(L, F, append(group, 7, LogId::ZERO, 0, vec![]));
    until_it_asks(&mut cluster);
    for peer in [L, M] {
        cluster.deliver(peer, F, Msg::PreVoteReply(super::yes(8)));
    }
    assert_eq!((cluster.raft(F).term(), cluster.raft(F).vote()), (8, Some(F)));
}
