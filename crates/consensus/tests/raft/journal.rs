//! What is on disk can be opened again, whatever was overwritten, compacted or cut before.

use crate::cluster::{Cluster, ids};
use crate::made::{append, configured, electors, entries, founders, piece, snapshot};
use quorate_consensus::raft::{
    Configuration, Event, Founding, LogId, Msg, Outcome, Raft, RaftConfig, Record,
};
use quorate_core::{Corrupt, JournalId, NodeId, Protocol};

const F: NodeId = NodeId(1);
const L: NodeId = NodeId(2);
const M: NodeId = NodeId(3);

/// A follower alone; its leaders are made by hand.
fn follower(config: RaftConfig) -> (Cluster, u64) {
    let mut cluster = Cluster::empty(config);
    cluster.add(F, Founding::Found(ids(3)), JournalId(1));
    cluster.meet(F);
    let group = cluster.group_of(&ids(3));
    (cluster, group)
}

fn chunk(group: u64, term: u64, last: LogId, data: &'static [u8]) -> Msg {
    Msg::Snapshot(Box::new(piece(group, term, 1, last, data, 0, data.len())))
}

fn terms(cluster: &Cluster) -> Vec<(u64, u64)> {
    let log = cluster.raft(F).log();
    (log.base().index + 1..=log.last().index).map(|i| (i, log.term_at(i).unwrap())).collect()
}

fn reopen(cluster: &mut Cluster) {
    let before = (terms(cluster), cluster.raft(F).log().base());
    cluster.crash(F);
    cluster.start(F);
    assert_eq!((terms(cluster), cluster.raft(F).log().base()), before);
}

#[test]
fn a_log_compacted_before_an_overwritten_record_opens_again() {
    let (mut cluster, group) = follower(RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 1, vec![entries(1, 1, 3)]));
    cluster.deliver(L, F, append(group, 1, LogId::new(1, 3), 1, vec![entries(4, 1, 7)]));
    cluster.deliver(M, F, append(group, 2, LogId::new(1, 1), 1, vec![entries(2, 2, 4)]));
    cluster.snapshot(F, LogId::new(1, 1), b"one");
    cluster.deliver(M, F, append(group, 2, LogId::new(2, 5), 1, vec![entries(6, 2, 1)]));
    reopen(&mut cluster);
    assert_eq!(terms(&cluster), [(2, 2), (3, 2), (4, 2), (5, 2), (6, 2)]);
}

#[test]
fn a_snapshot_may_end_in_the_middle_of_a_record() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 10)]));
    cluster.deliver(L, F, chunk(group, 1, LogId::new(1, 6), b"six"));
    cluster.installed(F, true);
    assert_eq!(cluster.raft(F).log().base(), LogId::new(1, 6));
    assert_eq!(cluster.last(F), LogId::new(1, 10));
    reopen(&mut cluster);
    assert_eq!(terms(&cluster), [(7, 1), (8, 1), (9, 1), (10, 1)]);
}

// The leader never looks behind what was matched: a follower that could still forget it would be stuck.
#[test]
fn a_snapshot_is_acknowledged_once_it_is_on_disk() {
    let (mut cluster, group) = follower(RaftConfig::default());
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![]));
    cluster.sync = false;
    cluster.deliver(L, F, chunk(group, 1, LogId::new(1, 6), b"six"));
    cluster.wire.clear();
    cluster.installed(F, true);
    assert!(cluster.wire.is_empty(), "{:?}", cluster.wire);
    cluster.sync_node(F);
    let matched = |msg: &Msg| matches!(msg, Msg::AppendReply(r) if r.outcome == Outcome::Matched(6));
    assert!(cluster.wire.iter().any(|(_, _, msg)| matched(msg)), "{:?}", cluster.wire);
    cluster.crash(F);
    cluster.start(F);
    assert_eq!(cluster.raft(F).snapshot().unwrap().last, LogId::new(1, 6));
}

#[test]
fn a_founder_whose_first_writes_were_cut_has_its_vote() {
    for kept in 0..=2 {
        let mut cluster = Cluster::empty(RaftConfig::default());
        cluster.sync = false;
        cluster.add(F, Founding::Found(vec![F]), JournalId(1));
        cluster.crash_keeping(F, kept);
        cluster.sync = true;
        cluster.start(F);
        assert_eq!(cluster.elect(), F, "{kept} writes were on disk");
    }
}

#[test]
fn one_that_joined_finds_the_group_again_also_when_it_is_told_to_found_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    let newcomer = NodeId(9);
    cluster.add(newcomer, Founding::Join(ids(3)), JournalId(9));
    cluster.pass(1_000);
    assert_eq!(cluster.last(newcomer), cluster.last(leader));
    cluster.crash(newcomer);
    cluster.nodes.get_mut(&newcomer).unwrap().founding = Founding::Found([ids(3), vec![newcomer]].concat());
    cluster.start(newcomer);
    // A new leader serves it only if it asks.
    cluster.crash(leader);
    let next = cluster.elect();
    cluster.propose(next, b"y");
    cluster.pass(1_000);
    assert_eq!(cluster.last(newcomer), cluster.last(next));
    assert_eq!(cluster.raft(newcomer).voters(), ids(3), "and it has no vote");
}

