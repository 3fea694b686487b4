//! Voters without state.

use crate::cluster::{Cluster, ids};
use crate::made;
use quorate_consensus::raft::{
    AppendReply, Batches, Change, Cmd, Event, Founding, LogId, LostForGood, Msg, NotChanged, NotRecovered,
    Outcome, Raft, RaftConfig, RaftConfigError, Record, Remains, Survivor,
};
use quorate_core::{Corrupt, Input, JournalId, NodeId, Turn, TurnLimits};
use std::sync::Arc;
use std::time::Duration;

/// Snapshots and compactions come soon.
fn hasty() -> RaftConfig {
    RaftConfig { snapshot_log_entries: 10, trailing_entries: 0, ..RaftConfig::default() }
}

/// Founders 1 to `n`, the last so many of them witnesses.
fn with_witnesses(n: u64, witnesses: u64, config: RaftConfig) -> Cluster {
    let mut cluster = Cluster::empty(config);
    for id in ids(n) {
        let witness = id.0 > n - witnesses;
        cluster.add_as(witness, id, Founding::Found(ids(n)), JournalId(u128::from(id.0)));
    }
    cluster.settle();
    cluster
}

const WITNESS: NodeId = NodeId(3);

/// Two replicas and a witness: the leader, the other one.
fn two_and_a_witness(config: RaftConfig) -> (Cluster, NodeId, NodeId) {
    let mut cluster = with_witnesses(3, 1, config);
    let leader = cluster.elect();
    cluster.pass(60);
    (cluster, leader, NodeId(3 - leader.0))
}

fn propose_many(cluster: &mut Cluster, leader: NodeId, count: usize, away: Option<NodeId>) {
    for _ in 0..count {
        cluster.propose(leader, b"some command");
        cluster.settle_where(|from, to| ![Some(from), Some(to)].contains(&away));
    }
    cluster.pass_where(120, |from, to| ![Some(from), Some(to)].contains(&away));
}

fn commands(cluster: &Cluster, id: NodeId) -> usize {
    cluster.commands(id).len()
}

#[test]
fn two_replicas_and_a_witness_go_on_without_any_one_of_the_three() {
    for gone in ids(3) {
        let (mut cluster, ..) = two_and_a_witness(RaftConfig::default());
        cluster.crash(gone);
        cluster.pass(2_000);
        let leader = cluster.leader().unwrap();
        assert!(leader != WITNESS && leader != gone);
        cluster.propose(leader, b"x");
        cluster.pass(20);
        assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index, "without {gone}");
        cluster.start(gone);
        cluster.pass(200);
        assert_eq!(cluster.last(gone), cluster.last(leader));
    }
}

#[test]
pub fn a_witness_is_never_elected_nor_handed_leadership() {
    let preferred = vec![NodeId(3), NodeId(2)];
    let mut cluster = with_witnesses(3, 2, RaftConfig { preferred, ..RaftConfig::default() });
    let leader = cluster.elect();
    assert_eq!(leader, NodeId(1), "the only one with state");
    cluster.pass(10_000);
    assert_eq!(cluster.leader(), Some(leader), "it makes way for no witness");
    assert_eq!(cluster.raft(leader).witnesses(), [NodeId(2), NodeId(3)]);
    for to in [None, Some(NodeId(2))] {
        cluster.take_events(leader);
        cluster.command(leader, Cmd::Transfer { to });
        assert!(cluster.take_events(leader).contains(&Event::NotTransferred { begun: false }));
    }
    let term = cluster.raft(leader).term();
    cluster.crash(leader);
    cluster.pass(5_000);
    assert_eq!(cluster.leader(), None);
    for id in [NodeId(2), NodeId(3)] {
        let counters = cluster.raft(id).counters();
        assert_eq!((cluster.raft(id).term(), counters.campaigns, counters.pre_campaigns), (term, 0, 0));
    }
    cluster.start(leader);
    assert_eq!(cluster.elect(), leader);
}

