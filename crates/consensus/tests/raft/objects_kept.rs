//! Objects of snapshots across crashes, leaders and links: what is gone on with, what begins anew, and what is removed when.

use crate::cluster::{Cluster, ids};
use crate::made::{self, append, entries};
use crate::objects::Objects;
use crate::snapshots::one_lags;
use quorate_consensus::raft::{
    AppendReply, Cmd, Event, Founding, LogId, Msg, NotRead, Outcome, Pulled, RaftConfig, Record, VoteReply,
};
use quorate_core::{Input, JournalId, NodeId, Rng};
use std::collections::VecDeque;
use std::time::Duration;

const F: NodeId = NodeId(1);
const L: NodeId = NodeId(2);
const M: NodeId = NodeId(3);
const STATE: &[u8] = b"the whole state";
const OTHER: &[u8] = b"another state..";
const LAST: LogId = LogId { term: 1, index: 6 };

fn follower(config: RaftConfig) -> (Cluster, u64) {
    let mut cluster = Cluster::empty(config);
    for id in [L, M, F] {
        cluster.add(id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.settle_where(|_, _| false);
    cluster.meet(F);
    let group = cluster.group_of(&ids(3));
    (cluster, group)
}

fn piece(group: u64, term: u64, state: &'static [u8], from: usize, upto: usize) -> Msg {
    Msg::Snapshot(Box::new(made::piece(group, term, 7, LAST, state, from, upto)))
}

/// The last byte that the follower asked for.
fn next(cluster: &mut Cluster) -> Option<u64> {
    let said = std::mem::take(&mut cluster.wire).into_iter().filter(|(from, _, _)| *from == F);
    said.filter_map(|(_, _, m)| if let Msg::SnapshotReply(r) = m { Some(r.next) } else { None }).last()
}

fn is_installed(cluster: &mut Cluster, state: &[u8]) -> bool {
    let events = cluster.take_events(F);
    events.iter().any(|e| matches!(e, Event::Install(s) if cluster.data(F, s) == Some(state)))
}

fn objects(cluster: &mut Cluster, id: NodeId) -> &mut Objects {
    &mut cluster.nodes.get_mut(&id).unwrap().objects
}

#[test]
fn a_snapshot_goes_on_after_a_restart_of_the_follower_with_what_its_disk_has_of_it() {
    for left in [0, 5, 8] {
        let (mut cluster, group) = follower(RaftConfig::default());
        cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
        cluster.crash(F);
        let blob = objects(&mut cluster, F).numbers()[0];
        objects(&mut cluster, F).bytes(blob).unwrap().truncate(left);
        cluster.start(F);
        assert_eq!(objects(&mut cluster, F).numbers(), [blob], "it is named by the journal");
        assert_eq!(objects(&mut cluster, F).there(blob), Some((left as u64, false)));
        cluster.deliver(L, F, piece(group, 1, STATE, 0, 0));
        assert_eq!(next(&mut cluster), Some(left as u64));
        cluster.deliver(L, F, piece(group, 1, STATE, left, 15));
        assert!(is_installed(&mut cluster, STATE));
    }
}

// Whole and on disk, and not installed when the node crashed.
#[test]
fn a_snapshot_that_was_all_there_before_a_restart_is_installed_without_being_sent_again() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 15));
    assert!(is_installed(&mut cluster, STATE));
    cluster.crash(F);
    cluster.start(F);
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 0));
    assert_eq!(next(&mut cluster), Some(15));
    assert!(is_installed(&mut cluster, STATE));
}

#[test]
fn the_same_snapshot_goes_on_under_the_next_leader() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
    cluster.deliver(M, F, piece(group, 2, STATE, 0, 0));
    assert_eq!(next(&mut cluster), Some(8));
    cluster.deliver(M, F, piece(group, 2, STATE, 8, 15));
    assert!(is_installed(&mut cluster, STATE));
}

/// Half of one snapshot, the rest of another that stands for the same entry: how far the second one is said to have come.
fn continued(restart: bool) -> Option<u64> {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
    if restart {
        cluster.crash(F);
        cluster.start(F);
    }
    cluster.wire.clear();
    cluster.deliver(M, F, piece(group, 2, OTHER, 0, 0));
    next(&mut cluster)
}

#[test]
pub fn another_snapshot_of_the_same_entry_begins_anew() {
    for restart in [false, true] {
        assert_eq!(continued(restart), Some(0));
    }
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
    let first = objects(&mut cluster, F).numbers();
    cluster.deliver(M, F, piece(group, 2, OTHER, 0, 15));
    assert!(is_installed(&mut cluster, OTHER));
    let second = objects(&mut cluster, F).numbers();
    assert!(second.len() == 1 && first != second, "{first:?} {second:?}");
}

#[test]
fn a_snapshot_that_is_not_needed_any_more_leaves_nothing() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
    assert_eq!(objects(&mut cluster, F).numbers().len(), 1);
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 3, vec![]));
    assert_eq!(objects(&mut cluster, F).numbers(), [0u64; 0]);
}

