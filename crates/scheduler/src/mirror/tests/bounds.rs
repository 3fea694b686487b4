use super::net::Net;
use crate::mirror::msg::{Ack, Delta, MirrorMsg};
use crate::mirror::{MirrorCmd, MirrorConfig, MirrorConfigError, MirrorEvent, Refused};
use bytes::Bytes;
use quorate_core::NodeId;
use std::time::Duration;

fn last_refusal(net: &Net) -> Option<(NodeId, Option<u64>, Refused)> {
    match net.nodes[&1].events.last() {
        Some(MirrorEvent::Refused { to, key, why }) => Some((*to, *key, *why)),
        _ => None,
    }
}

#[test]
fn every_bound_is_answered_and_changes_nothing() {
    let config = MirrorConfig {
        keys_max: 3,
        value_bytes_max: 8,
        level_bytes_max: 12,
        recipients_max: 2,
        ..MirrorConfig::default()
    };
    let mut net = Net::new(1, 4, config);
    net.set(1, 2, 1, "12345678");
    net.set(1, 2, 2, "123456789");
    assert_eq!(last_refusal(&net), Some((NodeId(2), Some(2), Refused::ValueBytes)));
    net.set(1, 2, 2, "12345");
    assert_eq!(last_refusal(&net), Some((NodeId(2), Some(2), Refused::LevelBytes)));
    net.set(1, 2, 2, "1");
    net.set(1, 2, 3, "1");
    net.set(1, 2, 4, "1");
    assert_eq!(last_refusal(&net), Some((NodeId(2), Some(4), Refused::Keys)));
    let four = (0..4).map(|key| (key, Bytes::new())).collect();
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all: four });
    assert_eq!(last_refusal(&net), Some((NodeId(2), None, Refused::Keys)));
    net.command(1, MirrorCmd::Replace { to: NodeId(3), all: vec![] });
    net.set(1, 4, 1, "x");
    assert_eq!(last_refusal(&net), Some((NodeId(4), Some(1), Refused::Recipients)));
    net.run(1000);
    assert_eq!(net.nodes[&2].told[&1].len(), 3);
    assert_eq!((net.mirror(1).keys(NodeId(2)), net.mirror(1).keys(NodeId(4))), (Some(3), None));
    // The level of 3 is empty and known to be: it makes room now.
    net.nodes.get_mut(&1).expect("it").events.clear();
    net.set(1, 4, 1, "x");
    assert_eq!((last_refusal(&net), net.mirror(1).keys(NodeId(3))), (None, None));
}

#[test]
fn cleared_keys_of_a_peer_that_is_away_are_bounded_and_still_forgotten_by_it() {
    let mut net = Net::new(1, 2, MirrorConfig { keys_max: 50, ..MirrorConfig::default() });
    net.set(1, 2, 0, "stays");
    (1..40).for_each(|key| net.set(1, 2, key, "goes"));
    net.run(1000);
    // Cut off, not restarted: it still believes all forty.
    net.loss = 1.0;
    (1..40).for_each(|key| net.command(1, MirrorCmd::Clear { to: NodeId(2), key }));
    for key in 100..2000 {
        net.set(1, 2, key, "there");
        net.command(1, MirrorCmd::Clear { to: NodeId(2), key });
        assert!(net.mirror(1).kept(NodeId(2)) <= 2 * 50 + 1);
    }
    net.run(30_000);
    net.loss = 0.0;
    net.run(10_000);
    net.assert_mirrored("heard again");
    assert_eq!(net.nodes[&2].told[&1].len(), 1);
}

#[test]
fn publishers_beyond_the_bound_are_counted_and_not_listened_to() {
    let mut net = Net::new(1, 3, MirrorConfig { publishers_max: 1, ..MirrorConfig::default() });
    net.set(2, 1, 1, "heard");
    net.run(500);
    net.set(3, 1, 1, "not heard");
    net.run(500);
    assert_eq!(net.nodes[&1].told.keys().copied().collect::<Vec<_>>(), [2]);
    assert!(net.mirror(1).counters().no_room > 0);
}

