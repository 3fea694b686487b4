//! Ports on disks that refuse, are full, or hang: what is tried again, and what waits meanwhile.

use crate::hosts::{Hosts, WORK};
use crate::ports::{add, hasty, led, other_than, take, three};
use crate::tally::{Do, Tally};
use quorate_consensus::groups::{Groups, GroupsConfig, GroupsHandle, GroupsPort};
use quorate_consensus::raft::{Founding, NotTaken, RaftConfig, RaftNotice};
use quorate_core::{Alarm, BlobId, Blobs, HostBuilder, NoDecider, NodeId};
use std::any::Any;

// In place of a damaged one, and nothing else would bring about another try.
#[test]
fn a_leader_that_cannot_write_another_snapshot_in_place_of_a_damaged_one_tries_again() {
    let (mut hosts, leader, late) = led(hasty());
    hosts.crash(late);
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let blob = hosts.raft(leader).snapshot().unwrap().blob;
    let objects = &mut hosts.nodes.get_mut(&leader).unwrap().objects;
    objects.delete(BlobId { scope: WORK, number: blob }).unwrap();
    objects.is_full = true;
    hosts.start(late);
    hosts.pass(1_000);
    let told = hosts.notices::<RaftNotice>(leader);
    let tries = told.iter().filter(|notice| matches!(notice, RaftNotice::NotTaken { .. })).count();
    assert!((2..=10).contains(&tries), "{tries} in a second");
    hosts.nodes.get_mut(&leader).unwrap().objects.is_full = false;
    hosts.pass(1_000);
    assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 20);
}

// Its disk refuses to read the state to begin with, then takes a newer one from the leader, and refuses to read that, too.
#[test]
fn a_replica_that_could_not_restore_what_a_leader_sent_begins_with_its_own_state_all_the_same() {
    let (mut hosts, leader, late) = led(hasty());
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let own = hosts.raft(late).snapshot().unwrap().last;
    hosts.crash(late);
    for number in 20..40 {
        add(&mut hosts, leader, number);
    }
    let refuse = |hosts: &mut Hosts, refuses| hosts.nodes.get_mut(&late).unwrap().objects.refuses = refuses;
    refuse(&mut hosts, true);
    hosts.start(late);
    hosts.settle_where(|_, _, _| false);
    refuse(&mut hosts, false);
    hosts.pass(100);
    let objects = hosts.nodes.get_mut(&late).unwrap().objects.list(WORK).unwrap();
    assert_eq!(objects.len(), 2, "its own, and the leader's, which waits to be restored");
    refuse(&mut hosts, true);
    hosts.pass_where(200, |from, to, _| ![from, to].contains(&late));
    refuse(&mut hosts, false);
    hosts.pass_where(1_000, |from, to, _| ![from, to].contains(&late));
    assert_eq!(hosts.raft(late).snapshot().unwrap().last, own, "the other one was never in place");
    assert!(!hosts.state::<Tally, NoDecider>(late).added.is_empty());
}

// It would answer nobody, and the others can.
#[test]
fn a_replica_that_cannot_read_its_state_votes_and_does_not_lead() {
    let config = RaftConfig { snapshot_log_entries: 8, ..RaftConfig::default() };
    for seed in 0..8 {
        let mut hosts = Hosts::of(3, seed, config.clone(), |_| (Tally::default(), NoDecider));
        let leader = hosts.elect();
        let late = other_than(&hosts, &[leader]);
        let third = other_than(&hosts, &[leader, late]);
        (0..20).for_each(|number| add(&mut hosts, leader, number));
        hosts.crash(late);
        hosts.nodes.get_mut(&late).unwrap().objects.refuses = true;
        hosts.start(late);
        hosts.pass(1_000);
        hosts.crash(leader);
        hosts.pass(3_000);
        assert_eq!(hosts.leader(), Some(third), "seed {seed}");
        add(&mut hosts, third, 20);
        // Once its disk reads it may lead as any other.
        hosts.nodes.get_mut(&late).unwrap().objects.refuses = false;
        hosts.pass(1_000);
        let _ticket = hosts.handle::<Tally, NoDecider>(third).transfer(Some(late));
        hosts.pass(100);
        assert_eq!(hosts.leader(), Some(late), "seed {seed}");
        add(&mut hosts, late, 21);
    }
}

// A place that cannot be read today cannot be read tomorrow.
#[test]
fn a_leader_whose_snapshot_has_a_bad_place_makes_another_and_sends_that() {
    let (mut hosts, leader, late) = led(hasty());
    hosts.crash(late);
    (0..20).for_each(|number| add(&mut hosts, leader, number));
    let blob = hosts.raft(leader).snapshot().unwrap().blob;
    let objects = &mut hosts.nodes.get_mut(&leader).unwrap().objects;
    objects.bad.insert(BlobId { scope: WORK, number: blob });
    hosts.start(late);
    hosts.pass(20_000);
    assert_ne!(hosts.raft(leader).snapshot().unwrap().blob, blob);
    assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 20);
}

#[test]
fn a_follower_whose_half_of_a_snapshot_has_a_bad_place_begins_anew_in_another_one() {
    let config = RaftConfig { chunk_bytes: 4, ..hasty() };
    // While it is taken, and when all of it is there.
    for is_whole in [false, true] {
        let mut hosts = three(config.clone());
        let leader = hosts.elect();
        let late = other_than(&hosts, &[leader]);
        hosts.crash(late);
        (0..50).for_each(|number| add(&mut hosts, leader, number));
        hosts.run_jobs = false;
        hosts.start(late);
        for _ in 0..3_000 {
            hosts.pass(1);
            while hosts.finish_job(leader) {}
            let objects = &mut hosts.nodes.get_mut(&late).unwrap().objects;
            let there = if is_whole { objects.list(WORK) } else { objects.list_unfinished(WORK) };
            if let Some(number) = there.unwrap().first() {
                objects.bad.insert(BlobId { scope: WORK, number: *number });
                break;
            }
            hosts.finish_job(late);
        }
        assert_eq!(hosts.nodes[&late].objects.bad.len(), 1);
        hosts.run_jobs = true;
        hosts.pass(10_000);
        assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 50, "all of it was there: {is_whole}");
    }
}

