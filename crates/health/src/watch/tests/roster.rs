use super::net::{Faults, MS, Net};
use crate::detect::State;
use crate::watch::msg::{Beat, CRASHED, NAMED_MAX, WatchMsg};
use crate::watch::{Subject, WatchCmd, WatchConfig};
use quorate_core::{AgentId, Boot, Input, JournalId, LinkState, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};

fn beat(incarnation: u64, seq: u64, version: u64, quiet: Vec<(AgentId, u32)>) -> WatchMsg {
    let (first, last) = (AgentId(0), AgentId(u64::MAX));
    WatchMsg::Beat(Beat { incarnation, version, seq, part: 0, first, last, quiet })
}

/// The agents of each node as the verdicts tell them, left ones left out.
fn told(net: &Net, watcher: u64) -> BTreeMap<NodeId, BTreeSet<AgentId>> {
    let mut all: BTreeMap<NodeId, BTreeSet<AgentId>> = BTreeMap::new();
    for (_, verdict) in &net.nodes[&NodeId(watcher)].told {
        let Subject::Agent(agent) = verdict.subject else { continue };
        let agents = all.entry(verdict.node).or_default();
        match verdict.state {
            State::Left => agents.remove(&agent),
            _ => agents.insert(agent),
        };
    }
    all
}

#[test]
fn rosters_converge_through_loss_duplication_reordering_and_restarts() {
    for seed in 0..30 {
        let mut net = Net::cluster(seed, 3, 4, 0);
        net.faults = Faults { loss: 0.3, twice: 0.2, delay_ms: (1, 700) };
        let mut truth: BTreeMap<NodeId, BTreeSet<AgentId>> =
            (101..=104).map(|n| (NodeId(n), BTreeSet::new())).collect();
        for _ in 0..60 {
            let worker = 101 + net.rng.within(0..4);
            let agent = AgentId(net.rng.within(0..30));
            let agents = truth.get_mut(&NodeId(worker)).expect("a worker");
            match net.rng.within(0..12) {
                0 => {
                    net.restart(worker);
                    agents.clear();
                }
                1 => {
                    let watcher = net.rng.within(1..4);
                    net.restart(watcher);
                }
                2 => {
                    *agents = (0..net.rng.within(0..6)).map(|a| AgentId(a * 5)).collect();
                    let all = agents.iter().copied().collect();
                    net.command(worker, WatchCmd::Host(all));
                }
                3..6 => {
                    agents.remove(&agent);
                    net.command(worker, WatchCmd::Remove(agent));
                }
                _ => {
                    agents.insert(agent);
                    net.command(worker, WatchCmd::Add(agent));
                }
            }
            let wait = net.rng.within(0..500);
            net.run(wait);
        }
        net.faults = Faults { delay_ms: (1, 5), ..Faults::default() };
        net.run(5000);
        truth.retain(|_, agents| !agents.is_empty());
        for watcher in 1..=3 {
            let mut told = told(&net, watcher);
            told.retain(|_, agents| !agents.is_empty());
            assert_eq!(told, truth, "seed {seed}, watcher {watcher}");
            let census = net.nodes[&NodeId(watcher)].watch().census().1;
            let agents: usize = truth.values().map(BTreeSet::len).sum();
            assert_eq!(census.healthy + census.degraded + census.critical + census.failed, agents);
        }
    }
}

#[test]
fn a_roster_larger_than_its_remembered_changes_is_read_in_parts() {
    let count = 3 * NAMED_MAX as u64 + 17;
    let mut net = Net::cluster(1, 1, 1, 0);
    net.faults = Faults { loss: 0.2, twice: 0.1, delay_ms: (1, 20) };
    net.command(101, WatchCmd::Host((0..count).map(AgentId).collect()));
    // Changes while it is read: they come behind it.
    for step in 0..20 {
        net.run(100);
        net.command(101, WatchCmd::Remove(AgentId(step * 600)));
        net.command(101, WatchCmd::Add(AgentId(1_000_000 + step)));
    }
    net.run(5000);
    assert_eq!(told(&net, 1)[&NodeId(101)].len() as u64, count);
    assert!(told(&net, 1)[&NodeId(101)].iter().all(|a| a.0 >= 1_000_000 || a.0 % 600 != 0 || a.0 >= 12_000));
}

