//! Snapshots in pieces: sent, resent, installed, refused, while everything else goes on (Raft §7).

use crate::cluster::{Cluster, ids};
use crate::made::{self, append, entries};
use bytes::Bytes;
use quorate_consensus::raft::{
    Append, AppendReply, Batches, Candidacy, Cmd, Event, Founding, LogId, Msg, NotRestored, Outcome,
    RaftConfig, RaftConfigError, SnapshotChunk, SnapshotReply,
};
use quorate_core::{JournalId, NodeId};

const F: NodeId = NodeId(1);
const L: NodeId = NodeId(2);
const M: NodeId = NodeId(3);
const STATE: &[u8] = b"the whole state";

fn follower() -> (Cluster, u64) {
    let mut cluster = Cluster::empty(RaftConfig::default());
    for id in [L, M] {
        cluster.add(id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.add(F, Founding::Found(ids(3)), JournalId(1));
    let group = cluster.group_of(&ids(3));
    cluster.settle_where(|_, _| false);
    (cluster, group)
}

fn piece(group: u64, term: u64, last: LogId, from: usize, upto: usize) -> Msg {
    Msg::Snapshot(Box::new(made::piece(group, term, 7, last, STATE, from, upto)))
}

/// What the follower sent since the last time.
fn said(cluster: &mut Cluster) -> Vec<Msg> {
    std::mem::take(&mut cluster.wire)
        .into_iter()
        .filter(|(from, _, _)| *from == F)
        .map(|(_, _, m)| m)
        .collect()
}

fn next_of(messages: &[Msg]) -> Vec<u64> {
    let next = |m: &Msg| if let Msg::SnapshotReply(r) = m { Some(r.next) } else { None };
    messages.iter().filter_map(next).collect()
}

fn matches_of(messages: &[Msg]) -> Vec<u64> {
    let matched = |m: &Msg| match m {
        Msg::AppendReply(AppendReply { outcome: Outcome::Matched(index), .. }) => Some(*index),
        _ => None,
    };
    messages.iter().filter_map(matched).collect()
}

// 24. A chunk resent at offset > 0.
#[test]
pub fn a_chunk_resent_doubled_or_out_of_order_changes_nothing() {
    let (mut cluster, group) = follower();
    let last = LogId::new(1, 6);
    for (from, upto, next) in
        [(0, 4, 4), (0, 4, 4), (8, 12, 4), (4, 8, 8), (4, 8, 8), (4, 6, 8), (0, 15, 8), (8, 15, 15)]
    {
        cluster.deliver(L, F, piece(group, 1, last, from, upto));
        assert_eq!(next_of(&said(&mut cluster)), [next], "{from}..{upto}");
    }
    let events = cluster.take_events(F);
    let installs: Vec<_> = events
        .iter()
        .filter(|e| matches!(e, Event::Install(s) if cluster.data(F, s) == Some(STATE)))
        .collect();
    assert_eq!(installs.len(), 1);
    cluster.installed(F, true);
    assert_eq!(cluster.raft(F).last(), last);
}

// 24. A snapshot of a later term at an already committed index.
#[test]
pub fn a_snapshot_of_a_later_term_at_an_already_committed_index_is_answered_and_changes_nothing() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 4, vec![entries(1, 1, 4)]));
    let before = cluster.commands(F);
    said(&mut cluster);
    cluster.deliver(M, F, piece(group, 2, LogId::new(1, 3), 0, 15));
    assert_eq!(matches_of(&said(&mut cluster)), [4]);
    assert_eq!(cluster.commands(F), before);
    assert!(cluster.raft(F).snapshot().is_none());
    assert!(!cluster.take_events(F).iter().any(|e| matches!(e, Event::Install(_))));
}

