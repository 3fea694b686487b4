//! Replication: figure 2's rules for appends and for leaders, sections 5.3 and 5.4.2.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use quorate_consensus::raft::{
    Append, AppendReply, Batches, Cmd, Event, Founding, Index, LogId, Msg, Outcome, RaftConfig, Term,
    VoteReply,
};
use quorate_core::{Input, JournalId, NodeId};

const F: NodeId = NodeId(1);
const L: NodeId = NodeId(2);
const M: NodeId = NodeId(3);

/// A follower whose leaders are made by hand.
fn follower() -> (Cluster, u64) {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(F, Founding::Found(ids(3)), JournalId(1));
    let group = cluster.group_of(&ids(3));
    (cluster, group)
}

pub fn terms(cluster: &Cluster, id: NodeId) -> Vec<Term> {
    let log = cluster.raft(id).log();
    (log.base().index + 1..=log.last().index).map(|index| log.term_at(index).unwrap()).collect()
}

/// What the follower answered to its last append.
fn outcome(cluster: &mut Cluster) -> Option<(Term, Outcome)> {
    let wire = std::mem::take(&mut cluster.wire);
    wire.into_iter().rev().find_map(|(from, _, msg)| match msg {
        Msg::AppendReply(reply) if from == F => Some((reply.term, reply.outcome)),
        _ => None,
    })
}

fn appends_to(cluster: &mut Cluster, id: NodeId) -> Vec<Append> {
    let wire = std::mem::take(&mut cluster.wire);
    let appends = wire.into_iter().filter_map(|(_, to, msg)| match msg {
        Msg::Append(append) if to == id => Some(append),
        _ => None,
    });
    appends.collect()
}

// Figure 2, AppendEntries: 1. Reply false if term < currentTerm (§5.1).
#[test]
fn an_append_of_an_older_term_is_refused_with_the_newer_one() {
    let (mut cluster, group) = follower();
    cluster.deliver(M, F, append(group, 5, LogId::ZERO, 0, vec![]));
    cluster.deliver(L, F, append(group, 4, LogId::ZERO, 0, vec![entries(1, 4, 1)]));
    assert_eq!(outcome(&mut cluster), Some((5, Outcome::Stale)));
    assert_eq!((terms(&cluster, F), cluster.raft(F).leader()), (vec![], Some(M)));
}

// §5.2: at most one leader a term. What a second one says is not taken, nor what a leader hears of its own term.
#[test]
fn a_second_leader_of_one_term_is_not_followed() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 5, LogId::ZERO, 0, vec![entries(1, 5, 1)]));
    cluster.deliver(M, F, append(group, 5, LogId::ZERO, 1, vec![entries(1, 4, 1), entries(2, 5, 1)]));
    assert_eq!((terms(&cluster, F), cluster.raft(F).leader()), (vec![5], Some(L)));
    assert_eq!(cluster.raft(F).counters().nonsense, 1);
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let (term, last) = (cluster.raft(leader).term(), cluster.last(leader));
    let other = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.deliver(other, leader, append(group, term, last, 9, vec![entries(last.index + 1, term, 1)]));
    assert_eq!((cluster.leader(), cluster.last(leader)), (Some(leader), last));
}

// 2. Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm (§5.3).
#[test]
fn an_append_behind_an_entry_that_is_not_there_is_refused_and_changes_nothing() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    for (prev, hint) in [((1, 9), (1, 3)), ((2, 2), (1, 2)), ((7, u64::MAX), (1, 3))] {
        let (prev, hint) = (LogId::new(prev.0, prev.1), LogId::new(hint.0, hint.1));
        cluster.deliver(L, F, append(group, 9, prev, 9, vec![]));
        let expected = Outcome::Conflict { refused: prev.index, hint };
        assert_eq!(outcome(&mut cluster), Some((9, expected)));
    }
    assert_eq!((terms(&cluster, F), cluster.raft(F).commit()), (vec![1, 1, 1], 0));
}

// 3. If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and
// all that follow it (§5.3). 4. Append any new entries not already in the log.
#[test]
fn a_conflicting_entry_and_all_behind_it_are_replaced() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 6)]));
    cluster.deliver(M, F, append(group, 3, LogId::new(1, 2), 0, vec![entries(3, 1, 1), entries(4, 2, 1)]));
    assert_eq!(outcome(&mut cluster), Some((3, Outcome::Matched(4))));
    assert_eq!(terms(&cluster, F), [1, 1, 1, 2]);
    assert_eq!(cluster.raft(F).counters().truncations, 1);
}

