//! Many groups on simulated nodes: what sleeps costs nothing, wakes when it must, and is never wrong for having slept.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests and what only they use")]

use quorate::groups::{GroupId, GroupsConfig};
use quorate::raft::{Founding, Read};
use quorate::{Failure, NodeId, Reason};
use quorate_examples::many::{Many, NODES};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(150);

fn few(seed: u64, groups: u64) -> Many {
    let mut many = Many::new(seed, groups, GroupsConfig::default());
    assert!(many.until(Duration::from_secs(20), Many::is_asleep).is_some(), "they never slept");
    many
}

fn others(node: NodeId) -> Vec<NodeId> {
    NODES.into_iter().filter(|id| *id != node).collect()
}

fn is_led_by_another(many: &Many, group: u64, before: NodeId) -> bool {
    many.leader(group).is_some_and(|leader| leader != before)
}

#[test]
fn ten_thousand_quiet_groups_of_a_dead_node_lead_again_within_three_election_timeouts() {
    let groups = 10_000;
    let mut many = Many::new(1, groups, GroupsConfig::default());
    assert!(many.until(Duration::from_secs(30), |many| many.led() == groups as usize).is_some());
    assert!(many.have_lead(NodeId(1)), "one node is to lead them all");
    assert!(many.until(Duration::from_secs(60), Many::is_asleep).is_some(), "they never slept");
    assert_eq!(many.on(NodeId(1)).unwrap().led(), groups as usize);
    let (commits, most) = (many.on(NodeId(2)).unwrap().look(GroupId(7)).unwrap().commit, 3 * TIMEOUT);
    many.world.crash(NodeId(1));
    let took = many.until(Duration::from_secs(5), |many| many.led() == groups as usize).unwrap();
    println!("{groups} groups led again after {took:?}, {:.2} election timeouts", took.as_secs_f64() / 0.15);
    assert!(took <= most, "{took:?}");
    // Each has something to do then, and can.
    let commits_again = |many: &Many| {
        let look = many.leader(7).and_then(|leader| many.on(leader)?.look(GroupId(7)));
        look.is_some_and(|look| look.commit > commits)
    };
    assert!(many.until(Duration::from_secs(1), commits_again).is_some());
    // Both that are left share them, and sleep again without the third.
    let led: Vec<usize> = [2, 3].map(|id| many.on(NodeId(id)).unwrap().led()).to_vec();
    assert!(led.iter().all(|led| *led > groups as usize / 4), "{led:?}");
    assert!(many.until(Duration::from_secs(60), Many::is_asleep).is_some(), "they never slept again");
}

#[test]
fn groups_that_sleep_cost_one_beat_a_pair_of_nodes() {
    let mut counts = Vec::new();
    for groups in [3, 300] {
        let mut many = few(2, groups);
        many.world.run_for(Duration::from_secs(1));
        let before = many.world.stats();
        many.world.run_for(Duration::from_secs(10));
        let after = many.world.stats();
        counts.push(after.frames_sent - before.frames_sent);
        assert_eq!(after.syncs, before.syncs, "what sleeps writes nothing");
    }
    // Three pairs, both ways, twenty beats a second, for ten seconds.
    assert!(counts.iter().all(|count| *count <= 3 * 2 * 20 * 10 + 12), "{counts:?}");
    assert!(counts[1] > 3 * 2 * 20 * 9, "nobody beats any more: {counts:?}");
}

#[test]
fn a_proposal_or_a_read_wakes_a_group_through_any_member() {
    let mut many = few(3, 5);
    let leader = many.leader(4).unwrap();
    for (round, through) in NODES.into_iter().enumerate() {
        let proposed = many.world.app(through).group(4).propose(10);
        assert_eq!(many.world.finish(proposed).unwrap(), 10 * (round as u64 + 1));
        let read = many.world.app(through).group(4).read(Read::Follower, |sum| sum.0);
        assert_eq!(many.world.finish(read).unwrap(), 10 * (round as u64 + 1));
        assert!(many.until(Duration::from_secs(20), Many::is_asleep).is_some());
    }
    // Nobody lost its lead by that, and the others never woke.
    assert_eq!(many.leader(4), Some(leader));
    let untouched = many.on(leader).unwrap().look(GroupId(0)).unwrap();
    assert!(untouched.sleeps);
    assert_eq!(many.state(NODES[0], 4).map(|(sum, _)| sum.0), Some(30));
}

