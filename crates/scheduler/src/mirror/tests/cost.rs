use super::net::Net;
use crate::mirror::{MirrorCmd, MirrorConfig};
use bytes::Bytes;
use quorate_core::NodeId;

#[test]
fn changes_of_one_turn_are_one_message_a_peer() {
    let mut net = Net::new(1, 5, MirrorConfig::default());
    (2..=5).for_each(|to| net.command(1, MirrorCmd::Replace { to: NodeId(to), all: vec![] }));
    net.run(1000);
    let before = net.mirror(1).counters();
    for round in 0..50 {
        for to in 2..=5 {
            (0..100).for_each(|key| net.set(1, to, key, &format!("{round}")));
        }
        net.run(20);
    }
    let after = net.mirror(1).counters();
    assert_eq!(after.deltas - before.deltas, 50 * 4, "one delta a peer and turn");
    assert_eq!(after.changes - before.changes, 50 * 4 * 100);
    assert_eq!(after.retries, before.retries);
    let acks: u64 = (2..=5).map(|to| net.mirror(to).counters().acks).sum();
    assert!(acks <= 50 * 4 + 2 * 4, "one acknowledgement a delta: {acks}");
}

#[test]
fn a_key_that_changed_often_while_the_peer_was_away_is_told_once() {
    let mut net = Net::new(1, 2, MirrorConfig { probe_every: None, ..MirrorConfig::default() });
    net.set(1, 2, 1, "first");
    net.run(100);
    net.crash(2);
    for round in 0..1000 {
        net.set(1, 2, 1, &format!("{round}"));
        net.set(1, 2, 2, "there and gone");
        net.command(1, MirrorCmd::Clear { to: NodeId(2), key: 2 });
    }
    assert_eq!(net.mirror(1).kept(NodeId(2)), 2);
    net.restart(2);
    net.link(1, 2);
    let before = net.mirror(1).counters();
    net.run(100);
    net.assert_mirrored("back");
    assert_eq!(net.mirror(1).counters().changes - before.changes, 1);
}

#[test]
fn a_settled_level_costs_a_probe_now_and_then_and_a_closed_one_nothing() {
    let mut net = Net::new(1, 3, MirrorConfig::default());
    net.set(1, 2, 1, "x");
    net.set(1, 3, 1, "x");
    net.run(1000);
    net.command(1, MirrorCmd::Close { to: NodeId(3) });
    let before = net.mirror(1).counters().deltas;
    net.run(60_000);
    assert!((29..=31).contains(&(net.mirror(1).counters().deltas - before)), "each 2 s, to one of them");
}

#[test]
fn setting_what_is_set_and_clearing_what_is_not_costs_nothing() {
    let mut net = Net::new(1, 2, MirrorConfig::default());
    net.set(1, 2, 1, "x");
    net.run(100);
    let before = net.mirror(1).counters().deltas;
    net.set(1, 2, 1, "x");
    net.command(1, MirrorCmd::Clear { to: NodeId(2), key: 5 });
    net.command(1, MirrorCmd::Clear { to: NodeId(3), key: 5 });
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all: vec![(1, Bytes::from_static(b"x"))] });
    net.run(100);
    assert_eq!(net.mirror(1).counters().deltas, before);
    assert_eq!(net.mirror(1).keys(NodeId(3)), None);
}

#[test]
fn a_large_level_goes_in_bounded_messages_and_a_bounded_window() {
    let config = MirrorConfig { delta_bytes_max: 4096, ..MirrorConfig::default() };
    let mut net = Net::new(1, 2, config);
    net.delay_ms = (2, 2);
    let all = (0..20_000u64).map(|key| (key, Bytes::from(format!("lease {key}")))).collect();
    net.command(1, MirrorCmd::Replace { to: NodeId(2), all });
    net.run(10_000);
    net.assert_mirrored("all of it");
    assert!(net.bytes_max <= 4096 + 80, "{}", net.bytes_max);
    let counters = net.mirror(1).counters();
    assert_eq!((counters.retries, counters.changes), (0, 20_000), "nothing was sent twice");
}
