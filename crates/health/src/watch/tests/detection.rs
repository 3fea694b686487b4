use super::net::{Faults, MS, Net};
use crate::detect::State;
use crate::watch::{Detection, Subject, WatchCmd, WatchConfig};
use quorate_core::{AgentId, NodeId, Time};

#[test]
fn no_agent_of_a_hundred_fails_falsely_in_five_minutes() {
    for seed in 0..3 {
        let mut net = Net::cluster(seed, 3, 10, 10);
        net.faults = Faults { loss: 0.02, twice: 0.02, delay_ms: (1, 60) };
        net.beat_jitter_ms = 150;
        net.run(300_000);
        for watcher in 1..=3 {
            let node = &net.nodes[&NodeId(watcher)];
            assert_eq!(node.watch().census().1.healthy, 100);
            // A node's beat each second is due twice before it is degraded, so one that is lost may show.
            let bad = node.told.iter().find(|(_, v)| match v.subject {
                Subject::Node(_) => v.state > State::Degraded,
                Subject::Agent(_) => v.state > State::Healthy,
            });
            assert_eq!(bad, None, "seed {seed}");
        }
    }
}

#[test]
fn calm_beats_suspect_nobody() {
    let mut net = Net::cluster(1, 1, 10, 10);
    net.beat_jitter_ms = 150;
    net.run(300_000);
    assert!(net.nodes[&NodeId(1)].told.iter().all(|(_, v)| !v.suspected && v.state == State::Healthy));
}

#[test]
fn a_crashed_agent_is_suspected_within_a_second_and_failed_after_ten() {
    for phase in (0..200).step_by(10) {
        let mut net = Net::cluster(phase, 3, 2, 3);
        net.faults.delay_ms = (1, 30);
        net.run(5000 + phase);
        net.stop_beating(101_002);
        let crashed = net.now;
        net.run(12_000);
        for watcher in 1..=3 {
            let node = &net.nodes[&NodeId(watcher)];
            let suspected = node.first(101_002, |v| v.suspected).expect("suspected");
            assert!(suspected.since(crashed).as_millis() < 1000, "{suspected:?} after {crashed:?}");
            let failed = node.first(101_002, |v| v.state == State::Failed).expect("failed");
            let after = failed.since(crashed).as_millis();
            assert!((9_700..10_300).contains(&after), "failed after {after} ms");
            let others = node.told.iter().filter(|(_, v)| v.subject != Subject::Agent(AgentId(101_002)));
            assert!(others.into_iter().all(|(_, v)| v.state == State::Healthy && !v.suspected));
        }
    }
}

#[test]
fn all_agents_of_a_crashed_node_are_suspected_within_a_second() {
    let mut net = Net::cluster(2, 1, 3, 50);
    net.run(5000);
    net.crash(102);
    let crashed = net.now;
    net.run(12_000);
    let node = &net.nodes[&NodeId(1)];
    for agent in 102_001..=102_050 {
        let suspected = node.first(agent, |v| v.suspected).expect("suspected");
        assert!(suspected.since(crashed).as_millis() < 1000);
    }
    assert_eq!(node.node(102).map(|v| v.state), Some(State::Failed));
    let (nodes, agents) = node.watch().census();
    assert_eq!((nodes.failed, agents.failed, agents.healthy), (1, 50, 100));
}

#[test]
fn an_agent_known_to_have_crashed_is_told_at_once() {
    let mut net = Net::cluster(3, 1, 1, 3);
    net.run(1000);
    net.stop_beating(101_001);
    net.command(101, WatchCmd::Crashed(AgentId(101_001)));
    net.run(20);
    let told = net.nodes[&NodeId(1)].agent(101, 101_001).expect("told");
    assert_eq!((told.state, told.suspected), (State::Failed, true));
    net.begin_beating(101, 101_001);
    net.run(3000);
    assert_eq!(net.nodes[&NodeId(1)].agent(101, 101_001).map(|v| v.state), Some(State::Healthy));
}

#[test]
fn a_paused_watcher_condemns_nobody() {
    for pause in [500, 1500, 6000, 30_000, 120_000] {
        let mut net = Net::cluster(4, 2, 5, 10);
        net.run(5000);
        net.pause(1, pause);
        net.run(pause + 20_000);
        let node = &net.nodes[&NodeId(1)];
        assert!(node.told.iter().all(|(_, v)| v.subject == Subject::Node(NodeId(1)) || !v.suspected));
        for bad in [State::Degraded, State::Critical, State::Failed] {
            let others = node.told.iter().filter(|(_, v)| v.node != NodeId(1));
            assert!(others.into_iter().all(|(_, v)| v.state != bad), "after {pause} ms");
        }
        assert_eq!(node.watch().counters().pauses, 1, "after {pause} ms");
    }
}

#[test]
fn what_died_during_the_watchers_pause_is_found_after_it() {
    let mut net = Net::cluster(5, 1, 3, 4);
    net.run(5000);
    net.pause(1, 30_000);
    net.run(1000);
    net.crash(103);
    net.run(29_000);
    let back = net.now;
    net.run(11_000);
    let node = &net.nodes[&NodeId(1)];
    let suspected = node.first(103_001, |v| v.suspected).expect("suspected");
    assert!((600..1000).contains(&(suspected.since(back).as_millis() as u64)), "a fresh timeout");
    assert_eq!(node.node(103).map(|v| v.state), Some(State::Failed));
}

