//! Each planted bug is found by the audit of a short run with zombies, and the run without it is clean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use quorate_core::{AgentId, NodeId, Rng};
use quorate_scheduler::engine::{AgentSpec, Audit, Visit, Whom};
use quorate_scheduler::{Engine, EngineConfig, GraphSpec, Mutation, TaskSpec};

/// Agents are suspected while they work, and what they finish all the same is reported, late and more than once.
fn run(seed: u64, mutation: Option<Mutation>) -> Audit {
    let mut rng = Rng::from_seed(seed);
    let mut engine = Engine::new(EngineConfig { kills_max: u8::MAX, ..EngineConfig::default() }).unwrap();
    engine.plant(mutation);
    for id in 1..=4 {
        engine.register(NodeId(id), &[AgentSpec::new(AgentId(id)).slots(2)]).unwrap();
    }
    let spec = (0..20u32).map(|i| TaskSpec::new(i.to_string())).fold(GraphSpec::new(), GraphSpec::task);
    engine.submit(&spec).unwrap();
    let mut leases = Vec::new();
    for step in 0..400 {
        let mut ready = None;
        engine.visit_ready(|task, _| {
            ready = Some(task);
            Visit::Stop
        });
        match rng.within(0..4) {
            0 | 1 => {
                let agent = AgentId(rng.within(1..5));
                leases.extend(ready.and_then(|task| engine.assign(task, agent).ok()));
            }
            2 if !leases.is_empty() => {
                engine.complete(leases[rng.index(leases.len())], 1, Vec::new());
            }
            _ => {
                let agent = Whom::Agent(AgentId(rng.within(1..5)));
                engine.suspect(agent);
                engine.trust(agent);
            }
        }
        engine.advance(step, rng.bits());
    }
    engine.audit()
}

#[test]
fn every_planted_bug_is_found_and_nothing_else_is() {
    for seed in 0..10 {
        let clean = run(seed, None);
        assert!(clean.is_clean(), "seed {seed}: {clean:?}");
    }
    for (name, mutation) in Mutation::ALL {
        let found = (0..10).find(|seed| run(*seed, Some(mutation)).unfenced > 0);
        assert!(found.is_some(), "{name} was not found");
    }
    let twice = (0..10).any(|seed| run(seed, Some(Mutation::StaleCompletionAccepted)).committed_twice > 0);
    assert!(twice, "nothing was committed twice");
}