// 24. A failed install loses nothing.
#[test]
pub fn a_failed_install_loses_nothing_and_is_not_tried_for_ever() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 2, vec![entries(1, 1, 3)]));
    let before = cluster.commands(F);
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    cluster.installed(F, false);
    assert_eq!((cluster.commands(F), cluster.raft(F).commit()), (before, 2));
    assert_eq!(cluster.raft(F).counters().snapshots_refused, 1);
    cluster.take_events(F);
    said(&mut cluster);
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    assert_eq!(next_of(&said(&mut cluster)), [15], "heard, and not wanted");
    assert!(cluster.take_events(F).is_empty());
    // Another one is another try.
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 7), 0, 15));
    assert!(cluster.take_events(F).iter().any(|e| matches!(e, Event::Install(_))));
}

#[test]
fn a_piece_that_was_damaged_on_its_way_is_not_stored() {
    let (mut cluster, group) = follower();
    let Msg::Snapshot(mut chunk) = piece(group, 1, LogId::new(1, 6), 0, 15) else { panic!() };
    chunk.crc ^= 1;
    cluster.deliver(L, F, Msg::Snapshot(chunk));
    assert_eq!(next_of(&said(&mut cluster)), [0]);
    assert_eq!(cluster.raft(F).counters().snapshots_refused, 1);
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    assert!(cluster.take_events(F).iter().any(|e| matches!(e, Event::Install(_))));
}

#[test]
fn a_damaged_snapshot_is_refused_and_asked_for_from_its_beginning() {
    let (mut cluster, group) = follower();
    let last = LogId::new(1, 6);
    let Msg::Snapshot(mut chunk) = piece(group, 1, last, 0, 15) else { panic!() };
    chunk.checksum ^= 1;
    cluster.deliver(L, F, Msg::Snapshot(chunk.clone()));
    let events = cluster.take_events(F);
    let whole = |e: &Event| matches!(e, Event::Install(s) if cluster.data(F, s).is_none());
    assert!(events.iter().any(whole), "each piece is right, and the whole is not what was announced");
    cluster.command(F, Cmd::Installed { result: Err(NotRestored::Damaged) });
    assert_eq!(cluster.raft(F).counters().snapshots_refused, 1);
    assert_eq!(cluster.nodes[&F].objects.numbers(), [0u64; 0], "nothing is kept of it");
    said(&mut cluster);
    (chunk.data, chunk.crc) = (Bytes::new(), 0);
    cluster.deliver(L, F, Msg::Snapshot(chunk));
    assert_eq!(next_of(&said(&mut cluster)), [0]);
    cluster.deliver(L, F, piece(group, 1, last, 0, 15));
    let events = cluster.take_events(F);
    let whole = |e: &Event| matches!(e, Event::Install(s) if cluster.data(F, s) == Some(STATE));
    assert!(events.iter().any(whole));
}

// The leader that sent the first pieces dies; the next one needs no snapshot for this follower.
#[test]
fn a_follower_with_a_piece_of_a_snapshot_votes_and_follows_the_next_leader() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 4));
    cluster.pass_where(400, |_, _| false);
    cluster.wire.clear();
    let candidacy = Candidacy { group, term: 2, last: LogId::new(1, 6), handed_over: false };
    cluster.deliver(M, F, Msg::Vote(candidacy));
    assert!(said(&mut cluster).iter().any(|m| matches!(m, Msg::VoteReply(r) if r.granted)));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 3, vec![entries(4, 1, 3)]));
    assert_eq!(matches_of(&said(&mut cluster)), [6]);
    assert_eq!(cluster.raft(F).commit(), 3);
}

#[test]
fn a_follower_with_a_piece_of_a_snapshot_stands_for_election() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 4));
    cluster.meet(F);
    cluster.pass_where(400, |_, _| false);
    assert!(cluster.raft(F).counters().pre_campaigns > 0);
}

