//! A cluster that lost most of its disks goes on with what one survivor holds.

use crate::cluster::{Cluster, Disk, ids};
use quorate_consensus::raft::{
    Change, Cmd, Event, Founding, LogId, LostForGood, NotRecovered, Raft, Record, Remains, Survivor,
};
use quorate_core::{JournalId, NodeId};

const FOUR: NodeId = NodeId(4);
const FIVE: NodeId = NodeId(5);

fn read(cluster: &Cluster, id: NodeId) -> Result<Survivor, NotRecovered> {
    let records: Vec<Record> = cluster.nodes[&id].disk.records().cloned().collect();
    Survivor::read(id, JournalId(u128::from(id.0)), records)
}

fn remains(cluster: &Cluster, id: NodeId) -> Remains {
    read(cluster, id).unwrap().remains().clone()
}

fn lost(nodes: impl IntoIterator<Item = u64>) -> LostForGood {
    LostForGood::i_accept_the_loss_of(nodes)
}

/// Five that agreed on some commands, the last of which 5 did not hear of; nobody runs.
fn stopped() -> Cluster {
    let mut cluster = Cluster::new(5);
    let leader = cluster.elect();
    if [FIVE].contains(&leader) {
        cluster.command(leader, Cmd::Transfer { to: Some(FOUR) });
        cluster.settle();
    }
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, b"one");
    cluster.pass(60);
    cluster.propose(leader, b"two");
    cluster.settle_where(|_, to| to != FIVE);
    ids(5).into_iter().for_each(|id| cluster.crash(id));
    cluster.wire.clear();
    cluster
}

/// Puts what came out of a recovery onto the survivor's disk, and starts it.
fn recover(cluster: &mut Cluster, id: NodeId, others: &[NodeId], gone: &[u64]) {
    let others: Vec<Remains> = others.iter().map(|id| remains(cluster, *id)).collect();
    let recovery = read(cluster, id).unwrap().recover(&others, &lost(gone.iter().copied())).unwrap();
    let mut disk = Disk::default();
    disk.write(recovery.records);
    cluster.nodes.get_mut(&id).unwrap().disk = disk;
    cluster.start(id);
    assert_eq!(cluster.raft(id).group(), recovery.group);
}

fn data(cluster: &Cluster, id: NodeId) -> Vec<Vec<u8>> {
    cluster.commands(id).into_iter().map(|(_, _, data)| data).collect()
}