// 11. [S] Entries after a matching stale append are kept.
#[test]
fn entries_after_a_matching_stale_append_are_kept() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, append(group, 1, LogId::new(1, 3), 0, vec![entries(4, 1, 3)]));
    for stale in [
        append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]),
        append(group, 1, LogId::ZERO, 0, vec![]),
        append(group, 1, LogId::new(1, 1), 0, vec![entries(2, 1, 1)]),
    ] {
        cluster.deliver(L, F, stale);
        assert_eq!(terms(&cluster, F), [1; 6]);
    }
    assert_eq!(cluster.raft(F).counters().truncations, 0);
}

// 5. If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry).
// 15. [S] A commit index beyond the last entry is never a panic.
#[test]
fn the_commit_index_goes_no_further_than_what_is_known_to_match() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 6)]));
    // Entries of its own behind the ones that match may be somebody else's.
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 100, vec![]));
    assert_eq!((cluster.raft(F).commit(), terms(&cluster, F).len()), (3, 6));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), u64::MAX, vec![entries(4, 2, 1)]));
    assert_eq!((cluster.raft(F).commit(), terms(&cluster, F)), (4, vec![1, 1, 1, 2]));
    // It never goes back.
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 2), 1, vec![]));
    assert_eq!(cluster.raft(F).commit(), 4);
    // And what is committed is never taken back, whatever is said.
    cluster.deliver(M, F, append(group, 3, LogId::ZERO, 0, vec![entries(1, 3, 5)]));
    assert_eq!(terms(&cluster, F)[..4], [1, 1, 1, 2]);
}

/// Has a node elected that runs alone, with the hand-made votes of these peers; its term.
fn elect_alone(cluster: &mut Cluster, peers: &[NodeId]) -> Term {
    cluster.meet(F);
    let asked = cluster.raft(F).counters().pre_campaigns;
    while cluster.raft(F).counters().pre_campaigns == asked {
        cluster.pass_where(5, |_, _| false);
    }
    let term = cluster.raft(F).term() + 1;
    for peer in peers {
        cluster.deliver(*peer, F, Msg::PreVoteReply(VoteReply { term, granted: true, last: LogId::ZERO }));
    }
    for peer in peers {
        cluster.deliver(*peer, F, Msg::VoteReply(VoteReply { term, granted: true, last: LogId::ZERO }));
    }
    assert!(cluster.raft(F).is_leader());
    term
}

pub fn matched(term: Term, index: Index) -> Msg {
    Msg::AppendReply(AppendReply { term, round: 1, outcome: Outcome::Matched(index) })
}

// Figure 8; §5.4.2. 9. [S] Only entries of the current term are counted.
#[test]
fn an_entry_of_an_older_term_is_committed_only_by_one_of_the_leaders_own() {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(F, Founding::Found(ids(5)), JournalId(1));
    let group = cluster.group_of(&ids(5));
    // (a) an entry of term 2 that few have; (c) its leader is elected again, in term 4, and a majority gets it.
    cluster.deliver(L, F, append(group, 2, LogId::ZERO, 0, vec![entries(1, 2, 2)]));
    cluster.deliver(L, F, append(group, 3, LogId::new(2, 2), 0, vec![]));
    let term = elect_alone(&mut cluster, &[L, M]);
    assert_eq!(term, 4);
    for peer in [2, 3, 4, 5] {
        cluster.deliver(NodeId(peer), F, matched(term, 2));
        assert_eq!(cluster.raft(F).commit(), 0, "(d) it may still be overwritten");
    }
    // (e) with one of its own term behind it, it cannot.
    cluster.deliver(L, F, matched(term, 3));
    assert_eq!(cluster.raft(F).commit(), 0);
    cluster.deliver(M, F, matched(term, 3));
    assert_eq!(cluster.raft(F).commit(), 3);
}