#[test]
fn compaction_at_every_place_of_a_log_with_overwrites_opens_to_the_same_log() {
    for at in 1..=9u64 {
        for trailing in [0, 1, 3, 100] {
            let config = RaftConfig { trailing_entries: trailing, ..RaftConfig::default() };
            let (mut cluster, group) = follower(config);
            cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 4)]));
            cluster.deliver(L, F, append(group, 1, LogId::new(1, 4), 0, vec![entries(5, 1, 4)]));
            cluster.deliver(M, F, append(group, 2, LogId::new(1, 3), 0, vec![entries(4, 2, 2)]));
            cluster.deliver(M, F, append(group, 2, LogId::new(2, 5), 9, vec![entries(6, 2, 4)]));
            assert_eq!(cluster.raft(F).commit(), 9);
            let term = cluster.raft(F).log().term_at(at).unwrap();
            for _ in 0..2 {
                cluster.snapshot(F, LogId::new(term, at), b"s");
                let last = cluster.last(F).index;
                let more = append(group, 2, LogId::new(2, last), 9, vec![entries(last + 1, 2, 1)]);
                cluster.deliver(M, F, more);
                reopen(&mut cluster);
                let next = cluster.raft(F).log().last();
                cluster.deliver(M, F, append(group, 2, next, next.index, vec![]));
                cluster.snapshot(F, next, b"t");
                cluster.deliver(M, F, append(group, 2, next, 0, vec![entries(next.index + 1, 2, 1)]));
                reopen(&mut cluster);
            }
            let records = cluster.nodes[&F].disk.records();
            assert_eq!(records.filter(|r| matches!(r, Record::Snapshot(_))).count(), 1);
        }
    }
}

#[test]
fn a_journal_that_says_what_no_replica_writes_is_refused() {
    let far = LogId::new(1, u64::MAX);
    let bad = [
        Record::Founded { voters: vec![] },
        Record::Founded { voters: vec![L, F] },
        Record::Founded { voters: vec![F, F] },
        Record::Hard { term: u64::MAX, vote: None },
        Record::Begins(far),
        Record::Snapshot(snapshot(far, b"")),
        Record::Entries(entries(7, 1, 1)),
        Record::Entries(entries(u64::MAX - 1, 1, 1)),
    ];
    for record in bad {
        let mut raft = Raft::new(F, RaftConfig::default(), Founding::Found(ids(3))).unwrap();
        assert!(raft.replay(record.clone()).is_err(), "{record:?}");
    }
}

fn replayed(records: &[Record]) -> Result<Raft, Corrupt> {
    let mut raft = Raft::new(F, RaftConfig::default(), Founding::Found(ids(3))).unwrap();
    raft.replay(Record::Hard { term: 2, vote: None })?;
    records.iter().try_for_each(|record| raft.replay(record.clone()))?;
    Ok(raft)
}

// It would lead or follow from an empty state, and nobody would know that the front is missing.
#[test]
fn a_journal_whose_log_begins_where_no_snapshot_ends_is_refused() {
    let snapshot = |index| Record::Snapshot(snapshot(LogId::new(1, index), b"s"));
    let begins = |index| Record::Begins(LogId::new(1, index));
    assert!(replayed(&[begins(5)]).is_err());
    assert!(replayed(&[snapshot(4), begins(5)]).is_err());
    assert!(replayed(&[snapshot(5), begins(5), begins(4)]).is_err());
    assert!(replayed(&[snapshot(5), snapshot(4)]).is_err());
    assert!(replayed(&[snapshot(5), Record::Begins(LogId::new(3, 3))]).is_err());
    for before in 0..=5 {
        assert_eq!(replayed(&[snapshot(5), begins(before)]).unwrap().commit(), 5);
    }
}

// When the next one takes its place what stood before goes, and it would stand behind that. Found by `raft_replay`.
#[test]
fn a_journal_with_a_snapshot_behind_entries_is_refused() {
    let snapshot = |index| Record::Snapshot(snapshot(LogId::new(1, index), b"s"));
    let before = [snapshot(1), Record::Begins(LogId::ZERO), Record::Entries(entries(1, 1, 2))];
    assert!(replayed(&before).is_ok());
    for index in 1..=3 {
        assert!(replayed(&[&before[..], &[snapshot(index)]].concat()).is_err());
    }
}