#[test]
fn a_survivor_goes_on_alone_with_all_that_it_holds_and_others_join_it() {
    let mut cluster = stopped();
    let (before, term) = (cluster.nodes[&FOUR].disk.records().count(), remains(&cluster, FOUR).term);
    assert!(before > 0);
    recover(&mut cluster, FOUR, &[FIVE], &[1, 2, 3]);
    (1..=3).for_each(|id| drop(cluster.nodes.remove(&NodeId(id))));
    assert_eq!(cluster.elect(), FOUR);
    assert_eq!(data(&cluster, FOUR), [b"one".to_vec(), b"two".to_vec()]);
    assert!(cluster.raft(FOUR).term() > term);
    assert_eq!(cluster.raft(FOUR).commit(), cluster.last(FOUR).index, "all of it is committed");
    // The other survivor comes on an empty disk, and is given a vote.
    cluster.nodes.remove(&FIVE);
    cluster.add(FIVE, Founding::Join(vec![FOUR]), JournalId(55));
    cluster.pass(500);
    cluster.command(FOUR, Cmd::Change { request: 1, change: Box::new(Change::new().add(5)) });
    cluster.pass(500);
    assert_eq!(cluster.raft(FOUR).voters(), [FOUR, FIVE]);
    cluster.propose(FOUR, b"three");
    cluster.pass(100);
    assert_eq!(data(&cluster, FIVE), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    // And it is what a restart finds.
    cluster.crash(FOUR);
    cluster.start(FOUR);
    cluster.elect();
    assert_eq!(data(&cluster, FOUR).len(), 3);
}

/// The old members come back, a quorum of them, beside the survivor that was recovered.
fn old_ones_come_back(mut cluster: Cluster) -> Cluster {
    (1..=3).for_each(|id| cluster.start(NodeId(id)));
    cluster.pass(2_000);
    for id in ids(4) {
        if cluster.raft(id).is_leader() {
            cluster.propose(id, if id == FOUR { b"new" } else { b"old" });
        }
    }
    cluster.pass(2_000);
    cluster
}

#[test]
fn members_of_the_old_cluster_that_come_back_are_foreign_and_no_log_mixes() {
    let mut cluster = stopped();
    recover(&mut cluster, FOUR, &[FIVE], &[1, 2, 3]);
    cluster.elect();
    let group = cluster.raft(FOUR).group();
    let cluster = old_ones_come_back(cluster);
    assert!(cluster.raft(FOUR).is_leader() && cluster.raft(FOUR).group() == group);
    assert_eq!(data(&cluster, FOUR), [&b"one"[..], b"two", b"new"]);
    assert!(cluster.raft(FOUR).counters().foreign > 0);
    for id in ids(3) {
        assert_ne!(cluster.raft(id).group(), group);
        assert_eq!(data(&cluster, id), [&b"one"[..], b"two", b"old"], "two clusters, as the page warns");
    }
}

// What the new name is for: the same without it.
#[test]
fn under_the_old_name_a_member_that_comes_back_takes_what_it_never_agreed_to() {
    let mut cluster = stopped();
    let name = remains(&cluster, FOUR).group;
    recover(&mut cluster, FOUR, &[FIVE], &[1, 2, 3]);
    cluster.crash(FOUR);
    let mut disk = Disk::default();
    let renamed = cluster.nodes[&FOUR].disk.records().map(|record| match record {
        Record::Joined { .. } => Record::Joined { group: name },
        other => other.clone(),
    });
    disk.write(renamed.collect::<Vec<_>>());
    cluster.nodes.get_mut(&FOUR).unwrap().disk = disk;
    cluster.start(FOUR);
    cluster.elect();
    let cluster = old_ones_come_back(cluster);
    let took = |id: NodeId| data(&cluster, id).iter().any(|data| data == b"new");
    assert!(ids(3).into_iter().any(took), "they follow one that no quorum of theirs elected");
}

#[test]
fn whoever_holds_less_than_another_survivor_is_not_recovered() {
    let cluster = stopped();
    let four = remains(&cluster, FOUR);
    assert!(four.last > remains(&cluster, FIVE).last);
    let why = read(&cluster, FIVE).unwrap().recover(std::slice::from_ref(&four), &lost(1..=3));
    assert_eq!(why, Err(NotRecovered::HoldsLess { node: FOUR, last: four.last }));
    // A longer log of an older term is less (Raft §5.4.1).
    let longer =
        Remains { last: LogId::new(four.last.term - 1, 99), node: FIVE, journal: JournalId(5), ..four };
    assert!(read(&cluster, FOUR).unwrap().recover(&[longer], &lost(1..=3)).is_ok());
}

#[test]
fn where_a_quorum_survives_nothing_is_recovered() {
    let cluster = stopped();
    let others: Vec<Remains> = [2, 3, 4].map(|id| remains(&cluster, NodeId(id))).to_vec();
    let mut survivors = Vec::new();
    // The loss of one and of two is what a majority is for.
    for (count, needed) in [(3, false), (2, false), (1, true), (0, true)] {
        let gone = (2 + count as u64..=5).filter(|id| ![1].contains(id));
        let result = read(&cluster, NodeId(1)).unwrap().recover(&others[..count], &lost(gone));
        assert_eq!(result.is_ok(), needed, "{count} others: {result:?}");
        survivors.push(result);
    }
    assert_eq!(survivors[0], Err(NotRecovered::QuorumSurvives));
    assert_eq!(survivors[1], Err(NotRecovered::QuorumSurvives));
}

#[test]
fn every_lost_voter_is_named_and_nobody_else() {
    let cluster = stopped();
    let five = [remains(&cluster, FIVE)];
    for named in [&[][..], &[1, 2], &[1, 2, 3, 5], &[1, 2, 3, 9]] {
        let why = read(&cluster, FOUR).unwrap().recover(&five, &lost(named.iter().copied())).unwrap_err();
        let named = named.iter().copied().map(NodeId).collect();
        assert_eq!(why, NotRecovered::NotAcknowledged { lost: ids(3), named });
    }
    assert!(read(&cluster, FOUR).unwrap().recover(&five, &lost([3, 1, 2, 1])).is_ok());
    // A voter that is there on another disk has lost the one that voted.
    let other_disk = Remains { journal: JournalId(55), ..five[0].clone() };
    let why =
        read(&cluster, FOUR).unwrap().recover(std::slice::from_ref(&other_disk), &lost(1..=3)).unwrap_err();
    assert!(matches!(why, NotRecovered::NotAcknowledged { lost, .. } if lost.contains(&FIVE)));
    assert!(read(&cluster, FOUR).unwrap().recover(&[other_disk], &lost([1, 2, 3, 5])).is_ok());
}

#[test]
fn what_is_not_of_this_cluster_or_no_replica_at_all_is_refused() {
    let cluster = stopped();
    let other = Remains { group: 77, ..remains(&cluster, FIVE) };
    let why = read(&cluster, FOUR).unwrap().recover(&[other], &lost(1..=3));
    assert_eq!(why, Err(NotRecovered::OtherCluster(FIVE)));
    assert_eq!(Survivor::read(FOUR, JournalId(4), []).err(), Some(NotRecovered::Nothing));
    let records = || cluster.nodes[&FOUR].disk.records().cloned();
    let why = Survivor::read(FIVE, JournalId(4), records()).err();
    assert_eq!(why, Some(NotRecovered::JournalOf(FOUR)));
    let entries = records().filter(|record| matches!(record, Record::Entries(_)));
    let why = Survivor::read(FOUR, JournalId(4), entries).err();
    assert!(matches!(why, Some(NotRecovered::Corrupt(_))), "entries of a term that is nowhere: {why:?}");
}

#[test]
fn what_was_recovered_is_not_recovered_again() {
    let mut cluster = stopped();
    recover(&mut cluster, FOUR, &[FIVE], &[1, 2, 3]);
    cluster.crash(FOUR);
    let again = read(&cluster, FOUR).unwrap().recover(&[], &lost([0; 0]));
    assert_eq!(again, Err(NotRecovered::QuorumSurvives), "it can go on alone already");
    // Nor does the other survivor's log belong to what it has become.
    let five = [remains(&cluster, FIVE)];
    let why = read(&cluster, FOUR).unwrap().recover(&five, &lost(1..=3));
    assert_eq!(why, Err(NotRecovered::OtherCluster(FIVE)));
}

#[test]
fn a_compacted_log_is_recovered_with_its_snapshot_and_what_stands_behind_it() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    (0..10).for_each(|_| {
        cluster.propose(leader, b"x");
        cluster.settle();
    });
    let at = cluster.last(leader);
    cluster.snapshot(leader, at, b"state");
    cluster.propose(leader, b"behind");
    cluster.pass(60);
    ids(3).into_iter().for_each(|id| cluster.crash(id));
    cluster.wire.clear();
    let survivor = read(&cluster, leader).unwrap();
    assert_eq!(survivor.remains().committed, at);
    let gone: Vec<u64> = (1..=3).filter(|id| *id != leader.0).collect();
    for id in &gone {
        cluster.nodes.remove(&NodeId(*id));
    }
    recover(&mut cluster, leader, &[], &gone);
    let events = cluster.take_events(leader);
    let state = Some(&b"state"[..]);
    let restored =
        |e: &Event| matches!(e, Event::Restore(s) if s.last == at && cluster.data(leader, s) == state);
    assert!(events.iter().any(restored));
    assert_eq!(cluster.elect(), leader);
    assert_eq!(data(&cluster, leader).last().unwrap(), b"behind");
}