#[test]
fn a_follower_that_was_away_when_the_last_entry_was_committed_catches_up() {
    let mut many = few(4, 3);
    let leader = many.leader(1).unwrap();
    let away = others(leader)[0];
    many.world.isolate(away);
    let proposed = many.world.app(leader).group(1).propose(5);
    assert_eq!(many.world.finish(proposed).unwrap(), 5);
    // The two that are left sleep without it.
    let two_sleep =
        |many: &Many| others(away).iter().all(|id| many.on(*id).unwrap().look(GroupId(1)).unwrap().sleeps);
    assert!(many.until(Duration::from_secs(20), two_sleep).is_some());
    assert_eq!(many.state(away, 1).map(|(sum, _)| sum.0), Some(0));
    many.world.heal();
    let equal = |many: &Many| {
        many.is_asleep() && NODES.iter().all(|id| many.state(*id, 1).is_some_and(|(sum, _)| sum.0 == 5))
    };
    assert!(many.until(Duration::from_secs(30), equal).is_some());
}

#[test]
fn a_leader_that_was_started_anew_leads_nothing_and_others_soon_do() {
    let mut many = few(5, 30);
    let leader = many.leader(2).unwrap();
    let before = many.on(leader).unwrap().look(GroupId(2)).unwrap().term;
    // Faster than anybody could miss it.
    many.world.restart(leader);
    let again = |many: &Many| {
        let leader = many.leader(2).and_then(|leader| many.on(leader)?.look(GroupId(2)));
        many.led() == 30 && leader.is_some_and(|look| look.term > before)
    };
    let took = many.until(Duration::from_secs(5), again).unwrap();
    assert!(took <= 3 * TIMEOUT, "{took:?}");
    assert!(many.until(Duration::from_secs(30), Many::is_asleep).is_some());
}

#[test]
fn a_leader_that_is_cut_off_in_its_sleep_serves_no_linearizable_read() {
    let mut many = few(6, 3);
    let leader = many.leader(0).unwrap();
    many.world.isolate(leader);
    assert!(
        many.until(Duration::from_secs(5), |many| {
            others(leader).iter().any(|id| many.on(*id).unwrap().look(GroupId(0)).unwrap().leads)
        })
        .is_some()
    );
    let through = others(leader)[0];
    let proposed = many.world.app(through).group(0).propose(7);
    assert_eq!(many.world.finish(proposed).unwrap(), 7);
    for policy in [Read::Linearizable, Read::Lease, Read::Follower] {
        let read = many.world.app(leader).group(0).read(policy, |sum| sum.0);
        assert!(many.world.finish(read).is_err(), "{policy:?} was answered");
    }
    many.world.heal();
    assert!(many.until(Duration::from_secs(30), Many::is_asleep).is_some());
    assert_eq!(many.state(leader, 0).map(|(sum, _)| sum.0), Some(7));
}

#[test]
fn a_leader_in_its_sleep_stops_leading_when_it_hears_no_quorum() {
    let mut many = few(7, 3);
    let leader = many.leader(0).unwrap();
    many.world.isolate(leader);
    let stops = |many: &Many| !many.on(leader).unwrap().look(GroupId(0)).unwrap().leads;
    let took = many.until(Duration::from_secs(5), stops).unwrap();
    assert!(took <= 4 * TIMEOUT, "{took:?}");
}

#[test]
fn a_follower_that_does_not_hear_its_leader_does_not_depose_it_while_another_does() {
    let mut many = few(8, 6);
    let leader = many.leader(0).unwrap();
    let term = many.on(leader).unwrap().look(GroupId(0)).unwrap().term;
    let deaf = others(leader)[0];
    many.world.cut_one_way(leader, deaf);
    many.world.run_for(Duration::from_secs(5));
    let look = many.on(leader).unwrap().look(GroupId(0)).unwrap();
    assert!(look.leads && look.term == term, "{look:?}");
    many.world.heal();
    assert!(many.until(Duration::from_secs(30), Many::is_asleep).is_some());
}

#[test]
fn with_two_nodes_lost_nobody_leads_and_with_one_back_all_do() {
    let mut many = few(9, 20);
    let (first, second) = (NODES[0], NODES[1]);
    many.world.crash(first);
    many.world.crash(second);
    many.world.run_for(Duration::from_secs(3));
    assert_eq!(many.led(), 0);
    many.world.restart(second);
    assert!(many.until(Duration::from_secs(10), |many| many.led() == 20).is_some());
    assert!(is_led_by_another(&many, 3, first));
}

