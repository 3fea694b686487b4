//! The queue as part of the engine: bounds, shedding, who goes first, who can do what.

use crate::rig::{ONE, Rig, TWO, pauses, task};
use quorate_core::{AgentId, NodeId};
use quorate_scheduler::engine::{
    AgentSpec, EngineConfig, Explanation, NoLease, Refused, State, Visit, WhenFull, Why,
};
use quorate_scheduler::graph::{Class, GraphSpec};

fn bounded(queue_max: u32, when_full: WhenFull) -> EngineConfig {
    EngineConfig { queue_max, when_full, ..EngineConfig::default() }
}

fn order(rig: &Rig) -> Vec<String> {
    let mut names = Vec::new();
    rig.engine.visit_ready(|task, _| {
        names.push(rig.engine.graph().name(task).to_owned());
        Visit::Next
    });
    names
}

#[test]
fn queues_are_bounded_in_every_mode_shed_tasks_end_in_a_terminal_state() {
    for when_full in [WhenFull::Block, WhenFull::Reject, WhenFull::ShedOldest, WhenFull::ShedLowest] {
        // A star: one task that lets fifty others run, and those that come in beside it.
        let tasks = (0..50).map(|i| task(&format!("leaf {i}")).after(["root"]));
        let mut rig = Rig::with(bounded(8, when_full), tasks.chain([task("root")]));
        rig.succeed("root");
        for i in 0..20 {
            let class = if i % 2 == 0 { Class::Low } else { Class::High };
            let added = rig.engine.add_task(task(&format!("more {i}")).class(class));
            match when_full {
                WhenFull::Reject => assert_eq!(added, Err(Refused::Full { room: 0 })),
                _ => assert!(added.is_ok()),
            }
            assert!(rig.engine.depths().0.iter().sum::<u32>() <= 8, "{when_full:?}");
        }
        rig.audit();
        let shed = rig.engine.counts().shed;
        assert_eq!(shed > 0, matches!(when_full, WhenFull::ShedOldest | WhenFull::ShedLowest));
        let mut ran = 0;
        while let Some(name) = order(&rig).first() {
            rig.succeed(&name.clone());
            ran += 1;
            assert!(rig.engine.depths().0.iter().sum::<u32>() <= 8, "{when_full:?}");
        }
        assert_eq!(ran + shed as usize + 1, rig.engine.graph().len());
        let by_why = rig.engine.graph().tasks().filter(|t| rig.engine.why(*t) == Why::Shed).count();
        assert_eq!(by_why, shed as usize);
        rig.is_idle();
    }
}

#[test]
fn a_full_queue_holds_back_and_says_so_and_lets_the_urgent_pass() {
    let mut rig = Rig::with(bounded(2, WhenFull::Block), ["a", "b", "c"].map(task));
    assert_eq!(rig.engine.explain(rig.id("c")), Explanation::Backpressure { held: 1 });
    assert_eq!(rig.engine.assign(rig.id("c"), ONE), Err(NoLease::NotReady));
    rig.engine.add_task(task("now").class(Class::Critical)).unwrap();
    assert_eq!(order(&rig), ["now", "a"]);
    for name in ["now", "a", "b", "c"] {
        rig.succeed(name);
    }
    rig.is_idle();
}

#[test]
fn what_is_shed_takes_its_dependents_along() {
    let mut rig = Rig::with(bounded(1, WhenFull::ShedOldest), [task("a"), task("b").after(["a"])]);
    rig.at(1);
    rig.engine.add_task(task("c")).unwrap();
    assert_eq!(rig.states(["a", "b", "c"]), [State::Cancelled, State::Cancelled, State::Ready]);
    assert_eq!(rig.engine.counts().shed, 1);
    rig.audit();
}

#[test]
fn a_graph_is_rejected_whole_when_its_first_tasks_do_not_fit() {
    let mut rig = Rig::with(bounded(3, WhenFull::Reject), [task("a")]);
    let chain = GraphSpec::new().task(task("b")).task(task("c").after(["b"])).task(task("d").after(["c"]));
    let wide = ["x", "y", "z"].map(task).into_iter().fold(GraphSpec::new(), GraphSpec::task);
    let before = rig.engine.clone();
    assert_eq!(rig.engine.submit(&wide), Err(Refused::Full { room: 2 }));
    assert_eq!(rig.engine, before);
    assert_eq!(rig.engine.submit(&chain), Ok(1..4));
}

#[test]
fn the_class_decides_and_then_the_longest_way_to_the_end() {
    let mut rig = Rig::new([
        task("short").expected_ms(10),
        task("long").expected_ms(1),
        task("tail").after(["long"]).expected_ms(100),
        task("low").class(Class::Low).expected_ms(1000),
        task("high").class(Class::High),
        task("short too").expected_ms(10),
    ]);
    assert_eq!(order(&rig), ["high", "long", "short", "short too", "low"]);
    // A longer tail that comes later moves those up that have not begun to wait for an agent.
    rig.engine.add_task(task("z").after(["tail"]).expected_ms(5000)).unwrap();
    rig.succeed("long");
    assert_eq!(order(&rig), ["high", "tail", "short", "short too", "low"]);
    assert_eq!(rig.engine.graph().rank_ms(rig.id("tail")), 5100);
}

#[test]
fn a_task_goes_only_to_an_agent_that_is_able_up_and_free() {
    let mut rig = Rig::new([
        task("draw").needs(["paint", "sketch"]),
        task("draw again").needs(["sketch", "paint"]),
        task("plain"),
    ]);
    let poor = AgentSpec::new(AgentId(10)).skill("paint", 1000).skill("sketch", 399);
    let good = AgentSpec::new(AgentId(11)).skill("sketch", 500).skill("paint", 900);
    rig.engine.register(NodeId(3), &[poor, good]).unwrap();
    let draw = rig.id("draw");
    assert_eq!(rig.engine.assign(draw, AgentId(10)), Err(NoLease::Unable), "a mean of 699.5 is too little");
    assert_eq!(rig.engine.assign(draw, ONE), Err(NoLease::Unable));
    assert_eq!(rig.engine.assign(draw, AgentId(99)), Err(NoLease::NotUp));
    rig.lease("draw", AgentId(11));
    assert_eq!(rig.engine.assign(rig.id("draw again"), AgentId(11)), Err(NoLease::Busy));
    assert_eq!(rig.engine.explain(rig.id("draw again")), Explanation::NoFreeAgent { capable: 1 });
    rig.engine.suspect(quorate_scheduler::engine::Whom::Agent(TWO));
    assert_eq!(rig.engine.assign(rig.id("plain"), TWO), Err(NoLease::NotUp));
    assert_eq!(rig.engine.counts().unassigned, 5);
    rig.audit();
}

#[test]
fn a_retry_that_finds_the_queue_full_waits_outside() {
    let mut rig = Rig::with(bounded(1, WhenFull::Reject), [task("a").retry(pauses(1, 10))]);
    rig.fail("a");
    rig.engine.add_task(task("b")).unwrap();
    rig.at(10);
    assert_eq!(rig.engine.explain(rig.id("a")), Explanation::Backpressure { held: 1 });
    rig.succeed("b");
    rig.succeed("a");
    rig.is_idle();
}