// 9. [S] Commit index by a quorum scan over correctly sorted match indexes.
#[test]
fn the_commit_index_is_what_a_majority_has_in_whatever_order_it_is_told() {
    let all = [2u64, 3, 4, 5];
    for code in 0..4u64.pow(4) {
        let mut cluster = Cluster::empty(RaftConfig::default());
        cluster.add(F, Founding::Found(ids(5)), JournalId(1));
        let term = elect_alone(&mut cluster, &all.map(NodeId));
        for _ in 0..3 {
            cluster.propose(F, b"x");
            cluster.step(F, Input::Wake);
        }
        assert_eq!(cluster.last(F).index, 4);
        // How far each follower has come: 1 to 4.
        let reached: Vec<Index> = (0..4).map(|at| 1 + code / 4u64.pow(at) % 4).collect();
        for (peer, index) in all.iter().zip(&reached) {
            cluster.deliver(NodeId(*peer), F, matched(term, *index));
        }
        let with_own = |index: Index| 1 + reached.iter().filter(|at| **at >= index).count();
        let expected = (1..=4).rev().find(|index| with_own(*index) >= 3).unwrap();
        assert_eq!(cluster.raft(F).commit(), expected, "{reached:?}");
    }
}

// 10. [S] An ack from before a log reversion must not count.
#[test]
pub fn an_acknowledgement_of_an_older_term_does_not_count() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let term = cluster.raft(leader).term();
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"x");
    cluster.settle_where(|_, _| false);
    let last = cluster.last(leader).index;
    let from = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.deliver(from, leader, matched(term - 1, last));
    assert_eq!(cluster.raft(leader).commit(), commit);
    cluster.deliver(from, leader, matched(term, last));
    assert_eq!(cluster.raft(leader).commit(), last);
}

// 10. [S] A stale conflict after a success must not revert.
#[test]
pub fn a_stale_conflict_after_a_success_reverts_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    cluster.pass(10);
    let term = cluster.raft(leader).term();
    let from = ids(3).into_iter().find(|id| *id != leader).unwrap();
    for refused in 0..=cluster.last(leader).index {
        let outcome = Outcome::Conflict { refused, hint: LogId::ZERO };
        cluster.deliver(from, leader, Msg::AppendReply(AppendReply { term, round: 1, outcome }));
        assert_eq!(appends_to(&mut cluster, from), []);
    }
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"y");
    cluster.settle();
    assert_eq!(cluster.raft(leader).commit(), commit + 1);
}

// 12. [S] A leader that cannot read its log sends nothing, never an append with no previous entry.
#[test]
pub fn every_append_names_an_entry_before_it_that_the_leader_has() {
    let config = RaftConfig { trailing_entries: 0, inflight_max: 2, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    let late = ids(3).into_iter().find(|id| *id != leader).unwrap();
    for round in 0..30 {
        cluster.propose(leader, b"x");
        cluster.settle_where(|_, to| to != late || round % 7 == 0);
        if round % 3 == 0 {
            let (commit, log) = (cluster.raft(leader).commit(), cluster.raft(leader).log());
            let at = LogId::new(log.term_at(commit).unwrap(), commit);
            cluster.snapshot(leader, at, b"s");
        }
        if round == 15 {
            cluster.crash(late);
            cluster.start(late);
        }
        for _ in 0..60 {
            cluster.now = cluster.now + std::time::Duration::from_millis(1);
            if cluster.wake_at(leader).is_some_and(|at| at <= cluster.now) {
                cluster.step(leader, Input::Wake);
            }
            let log = cluster.raft(leader).log();
            for (from, _, msg) in &cluster.wire {
                if let Msg::Append(append) = msg
                    && *from == leader
                {
                    assert!(log.has(append.prev), "{append:?} {:?}", log.base());
                }
            }
            cluster.wire.retain(|(_, to, _)| *to != late);
            for (from, to, msg) in std::mem::take(&mut cluster.wire) {
                cluster.deliver(from, to, msg);
            }
        }
    }
}

// 13. [S] A new leader counts itself only once its own entry is on disk.
#[test]
fn a_leader_counts_itself_only_once_its_own_entry_is_on_disk() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let b = ids(3).into_iter().find(|id| *id != leader).unwrap();
    let commit = cluster.raft(leader).commit();
    cluster.hung.push(leader);
    cluster.propose(leader, b"x");
    cluster.settle_where(|from, to| ![from, to].contains(&b));
    assert_eq!(cluster.raft(leader).commit(), commit, "one follower and an undurable leader are no majority");
    // Two followers are one without it.
    cluster.pass(60);
    assert_eq!(cluster.raft(leader).commit(), commit + 1);
}

