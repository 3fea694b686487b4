//! Section 7 and figure 13: snapshots and what their receiver does, in pieces.

use super::{F, L, M, alone, appends, lead, sent};
use crate::cluster::{Cluster, ids};
use crate::made::{self, append, entries};
use crate::replication::terms;
use quorate_consensus::raft::{AppendReply, Event, Index, LogId, Msg, Outcome, RaftConfig, Record};

const STATE: &[u8] = b"the whole state";

fn piece(group: u64, term: u64, last: LogId, from: usize, upto: usize) -> Msg {
    Msg::Snapshot(Box::new(made::piece(group, term, 1, last, STATE, from, upto)))
}

fn installs(cluster: &mut Cluster) -> Vec<LogId> {
    let events = cluster.take_events(F).into_iter();
    events.filter_map(|event| if let Event::Install(s) = event { Some(s.last) } else { None }).collect()
}

// "1. Reply immediately if term < currentTerm".
#[test]
fn a_piece_of_an_older_term_is_answered_with_the_newer_term_and_kept_nowhere() {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, append(group, 3, LogId::ZERO, 0, vec![]));
    cluster.wire.clear();
    for (from, upto) in [(0, 15), (0, 4), (4, 15)] {
        cluster.deliver(M, F, piece(group, 2, LogId::new(2, 6), from, upto));
        let stale = Msg::AppendReply(AppendReply { term: 3, round: 1, outcome: Outcome::Stale });
        assert_eq!(sent(&mut cluster), [(M, stale)]);
    }
    assert_eq!(installs(&mut cluster), []);
    assert_eq!(cluster.raft(F).leader(), Some(L));
}

// "2. Create new snapshot file if first chunk (offset is 0). 3. Write data into snapshot file at given offset. 4. Reply
// and wait for more data chunks if done is false": however it is cut.
#[test]
fn a_snapshot_arrives_whole_however_it_is_cut() {
    for cut in 1..STATE.len() {
        let (mut cluster, group) = alone(3);
        let last = LogId::new(1, 6);
        for from in (0..STATE.len()).step_by(cut) {
            assert_eq!(installs(&mut cluster), [], "before the last piece");
            cluster.deliver(L, F, piece(group, 1, last, from, (from + cut).min(STATE.len())));
        }
        let events = cluster.take_events(F);
        let whole =
            |e: &Event| matches!(e, Event::Install(s) if cluster.data(F, s) == Some(STATE) && s.last == last);
        assert!(events.iter().any(whole));
    }
}

// "5. Save snapshot file, discard any existing or partial snapshot with a smaller index".
#[test]
fn an_existing_or_partial_snapshot_with_a_smaller_index_is_discarded() {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 3), 0, 15));
    cluster.installed(F, true);
    installs(&mut cluster);
    // Half of one, and then all of a newer one.
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 0, 7));
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 9), 0, 15));
    assert_eq!(installs(&mut cluster), [LogId::new(1, 9)]);
    cluster.installed(F, true);
    // The rest of the partial one comes late.
    cluster.deliver(L, F, piece(group, 1, LogId::new(1, 6), 7, 15));
    assert_eq!(installs(&mut cluster), []);
    let saved: Vec<LogId> = cluster.nodes[&F]
        .disk
        .records()
        .filter_map(|record| if let Record::Snapshot(s) = record { Some(s.last) } else { None })
        .collect();
    assert_eq!(saved, [LogId::new(1, 9)]);
    cluster.crash(F);
    cluster.start(F);
    assert_eq!((cluster.last(F), cluster.raft(F).commit()), (LogId::new(1, 9), 9));
}

// Step 5, the other way round: everything that the snapshot stands for is committed here, so the answer is how far that is.
#[test]
fn a_snapshot_that_ends_no_further_than_the_commit_index_is_answered_and_not_installed() {
    for index in 1..=6 {
        let (mut cluster, group) = alone(3);
        cluster.deliver(L, F, append(group, 1, LogId::ZERO, 4, vec![entries(1, 1, 5)]));
        cluster.wire.clear();
        cluster.deliver(L, F, piece(group, 1, LogId::new(1, index), 0, 15));
        let matched = |msg: &Msg| matches!(msg, Msg::AppendReply(r) if r.outcome == Outcome::Matched(4));
        assert_eq!(sent(&mut cluster).iter().any(|(_, msg)| matched(msg)), index <= 4, "{index}");
        assert_eq!(installs(&mut cluster).is_empty(), index <= 4, "{index}");
    }
}