#[test]
fn during_a_change_whoever_is_lost_of_either_body_is_named() {
    let mut cluster = Cluster::new(3);
    for id in 4..=5 {
        cluster.add(NodeId(id), Founding::Join(ids(3)), JournalId(id.into()));
    }
    let leader = cluster.elect();
    cluster.pass(500);
    cluster.command(leader, Cmd::Change { request: 1, change: Box::new(Change::to([4, 5])) });
    // The joint configuration is on the leader's disk, and nothing came of it.
    assert!(cluster.raft(leader).configuration().unwrap().1.is_joint());
    ids(5).into_iter().for_each(|id| cluster.crash(id));
    cluster.wire.clear();
    let four = [remains(&cluster, FOUR)];
    let gone: Vec<u64> = (1..=5).filter(|id| *id != leader.0 && *id != 4).collect();
    let why = read(&cluster, leader).unwrap().recover(&four, &lost(gone[..2].iter().copied()));
    assert!(matches!(why, Err(NotRecovered::NotAcknowledged { .. })), "{why:?}");
    let recovery = read(&cluster, leader).unwrap().recover(&four, &lost(gone.iter().copied())).unwrap();
    assert!(!recovery.configuration.is_joint());
    let epoch = recovery.configuration.incoming.epoch();
    assert!(epoch > remains(&cluster, leader).configuration.incoming.epoch());
    recover(&mut cluster, leader, &[FOUR], &gone);
    cluster.nodes.retain(|id, _| *id == leader);
    assert_eq!(cluster.elect(), leader);
    let raft: &Raft = cluster.raft(leader);
    assert_eq!((raft.voters(), raft.commit()), (vec![leader], raft.last().index));
}