// 24. Install while applying: the log goes on, and so does the commit index.
#[test]
fn entries_that_come_while_a_snapshot_is_restored_are_kept() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 2, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 8, vec![entries(4, 1, 3), entries(7, 2, 2)]));
    assert_eq!(matches_of(&said(&mut cluster)), [3, 8]);
    cluster.installed(F, true);
    assert_eq!((cluster.raft(F).log().base(), cluster.last(F)), (LogId::new(1, 6), LogId::new(2, 8)));
    assert_eq!(cluster.raft(F).commit(), 8);
    cluster.crash(F);
    cluster.start(F);
    assert_eq!((cluster.raft(F).log().base(), cluster.last(F)), (LogId::new(1, 6), LogId::new(2, 8)));
}

// Rounds count in one term: an answer to a round of another term would confirm a read that it never saw.
#[test]
fn a_snapshot_asked_for_in_one_term_answers_no_round_of_another() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    cluster.pass_where(400, |_, _| false);
    cluster.deliver(
        M,
        F,
        Msg::Vote(Candidacy { group, term: 2, last: LogId::new(1, 9), handed_over: false }),
    );
    said(&mut cluster);
    cluster.installed(F, true);
    let told = |m: &Msg| matches!(m, Msg::AppendReply(r) if r.term == 2 && r.round == 7);
    assert!(!said(&mut cluster).iter().any(told));
}

/// Three nodes, of which one was away while the log was compacted; it is back and gets a snapshot.
pub(crate) fn one_lags(config: RaftConfig, state: &[u8], more: usize) -> (Cluster, NodeId, NodeId) {
    let mut cluster = Cluster::with(3, RaftConfig { trailing_entries: 0, ..config });
    let leader = cluster.elect();
    let late = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(late);
    for _ in 0..10 {
        cluster.propose(leader, b"x");
        cluster.settle();
    }
    cluster.pass(5);
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, state);
    for _ in 0..more {
        cluster.propose(leader, b"y");
        cluster.settle();
    }
    cluster.start(late);
    (cluster, leader, late)
}

// 25. Snapshot at the latest index leaves the follower replicating.
#[test]
fn a_snapshot_at_the_latest_index_leaves_the_follower_replicating() {
    let (mut cluster, leader, late) = one_lags(RaftConfig::default(), STATE, 0);
    cluster.pass(100);
    cluster.installed(late, true);
    cluster.settle();
    assert_eq!(cluster.last(late), cluster.last(leader));
    let third = ids(3).into_iter().find(|id| ![leader, late].contains(id)).unwrap();
    cluster.crash(third);
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"z");
    cluster.settle();
    assert_eq!(cluster.raft(leader).commit(), commit + 1, "at once, without a heartbeat in between");
    assert_eq!(cluster.raft(leader).counters().snapshots_sent, 1);
}

#[test]
fn a_leader_whose_only_other_follower_restores_for_long_goes_on_leading_and_reading() {
    let (mut cluster, leader, late) = one_lags(RaftConfig::default(), STATE, 1);
    cluster.pass(100);
    let third = ids(3).into_iter().find(|id| ![leader, late].contains(id)).unwrap();
    cluster.crash(third);
    let term = cluster.raft(leader).term();
    cluster.pass(3_000);
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.settle();
    assert!(cluster.take_events(leader).iter().any(|e| matches!(e, Event::ReadReady { .. })));
    cluster.installed(late, true);
    cluster.pass(10);
    assert_eq!(cluster.raft(late).commit(), cluster.raft(leader).commit());
}

#[test]
fn a_slow_follower_ends_its_snapshot_while_newer_ones_are_taken() {
    let config = RaftConfig { chunk_bytes: 1, ..RaftConfig::default() };
    let (mut cluster, leader, late) = one_lags(config, STATE, 1);
    let mut installed = false;
    for _ in 0..2_000 {
        // Each millisecond one piece comes through, and a newer snapshot is taken.
        cluster.now = cluster.now + std::time::Duration::from_millis(1);
        cluster.propose(leader, b"z");
        cluster.step(leader, quorate_core::Input::Wake);
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            cluster.deliver(from, to, msg);
        }
        let (commit, log) = (cluster.raft(leader).commit(), cluster.raft(leader).log());
        let at = LogId::new(log.term_at(commit).unwrap(), commit);
        cluster.snapshot(leader, at, STATE);
        installed |= cluster.take_events(late).iter().any(|e| matches!(e, Event::Install(_)));
        if installed {
            break;
        }
    }
    assert!(installed);
    assert!(cluster.raft(leader).counters().compactions > 10);
}