#[test]
pub fn what_only_witnesses_have_on_disk_is_not_committed() {
    let mut cluster = with_witnesses(3, 2, RaftConfig::default());
    let leader = cluster.elect();
    cluster.pass(60);
    cluster.hung = vec![leader];
    cluster.propose(leader, b"x");
    cluster.settle();
    let last = cluster.last(leader);
    assert_eq!([cluster.last(NodeId(2)), cluster.last(NodeId(3))], [last; 2], "both acknowledged");
    assert_eq!(cluster.raft(leader).commit(), last.index - 1);
    cluster.hung.clear();
    cluster.sync_node(leader);
    assert_eq!(cluster.raft(leader).commit(), last.index);
}

#[test]
pub fn a_voter_that_is_behind_gets_from_a_witness_what_the_lost_leader_had_committed() {
    let (mut cluster, leader, other) = two_and_a_witness(hasty());
    propose_many(&mut cluster, leader, 50, Some(other));
    let committed = cluster.raft(leader).commit();
    assert_eq!(committed, cluster.last(leader).index);
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, b"the state");
    assert_eq!(commands(&cluster, leader), 50, "nor has the leader forgotten it");
    cluster.crash(leader);
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), Some(other));
    assert_eq!(commands(&cluster, other), 50);
    assert!(cluster.raft(other).commit() > committed);
}

#[test]
fn a_witness_forgets_what_every_voter_with_state_has_on_disk() {
    let (mut cluster, leader, other) = two_and_a_witness(hasty());
    propose_many(&mut cluster, leader, 100, Some(other));
    assert_eq!(commands(&cluster, WITNESS), 100, "one of them lacks it");
    propose_many(&mut cluster, leader, 1, None);
    assert_eq!(commands(&cluster, WITNESS), 0);
    let snapshot = cluster.raft(WITNESS).snapshot().unwrap().clone();
    assert_eq!((snapshot.last.index, snapshot.blob, snapshot.total), (cluster.raft(leader).commit(), 0, 0));
    let records = cluster.nodes[&WITNESS].disk.records().count();
    assert!(records < 10, "{records} records");
    // And lives on with that.
    cluster.crash(WITNESS);
    cluster.start(WITNESS);
    cluster.crash(leader);
    cluster.pass(2_000);
    assert_eq!(cluster.leader(), Some(other));
    propose_many(&mut cluster, other, 5, None);
    assert_eq!(cluster.raft(other).commit(), cluster.last(other).index);
}

#[test]
fn what_a_witness_keeps_for_one_that_is_away_is_bounded() {
    let config = RaftConfig { witness_log_bytes: 2_000, ..hasty() };
    let (mut cluster, leader, other) = two_and_a_witness(config);
    for _ in 0..20 {
        propose_many(&mut cluster, leader, 50, Some(other));
        assert!(cluster.raft(WITNESS).log().bytes() < 4_000, "{}", cluster.raft(WITNESS).log().bytes());
    }
    // The price: what it lacks only the leader has.
    cluster.crash(leader);
    cluster.pass(5_000);
    assert_eq!(cluster.leader(), None);
    cluster.start(leader);
    cluster.elect();
    cluster.pass(500);
    assert_eq!(cluster.last(other), cluster.last(leader));
    cluster.crash(leader);
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), Some(other), "it has caught up");
}

#[test]
fn a_witness_takes_of_a_snapshot_only_its_name() {
    let (mut cluster, leader, other) = two_and_a_witness(RaftConfig { chunk_bytes: 10, ..hasty() });
    cluster.crash(WITNESS);
    propose_many(&mut cluster, leader, 50, None);
    for id in [leader, other] {
        let at = cluster.last(leader);
        cluster.snapshot(id, at, &[7; 1000]);
    }
    let at = cluster.last(leader);
    cluster.start(WITNESS);
    cluster.pass(100);
    let witness = cluster.raft(WITNESS);
    assert_eq!((witness.last(), witness.commit(), witness.counters().snapshots_installed), (at, at.index, 1));
    assert!(cluster.nodes[&WITNESS].objects.numbers().is_empty(), "nothing of it is stored");
    // It counts again, in this life and in the next.
    cluster.crash(other);
    propose_many(&mut cluster, leader, 1, None);
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
    cluster.crash(WITNESS);
    cluster.start(WITNESS);
    cluster.pass(1_000);
    propose_many(&mut cluster, leader, 1, None);
    let leader = cluster.leader().unwrap();
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
}

