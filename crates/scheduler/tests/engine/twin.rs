//! The engine beside a slow twin that knows nothing but the rules.

use crate::rig::{ONE, Rig, TWO, retries, task};
use proptest::prelude::*;
use quorate_core::Rng;
use quorate_scheduler::engine::{Completion, Engine, State, Visit, Whom};
use quorate_scheduler::graph::{GraphSpec, Join, TaskId, TaskSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A graph, and how each task's attempts end: so many failures, then a success, or failures for good.
#[derive(Clone, Debug)]
struct Plan {
    tasks: Vec<TaskSpec>,
    names: Vec<String>,
    before: Vec<Vec<usize>>,
    joins: Vec<Join>,
    fallback: Vec<Option<usize>>,
    failures: Vec<u16>,
    retries: u16,
    cancelled: BTreeSet<usize>,
}

fn plan(seed: u64) -> Plan {
    let mut rng = Rng::from_seed(seed);
    let n = 3 + rng.index(20);
    let retries_max = rng.within(0..3) as u16;
    let mut plan = Plan {
        tasks: Vec::new(),
        names: (0..2 * n).map(|i| format!("t{i}")).collect(),
        before: vec![Vec::new(); 2 * n],
        joins: vec![Join::All; 2 * n],
        fallback: vec![None; 2 * n],
        failures: (0..2 * n).map(|_| if rng.chance(0.7) { 0 } else { rng.within(0..5) as u16 }).collect(),
        retries: retries_max,
        cancelled: (0..n).filter(|_| rng.chance(0.05)).collect(),
    };
    let mut next = n;
    let mut specs: Vec<TaskSpec> =
        plan.names.iter().map(|name| task(name).retry(retries(retries_max))).collect();
    for i in 0..n {
        for before in 0..i {
            if rng.chance(2.0 / i as f64) {
                plan.before[i].push(before);
            }
        }
        let count = plan.before[i].len() as u16;
        plan.joins[i] = match rng.within(0..6) {
            0 => Join::NoneFailed,
            1 if count > 0 => Join::AtLeast(1 + rng.within(0..u64::from(count)) as u16),
            2 => Join::AllEnded,
            _ => Join::All,
        };
        let names: Vec<String> = plan.before[i].iter().map(|b| plan.names[*b].clone()).collect();
        specs[i] = specs[i].clone().after(names).join(plan.joins[i]);
        let mut at = i;
        while next < 2 * n && rng.chance(0.25) {
            plan.fallback[at] = Some(next);
            specs[at] = specs[at].clone().fallback(&plan.names[next]);
            at = next;
            next += 1;
        }
    }
    specs.truncate(next);
    rng.shuffle(&mut specs);
    plan.tasks = specs;
    plan
}

/// What everything must come to, by the rules, without queues, leases or order.
fn ends(plan: &Plan) -> BTreeMap<String, State> {
    let mut states = BTreeMap::new();
    let mut slots: Vec<State> = Vec::new();
    for i in 0..plan.before.len() / 2 {
        let ends: Vec<State> = plan.before[i].iter().map(|b| slots[*b]).collect();
        let good = ends.iter().filter(|s| **s == State::Succeeded).count();
        let bad = ends.iter().any(|s| matches!(s, State::Failed | State::Cancelled));
        let runs = match plan.joins[i] {
            Join::All => good == ends.len(),
            Join::NoneFailed => !bad && (good > 0 || ends.is_empty()),
            Join::AtLeast(k) => good >= usize::from(k),
            Join::AllEnded => true,
        };
        let mut slot = if bad { State::Cancelled } else { State::Skipped };
        let mut chain = Some(i);
        if runs && !plan.cancelled.contains(&i) {
            slot = State::Failed;
            while let Some(at) = chain {
                chain = plan.fallback[at];
                if plan.failures[at] <= plan.retries {
                    states.insert(plan.names[at].clone(), State::Succeeded);
                    slot = State::Succeeded;
                    break;
                }
                states.insert(plan.names[at].clone(), State::Failed);
            }
        } else if plan.cancelled.contains(&i) {
            slot = State::Cancelled;
        }
        let rest = match slot {
            State::Succeeded => State::Skipped,
            other => other,
        };
        while let Some(at) = chain {
            states.insert(plan.names[at].clone(), rest);
            chain = plan.fallback[at];
        }
        slots.push(slot);
    }
    states
}

/// Runs the plan in an order of its own, with suspicions, duplicates and zombies that must change nothing.
fn run(plan: &Plan, seed: u64, troubled: bool) -> Engine {
    let mut rng = Rng::from_seed(seed);
    let config = quorate_scheduler::EngineConfig { kills_max: u8::MAX, ..Default::default() };
    let mut rig = Rig::with(config, []);
    let spec = plan.tasks.iter().cloned().fold(GraphSpec::new(), GraphSpec::task);
    rig.engine.submit(&spec).unwrap();
    for i in &plan.cancelled {
        // Before anything has started: later it would depend on the order.
        let _ = rig.engine.cancel(&plan.names[*i]);
    }
    let index = |rig: &Rig, task: TaskId| {
        let name = rig.engine.graph().name(task).to_owned();
        plan.names.iter().position(|n| *n == name).unwrap()
    };
    let mut failed = vec![0u16; plan.names.len()];
    let mut live = Vec::new();
    let mut old = Vec::new();
    for _ in 0..100_000 {
        let mut ready = Vec::new();
        rig.engine.visit_ready(|task, _| {
            ready.push(task);
            Visit::Next
        });
        if ready.is_empty() && live.is_empty() {
            break;
        }
        if !ready.is_empty() && (live.is_empty() || rng.chance(0.5)) {
            let task = ready[rng.index(ready.len())];
            let agent = if rng.chance(0.5) { ONE } else { TWO };
            live.push(rig.engine.assign(task, agent).unwrap());
            continue;
        }
        let lease = live.swap_remove(rng.index(live.len()));
        let at = index(&rig, lease.task);
        old.push(lease);
        if troubled && rng.chance(0.1) {
            // Its agent is thought lost: every lease of that agent is over.
            let (_, slot) = rig.engine.lease(lease.task).unwrap();
            let id = rig.engine.agent(slot).unwrap().id;
            rig.engine.suspect(Whom::Agent(id));
            rig.engine.trust(Whom::Agent(id));
            live.retain(|lease| rig.engine.is_live(*lease));
        } else if failed[at] < plan.failures[at] {
            failed[at] += 1;
            assert!(rig.engine.fail(lease, false, ""));
        } else {
            assert_eq!(rig.done(lease), Completion::Committed);
        }
        if troubled && rng.chance(0.3) {
            let zombie = old[rng.index(old.len())];
            assert_ne!(rig.done(zombie), Completion::Committed);
        }
        let audit = rig.engine.audit();
        assert!(audit.is_clean(), "{audit:?}");
    }
    rig.is_idle();
    rig.engine
}

fn states(engine: &Engine) -> BTreeMap<String, State> {
    let graph = engine.graph();
    graph.tasks().map(|t| (graph.name(t).to_owned(), engine.state(t))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_interleaving_of_the_same_outcomes_ends_in_the_same_states(seed: u64, orders in prop::array::uniform3(0u64..)) {
        let plan = plan(seed);
        let want = ends(&plan);
        for (i, order) in orders.into_iter().enumerate() {
            let engine = run(&plan, order, i > 0);
            prop_assert_eq!(states(&engine), want.clone());
        }
    }

    #[test]
    fn every_task_reaches_exactly_one_terminal_state_an_idle_engine_has_nothing_pending(seed: u64, order: u64) {
        let engine = run(&plan(seed), order, true);
        let mut ends: BTreeMap<TaskId, u32> = BTreeMap::new();
        for event in engine.events_since(0).unwrap() {
            use quorate_scheduler::engine::Event::*;
            if let Committed { task, .. } | Failed { task, .. } | Cancelled { task, .. } | Skipped { task, .. } = event {
                *ends.entry(*task).or_default() += 1;
            }
        }
        prop_assert_eq!(ends.len(), engine.graph().len());
        prop_assert!(ends.values().all(|n| *n == 1));
        let counts = engine.counts();
        prop_assert_eq!(counts.committed + counts.failed + counts.cancelled + counts.skipped, ends.len() as u64);
    }
}