// A snapshot that is older than the log's base by the time it is installed: the next one follows.
#[test]
fn a_follower_whose_snapshot_the_log_has_left_behind_gets_another_one() {
    let (mut cluster, leader, late) = one_lags(RaftConfig::default(), STATE, 1);
    cluster.pass(100);
    let old = cluster.raft(leader).snapshot().unwrap().last;
    // While it restores, the log is compacted beyond what it restores.
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, STATE);
    assert!(cluster.raft(leader).log().base().index > old.index);
    for snapshot in [old, at] {
        let restored = |event: &Event| matches!(event, Event::Install(s) if s.last == snapshot);
        assert!(cluster.take_events(late).iter().any(restored), "{snapshot}");
        cluster.installed(late, true);
        cluster.pass(100);
    }
    assert_eq!(cluster.last(late), cluster.last(leader));
    assert_eq!(cluster.raft(leader).counters().snapshots_sent, 2);
}

// Too large, or not to be restored: it stays so. What the leader has next may do.
#[test]
fn a_follower_that_cannot_take_a_snapshot_is_offered_the_next_one() {
    for state in [STATE, b"larger than the follower takes"] {
        let config = RaftConfig { snapshot_bytes_max: STATE.len() as u64, ..RaftConfig::default() };
        let (mut cluster, leader, late) = one_lags(config, state, 1);
        cluster.pass(100);
        cluster.installed(late, false);
        cluster.pass(100);
        assert!(cluster.raft(late).counters().snapshots_refused > 0);
        let at = cluster.last(leader);
        cluster.snapshot(leader, at, STATE);
        cluster.pass(500);
        let taken = |e: &Event| matches!(e, Event::Install(s) if s.last == at);
        assert!(cluster.take_events(late).iter().any(taken), "{}", state.len());
        cluster.installed(late, true);
        cluster.pass(100);
        assert_eq!(cluster.last(late), cluster.last(leader));
        assert_eq!(cluster.nodes[&leader].objects.numbers().len(), 1, "the one that nobody takes is gone");
    }
}

// A window that was full when the follower fell silent, and a log that moved on: nothing in it can be sent.
#[test]
fn a_follower_that_was_silent_while_the_log_was_compacted_gets_a_snapshot() {
    let config = RaftConfig { trailing_entries: 0, inflight_max: 2, ..RaftConfig::default() };
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    cluster.pass(100);
    let silent = ids(3).into_iter().find(|id| *id != leader).unwrap();
    for _ in 0..10 {
        cluster.propose(leader, b"x");
        cluster.settle_where(|_, to| to != silent);
    }
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, STATE);
    cluster.pass_where(100, |_, to| to != silent);
    cluster.pass(100);
    cluster.installed(silent, true);
    cluster.pass(100);
    assert_eq!(cluster.last(silent), cluster.last(leader));
}

// A peer that does not answer is asked with every round; it is not sent the log with every round.
#[test]
fn a_silent_follower_is_not_sent_entries_again_with_every_round() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let silent = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(silent);
    // Its link comes up again, and its appends are lost: the leader probes.
    cluster.start(silent);
    for _ in 0..50 {
        cluster.propose(leader, b"0123456789");
        cluster.settle_where(|_, to| to != silent);
    }
    cluster.wire.clear();
    let mut sent = 0;
    for request in 0..100 {
        cluster.command(leader, Cmd::Read { request });
        cluster.step(leader, quorate_core::Input::Wake);
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            if to != silent {
                cluster.deliver(from, to, msg);
            } else if let Msg::Append(Append { batches, .. }) = msg {
                sent += usize::from(!matches!(batches, Batches::None));
            }
        }
    }
    assert!(sent <= 2, "{sent} appends with entries to one that does not answer");
    cluster.pass(60);
    assert_eq!(cluster.last(silent), cluster.last(leader), "and when it answers it is fed");
}