#[test]
fn a_group_is_created_on_its_members_while_they_run_and_removed_for_good() {
    let mut many = few(10, 2);
    let founding = || Founding::Found(NODES.to_vec());
    for id in NODES {
        let created = many.world.app(id).create(77, founding());
        many.world.finish(created).unwrap();
        // Once more is no more.
        let again = many.world.app(id).create(77, founding());
        many.world.finish(again).unwrap();
    }
    let proposed = many.world.app(NODES[1]).group(77).propose(4);
    assert_eq!(many.world.finish(proposed).unwrap(), 4);
    for id in NODES {
        let removed = many.world.app(id).remove(77);
        many.world.finish(removed).unwrap();
    }
    many.world.restart(NODES[2]);
    many.world.run_for(Duration::from_secs(1));
    for id in NODES {
        assert!(!many.on(id).unwrap().has(GroupId(77)));
        let created = many.world.app(id).create(77, founding());
        let refused = many.world.finish(created);
        assert!(matches!(refused, Err(Failure::Rejected(Reason::Refused(_)))), "{refused:?}");
        let proposed = many.world.app(id).group(77).propose(1);
        assert!(many.world.finish(proposed).is_err());
    }
}

#[test]
fn what_is_not_founded_here_is_refused_by_name() {
    let mut many = few(11, 1);
    let strangers = many.world.app(NODES[0]).create(5, Founding::Found(vec![NodeId(8), NodeId(9)]));
    let refused = many.world.finish(strangers);
    assert!(
        matches!(&refused, Err(Failure::Rejected(Reason::Refused(why))) if why.contains("not among")),
        "{refused:?}"
    );
    let otherwise = many.world.app(NODES[0]).create(0, Founding::Found(vec![NODES[0]]));
    let refused = many.world.finish(otherwise);
    assert!(
        matches!(&refused, Err(Failure::Rejected(Reason::Refused(why))) if why.contains("otherwise")),
        "{refused:?}"
    );
}

#[test]
fn all_groups_come_back_from_a_power_loss_with_what_they_had() {
    let mut config = GroupsConfig { rewrite_bytes_min: 4 << 10, ..GroupsConfig::default() };
    config.raft.snapshot_log_bytes = 300;
    config.raft.trailing_entries = 3;
    let mut many = Many::new(12, 20, config);
    assert!(many.until(Duration::from_secs(20), |many| many.led() == 20).is_some());
    for round in 0..30u64 {
        let proposed: Vec<_> = (0..20u64)
            .map(|group| many.world.app(NODES[round as usize % 3]).group(group).propose(group))
            .collect();
        for ticket in proposed {
            many.world.finish(ticket).unwrap();
        }
    }
    let rewrites: u64 = NODES.iter().map(|id| many.on(*id).unwrap().counters().rewrites).sum();
    assert!(rewrites > 3, "the journals were rewritten {rewrites} times");
    for id in NODES {
        many.world.crash(id);
    }
    for id in NODES {
        many.world.restart(id);
    }
    assert!(many.until(Duration::from_secs(30), Many::is_asleep).is_some());
    for id in NODES {
        for group in 0..20 {
            assert_eq!(many.state(id, group).map(|(sum, _)| sum.0), Some(30 * group), "{id} {group}");
        }
    }
}

#[test]
fn a_busy_group_does_not_keep_others_waiting() {
    let mut many = few(13, 50);
    // Thousands of proposals for one, one for each of the others.
    let busy: Vec<_> = (0..5000).map(|_| many.world.app(NODES[0]).group(0).propose(1)).collect();
    let rare: Vec<_> = (1..50u64).map(|group| many.world.app(NODES[0]).group(group).propose(1)).collect();
    let begun = many.world.now();
    for ticket in rare {
        assert_eq!(many.world.finish(ticket).unwrap(), 1);
    }
    let waited = many.world.now() - begun;
    assert!(waited < TIMEOUT, "they waited {waited:?}");
    for (at, ticket) in busy.into_iter().enumerate() {
        assert_eq!(many.world.finish(ticket).unwrap(), at as u64 + 1);
    }
}
