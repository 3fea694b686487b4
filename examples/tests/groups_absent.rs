//! Many groups of which some nodes have no replica, though they are named as members: those that have one do not wait for them
//! night and day.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests and what only they use")]

use quorate::groups::{GroupId, GroupsConfig};
use quorate::raft::Founding;
use quorate_examples::many::{Many, NODES};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Three pairs, both ways, twenty beats a second, for ten seconds; and a few more.
const BEATS: u64 = 3 * 2 * 20 * 10 + 30;

fn asleep(seed: u64) -> Many {
    let mut many = Many::new(seed, 3, GroupsConfig::default());
    assert!(many.until(PATIENCE, Many::is_asleep).is_some(), "they never slept");
    many
}

/// What all nodes say in ten seconds.
fn said(many: &mut Many) -> u64 {
    let before = many.world.stats().frames_sent;
    many.world.run_for(Duration::from_secs(10));
    many.world.stats().frames_sent - before
}

fn sleeps(many: &Many, at: usize, group: u64) -> bool {
    many.on(NODES[at]).unwrap().look(GroupId(group)).unwrap().sleeps
}

#[test]
fn a_founder_that_has_not_created_a_group_yet_does_not_keep_it_awake_on_the_others() {
    let mut many = asleep(21);
    for id in [NODES[0], NODES[1]] {
        let created = many.world.app(id).create(77, Founding::Found(NODES.to_vec()));
        many.world.finish(created).unwrap();
    }
    many.world.run_for(Duration::from_secs(3));
    let while_it_waits = said(&mut many);
    assert!(while_it_waits <= BEATS, "{while_it_waits} messages about a group that cannot be founded");
    // As soon as the third one has it, it is founded, as if all had created it at once.
    let created = many.world.app(NODES[2]).create(77, Founding::Found(NODES.to_vec()));
    many.world.finish(created).unwrap();
    let proposed = many.world.app(NODES[0]).group(77).propose(4);
    assert_eq!(many.world.finish(proposed), Ok(4));
    assert!(many.until(PATIENCE, Many::is_asleep).is_some());
}

#[test]
fn a_member_that_removed_a_group_does_not_keep_it_awake_on_the_others() {
    for (gone, id) in NODES.into_iter().enumerate() {
        let mut many = asleep(22 + gone as u64);
        let removed = many.world.app(id).remove(1);
        many.world.finish(removed).unwrap();
        let left: Vec<usize> = (0..3).filter(|at| *at != gone).collect();
        let is_led = |many: &Many| many.leader(1).is_some_and(|leader| leader != id);
        assert!(many.until(PATIENCE, is_led).is_some());
        let proposed = many.world.app(NODES[left[0]]).group(1).propose(3);
        assert_eq!(many.world.finish(proposed), Ok(3));
        let both_sleep = |many: &Many| left.iter().all(|at| sleeps(many, *at, 1));
        assert!(many.until(PATIENCE, both_sleep).is_some(), "they wait for one that has removed it");
        let proposed = many.world.app(NODES[left[1]]).group(1).propose(3);
        assert_eq!(many.world.finish(proposed), Ok(6), "and wake");
        assert!(many.until(PATIENCE, both_sleep).is_some());
    }
}

#[test]
fn one_that_is_left_alone_does_not_ask_for_votes_for_ever() {
    let mut many = asleep(25);
    for id in [NODES[0], NODES[1]] {
        let removed = many.world.app(id).remove(1);
        many.world.finish(removed).unwrap();
    }
    // It notices, and learns that nobody is left.
    drop(many.world.app(NODES[2]).group(1).propose(3));
    many.world.run_for(Duration::from_secs(15));
    let afterwards = said(&mut many);
    assert!(afterwards <= BEATS, "{afterwards} messages about a group that nobody else has");
    let proposed = many.world.app(NODES[2]).group(1).propose(3);
    assert!(many.world.finish(proposed).is_err(), "nobody commits it");
}

#[test]
fn pages_of_groups_begin_where_they_are_asked_to() {
    let mut many = asleep(26);
    let page = many.world.app(NODES[0]).groups(1, 1);
    let page = many.world.finish(page).unwrap();
    assert_eq!(page.iter().map(|look| look.group).collect::<Vec<_>>(), [GroupId(1)]);
    let rest = many.world.app(NODES[0]).groups(2, 10);
    assert_eq!(many.world.finish(rest).unwrap().len(), 1);
    let none = many.world.app(NODES[0]).groups(3, 10);
    assert!(many.world.finish(none).unwrap().is_empty());
}