#[test]
fn a_snapshot_beyond_the_end_of_all_logs_or_of_a_term_to_come_is_refused() {
    let (mut cluster, group) = follower();
    for last in [LogId::new(1, u64::MAX), LogId::new(1, u64::MAX - 1), LogId::new(9, 5)] {
        cluster.deliver(L, F, piece(group, 1, last, 0, 15));
    }
    assert!(!cluster.take_events(F).iter().any(|e| matches!(e, Event::Install(_))));
    assert_eq!(cluster.raft(F).counters().nonsense, 3);
    let huge = SnapshotChunk {
        group,
        term: 1,
        round: 1,
        last: LogId::new(1, 5),
        configuration: made::founders(),
        total: u64::MAX,
        checksum: 0,
        offset: u64::MAX,
        crc: crc32fast::hash(b"x"),
        data: Bytes::from_static(b"x"),
    };
    cluster.deliver(L, F, Msg::Snapshot(Box::new(huge)));
    assert_eq!(cluster.raft(F).counters().snapshots_refused, 1);
}

// A stale answer of a snapshot that is over moves nothing.
#[test]
fn an_answer_about_another_snapshot_moves_nothing() {
    let (mut cluster, leader, late) =
        one_lags(RaftConfig { chunk_bytes: 4, ..RaftConfig::default() }, STATE, 1);
    cluster.settle_where(|_, to| to != late);
    let term = cluster.raft(leader).term();
    for (last, next) in [(LogId::new(1, 3), 4), (cluster.raft(leader).snapshot().unwrap().last, 999)] {
        cluster.wire.clear();
        let reply = SnapshotReply { term, round: 1, last, next };
        cluster.deliver(late, leader, Msg::SnapshotReply(reply));
        assert!(cluster.wire.is_empty(), "{:?}", cluster.wire);
    }
}

// Found by the messages of hostile peers: the commit index ended beyond the log.
#[test]
fn a_restored_snapshot_that_contradicts_what_was_committed_meanwhile_is_refused() {
    let (mut cluster, group) = follower();
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 15));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 8, vec![entries(4, 2, 5)]));
    cluster.installed(F, true);
    assert_eq!((cluster.raft(F).commit(), cluster.last(F)), (8, LogId::new(2, 8)));
    assert_eq!(cluster.raft(F).counters().nonsense, 1);
}

// Long entries: their number alone would keep them all.
#[test]
fn what_is_kept_behind_a_snapshot_is_bounded_in_bytes() {
    for trailing_bytes_max in [1, 40, 100, 1_000] {
        let mut cluster = Cluster::with(3, RaftConfig { trailing_bytes_max, ..RaftConfig::default() });
        let leader = cluster.elect();
        for _ in 0..20 {
            cluster.propose(leader, b"ten bytes.");
            cluster.pass(5);
        }
        let whole = cluster.raft(leader).log().bytes();
        assert!((200..1_000).contains(&whole), "{whole}");
        for id in ids(3) {
            let at = cluster.last(leader);
            cluster.pass(60);
            cluster.snapshot(id, at, b"the state");
            let kept = cluster.raft(id).log().bytes();
            assert!(kept <= trailing_bytes_max, "{kept} of {trailing_bytes_max}");
            // As many whole batches as fit.
            assert!(kept + 20 > trailing_bytes_max.min(whole), "{kept} of {trailing_bytes_max}");
            let base = cluster.raft(id).log().base();
            cluster.crash(id);
            cluster.start(id);
            assert_eq!((cluster.raft(id).log().base(), cluster.raft(id).last()), (base, at));
            cluster.pass(1_000);
        }
    }
    let zero = RaftConfig { trailing_bytes_max: 0, ..RaftConfig::default() };
    assert_eq!(zero.validate(), Err(RaftConfigError::Zero("trailing_bytes_max")));
}