// 13. Append ABA under asynchronous writes across terms: an acknowledgement waits for the write that it is about.
#[test]
fn entries_that_were_overwritten_and_came_back_are_acknowledged_once_they_are_on_disk_again() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    cluster.sync = false;
    outcome(&mut cluster);
    cluster.deliver(L, F, append(group, 1, LogId::new(1, 3), 0, vec![entries(4, 1, 2)]));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 0, vec![entries(4, 2, 1)]));
    cluster.deliver(L, F, append(group, 3, LogId::new(1, 3), 0, vec![entries(4, 1, 2)]));
    assert_eq!(outcome(&mut cluster), None);
    for kept in 0..6 {
        let mut crashed = Cluster::empty(RaftConfig::default());
        crashed.nodes.insert(F, cluster.nodes[&F].asleep());
        crashed.crash_keeping(F, kept);
        crashed.start(F);
        let terms = terms(&crashed, F);
        assert!([&[1, 1, 1][..], &[1, 1, 1, 1, 1], &[1, 1, 1, 2]].contains(&&terms[..]), "{kept}: {terms:?}");
    }
    cluster.sync_node(F);
    assert_eq!(outcome(&mut cluster), Some((3, Outcome::Matched(5))));
    cluster.crash(F);
    cluster.start(F);
    assert_eq!(terms(&cluster, F), [1; 5]);
}