// Whatever a leader asks again while its disk hangs: nothing is read for a follower more than once.
#[test]
fn pieces_that_a_hanging_disk_is_asked_for_again_are_not_heaped_up() {
    let (mut hosts, leader, late) = led(RaftConfig { chunk_bytes: 4, ..hasty() });
    hosts.crash(late);
    for number in 0..50 {
        add(&mut hosts, leader, number);
    }
    hosts.run_jobs = false;
    hosts.start(late);
    for _ in 0..3_000 {
        hosts.pass(1);
        while hosts.finish_job(late) {}
    }
    let mut read = 0;
    while hosts.finish_job(leader) {
        read += 1;
        hosts.wire.clear();
    }
    assert!((4..=10).contains(&read), "{read} jobs");
    hosts.run_jobs = true;
    hosts.pass(3_000);
    assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 50);
}

/// A node with one group, which has a snapshot, and more to be done, for which so many jobs were run.
fn one_group(jobs: usize) -> (Hosts, GroupsHandle<Tally>) {
    let mut hosts = Hosts::new(1, 1, |id, _| {
        let raft = hasty();
        let config = GroupsConfig { raft, ..GroupsConfig::default() };
        let port = GroupsPort::new(|_| Tally::default(), &config);
        let mut builder = HostBuilder::new();
        builder.scope(WORK, Groups::new(id, config).unwrap(), port);
        builder.build().unwrap()
    });
    let groups = GroupsHandle::<Tally>::new(hosts.nodes[&NodeId(1)].door.clone(), WORK);
    drop(groups.create(77, Founding::Found(vec![NodeId(1)])));
    hosts.pass(500);
    for round in 0..2 {
        hosts.run_jobs = round == 0;
        (0..20).for_each(|number| drop(groups.group(77).propose(Do::Add(number))));
        hosts.pass(10);
    }
    for _ in 0..jobs {
        hosts.finish_job(NodeId(1));
    }
    assert!(hosts.nodes.get_mut(&NodeId(1)).unwrap().objects.count() > 0);
    (hosts, groups)
}

// Groups come and go on a node; their snapshots are not to stay.
#[test]
fn nothing_is_left_on_disk_of_a_group_that_was_removed() {
    let node = NodeId(1);
    for (jobs, crashes) in (0..8).flat_map(|jobs| [(jobs, false), (jobs, true)]) {
        let (mut hosts, groups) = one_group(jobs);
        let removed = groups.remove(77);
        hosts.pass(5);
        assert!(removed.try_take().is_ok_and(|removed| removed.is_ok()));
        if crashes {
            hosts.crash(node);
            hosts.start(node);
        }
        hosts.run_jobs = true;
        hosts.pass(5);
        let left = hosts.nodes.get_mut(&node).unwrap().objects.count();
        assert_eq!(left, 0, "removed behind {jobs} jobs, crashed: {crashes}");
    }
}

// Nobody would accept it; and a bound that holds only where snapshots arrive is met when somebody needs one.
#[test]
fn a_state_that_is_too_large_for_a_snapshot_is_not_written_and_said_to_be() {
    let config = RaftConfig { snapshot_bytes_max: 100, ..hasty() };
    let (mut hosts, leader, _) = led(config);
    let status = |hosts: &mut Hosts| {
        let ticket = hosts.handle::<Tally, NoDecider>(leader).status();
        hosts.settle();
        take(ticket).unwrap()
    };
    let mut number = 0;
    let mut add_many = |hosts: &mut Hosts, count| {
        for _ in 0..count {
            number += 1_000_000;
            add(hosts, leader, number);
        }
    };
    add_many(&mut hosts, 10);
    let small = status(&mut hosts);
    assert!(small.snapshot.index > 0 && small.not_taken.is_none() && small.snapshots_not_taken == 0);
    drop(hosts.nodes.get_mut(&leader).unwrap().notices.drain(..));
    add_many(&mut hosts, 100);
    let large = status(&mut hosts);
    assert_eq!(large.not_taken, Some(NotTaken::TooLarge { bytes_max: 100 }));
    assert!(large.snapshots_not_taken > 0 && large.log_bytes > small.log_bytes);
    assert!(large.applied.index > 110, "everything else goes on");
    let notices = std::mem::take(&mut hosts.nodes.get_mut(&leader).unwrap().notices);
    let notices: Vec<&dyn Any> = notices.iter().map(|(_, notice)| &**notice as &dyn Any).collect();
    let tried = notices.iter().filter_map(|notice| notice.downcast_ref::<RaftNotice>());
    let tries = tried.filter(|notice| matches!(notice, RaftNotice::NotTaken { .. })).count();
    assert!((2..=5).contains(&tries), "{tries}: each costs a whole snapshot");
    let alarms: Vec<&Alarm> = notices.iter().filter_map(|notice| notice.downcast_ref()).collect();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].to_string().contains("snapshot_bytes_max, 100"), "{}", alarms[0]);
    // Nothing is left of it, and what was there before stays.
    let objects = &mut hosts.nodes.get_mut(&leader).unwrap().objects;
    assert_eq!(objects.list(WORK).unwrap().len(), 1);
    assert_eq!(objects.list_unfinished(WORK).unwrap(), [0u64; 0]);
}