#[test]
fn a_witness_gets_its_vote_by_a_change_and_witnesses_alone_are_refused() {
    let mut cluster = Cluster::new(2);
    let leader = cluster.elect();
    for id in [3, 4].map(NodeId) {
        cluster.add_as(true, id, Founding::Join(ids(2)), JournalId(u128::from(id.0)));
    }
    let change = |cluster: &mut Cluster, request, change| {
        cluster.take_events(leader);
        cluster.command(leader, Cmd::Change { request, change: Box::new(change) });
        cluster.pass(1_000);
        let events = cluster.take_events(leader);
        events.into_iter().find(|e| matches!(e, Event::Changed { .. } | Event::NotChanged { .. }))
    };
    assert_eq!(change(&mut cluster, 1, Change::new().add(3)), Some(Event::Changed { request: 1 }));
    let refused = Event::NotChanged { request: 2, why: NotChanged::OnlyWitnesses };
    assert_eq!(change(&mut cluster, 2, Change::to([3, 4])), Some(refused));
    assert_eq!(
        change(&mut cluster, 3, Change::new().remove(leader).add(4)),
        Some(Event::Changed { request: 3 })
    );
    let other = NodeId(3 - leader.0);
    assert_eq!(cluster.elect(), other);
    cluster.pass(100);
    assert_eq!(cluster.raft(other).voters(), [other, NodeId(3), NodeId(4)]);
}

fn replayed(witness: bool, records: impl IntoIterator<Item = Record>) -> Result<(), Corrupt> {
    let new = if witness { Raft::witness } else { Raft::new };
    let raft = new(WITNESS, Arc::new(RaftConfig::default()), Founding::Join(Vec::new())).unwrap();
    let mut turn = Turn::new(raft, TurnLimits::default());
    records.into_iter().try_for_each(|record| turn.replay(record))
}

#[test]
fn a_journal_is_of_a_witness_or_of_one_with_state_for_as_long_as_it_lives() {
    let (mut cluster, leader, _) = two_and_a_witness(hasty());
    for _ in 0..2 {
        let records = |id: NodeId| cluster.nodes[&id].disk.records().cloned().collect::<Vec<_>>();
        assert_eq!(records(WITNESS).first(), Some(&Record::Witness));
        assert_eq!(replayed(true, records(WITNESS)), Ok(()));
        assert!(replayed(false, records(WITNESS)).unwrap_err().to_string().contains("holds no state"));
        assert!(replayed(true, records(leader)).unwrap_err().to_string().contains("no witness's"));
        // And once it was compacted.
        propose_many(&mut cluster, leader, 100, None);
    }
}

#[test]
fn nothing_is_recovered_from_a_witness_nor_silently_without_it() {
    let mut cluster = with_witnesses(5, 2, RaftConfig::default());
    let leader = cluster.elect();
    let others: Vec<NodeId> = ids(3).into_iter().filter(|id| *id != leader).collect();
    cluster.pass(60);
    propose_many(&mut cluster, leader, 3, Some(others[1]));
    ids(5).into_iter().for_each(|id| cluster.crash(id));
    let read = |id: NodeId| {
        let records: Vec<Record> = cluster.nodes[&id].disk.records().cloned().collect();
        Survivor::read(id, JournalId(u128::from(id.0)), records).unwrap()
    };
    let remains = |id: NodeId| -> Remains { read(id).remains().clone() };
    let (witness, survivor) = (NodeId(5), others[1]);
    assert!(remains(witness).witness && !remains(survivor).witness);
    let gone = |also: &[NodeId]| {
        LostForGood::i_accept_the_loss_of([leader, others[0], NodeId(4)].iter().chain(also).copied())
    };
    let refused = read(witness).recover(&[remains(survivor)], &gone(&[]));
    assert_eq!(refused.unwrap_err(), NotRecovered::Witness(witness));
    let refused = read(survivor).recover(&[remains(witness)], &gone(&[]));
    let last = remains(witness).last;
    assert_eq!(refused.unwrap_err(), NotRecovered::WitnessHoldsMore { node: witness, last });
    let recovered = read(survivor).recover(&[], &gone(&[witness])).unwrap();
    assert_eq!(recovered.kept, remains(survivor).last);
}