// 14. [L] A leader whose log is wholly compacted still probes.
#[test]
fn a_leader_whose_log_is_wholly_compacted_still_probes() {
    let mut cluster = Cluster::with(3, RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    cluster.pass(10);
    for id in ids(3) {
        let at = cluster.last(id);
        cluster.snapshot(id, at, b"s");
        assert_eq!(cluster.raft(id).log().base(), at);
    }
    cluster.crash(leader);
    let next = cluster.elect();
    cluster.start(leader);
    cluster.pass(500);
    assert_eq!(cluster.last(leader), cluster.last(next));
    assert_eq!(cluster.raft(next).counters().snapshots_sent, 0);
}

// 14. In-flight counters never leak: after any loss the whole window is there again.
#[test]
fn the_window_is_whole_again_after_losses() {
    let config = RaftConfig { inflight_max: 3, inflight_bytes_max: 300, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    for round in 0..200u64 {
        for _ in 0..4 {
            cluster.propose(leader, b"0123456789");
        }
        cluster.settle_where(|from, to| (from.0 + to.0 + round) % 4 > 0);
        if round % 10 == 0 {
            cluster.pass(120);
            for id in ids(3) {
                assert_eq!(cluster.raft(id).commit(), cluster.last(leader).index, "round {round}");
            }
            assert_eq!(cluster.leader(), Some(leader));
        }
    }
}

// Figure 2, leaders: upon election send heartbeats; repeat during idle periods to prevent election timeouts (§5.2).
#[test]
fn a_leader_speaks_at_once_and_then_with_every_heartbeat() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let term = cluster.raft(leader).term();
    assert!(ids(3).iter().all(|id| cluster.raft(*id).leader() == Some(leader)));
    cluster.pass(3_000);
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
}

// Figure 2, leaders: if AppendEntries fails because of log inconsistency: decrement nextIndex and retry (§5.3), here
// with the hint of the optimisation at the end of §5.3: a round for each term, not for each entry.
#[test]
fn a_follower_with_a_long_wrong_suffix_is_repaired_in_few_rounds() {
    let mut cluster = Cluster::new(3);
    let group = cluster.group_of(&ids(3));
    // Figure 7 (f): terms 1,1,1,2,2,2,3,3,3,... of leaders that nobody else ever heard.
    let wrong = vec![entries(1, 1, 30), entries(31, 2, 30), entries(61, 3, 30)];
    cluster.deliver(L, F, append(group, 3, LogId::ZERO, 0, wrong));
    for id in [L, M] {
        let from = if id == L { M } else { L };
        cluster.deliver(
            from,
            id,
            append(group, 4, LogId::ZERO, 0, vec![entries(1, 1, 10), entries(11, 4, 40)]),
        );
    }
    cluster.wire.clear();
    let leader = cluster.elect();
    cluster.pass(200);
    assert_ne!(leader, F);
    assert_eq!(terms(&cluster, F), terms(&cluster, leader));
    assert!(cluster.raft(F).counters().conflicts <= 3, "{:?}", cluster.raft(F).counters());
}

// Figure 7: whatever a follower has, the leader's log is what it ends with.
#[test]
fn every_follower_of_figure_7_comes_to_the_leaders_log() {
    let leaders = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[Term]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    let write = |cluster: &mut Cluster, group, id: NodeId, log: &[Term]| {
        let from = ids(3).into_iter().find(|other| *other != id).unwrap();
        let mut batches = Vec::new();
        for (at, term) in log.iter().enumerate() {
            batches.push(entries(at as Index + 1, *term, 1));
        }
        cluster.deliver(from, id, append(group, 7, LogId::ZERO, 0, batches));
    };
    for log in followers {
        let mut cluster = Cluster::new(3);
        let group = cluster.group_of(&ids(3));
        write(&mut cluster, group, F, log);
        write(&mut cluster, group, L, &leaders);
        write(&mut cluster, group, M, &leaders[..3]);
        cluster.wire.clear();
        // Whoever is elected, all logs become its own, and it may only be one that is up to date by then.
        let mut lasts: Vec<LogId> = ids(3).into_iter().map(|id| cluster.last(id)).collect();
        lasts.sort_unstable();
        let leader = cluster.elect();
        let log = cluster.raft(leader).log();
        let before = cluster.last(leader).index - 1;
        assert!(LogId::new(log.term_at(before).unwrap(), before) >= lasts[1], "as up to date as a quorum");
        cluster.pass(300);
        let all: Vec<_> = ids(3).into_iter().map(|id| terms(&cluster, id)).collect();
        assert!(all[0] == all[1] && all[1] == all[2], "{all:?}");
    }
}

// A heartbeat that overtakes an append shows a gap that is none: a needless probe, and everything goes on.
#[test]
fn a_heartbeat_that_overtakes_its_append_costs_one_probe() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(100);
    let to = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.propose(leader, b"x");
    cluster.step(leader, Input::Wake);
    let held: Vec<_> = cluster.wire.extract_if(.., |(_, at, _)| *at == to).collect();
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.settle();
    assert_eq!(cluster.raft(to).counters().conflicts, 1);
    assert_eq!(cluster.last(to), cluster.last(leader), "repaired without a heartbeat");
    for (from, to, msg) in held {
        cluster.deliver(from, to, msg);
    }
    cluster.settle();
    cluster.propose(leader, b"y");
    cluster.settle();
    assert_eq!(cluster.last(to), cluster.last(leader));
    assert_eq!(cluster.raft(to).counters().conflicts, 1);
}

// §8: a leader's first entry is empty, so that what earlier terms left is committed.
#[test]
fn a_new_leader_commits_an_empty_entry_of_its_own_first() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"left behind");
    cluster.settle_where(|from, _| from == leader);
    let commit = cluster.raft(leader).commit();
    cluster.crash(leader);
    let next = cluster.elect();
    let events = cluster.take_events(next);
    let first =
        events.iter().find_map(|e| if let Event::Elected { first, .. } = e { Some(*first) } else { None });
    let first = first.unwrap();
    assert!(cluster.raft(next).commit() >= first && first > commit + 1);
    assert!(cluster.raft(next).log().entry(first).unwrap().data.is_empty());
    assert_eq!(cluster.commands(next).last().unwrap().2, b"left behind");
}

// Entries of a batch message that was cut short by its kind: none at all is a heartbeat and appends nothing.
#[test]
fn a_heartbeat_appends_nothing() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 2)]));
    let records = cluster.nodes[&F].disk.records().count();
    let heartbeat =
        Append { group, term: 1, prev: LogId::new(1, 2), commit: 2, round: 9, batches: Batches::None };
    cluster.deliver(L, F, Msg::Append(heartbeat));
    assert_eq!(cluster.nodes[&F].disk.records().count(), records);
    assert_eq!(outcome(&mut cluster), Some((1, Outcome::Matched(2))));
}