#[test]
fn a_publisher_that_was_silent_for_long_makes_room_for_another_and_comes_back_whole() {
    let forget_after = std::time::Duration::from_secs(10);
    let mut net = Net::new(1, 3, MirrorConfig { publishers_max: 1, forget_after, ..MirrorConfig::default() });
    net.set(2, 1, 1, "heard");
    net.run(500);
    net.crash(2);
    net.set(3, 1, 1, "waits");
    net.run(8_000);
    assert_eq!(net.nodes[&1].told.keys().copied().collect::<Vec<_>>(), [2]);
    net.run(20_000);
    assert_eq!(
        net.nodes[&1].told.keys().copied().collect::<Vec<_>>(),
        [3],
        "the level of the silent one is void"
    );
    net.crash(3);
    net.restart(2);
    net.set(2, 1, 1, "back");
    net.run(30_000);
    assert_eq!(net.nodes[&1].told.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn what_no_honest_peer_says_changes_nothing() {
    let mut net = Net::new(1, 2, MirrorConfig::default());
    net.set(1, 2, 1, "x");
    net.run(500);
    net.nodes.get_mut(&2).expect("it").events.clear();
    let good =
        Delta { to_life: 1, life: 1, stream: 1, number: 9, base: 2, upto: 3, latest: 3, changes: vec![] };
    let bad = [
        Delta { base: 4, ..good.clone() },
        Delta { latest: 2, ..good.clone() },
        Delta { life: 0, ..good.clone() },
        Delta { stream: 0, ..good.clone() },
    ];
    for delta in bad {
        net.message(2, 1, MirrorMsg::Delta(delta));
    }
    assert_eq!((net.mirror(2).counters().refused, net.nodes[&2].events.len()), (4, 0));
    // Acknowledging what was never sent settles nothing.
    net.set(1, 2, 2, "y");
    let ack = Ack { life: 1, stream: 1, my_life: 1, echo: 5, have: 100, gap: false };
    net.message(1, 2, MirrorMsg::Ack(ack));
    assert_eq!((net.mirror(1).counters().refused, net.mirror(1).is_settled(NodeId(2))), (1, false));
    net.message(1, 2, MirrorMsg::Ack(Ack { life: 7, ..ack }));
    net.message(1, 2, MirrorMsg::Ack(Ack { stream: 7, ..ack }));
    assert_eq!(net.mirror(1).counters().stale, 2);
    net.run(500);
    net.assert_mirrored("all the same");
}

#[test]
fn an_old_acknowledgement_that_comes_late_does_not_start_the_level_over() {
    let mut net = Net::new(1, 2, MirrorConfig::default());
    net.set(1, 2, 1, "x");
    net.run(500);
    let before = net.nodes[&2].events.len();
    let ack = Ack { life: 1, stream: 1, my_life: 1, echo: 1, have: 0, gap: true };
    net.message(1, 2, MirrorMsg::Ack(ack));
    net.run(500);
    assert_eq!(net.nodes[&2].events.len(), before, "nothing was told again");
    // But one that is newer than all says that the peer lost what it had.
    net.message(1, 2, MirrorMsg::Ack(Ack { echo: 1000, ..ack }));
    net.run(500);
    assert!(net.nodes[&2].events[before..].contains(&MirrorEvent::Reset { from: NodeId(1), incarnation: 1 }));
    net.assert_mirrored("again");
}

#[test]
fn settings_that_contradict_one_another_are_named() {
    let with = |f: fn(&mut MirrorConfig)| {
        let mut config = MirrorConfig::default();
        f(&mut config);
        config.validate()
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|c| c.retry_min = Duration::ZERO), Err(MirrorConfigError::Retry));
    assert_eq!(with(|c| c.retry_max = Duration::from_millis(1)), Err(MirrorConfigError::Retry));
    assert_eq!(with(|c| c.probe_every = Some(Duration::ZERO)), Err(MirrorConfigError::Probe));
    assert_eq!(with(|c| c.window = 0), Err(MirrorConfigError::Zero("window")));
    assert_eq!(with(|c| c.value_bytes_max = 1 << 20), Err(MirrorConfigError::ValueAboveDelta));
}
