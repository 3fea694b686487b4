use super::net::{MS, Net};
use crate::mirror::{MirrorCmd, MirrorConfig, MirrorEvent};
use bytes::Bytes;
use quorate_core::{NodeId, Time};

/// Small deltas and a small window, so that levels are split; keys enough for all that the tests name.
fn small() -> MirrorConfig {
    MirrorConfig {
        delta_bytes_max: 64,
        value_bytes_max: 64,
        window: 3,
        keys_max: 13,
        ..MirrorConfig::default()
    }
}

fn chaos(seed: u64, links: bool) {
    let mut net = Net::new(seed, 3, small());
    net.loss = net.rng.unit() * 0.4;
    net.twice = net.rng.unit() * 0.3;
    net.delay_ms = (1, 2 + net.rng.within(0..600));
    for step in 0..300 {
        let (a, b) = (1 + net.rng.within(0..3), 1 + net.rng.within(0..3));
        let key = net.rng.within(0..10);
        let to = NodeId(b);
        match net.rng.within(0..60) {
            0 => {
                net.restart(a);
                if links {
                    (1..=3).filter(|peer| *peer != a).for_each(|peer| net.link(a, peer));
                }
            }
            1..5 => {
                let all =
                    (0..net.rng.within(0..8)).map(|k| (k * 2, Bytes::from(format!("r{step}")))).collect();
                net.command(a, MirrorCmd::Replace { to, all });
            }
            5..25 => net.command(a, MirrorCmd::Clear { to, key }),
            _ => net.set(a, b, key, &format!("v{step}")),
        }
        if net.rng.chance(0.4) {
            let wait = net.rng.within(0..200);
            net.run(wait);
        }
    }
    (net.loss, net.twice, net.delay_ms) = (0.0, 0.0, (1, 3));
    // Owners say their levels after a start; here, those who have said nothing do.
    for from in 1..=3 {
        for to in 1..=3 {
            if !net.nodes[&from].set.contains_key(&to) {
                net.command(from, MirrorCmd::Replace { to: NodeId(to), all: vec![] });
            }
        }
    }
    net.run(15_000);
    net.assert_mirrored(&format!("seed {seed}"));
    assert!(net.bytes_max <= 64 + 80, "a delta was not split: {}", net.bytes_max);
}

#[test]
fn levels_converge_through_loss_duplication_reordering_and_restarts() {
    (0..150).for_each(|seed| chaos(seed, false));
}

#[test]
fn levels_converge_the_same_when_links_tell_who_is_there() {
    (1000..1100).for_each(|seed| chaos(seed, true));
}

#[test]
fn a_receiver_that_restarted_is_told_everything_again_though_nothing_changes() {
    let mut net = Net::new(1, 2, small());
    (0..10).for_each(|key| net.set(1, 2, key, "a lease"));
    net.run(1000);
    net.assert_mirrored("at first");
    net.restart(2);
    net.run(5000);
    net.assert_mirrored("asked by a probe");
    net.restart(2);
    let again = net.now;
    net.link(1, 2);
    net.run(50);
    net.assert_mirrored("told by the link");
    assert!(net.now < again + MirrorConfig::default().retry_min, "at once");
}

#[test]
fn a_publisher_that_restarted_resets_its_level() {
    let mut net = Net::new(1, 2, small());
    net.set(1, 2, 1, "old");
    net.run(1000);
    net.restart(1);
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all: vec![(9, Bytes::from_static(b"new"))] });
    net.nodes.get_mut(&2).expect("it").events.clear();
    net.run(1000);
    net.assert_mirrored("after it");
    let events = &net.nodes[&2].events;
    assert_eq!(events[0], MirrorEvent::Reset { from: NodeId(1), incarnation: 2 });
    let changes = vec![(9, Some(Bytes::from_static(b"new")))];
    assert_eq!(events[1..], [MirrorEvent::Level { from: NodeId(1), changes, whole: true }]);
}

#[test]
fn a_link_to_a_new_life_resets_what_the_old_one_said() {
    let mut net = Net::new(1, 2, small());
    net.set(1, 2, 1, "old");
    net.run(1000);
    net.restart(1);
    net.link(1, 2);
    assert_eq!(net.nodes[&2].told.get(&1), None, "before it has said anything");
}

#[test]
fn a_cleared_key_does_not_come_back_by_a_delta_that_was_on_its_way_for_long() {
    let mut net = Net::new(1, 2, MirrorConfig { probe_every: None, ..small() });
    net.link(1, 2);
    net.set(1, 2, 1, "keep");
    net.set(1, 2, 2, "cleared later");
    // The first delta, of all from nothing, is slow; the second try is not.
    net.delay_ms = (3000, 3001);
    net.run(1);
    net.delay_ms = (1, 3);
    net.run(1000);
    net.command(1, MirrorCmd::Clear { to: NodeId(2), key: 2 });
    net.run(100);
    net.assert_mirrored("cleared and acknowledged");
    assert_eq!(net.mirror(1).kept(NodeId(2)), 1);
    // It arrives in another life of the receiver, which knows nothing of that.
    net.restart(2);
    net.run(5000);
    net.assert_mirrored("after it");
}

#[test]
fn a_level_that_was_emptied_and_one_that_never_had_a_key_are_told() {
    let mut net = Net::new(1, 2, small());
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all: vec![] });
    net.run(100);
    let empty = MirrorEvent::Level { from: NodeId(1), changes: vec![], whole: true };
    assert_eq!(net.nodes[&2].events.last(), Some(&empty));
    net.set(1, 2, 1, "x");
    net.run(100);
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all: vec![] });
    net.run(100);
    net.assert_mirrored("emptied");
}

#[test]
fn a_node_mirrors_to_itself_and_nothing_leaves() {
    let mut net = Net::new(1, 1, small());
    (0..10).for_each(|key| net.set(1, 1, key, "own"));
    net.run(10);
    net.command(1, MirrorCmd::Clear { to: NodeId(1), key: 3 });
    net.run(10);
    net.assert_mirrored("itself");
    assert_eq!(net.mirror(1).kept(NodeId(1)), 9);
}

#[test]
fn a_new_disk_under_an_old_name_is_told_everything() {
    let mut net = Net::new(1, 2, small());
    net.link(1, 2);
    net.set(1, 2, 1, "there");
    net.set(2, 1, 7, "and back");
    net.run(1000);
    for _ in 0..3 {
        net.restart(2);
    }
    net.link(1, 2);
    net.run(1000);
    // A wiped node counts its lives from 1 again.
    let node = net.nodes.get_mut(&2).expect("it");
    (node.incarnation, node.journal) = (0, 2);
    net.restart(2);
    net.link(1, 2);
    assert_eq!(net.nodes[&1].told.get(&2), None, "what the old disk said is void");
    net.set(2, 1, 8, "anew");
    net.run(1000);
    net.assert_mirrored("after it");
}

#[test]
fn a_peer_that_is_away_is_asked_ever_less_often_and_told_at_once_when_it_is_back() {
    let mut net = Net::new(1, 2, MirrorConfig::default());
    net.set(1, 2, 1, "first");
    net.run(100);
    net.crash(2);
    let before = net.mirror(1).counters().deltas;
    net.set(1, 2, 2, "second");
    net.run(60_000);
    let asked = net.mirror(1).counters().deltas - before;
    assert!((8..25).contains(&asked), "{asked} deltas in a minute");
    net.restart(2);
    net.link(1, 2);
    net.run(20);
    net.assert_mirrored("back");
    assert!(net.now > Time(60_000 * MS));
}