#[test]
fn beats_of_an_older_life_do_not_count() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), []));
    net.message(1, 101, beat(2, 5, 0, vec![]));
    for seq in 6..30 {
        net.run(500);
        net.message(1, 101, beat(1, seq, 0, vec![]));
    }
    let node = &net.nodes[&NodeId(1)];
    assert_eq!(node.node(101).map(|v| (v.state, v.incarnation)), Some((State::Failed, 2)));
    assert_eq!(node.watch().counters().stale, 24);
}

#[test]
fn a_beat_that_was_repeated_on_its_way_keeps_nobody_alive() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), []));
    for _ in 0..30 {
        net.message(1, 101, beat(1, 7, 0, vec![]));
        net.run(500);
    }
    assert_eq!(net.nodes[&NodeId(1)].node(101).map(|v| v.state), Some(State::Failed));
}

#[test]
fn a_new_life_does_not_keep_the_agents_of_the_old_one_alive() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), []));
    net.message(1, 101, beat(1, 1, 1, vec![]));
    let changes = vec![(AgentId(5), true)];
    net.message(1, 101, WatchMsg::Changes { incarnation: 1, from: 0, changes });
    // The new life beats, and its roster never comes through.
    for seq in 1..10 {
        net.run(200);
        net.message(1, 101, beat(2, seq, 3, vec![]));
    }
    let node = &net.nodes[&NodeId(1)];
    assert_eq!(node.agent(101, 5).map(|v| v.suspected), Some(true));
    assert_eq!(node.node(101).map(|v| (v.suspected, v.incarnation)), Some((false, 2)));
    let roster = WatchMsg::Roster {
        incarnation: 2,
        version: 3,
        next: AgentId(0),
        agents: vec![AgentId(6)],
        last: true,
    };
    net.message(1, 101, roster);
    let node = &net.nodes[&NodeId(1)];
    assert_eq!(node.agent(101, 5).map(|v| v.state), Some(State::Left));
    assert_eq!(node.agent(101, 6).map(|v| v.state), Some(State::Healthy));
}

#[test]
fn another_journal_counts_its_lives_anew() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), []));
    let up = |net: &mut Net, incarnation, journal| {
        let state = LinkState::Up(Boot { incarnation, journal: JournalId(journal) });
        net.step(NodeId(1), Input::Link { peer: NodeId(101), state });
    };
    up(&mut net, 9, 1);
    net.message(1, 101, beat(9, 1, 0, vec![]));
    net.message(1, 101, beat(1, 1, 0, vec![]));
    assert_eq!(
        net.nodes[&NodeId(1)].node(101).map(|v| v.incarnation),
        Some(9),
        "of the same disk: an old life"
    );
    up(&mut net, 1, 2);
    net.message(1, 101, beat(1, 1, 0, vec![]));
    assert_eq!(net.nodes[&NodeId(1)].node(101).map(|v| v.incarnation), Some(1));
    assert_eq!(net.nodes[&NodeId(1)].watch().counters().stale, 1);
    // Of one of whom only beats were heard, the link knows better, too.
    net.message(1, 102, beat(9, 1, 0, vec![]));
    let state = LinkState::Up(Boot { incarnation: 2, journal: JournalId(7) });
    net.step(NodeId(1), Input::Link { peer: NodeId(102), state });
    assert_eq!(net.nodes[&NodeId(1)].node(102).map(|v| v.incarnation), Some(2));
}