// Whatever the moment of a crash: what the journal names is there, and what it does not name is removed.
#[test]
pub fn the_object_before_is_removed_when_the_record_of_the_next_one_is_on_disk() {
    for kept in 0..4 {
        let (mut cluster, group) = follower(RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
        cluster.deliver(L, F, append(group, 1, LogId::ZERO, 6, vec![entries(1, 1, 3), entries(4, 1, 3)]));
        cluster.snapshot(F, LogId::new(1, 3), STATE);
        cluster.sync = false;
        cluster.snapshot(F, LogId::new(1, 6), OTHER);
        assert_eq!(objects(&mut cluster, F).numbers().len(), 2, "the journal may name either");
        cluster.crash_keeping(F, kept);
        cluster.sync = true;
        cluster.take_events(F);
        cluster.start(F);
        let events = cluster.take_events(F);
        let state = if kept == 0 { STATE } else { OTHER };
        let begins = |e: &Event| matches!(e, Event::Restore(s) if cluster.data(F, s) == Some(state));
        assert!(events.iter().any(begins), "{kept} writes were on disk");
        assert_eq!(objects(&mut cluster, F).numbers().len(), 1);
    }
    let (mut cluster, group) = follower(RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 6, vec![entries(1, 1, 3), entries(4, 1, 3)]));
    cluster.snapshot(F, LogId::new(1, 3), STATE);
    cluster.snapshot(F, LogId::new(1, 6), OTHER);
    assert_eq!(objects(&mut cluster, F).numbers().len(), 1, "without a crash too");
}

// The state that a leader sends replaces the follower's by one record, behind its object.
#[test]
fn a_crash_before_the_record_of_an_installed_snapshot_leaves_the_state_before() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 2, vec![entries(1, 1, 2)]));
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 15));
    cluster.sync = false;
    cluster.installed(F, true);
    cluster.crash(F);
    cluster.sync = true;
    cluster.start(F);
    assert_eq!((cluster.raft(F).snapshot(), cluster.last(F)), (None, LogId::new(1, 2)));
    // And it goes on: all of it is there.
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 0));
    assert!(is_installed(&mut cluster, STATE));
    cluster.installed(F, true);
    cluster.crash(F);
    cluster.start(F);
    assert_eq!(cluster.raft(F).snapshot().unwrap().last, LAST);
    assert!(cluster.nodes[&F].disk.records().any(|r| matches!(r, Record::Snapshot(s) if s.last == LAST)));
}

fn has_installed(cluster: &mut Cluster, id: NodeId) -> bool {
    cluster.take_events(id).iter().any(|e| matches!(e, Event::Install(_)))
}

#[test]
fn a_snapshot_is_sent_at_the_pace_that_the_settings_say() {
    let state = vec![7; 10_000];
    // A piece of 100 bytes each 10 ms.
    let config = RaftConfig { chunk_bytes: 100, snapshot_bytes_per_second: 10_000, ..RaftConfig::default() };
    let (mut cluster, _, late) = one_lags(config, &state, 0);
    cluster.pass(200);
    let mut sent = 0;
    for ms in 1..=500u64 {
        cluster.now = cluster.now + Duration::from_millis(1);
        for _ in 0..4 {
            let wire = std::mem::take(&mut cluster.wire);
            for (_, _, msg) in &wire {
                sent += if let Msg::Snapshot(chunk) = msg { chunk.data.len() as u64 } else { 0 };
            }
            wire.into_iter().for_each(|(from, to, msg)| cluster.deliver(from, to, msg));
            ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
        }
        assert!(sent <= ms * 10 + 400, "{sent} bytes in {ms} ms");
    }
    assert!(sent >= 4_500, "{sent} bytes in half a second");
    cluster.pass(1_000);
    assert!(has_installed(&mut cluster, late));
}

#[test]
fn no_more_pieces_are_under_way_than_the_window_has() {
    let config = RaftConfig { chunk_bytes: 1, snapshot_inflight_max: 3, ..RaftConfig::default() };
    let (mut cluster, _, late) = one_lags(config, STATE, 0);
    let (mut most, mut all) = (0, 0);
    for _ in 0..400 {
        cluster.now = cluster.now + Duration::from_millis(1);
        ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
        let is_piece =
            |to: NodeId, m: &Msg| to == late && matches!(m, Msg::Snapshot(c) if !c.data.is_empty());
        let mut wire = std::mem::take(&mut cluster.wire);
        let pieces = wire.iter().filter(|(_, to, m)| is_piece(*to, m)).count();
        (most, all) = (most.max(pieces), all + pieces);
        // Questions arrive, pieces never do.
        wire.retain(|(_, to, m)| !is_piece(*to, m));
        wire.into_iter().for_each(|(from, to, msg)| cluster.deliver(from, to, msg));
    }
    assert_eq!(most, 3);
    assert!((6..=15).contains(&all), "{all} pieces in eight heartbeats");
    // Ever more rarely, as nobody knows whether they are lost or slow.
    cluster.pass(2_000);
    assert!(has_installed(&mut cluster, late), "and when they arrive it comes to its end");
}