/// Three voters whose leader is told to go on with 4 and 5 instead of the two others; nobody runs any more. And those two.
fn stopped_in_a_change(
    passes: impl Fn(NodeId, NodeId, [NodeId; 2]) -> bool,
) -> (Cluster, NodeId, [NodeId; 2]) {
    let mut cluster = Cluster::new(3);
    for id in 4..=5 {
        cluster.add(NodeId(id), Founding::Join(ids(3)), JournalId(id.into()));
    }
    let leader = cluster.elect();
    cluster.pass(500);
    let leave: Vec<NodeId> = ids(3).into_iter().filter(|id| *id != leader).collect();
    let leave = [leave[0], leave[1]];
    cluster.command(leader, Cmd::Change { request: 1, change: Box::new(Change::to([leader.0, 4, 5])) });
    cluster.settle_where(|from, to| passes(from, to, leave));
    ids(5).into_iter().for_each(|id| cluster.crash(id));
    cluster.wire.clear();
    (cluster, leader, leave)
}

#[test]
fn a_quorum_survives_where_the_voters_before_a_change_would_elect_one_of_themselves() {
    let (cluster, leader, leave) = stopped_in_a_change(|_, _, _| false);
    assert!(remains(&cluster, leader).configuration.is_joint());
    let others = leave.map(|id| remains(&cluster, id));
    let why = read(&cluster, leader).unwrap().recover(&others, &lost([4, 5]));
    assert_eq!(why, Err(NotRecovered::QuorumSurvives));
    // One of them alone does not.
    let gone = lost([leave[1].0, 4, 5]);
    assert!(read(&cluster, leader).unwrap().recover(&others[..1], &gone).is_ok());
}

#[test]
fn no_quorum_survives_by_the_word_of_one_that_lacks_the_change() {
    let (cluster, leader, leave) = stopped_in_a_change(|from, to, [_, last]| from != last && to != last);
    let survivor = remains(&cluster, leader);
    assert!(!survivor.configuration.is_joint());
    // By its own log two of three voters are there, but the other one gives it no vote.
    let why = read(&cluster, leave[1]).unwrap().recover(std::slice::from_ref(&survivor), &lost([leave[0].0]));
    assert_eq!(why, Err(NotRecovered::HoldsLess { node: leader, last: survivor.last }));
    let others = [remains(&cluster, leave[1])];
    assert!(read(&cluster, leader).unwrap().recover(&others, &lost([4, 5])).is_ok());
}

#[test]
fn any_term_that_a_survivor_knows_is_over_in_the_new_cluster() {
    let cluster = stopped();
    let five = Remains { term: 70, ..remains(&cluster, FIVE) };
    let recovery = read(&cluster, FOUR).unwrap().recover(&[five], &lost(1..=3)).unwrap();
    assert!(recovery.records.contains(&Record::Hard { term: 71, vote: Some(FOUR) }));
    let end = Remains { term: u64::MAX - 1, ..remains(&cluster, FIVE) };
    let why = read(&cluster, FOUR).unwrap().recover(&[end], &lost(1..=3));
    assert!(matches!(why, Err(NotRecovered::Corrupt(_))), "{why:?}");
}
