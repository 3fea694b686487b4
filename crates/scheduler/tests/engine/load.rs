//! Large graphs from one end to the other.

use crate::rig::ONE;
use quorate_core::{NodeId, Rng};
use quorate_scheduler::engine::{AgentSpec, Completion, Visit};
use quorate_scheduler::graph::{Graph, GraphSpec, TaskSpec};
use quorate_scheduler::{Engine, EngineConfig, run_sequential, task_digest};

/// A million tasks in random order, with names, edges and all, run to their end by one agent of many slots.
#[test]
fn a_million_tasks_run_to_their_end_each_once_and_in_order() {
    let n = 1_000_000u64;
    let mut rng = Rng::from_seed(2);
    let mut numbers: Vec<u64> = (0..n).collect();
    rng.shuffle(&mut numbers);
    let mut spec = GraphSpec::with_capacity(n as usize, n as usize);
    for number in numbers {
        let task = TaskSpec::new(format!("t{number}"));
        // Wide at first, so that not everything hangs on one chain.
        let waits = number >= 1000;
        spec.add(if waits { task.after([format!("t{}", rng.within(number / 2..number))]) } else { task });
    }
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    engine.register(NodeId(1), &[AgentSpec::new(ONE).slots(u32::MAX)]).unwrap();
    engine.submit(&spec).unwrap();
    let expected = run_sequential(engine.graph());
    drop(spec);
    let mut batch = Vec::new();
    while engine.open() > 0 {
        engine.visit_ready(|task, _| {
            batch.push(task);
            if batch.len() < 5000 { Visit::Next } else { Visit::Stop }
        });
        assert!(!batch.is_empty(), "nothing is ready and {} are open", engine.open());
        for task in batch.drain(..) {
            let lease = engine.assign(task, ONE).unwrap();
            let digest = task_digest(engine.graph().name(task), engine.input_digests(task));
            assert_eq!(engine.complete(lease, digest, Vec::new()), Completion::Committed);
        }
    }
    assert_eq!(engine.counts().committed, n);
    assert_eq!(engine.digest(), expected);
    let audit = engine.audit();
    assert!(audit.is_clean(), "{audit:?}");
}

#[test]
fn a_task_takes_at_most_256_bytes() {
    let n = 100_000u64;
    let mut rng = Rng::from_seed(9);
    let mut spec = GraphSpec::new();
    for number in 0..n {
        let task = TaskSpec::new(format!("task-{number:06}"));
        let layer = number / 100;
        let before = |rng: &mut Rng| format!("task-{:06}", (layer - 1) * 100 + rng.within(0..100));
        spec.add(if layer == 0 {
            task
        } else {
            task.after((0..4).map(|_| before(&mut rng)).collect::<Vec<_>>())
        });
    }
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    engine.submit(&spec).unwrap();
    let each = engine.bytes() / n as usize;
    assert!(each <= 256, "{each} bytes a task");
}

#[test]
fn tasks_added_one_by_one_are_the_same_graph() {
    let mut spec = GraphSpec::new();
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    for number in 0..2000 {
        let task = TaskSpec::new(number.to_string());
        let task = if number == 0 { task } else { task.after([(number / 2).to_string()]) };
        spec.add(task.clone());
        engine.add_task(task).unwrap();
    }
    let whole = Graph::build(&spec).unwrap();
    assert_eq!(run_sequential(&whole), run_sequential(engine.graph()));
    assert!(whole.tasks().all(|t| whole.rank_ms(t) >= engine.graph().rank_ms(t)));
}