// "6. If existing log entry has same index and term as snapshot's last included entry, retain log entries following it and
// reply. 7. Discard the entire log." Every snapshot of every term against a log of terms 1 1 1 2 2 2.
#[test]
fn entries_behind_the_snapshots_last_one_are_retained_if_the_log_has_it_and_the_log_is_discarded_otherwise() {
    let log = [1, 1, 1, 2, 2, 2];
    for (index, term) in (1..=8u64).flat_map(|index| (1..=3u64).map(move |term| (index, term))) {
        let (mut cluster, group) = alone(3);
        cluster.deliver(L, F, append(group, 3, LogId::ZERO, 0, vec![entries(1, 1, 3), entries(4, 2, 3)]));
        let last = LogId::new(term, index);
        cluster.deliver(L, F, piece(group, 3, last, 0, 15));
        cluster.installed(F, true);
        let has = log.get(index as usize - 1) == Some(&term);
        let kept = if has { &log[index as usize..] } else { &[] };
        assert_eq!(terms(&cluster, F), kept, "{last}");
        assert_eq!((cluster.raft(F).log().base(), cluster.raft(F).commit()), (last, index));
        cluster.crash(F);
        cluster.start(F);
        assert_eq!(terms(&cluster, F), kept, "{last} after a restart");
        // "8. Reset state machine using snapshot contents": also at the next start.
        let events = cluster.take_events(F);
        let whole = |e: &Event| matches!(e, Event::Restore(s) if cluster.data(F, s) == Some(STATE));
        assert!(events.iter().any(whole), "{last}");
    }
}

// §7: "Each server takes snapshots independently, covering just the committed entries in its log".
#[test]
fn each_server_compacts_by_itself() {
    let mut cluster = Cluster::with(3, RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
    let leader = cluster.elect();
    for _ in 0..6 {
        cluster.propose(leader, b"x");
        cluster.settle();
    }
    cluster.pass(5);
    for (at, id) in ids(3).into_iter().enumerate() {
        let index = 2 + at as Index;
        let term = cluster.raft(id).log().term_at(index).unwrap();
        cluster.snapshot(id, LogId::new(term, index), STATE);
    }
    assert_eq!(
        ids(3).into_iter().map(|id| cluster.raft(id).log().base().index).collect::<Vec<_>>(),
        [2, 3, 4]
    );
    cluster.propose(leader, b"y");
    cluster.pass(100);
    assert_eq!(cluster.commits(), [8, 8, 8], "and they go on replicating");
    assert!(ids(3).into_iter().all(|id| cluster.raft(id).counters().snapshots_installed == 0));
}

// §7: "the last included index and term ... preserved to support the AppendEntries consistency check for the first log entry
// following the snapshot, since that entry needs a previous log index and term": by who follows, and by who leads.
#[test]
fn the_entry_before_the_first_one_kept_is_known_by_name() {
    for (prev, fits) in [((1, 6), true), ((1, 7), false), ((3, 7), false)] {
        let (mut cluster, group) = alone(3);
        cluster.deliver(L, F, piece(group, 3, LogId::new(1, 6), 0, 15));
        cluster.installed(F, true);
        cluster.wire.clear();
        let prev = LogId::new(prev.0, prev.1);
        cluster.deliver(L, F, append(group, 3, prev, 0, vec![entries(prev.index + 1, 3, 1)]));
        let matched =
            |msg: &Msg| matches!(msg, Msg::AppendReply(AppendReply { outcome: Outcome::Matched(_), .. }));
        assert_eq!(sent(&mut cluster).iter().any(|(_, msg)| matched(msg)), fits, "{prev}");
    }
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, piece(group, 3, LogId::new(2, 6), 0, 15));
    cluster.installed(F, true);
    lead(&mut cluster, 3);
    let first = appends(&mut cluster).into_iter().map(|(_, append)| append.prev);
    assert_eq!(first.collect::<Vec<_>>(), [LogId::new(2, 6); 2]);
}