#[test]
fn what_no_honest_node_says_is_refused_and_counted() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), [NodeId(2)]));
    let many: Vec<(AgentId, u32)> = (0..=NAMED_MAX as u64).map(|a| (AgentId(a), 1)).collect();
    let names = |n: u64| (0..n).map(AgentId).collect::<Vec<_>>();
    let roster = |next, agents: Vec<AgentId>, last| WatchMsg::Roster {
        incarnation: 1,
        version: 1,
        next,
        agents,
        last,
    };
    let bad = [
        beat(1, 1, 0, many),
        beat(1, 1, 0, vec![(AgentId(2), 1), (AgentId(1), 1)]),
        beat(1, 1, 0, vec![(AgentId(1), 1), (AgentId(1), 1)]),
        WatchMsg::Changes { incarnation: 1, from: 0, changes: vec![(AgentId(1), true); NAMED_MAX + 1] },
        roster(AgentId(0), names(NAMED_MAX as u64 + 1), true),
        roster(AgentId(9), names(3), true),
        roster(AgentId(0), vec![], false),
    ];
    let count = bad.len() as u64;
    bad.into_iter().for_each(|msg| net.message(1, 101, msg));
    let watch = net.nodes[&NodeId(1)].watch();
    assert_eq!((watch.counters().refused, watch.census().0.healthy), (count, 0));
    // A stranger's question is not answered.
    net.message(1, 101, WatchMsg::Want { incarnation: 1, have: 0, next: None });
    assert_eq!(net.nodes[&NodeId(1)].watch().counters().stale, 1);
}

#[test]
fn what_has_no_room_is_counted_and_a_failed_node_makes_room() {
    let mut net = Net::new(1);
    net.start(WatchConfig { nodes_max: 2, agents_max: 3, ..WatchConfig::new(NodeId(1), []) });
    net.message(1, 101, beat(1, 1, 0, vec![]));
    net.message(1, 102, beat(1, 1, 0, vec![]));
    net.message(1, 103, beat(1, 1, 0, vec![]));
    assert_eq!(net.nodes[&NodeId(1)].watch().counters().no_room, 1);
    let changes = (0..5).map(|a| (AgentId(a), true)).collect();
    net.message(1, 101, WatchMsg::Changes { incarnation: 1, from: 0, changes });
    assert_eq!(net.nodes[&NodeId(1)].watch().counters().no_room, 3);
    for seq in 2..25 {
        net.run(500);
        net.message(1, 101, beat(1, seq, 5, vec![]));
    }
    net.message(1, 103, beat(1, 1, 0, vec![]));
    let node = &net.nodes[&NodeId(1)];
    assert_eq!(node.node(102).map(|v| v.state), Some(State::Left), "it had failed");
    assert_eq!(node.node(103).map(|v| v.state), Some(State::Healthy));
}

#[test]
fn a_beat_is_as_small_as_the_trouble_is() {
    let bytes = |msg: &WatchMsg| quorate_core::wire::encode(msg, &mut bytes::BytesMut::new()).len();
    assert!(bytes(&beat(1, 1000, 1000, vec![])) <= 32, "whatever the number of agents");
    assert!(bytes(&beat(1, 1000, 1000, vec![(AgentId(500), 400); 100])) <= 32 + 100 * 5);
}

#[test]
fn a_quiet_agent_in_another_range_is_not_forgiven() {
    let mut net = Net::new(1);
    net.start(WatchConfig::new(NodeId(1), []));
    let changes = vec![(AgentId(5), true), (AgentId(50), true)];
    net.message(1, 101, WatchMsg::Changes { incarnation: 1, from: 0, changes });
    let part = |seq, part, first, last, quiet| {
        WatchMsg::Beat(Beat {
            incarnation: 1,
            version: 2,
            seq,
            part,
            first: AgentId(first),
            last: AgentId(last),
            quiet,
        })
    };
    net.run(100);
    net.message(1, 101, part(1, 0, 0, 10, vec![(AgentId(5), CRASHED)]));
    net.message(1, 101, part(1, 1, 11, u64::MAX, vec![]));
    net.run(1);
    let node = &net.nodes[&NodeId(1)];
    assert_eq!(node.agent(101, 5).map(|v| v.state), Some(State::Failed));
    assert_eq!(node.agent(101, 50).map(|v| v.state), Some(State::Healthy));
    assert!(net.now > Time(100 * MS));
}
