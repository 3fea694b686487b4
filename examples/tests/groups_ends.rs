//! Many groups where something ends badly, or begins twice: each asker gets its own answer, and what one group suffers is
//! that group's alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

use quorate::groups::{GroupId, Groups, GroupsConfig, GroupsHandle};
use quorate::raft::{Change, Founding};
use quorate::sim::{Settings, World};
use quorate::{Applied, Corrupt, Failure, Node, NodeId, Reason, StateMachine};
use quorate_examples::many::{Many, NODES, SUMS, founded};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn asleep(seed: u64, groups: u64) -> Many {
    let mut many = Many::new(seed, groups, GroupsConfig::default());
    assert!(many.until(PATIENCE, |many| many.led() == groups as usize).is_some());
    assert!(many.have_lead(NODES[0]), "one node is to lead them all");
    assert!(many.until(PATIENCE, Many::is_asleep).is_some(), "they never slept");
    many
}

/// A sum whose node may be set on fire: then the next command panics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Fragile {
    sum: u64,
    #[serde(skip)]
    burns: Arc<AtomicBool>,
}

impl StateMachine for Fragile {
    type Command = u64;
    type Reply = u64;
    quorate::freeze_by_clone!();
    fn apply(&mut self, add: u64, _: Applied) -> u64 {
        assert!(!self.burns.load(Ordering::Relaxed), "on fire");
        self.sum += add;
        self.sum
    }
}

/// A command that cannot be written down.
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<W: serde::Serializer>(&self, _: W) -> Result<W::Ok, W::Error> {
        panic!("unspeakable")
    }
}

impl<'a> Deserialize<'a> for Unspeakable {
    fn deserialize<R: serde::Deserializer<'a>>(_: R) -> Result<Unspeakable, R::Error> {
        Ok(Unspeakable)
    }
}

/// Whatever is asked of it, it does nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Idle;

impl StateMachine for Idle {
    type Command = Unspeakable;
    type Reply = u64;
    quorate::freeze_by_clone!();
    fn apply(&mut self, _: Unspeakable, _: Applied) -> u64 {
        0
    }
}

/// Three nodes with groups of what this makes on each.
fn world(
    seed: u64,
    groups: u64,
    make: impl Fn(NodeId, GroupId) -> Fragile + Clone + Send + 'static,
) -> World<GroupsHandle<Fragile>> {
    World::with(Settings::default(), seed, NODES, move |id| {
        let mut node = Node::builder(id);
        let make = make.clone();
        let sums =
            node.groups_with("sums", founded(groups), move |group| make(id, group), GroupsConfig::default());
        (node.build().unwrap(), sums)
    })
}

fn on(world: &World<GroupsHandle<Fragile>>, id: NodeId) -> &Groups {
    world.host(id).unwrap().protocol(SUMS).unwrap()
}

#[test]
fn a_group_that_was_created_is_not_said_to_be_refused_when_it_is_asked_for_again_otherwise() {
    let mut many = asleep(1, 1);
    let created = many.world.app(NODES[0]).create(77, Founding::Found(NODES.to_vec()));
    let otherwise = many.world.app(NODES[0]).create(77, Founding::Found(vec![NODES[0]]));
    let again = many.world.app(NODES[0]).create(77, Founding::Found(vec![NODES[2], NODES[0], NODES[1]]));
    assert_eq!(many.world.finish(created), Ok(()));
    let refused = many.world.finish(otherwise);
    assert!(matches!(refused, Err(Failure::Rejected(Reason::Refused(_)))), "{refused:?}");
    assert_eq!(many.world.finish(again), Ok(()), "the same voters in another order are the same");
    assert!(many.on(NODES[0]).unwrap().has(GroupId(77)));
}

#[test]
fn a_group_that_is_named_at_the_build_takes_what_is_asked_right_after_the_start() {
    let mut many = Many::new(2, 600, GroupsConfig::default());
    let proposed = [0, 599].map(|group| many.world.app(NODES[1]).group(group).propose(5));
    for ticket in proposed {
        assert_eq!(many.world.finish(ticket), Ok(5));
    }
}

