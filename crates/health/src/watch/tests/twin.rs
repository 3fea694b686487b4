//! The watcher against one that keeps a last beat and a track for every agent and judges all of them at every
//! millisecond.

use super::net::{MS, Net};
use crate::detect::{State, Thresholds, Track};
use crate::watch::WatchConfig;
use crate::watch::msg::{Beat, CRASHED, WatchMsg};
use quorate_core::{AgentId, NodeId, Time};

struct Twin {
    last: Option<Time>,
    track: Track,
}

impl Twin {
    fn judge(&mut self, now: Time, t: &Thresholds) {
        match self.last {
            None => self.track.fail(now),
            Some(last) => self.track.judge(now, last, Time::ZERO, t),
        };
    }
}

#[test]
fn lazy_judging_tells_what_judging_at_every_moment_tells() {
    let mut seen = [0u32; 4];
    for seed in 0..12 {
        let mut net = Net::new(seed);
        let t = Thresholds::lan();
        net.start(WatchConfig::new(NodeId(1), []));
        let agents = 6u64;
        let changes = (0..agents).map(|a| (AgentId(a), true)).collect();
        net.message(1, 101, WatchMsg::Changes { incarnation: 1, from: 0, changes });
        let mut twins: Vec<Twin> =
            (0..agents).map(|_| Twin { last: Some(Time::ZERO), track: Track::new(Time::ZERO) }).collect();
        let mut own: Vec<Option<Time>> = vec![Some(Time::ZERO); agents as usize];
        let (mut beat_at, mut seq) = (0, 0);
        for ms in 1..=60_000u64 {
            net.run(1);
            let now = Time(ms * MS);
            assert_eq!(net.now, now);
            // What is due at the very time of a beat is due before it.
            twins.iter_mut().for_each(|twin| twin.judge(now, &t));
            for last in &mut own {
                match net.rng.within(0..4000) {
                    0 => *last = None,
                    1..20 => *last = Some(now),
                    _ => {}
                }
            }
            if ms >= beat_at {
                // Mostly a steady rhythm, now and then a long silence of the whole node.
                beat_at = ms + if net.rng.chance(0.02) { net.rng.within(500..14_000) } else { 200 };
                seq += 1;
                let age = |last: &Option<Time>| {
                    last.map_or(CRASHED, |at| u32::try_from(now.since(at).as_millis()).expect("small"))
                };
                let quiet: Vec<(AgentId, u32)> =
                    (0..).map(AgentId).zip(own.iter().map(age)).filter(|(_, ms)| *ms > 200).collect();
                for (agent, twin) in twins.iter_mut().enumerate() {
                    let ms = quiet.iter().find(|(a, _)| a.0 == agent as u64).map_or(0, |(_, ms)| *ms);
                    twin.last = (ms != CRASHED).then(|| Time(now.0 - u64::from(ms) * MS));
                }
                let (first, last) = (AgentId(0), AgentId(u64::MAX));
                let beat = Beat { incarnation: 1, version: agents, seq, part: 0, first, last, quiet };
                net.message(1, 101, WatchMsg::Beat(beat));
                net.run(0);
            }
            for (agent, twin) in twins.iter_mut().enumerate() {
                twin.judge(now, &t);
                let told = net.nodes[&NodeId(1)].watch().agent(NodeId(101), AgentId(agent as u64));
                assert_eq!(
                    told,
                    Some(twin.track.told()),
                    "seed {seed}, agent {agent} at {now:?}, last {:?}",
                    twin.last
                );
                seen[twin.track.told().state as usize] += 1;
            }
        }
        assert_eq!(net.nodes[&NodeId(1)].watch().counters().pauses, 0);
    }
    assert_eq!(State::Failed as usize, 3);
    assert!(seen.iter().all(|n| *n > 100), "every state was reached: {seen:?}");
}