/// Time passes; what `passes` says no to is lost.
fn pass_but(cluster: &mut Cluster, ms: u64, passes: impl Fn(NodeId, NodeId, &Msg) -> bool) {
    for _ in 0..ms {
        cluster.now = cluster.now + Duration::from_millis(1);
        for _ in 0..1_000 {
            for (from, to, msg) in std::mem::take(&mut cluster.wire) {
                if passes(from, to, &msg) {
                    cluster.deliver(from, to, msg);
                }
            }
            let due: Vec<NodeId> = cluster.nodes.keys().copied().collect();
            let due: Vec<NodeId> = due
                .into_iter()
                .filter(|id| cluster.wake_at(*id).is_some_and(|at| at <= cluster.now))
                .collect();
            due.iter().for_each(|id| cluster.step(*id, Input::Wake));
            if due.is_empty() && cluster.wire.is_empty() {
                break;
            }
        }
    }
}

fn change(cluster: &mut Cluster, leader: NodeId, change: Change) {
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Change { request: 1, change: Box::new(change) });
}

#[test]
fn a_witness_keeps_what_a_voter_lacks_until_it_is_committed_that_it_votes_no_more() {
    let (mut cluster, leader, other) = two_and_a_witness(hasty());
    let new = NodeId(4);
    cluster.add_as(true, new, Founding::Join(ids(3)), JournalId(4));
    cluster.pass(1_000);
    propose_many(&mut cluster, leader, 50, Some(other));
    let committed = cluster.raft(leader).commit();
    change(&mut cluster, leader, Change::new().remove(other).add(4));
    // The other one is away. The last configuration is in the leader's log, and nowhere else.
    let last = |cluster: &Cluster| cluster.raft(leader).configuration().unwrap().1.clone();
    for _ in 0..100 {
        if last(&cluster).nodes() == [leader, WITNESS, new] {
            break;
        }
        let (from, to, msg) = cluster.wire.remove(0);
        if ![from, to].contains(&other) {
            cluster.deliver(from, to, msg);
        }
    }
    assert_eq!(last(&cluster).nodes(), [leader, WITNESS, new]);
    cluster.wire.clear();
    pass_but(&mut cluster, 120, |_, to, msg| to != other && matches!(msg, Msg::Held { .. }));
    assert!(cluster.raft(leader).is_leader());
    // It commits nothing without the one with state that is to stay, but has all that was committed.
    cluster.crash(leader);
    cluster.pass(5_000);
    assert_eq!(cluster.leader(), Some(other));
    assert_eq!((commands(&cluster, other), committed), (50, 51));
}

#[test]
fn what_a_voter_acknowledged_of_older_terms_only_it_may_give_up_and_witnesses_keep() {
    let (mut cluster, leader, _) = two_and_a_witness(hasty());
    propose_many(&mut cluster, leader, 50, None);
    let before = cluster.last(leader);
    cluster.command(leader, Cmd::StepDown);
    // Whoever leads next, the other one hears its questions and takes none of its entries.
    let entries = |msg: &Msg| matches!(msg, Msg::Append(append) if !matches!(append.batches, Batches::None));
    let held = std::cell::Cell::new(false);
    pass_but(&mut cluster, 1_000, |_, to, msg| {
        held.set(held.get() || matches!(msg, Msg::Held { upto: 1.., .. }));
        to == WITNESS || !entries(msg)
    });
    let leader = cluster.leader().unwrap();
    assert!(cluster.raft(leader).commit() > before.index, "with the witness");
    assert_eq!(cluster.last(NodeId(3 - leader.0)), before);
    assert!(!held.get());
    propose_many(&mut cluster, leader, 50, None);
    assert_eq!(cluster.raft(WITNESS).log().base().index, cluster.last(leader).index, "it has both now");
}