#[test]
fn a_replica_whose_state_machine_is_lost_does_not_stand_for_having_slept() {
    let groups = 20;
    let burns = Arc::new(AtomicBool::new(false));
    let third = burns.clone();
    let mut world = world(3, groups, move |id, _| match id == NODES[2] {
        true => Fragile { burns: third.clone(), ..Fragile::default() },
        false => Fragile::default(),
    });
    let led_by = |world: &World<GroupsHandle<Fragile>>, id| on(world, id).led();
    for _ in 0..20 {
        world.run_for(Duration::from_secs(1));
        for group in 0..groups {
            for id in NODES {
                let leads = on(&world, id).look(GroupId(group)).is_some_and(|look| look.leads);
                if leads && id != NODES[0] {
                    drop(world.app(id).group(group).transfer(Some(NODES[0])));
                }
            }
        }
    }
    assert_eq!(led_by(&world, NODES[0]), groups as usize, "one node is to lead them all");
    burns.store(true, Ordering::Relaxed);
    for group in 0..groups {
        let proposed = world.app(NODES[0]).group(group).propose(1);
        assert_eq!(world.finish(proposed), Ok(1));
    }
    let slept = on(&world, NODES[0]).counters().slept;
    let sleep = |world: &World<GroupsHandle<Fragile>>| on(world, NODES[0]).counters().slept >= slept + groups;
    assert!(world.run_until(sleep, PATIENCE), "they never slept");
    world.crash(NODES[0]);
    for _ in 0..100 {
        world.run_for(Duration::from_millis(100));
        assert_eq!(led_by(&world, NODES[2]), 0, "one that cannot apply leads");
    }
    assert_eq!(led_by(&world, NODES[1]), groups as usize);
}

#[test]
fn a_replica_whose_state_machine_is_lost_sleeps_with_its_group() {
    let mut world = world(7, 3, |id, _| Fragile {
        burns: Arc::new(AtomicBool::new(id == NODES[2])),
        ..Fragile::default()
    });
    for group in 0..3 {
        let proposed = world.app(NODES[0]).group(group).propose(1);
        assert_eq!(world.finish(proposed), Ok(1));
    }
    let sleep = |world: &World<GroupsHandle<Fragile>>| NODES.iter().all(|id| on(world, *id).asleep() == 3);
    assert!(world.run_until(sleep, PATIENCE), "they never slept");
    let woken = |world: &World<GroupsHandle<Fragile>>| NODES.map(|id| on(world, id).counters().woken);
    let before = woken(&world);
    world.run_for(Duration::from_secs(10));
    assert_eq!(woken(&world), before);
    // And what is asked there is refused by name.
    let proposed = world.app(NODES[2]).group(0).propose(1);
    assert!(matches!(world.finish(proposed), Err(Failure::Rejected(Reason::Poisoned(_)))));
}

#[test]
fn a_state_that_cannot_be_made_costs_its_own_group_only() {
    let mut world = world(4, 3, |id, group| {
        assert!(group != GroupId(1) || id != NODES[0], "no state for {group}");
        Fragile::default()
    });
    for group in [0, 2] {
        let proposed = world.app(NODES[0]).group(group).propose(4);
        assert_eq!(world.finish(proposed), Ok(4));
    }
    let here = world.app(NODES[0]).group(1).propose(4);
    let refused = world.finish(here);
    assert!(
        matches!(&refused, Err(Failure::Rejected(Reason::Poisoned(why))) if why.contains("no state")),
        "{refused:?}"
    );
    let elsewhere = world.app(NODES[1]).group(1).propose(4);
    assert_eq!(world.finish(elsewhere), Ok(4));
}

#[test]
fn a_group_whose_leader_removed_it_is_led_by_another_though_the_two_share_nothing_else_that_sleeps() {
    let mut many = asleep(5, 2);
    let removed = many.world.app(NODES[0]).group(0).propose(1);
    many.world.finish(removed).unwrap();
    let removed = many.world.app(NODES[0]).remove(1);
    many.world.finish(removed).unwrap();
    // The other group never sleeps, so its node is heard all the time.
    for _ in 0..100 {
        drop(many.world.app(NODES[0]).group(0).propose(1));
        many.world.run_for(Duration::from_millis(50));
    }
    assert!(!many.on(NODES[0]).unwrap().look(GroupId(0)).unwrap().sleeps);
    assert!(many.leader(1).is_some(), "nobody leads, and those that are left sleep on");
}

/// The second node is put back to the copy of its disk, and the leader on the first one notices.
fn finds_out_an_old_disk(mut many: Many) {
    assert!(many.world.old_disk(NODES[1]));
    many.world.run_for(Duration::from_secs(3));
    let status = many.world.app(NODES[0]).group(0).status();
    assert_eq!(many.world.finish(status).unwrap().rolled_back, [NODES[1]]);
}

#[test]
fn an_old_disk_that_lacks_what_it_acknowledged_is_found_out_by_a_leader_that_slept() {
    let mut many = asleep(6, 1);
    many.world.keep_disk(NODES[1]);
    let proposed = many.world.app(NODES[0]).group(0).propose(5);
    assert_eq!(many.world.finish(proposed), Ok(5));
    assert!(many.until(PATIENCE, Many::is_asleep).is_some());
    finds_out_an_old_disk(many);
}

#[test]
fn an_old_disk_whose_life_is_counted_lower_is_found_out_by_a_leader_that_slept() {
    let mut many = asleep(7, 1);
    many.world.keep_disk(NODES[1]);
    for _ in 0..2 {
        many.world.restart(NODES[1]);
        assert!(many.until(PATIENCE, Many::is_asleep).is_some());
    }
    finds_out_an_old_disk(many);
}