// Or the next compaction would take them for gone. Found by `raft_replay`.
#[test]
fn entries_that_stay_where_a_log_is_said_to_begin_are_compacted_as_any() {
    let mut cluster = Cluster::empty(RaftConfig { trailing_entries: 0, ..RaftConfig::default() });
    cluster.add(F, Founding::Found(vec![F]), JournalId(1));
    cluster.pass(1_000);
    cluster.propose(F, b"one");
    cluster.settle();
    let (last, committed) = (cluster.last(F), cluster.raft(F).commit());
    cluster.crash(F);
    cluster.nodes.get_mut(&F).unwrap().disk.write([Record::Begins(LogId::ZERO)]);
    cluster.start(F);
    assert_eq!(cluster.last(F), last);
    cluster.pass(1_000);
    cluster.propose(F, b"two");
    cluster.settle();
    let middle = LogId::new(cluster.raft(F).log().term_at(committed).unwrap(), committed);
    cluster.snapshot(F, middle, b"state");
    let last = cluster.last(F);
    for _ in 0..2 {
        cluster.crash(F);
        cluster.start(F);
        assert_eq!((cluster.last(F), cluster.raft(F).log().base()), (last, middle));
    }
}

// Else it might lead in a term below those of its log, and terms would fall behind it.
#[test]
fn a_journal_with_something_of_a_term_that_it_never_reached_is_refused() {
    let snapshot = |term| Record::Snapshot(snapshot(LogId::new(term, 1), b""));
    for term in 0..5 {
        for record in [snapshot(term), Record::Entries(entries(1, term, 1))] {
            assert_eq!(replayed(std::slice::from_ref(&record)).is_ok(), term <= 2, "{record:?}");
        }
    }
}

#[test]
fn one_at_the_end_of_all_terms_does_not_stand_and_opens_again() {
    for (term, reached) in [(u64::MAX - 2, u64::MAX - 1), (u64::MAX - 1, u64::MAX - 1)] {
        let mut cluster = Cluster::empty(RaftConfig::default());
        cluster.add(F, Founding::Found(vec![F]), JournalId(1));
        cluster.crash(F);
        cluster.nodes.get_mut(&F).unwrap().disk.write([Record::Hard { term, vote: None }]);
        for _ in 0..2 {
            cluster.start(F);
            cluster.pass(1_000);
            assert_eq!(cluster.raft(F).term(), reached);
            cluster.crash(F);
        }
    }
}

// Its log still holds what is before, and some of that was overwritten before it was committed.
#[test]
fn the_configuration_of_a_snapshot_stays_whatever_is_replayed_of_the_log_before_it() {
    let joint = Configuration { incoming: electors(1, [1, 4]), outgoing: Some(electors(0, 1..=3)) };
    let other = Configuration { incoming: electors(1, [2]), outgoing: Some(electors(0, 1..=3)) };
    let mut snapshot = snapshot(LogId::new(2, 5), b"s");
    snapshot.configuration = joint.clone().into();
    let before = [
        Record::Snapshot(snapshot),
        Record::Begins(LogId::ZERO),
        Record::Entries(configured(1, 1, &founders())),
        Record::Entries(configured(2, 1, &other)),
        Record::Entries(entries(2, 2, 1)),
        Record::Entries(configured(3, 2, &joint)),
        Record::Entries(entries(4, 2, 4)),
    ];
    let raft = replayed(&before).unwrap();
    assert_eq!(raft.configuration(), Some((5, &joint)));
    let last = Configuration::simple(joint.incoming.clone());
    let behind = [&before[..], &[Record::Entries(configured(8, 2, &last))]].concat();
    assert_eq!(replayed(&behind).unwrap().configuration(), Some((8, &last)));
}

#[test]
fn a_log_that_contradicts_its_snapshot_gives_way_to_it() {
    let snapshot = snapshot(LogId::new(2, 3), b"s");
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(F, Founding::Found(ids(3)), JournalId(1));
    cluster.crash(F);
    let hard = Record::Hard { term: 2, vote: None };
    let records = [hard, Record::Snapshot(snapshot.clone()), Record::Entries(entries(1, 1, 7))];
    cluster.nodes.get_mut(&F).unwrap().disk.write(records);
    cluster.start(F);
    assert_eq!((cluster.last(F), cluster.raft(F).commit()), (snapshot.last, 3));
}

// Figure 2: term, vote and log are persistent.
#[test]
fn term_vote_and_log_survive_a_crash() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"a");
    cluster.pass(10);
    for id in ids(3) {
        let (term, vote) = (cluster.raft(id).term(), cluster.raft(id).vote());
        let log = cluster.commands(id);
        cluster.crash(id);
        cluster.start(id);
        assert_eq!((cluster.raft(id).term(), cluster.raft(id).vote()), (term, vote));
        assert_eq!(cluster.commands(id), log);
        assert!(cluster.take_events(id).iter().all(|e| !matches!(e, Event::Restore(_))), "no snapshot yet");
    }
}