#[test]
fn a_change_does_not_begin_while_the_only_one_with_state_that_would_vote_then_is_away() {
    let (mut cluster, leader, other) =
        two_and_a_witness(RaftConfig { promotion_timeout: Duration::from_secs(1), ..RaftConfig::default() });
    cluster.add_as(true, NodeId(4), Founding::Join(ids(3)), JournalId(4));
    cluster.pass(1_000);
    cluster.crash(other);
    cluster.pass(500);
    change(&mut cluster, leader, Change::new().remove(leader).add(4));
    cluster.pass(2_000);
    let events = cluster.take_events(leader);
    let refused = Event::NotChanged { request: 1, why: NotChanged::Unreachable };
    assert!(events.contains(&refused), "{events:?}");
    cluster.propose(leader, b"x");
    cluster.pass(20);
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
}

/// The witness alone, told by hand that a voter is this many entries behind while 2,000 come.
fn lagging(config: RaftConfig, behind: u64) -> (Cluster, bool) {
    let mut cluster = Cluster::empty(config);
    cluster.add_as(true, WITNESS, Founding::Found(ids(3)), JournalId(3));
    cluster.meet(WITNESS);
    let group = cluster.raft(WITNESS).group();
    let configuration = made::configured(1, 1, cluster.raft(WITNESS).configuration().unwrap().1);
    cluster.deliver(NodeId(1), WITNESS, made::append(group, 1, LogId::ZERO, 1, vec![configuration]));
    let mut kept = true;
    for last in (1..2_000).step_by(10) {
        let ten = made::batch(last + 1, 1, &[&b"some command"[..]; 10]);
        let append = made::append(group, 1, LogId::new(1, last), last + 10, vec![ten]);
        cluster.deliver(NodeId(1), WITNESS, append);
        let upto = (last + 10).saturating_sub(behind);
        cluster.deliver(NodeId(1), WITNESS, Msg::Held { group, term: 1, upto });
        kept &= cluster.raft(WITNESS).log().base().index <= upto.max(1);
    }
    (cluster, kept)
}

#[test]
fn a_witness_makes_room_by_what_everybody_has_before_it_forgets_what_somebody_lacks() {
    let (_, kept) = lagging(RaftConfig { witness_log_bytes: 4_500, ..hasty() }, 200);
    assert!(kept, "what is lacked has less than that");
    let (cluster, kept) = lagging(RaftConfig { witness_log_bytes: 4_500, ..hasty() }, 1_000);
    assert!(!kept && cluster.raft(WITNESS).log().footprint() <= 5_000);
}

#[test]
fn what_a_witness_keeps_is_bounded_by_what_it_takes_in_memory() {
    let config = RaftConfig { witness_log_bytes: 100_000, ..hasty() };
    let (mut cluster, leader, other) = two_and_a_witness(config);
    cluster.crash(other);
    for _ in 0..4_000 {
        cluster.propose(leader, b"x");
        cluster.settle();
        // Each in a record of its own.
        assert!(cluster.raft(WITNESS).log().footprint() <= 110_000);
    }
}

#[test]
fn leadership_that_is_handed_to_one_not_yet_known_as_a_witness_is_kept_at_once() {
    let (mut cluster, leader, other) = two_and_a_witness(RaftConfig::default());
    cluster.command(leader, Cmd::StepDown);
    let _ = other;
    pass_but(&mut cluster, 600, |from, _, msg| from != WITNESS || !matches!(msg, Msg::AppendReply(_)));
    cluster.crash(WITNESS);
    cluster.start(WITNESS);
    let leader = cluster.leader().unwrap();
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Transfer { to: Some(WITNESS) });
    cluster.pass(70);
    assert!(!cluster.raft(leader).is_transferring());
}