#[test]
fn a_paused_worker_is_suspected_and_comes_back_after_a_steady_while() {
    let mut net = Net::cluster(6, 1, 2, 5);
    net.run(5000);
    net.pause(101, 3000);
    net.run(2000);
    let told = |net: &Net, agent| net.nodes[&NodeId(1)].agent(101, agent).map(|v| (v.state, v.suspected));
    assert_eq!(told(&net, 101_003), Some((State::Healthy, true)), "rebalanced before it is called degraded");
    net.run(1000);
    let back = net.now;
    net.run(5000);
    for agent in 101_001..=101_005 {
        assert_eq!(told(&net, agent), Some((State::Healthy, false)));
        let node = &net.nodes[&NodeId(1)];
        let last = node.told.iter().rfind(|(_, v)| v.subject == Subject::Agent(AgentId(agent)));
        assert!(last.expect("told").0.since(back).as_millis() >= 600, "not with the first beat");
        assert!(node.told.iter().all(|(_, v)| v.state < State::Critical), "a false suspicion fails nobody");
    }
}

#[test]
fn every_watcher_tells_all_again_after_its_own_restart() {
    let mut net = Net::cluster(7, 2, 4, 25);
    net.run(2000);
    net.crash(1);
    net.run(5000);
    net.restart(1);
    net.run(2000);
    let node = &net.nodes[&NodeId(1)];
    for worker in 101..=104 {
        assert_eq!(node.node(worker).map(|v| v.state), Some(State::Healthy));
        for agent in 1..=25 {
            assert!(node.agent(worker, worker * 1000 + agent).is_some());
        }
    }
}

#[test]
fn who_is_expected_and_never_heard_of_fails() {
    let mut net = Net::cluster(8, 1, 1, 1);
    net.run(100);
    net.command(1, WatchCmd::Expect(NodeId(150), vec![AgentId(7)]));
    let asked = net.now;
    net.run(12_000);
    let node = &net.nodes[&NodeId(1)];
    let suspected = node.first(7, |v| v.suspected).expect("suspected");
    assert!(suspected.since(asked).as_millis() < 1000);
    assert_eq!(node.agent(150, 7).map(|v| v.state), Some(State::Failed));
    assert_eq!(node.node(150).map(|v| v.state), Some(State::Failed));
    net.command(1, WatchCmd::Expect(NodeId(101), vec![AgentId(8)]));
    assert_eq!(
        net.nodes[&NodeId(1)].agent(101, 8).map(|v| v.state),
        Some(State::Left),
        "known not to be there"
    );
    net.command(1, WatchCmd::Forget(NodeId(150)));
    assert_eq!(net.nodes[&NodeId(1)].node(150).map(|v| v.state), Some(State::Left));
}

#[test]
fn phi_accrual_finds_a_dead_node_sooner_where_the_rhythm_is_even() {
    let mut when = Vec::new();
    for detection in [Detection::Fixed, Detection::Phi(Default::default())] {
        let mut net = Net::new(9);
        for id in 1..=3 {
            net.start(WatchConfig { detection, ..WatchConfig::new(NodeId(id), [NodeId(1)]) });
        }
        net.run(60_000);
        assert!(net.nodes[&NodeId(1)].told.iter().all(|(_, v)| v.state == State::Healthy && !v.suspected));
        net.crash(2);
        let crashed = net.now;
        net.run(20_000);
        let told = &net.nodes[&NodeId(1)].told;
        let first = |is: fn(&crate::watch::Verdict) -> bool| {
            told.iter().find(|(_, v)| is(v)).map_or(Time::NEVER, |(at, _)| *at).since(crashed).as_millis()
        };
        when.push((first(|v| v.suspected), first(|v| v.state == State::Failed)));
    }
    assert!(when[1].0 < when[0].0 && when[1].1 < when[0].1, "{when:?}");
    assert!(when[1].0 >= 1000, "an even rhythm of a second is not doubted within it: {when:?}");
}

#[test]
fn a_million_agents_cost_as_many_timers_as_nodes() {
    use crate::detect::Track;
    use crate::watch::msg::{Beat, NAMED_MAX, WatchMsg};
    assert!(size_of::<(AgentId, Track)>() <= 32, "with the tree around it below 64 bytes");
    let (nodes, each) = (25u64, 10 * NAMED_MAX as u64);
    let mut net = Net::new(10);
    net.start(WatchConfig::new(NodeId(1), []));
    for node in 101..101 + nodes {
        let beat = |seq, quiet| {
            let (first, last) = (AgentId(0), AgentId(u64::MAX));
            WatchMsg::Beat(Beat { incarnation: 1, version: 10, seq, part: 0, first, last, quiet })
        };
        net.message(1, node, beat(1, vec![]));
        for part in 0..10 {
            let from = part * NAMED_MAX as u64;
            let agents: Vec<AgentId> = (from..from + NAMED_MAX as u64).map(AgentId).collect();
            let next = AgentId(from);
            let last = part == 9;
            net.message(1, node, WatchMsg::Roster { incarnation: 1, version: 10, next, agents, last });
        }
        net.message(1, node, beat(2, vec![(AgentId(3), 300)]));
    }
    let watch = net.nodes[&NodeId(1)].watch();
    assert_eq!(watch.census().1.healthy as u64, nodes * each);
    assert_eq!(watch.watcher.timers() as u64, nodes);
    // All fall silent at once: still each step is short, and all are told.
    net.nodes.get_mut(&NodeId(1)).expect("it").told.clear();
    net.run(1000);
    let told = &net.nodes[&NodeId(1)].told;
    assert_eq!(told.iter().filter(|(_, v)| v.suspected).count() as u64, nodes * each);
    assert!(told.iter().all(|(at, _)| *at <= Time(701 * MS)));
}