#[test]
fn pieces_and_answers_that_are_lost_are_sent_again() {
    let config = RaftConfig { chunk_bytes: 1, ..RaftConfig::default() };
    let (mut cluster, leader, late) = one_lags(config, STATE, 0);
    let mut installed = false;
    let mut rng = Rng::from_seed(3);
    for _ in 0..5_000 {
        cluster.now = cluster.now + Duration::from_millis(1);
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            let lost = [from, to].contains(&late) && rng.chance(0.2);
            if !lost {
                cluster.deliver(from, to, msg);
            }
        }
        ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
        installed |= has_installed(&mut cluster, late);
    }
    assert!(installed);
    assert_eq!(cluster.raft(leader).counters().snapshots_sent, 1);
}

// A piece takes longer than any fixed patience: what was sent too early must not heap up on the link.
#[test]
fn over_a_slow_link_a_snapshot_comes_without_being_sent_over_and_over() {
    const PIECE_MS: u64 = 210;
    const FORTY: &[u8] = b"one, two, three, four, five, six, seven,";
    let config = RaftConfig { chunk_bytes: 1, ..RaftConfig::default() };
    let (mut cluster, leader, late) = one_lags(config, FORTY, 0);
    let (mut link, mut free_at, mut sent) = (VecDeque::new(), cluster.now, 0);
    let begun = cluster.now;
    while !has_installed(&mut cluster, late) {
        cluster.now = cluster.now + Duration::from_millis(1);
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            if matches!(&msg, Msg::Snapshot(chunk) if !chunk.data.is_empty()) {
                free_at = free_at.max(cluster.now) + Duration::from_millis(PIECE_MS);
                link.push_back((free_at, msg));
                sent += 1;
            } else {
                cluster.deliver(from, to, msg);
            }
        }
        while link.front().is_some_and(|(at, _)| *at <= cluster.now) {
            let (_, msg) = link.pop_front().unwrap();
            cluster.deliver(leader, late, msg);
        }
        ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
        assert!(cluster.now.since(begun) < Duration::from_secs(30), "{sent} pieces sent, and not there");
    }
    assert!(sent <= 80, "{sent} pieces sent of at most 40");
}

// A leader that has much to say has no heartbeat of its own, and is to count time all the same.
#[test]
fn a_piece_that_is_lost_is_sent_again_by_a_leader_that_commits_all_the_time() {
    let (mut cluster, leader, late) = one_lags(RaftConfig::default(), STATE, 0);
    let mut lost = false;
    for ms in 0..1_000 {
        cluster.now = cluster.now + Duration::from_millis(1);
        if ms % 10 == 0 {
            cluster.propose(leader, b"y");
        }
        while !cluster.wire.is_empty() {
            for (from, to, msg) in std::mem::take(&mut cluster.wire) {
                let is_piece = matches!(&msg, Msg::Snapshot(chunk) if !chunk.data.is_empty());
                if !is_piece || std::mem::replace(&mut lost, true) {
                    cluster.deliver(from, to, msg);
                }
            }
        }
        ids(3).into_iter().for_each(|id| cluster.step(id, Input::Wake));
    }
    assert!(lost && has_installed(&mut cluster, late));
}

#[test]
fn a_piece_that_cannot_be_read_now_is_asked_for_again() {
    let (mut cluster, leader, late) = one_lags(RaftConfig::default(), STATE, 0);
    cluster.pass(1);
    let blob = cluster.raft(leader).snapshot().unwrap().blob;
    // The disk said no to the first piece.
    cluster.command(leader, Cmd::Piece { to: late, blob, offset: 0, piece: Err(NotRead::Refused) });
    cluster.pass(300);
    assert!(has_installed(&mut cluster, late));
}

// It was taking a snapshot, pulled what it lacked from another follower, was elected and committed more. Only then its slow
// disk has the last piece.
#[test]
fn a_snapshot_that_is_stored_late_does_not_take_back_the_state_of_one_that_leads_meanwhile() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, piece(group, 1, STATE, 0, 8));
    let blob = objects(&mut cluster, F).numbers()[0];
    cluster.pass_where(400, |_, _| false);
    let said = |term, granted, last| VoteReply { term, granted, last };
    cluster.deliver(M, F, Msg::PreVoteReply(said(1, false, LogId::new(1, 8))));
    let batches = vec![entries(1, 1, 8)].into();
    cluster.deliver(M, F, Msg::Pulled(Pulled { group, after: LogId::ZERO, batches, last: LogId::new(1, 8) }));
    cluster.step(F, Input::Wake);
    cluster.deliver(M, F, Msg::PreVoteReply(said(2, true, LogId::ZERO)));
    cluster.deliver(M, F, Msg::VoteReply(said(2, true, LogId::ZERO)));
    let outcome = Outcome::Matched(9);
    cluster.deliver(M, F, Msg::AppendReply(AppendReply { term: 2, round: 1, outcome }));
    assert_eq!((cluster.leader(), cluster.raft(F).commit()), (Some(F), 9));
    cluster.command(F, Cmd::Stored { blob, upto: Ok(15) });
    assert!(!has_installed(&mut cluster, F));
    assert_eq!(objects(&mut cluster, F).numbers(), [0u64; 0], "nobody goes on with it");
}