#[test]
fn a_witness_keeps_what_a_newcomer_lacks_that_is_about_to_vote() {
    let (mut cluster, leader, other) = two_and_a_witness(hasty());
    let new = NodeId(4);
    cluster.add(new, Founding::Join(ids(3)), JournalId(4));
    cluster.pass(1_000);
    // It has everything; its word that it has the last entry is late.
    cluster.propose(leader, b"the last one");
    pass_but(&mut cluster, 20, |from, _, _| from != new);
    let last = cluster.last(leader);
    change(&mut cluster, leader, Change::new().remove(leader).add(4));
    assert_eq!(cluster.last(new), last);
    for _ in 0..50 {
        cluster.propose(leader, b"some command");
    }
    pass_but(&mut cluster, 60, |from, to, _| ![from, to].contains(&new));
    let committed = cluster.raft(leader).commit();
    assert!(committed >= last.index + 50);
    let (term, outcome) = (cluster.raft(leader).term(), Outcome::Matched(last.index));
    cluster.deliver(new, leader, Msg::AppendReply(AppendReply { term, round: 1, outcome }));
    pass_but(&mut cluster, 100, |from, to, _| ![from, to].contains(&new));
    assert_eq!(cluster.leader(), Some(other));
    assert_eq!(cluster.raft(other).voters(), [other, WITNESS, new]);
    // Of three that vote now one is lost, and of three that voted before as well.
    cluster.wire.clear();
    for gone in [leader, other] {
        cluster.crash(gone);
    }
    cluster.pass(5_000);
    assert_eq!(cluster.leader(), Some(new), "{} {}", cluster.last(new), cluster.raft(WITNESS).log().base());
    assert!(cluster.raft(new).commit() > committed);
}

#[test]
fn where_only_a_witness_is_left_that_has_forgotten_too_much_a_replica_is_recovered_without_it() {
    let config = RaftConfig { witness_log_bytes: 2_000, ..hasty() };
    let (mut cluster, leader, other) = two_and_a_witness(config);
    propose_many(&mut cluster, leader, 500, Some(other));
    ids(3).into_iter().for_each(|id| cluster.crash(id));
    let read = |id: NodeId| {
        let records: Vec<Record> = cluster.nodes[&id].disk.records().cloned().collect();
        Survivor::read(id, JournalId(u128::from(id.0)), records).unwrap()
    };
    let (witness, lost) = (read(WITNESS).remains().clone(), LostForGood::i_accept_the_loss_of([leader]));
    let refused = read(other).recover(std::slice::from_ref(&witness), &lost);
    let last = witness.last;
    // Not that a quorum survives: it elects nobody.
    assert_eq!(refused.unwrap_err(), NotRecovered::WitnessHoldsMore { node: WITNESS, last });
    let recovered = read(other).recover(&[], &LostForGood::i_accept_the_loss_of([leader, WITNESS])).unwrap();
    assert_eq!(recovered.kept, read(other).remains().last);
}

#[test]
fn a_witness_does_not_found_alone() {
    let founding = Founding::Found(vec![WITNESS]);
    let refused = Raft::witness(WITNESS, RaftConfig::default(), founding).unwrap_err();
    assert_eq!(refused, RaftConfigError::WitnessAlone(WITNESS));
}

#[test]
fn a_witness_that_was_away_is_sent_what_a_voter_lacks_and_no_snapshot_in_its_place() {
    let mut cluster = with_witnesses(5, 2, hasty());
    let leader = cluster.elect();
    cluster.pass(60);
    let others: Vec<NodeId> = ids(3).into_iter().filter(|id| *id != leader).collect();
    let [one, behind] = others[..] else { panic!("three with state") };
    let agree = |cluster: &mut Cluster, leader: NodeId, without: NodeId| {
        let away = [behind, without];
        for _ in 0..20 {
            cluster.propose(leader, b"some command");
            cluster.settle_where(|from, to| !away.contains(&from) && !away.contains(&to));
        }
        cluster.pass_where(100, |from, to| !away.contains(&from) && !away.contains(&to));
        let at = cluster.last(leader);
        for id in [leader, one] {
            assert_eq!(cluster.raft(id).commit(), at.index);
            cluster.snapshot(id, at, b"the state");
        }
    };
    for without in [5, 4, 5].map(NodeId) {
        agree(&mut cluster, leader, without);
    }
    let committed = cluster.raft(leader).commit();
    cluster.wire.clear();
    // Two of five, whichever they are.
    for gone in [leader, one] {
        cluster.crash(gone);
    }
    cluster.pass(5_000);
    assert_eq!(cluster.leader(), Some(behind));
    assert_eq!(commands(&cluster, behind), 60);
    assert!(cluster.raft(behind).commit() > committed);
}