#[test]
fn what_a_node_that_stops_was_asked_to_create_or_remove_is_not_said_not_to_have_happened() {
    let mut many = asleep(8, 2);
    let created = many.world.app(NODES[0]).create(77, Founding::Found(NODES.to_vec()));
    let removed = many.world.app(NODES[0]).remove(1);
    while many.on(NODES[0]).unwrap().has(GroupId(1)) || !many.on(NODES[0]).unwrap().has(GroupId(77)) {
        assert!(many.world.step());
    }
    many.world.stop(NODES[0]);
    for ticket in [created, removed] {
        let end = many.world.finish(ticket);
        assert!(matches!(end, Err(Failure::Unknown(Reason::Stopped))), "{end:?}");
    }
    many.world.restart(NODES[0]);
    let groups = many.on(NODES[0]).unwrap();
    assert!(groups.has(GroupId(77)) && groups.is_gone(GroupId(1)), "both came about");
}

#[test]
fn a_handover_and_a_change_of_voters_of_a_node_that_dies_are_not_said_not_to_have_happened() {
    let mut many = asleep(9, 2);
    let handle = many.world.app(NODES[0]).clone();
    let handed_over = handle.group(0).transfer(Some(NODES[1]));
    let changed = handle.group(1).change(Change::default().remove(NODES[2]));
    many.world.run_for(Duration::from_micros(10));
    many.world.kill(NODES[0]);
    let end = many.world.finish(handed_over).map(drop);
    assert!(matches!(end, Err(Failure::Unknown(Reason::Stopped))), "{end:?}");
    let end = many.world.finish(changed).map(drop);
    assert!(matches!(end, Err(Failure::Unknown(Reason::Stopped))), "{end:?}");
}

#[test]
fn a_command_that_panics_when_it_is_written_down_costs_its_own_request_only() {
    let mut world = World::with(Settings::default(), 10, NODES, |id| {
        let mut node = Node::builder(id);
        let idle = node.groups("sums", founded(2), |_| Idle);
        (node.build().unwrap(), idle)
    });
    let proposed = world.app(NODES[0]).group(0).propose(Unspeakable);
    let refused = world.finish(proposed);
    assert!(
        matches!(&refused, Err(Failure::Rejected(Reason::Refused(why))) if why.contains("unspeakable")),
        "{refused:?}"
    );
    let leader = world.app(NODES[0]).group(0).leader();
    assert!(world.finish(leader).is_ok());
}

/// How many views of states there are, and how many there were at once.
#[derive(Debug, Default)]
struct Views([AtomicUsize; 2]);

/// A sum that counts its views.
#[derive(Debug)]
struct Counted(u64, Arc<Views>);

/// One of them.
#[derive(Serialize, Deserialize)]
struct View(u64, #[serde(skip)] Arc<Views>);

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.1.0[0].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| live.checked_sub(1));
    }
}

impl StateMachine for Counted {
    type Command = u64;
    type Reply = u64;
    type Frozen = View;
    fn apply(&mut self, add: u64, _: Applied) -> u64 {
        self.0 += add;
        self.0
    }
    fn freeze(&self) -> View {
        let Views([live, most]) = &*self.1;
        most.fetch_max(live.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        View(self.0, self.1.clone())
    }
    fn restore(frozen: View) -> Result<Counted, Corrupt> {
        Ok(Counted(frozen.0, frozen.1.clone()))
    }
}

#[test]
fn groups_that_take_snapshots_at_one_time_hold_no_more_views_than_jobs_are_out() {
    let (groups, jobs) = (50, 2);
    let views = Arc::new(Views::default());
    let seen = views.clone();
    let mut world = World::with(Settings::default(), 11, [1], move |id| {
        let mut node = Node::builder(id);
        let mut config = GroupsConfig { jobs_max: jobs, ..GroupsConfig::default() };
        config.raft.snapshot_log_entries = 5;
        let alone = (0..groups).map(|group| (GroupId(group), Founding::Found(vec![NodeId(1)])));
        let views = seen.clone();
        let sums = node.groups_with("sums", alone, move |_| Counted(0, views.clone()), config);
        (node.build().unwrap(), sums)
    });
    world.run_for(Duration::from_secs(2));
    let handle = world.app(1).clone();
    let proposed: Vec<_> = (0..10 * groups).map(|at| handle.group(at % groups).propose(1)).collect();
    for ticket in proposed {
        assert!(world.finish(ticket).is_ok());
    }
    world.run_for(Duration::from_secs(2));
    let [live, most] = [0, 1].map(|at| views.0[at].load(Ordering::Relaxed));
    assert!((1..=jobs).contains(&most) && live == 0, "{most} at once, {live} left");
}
