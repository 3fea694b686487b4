//! Tasks and edges that come and go while it runs.

use crate::rig::{ONE, Rig, task};
use quorate_scheduler::engine::{Explanation, Refused, State, Why};
use quorate_scheduler::graph::{GraphError, Join};

use State::{Cancelled, Leased, Ready, Waiting};

#[test]
fn edge_from_a_finished_node_satisfied_at_once_to_a_started_node_already_started_never_silently_ignored() {
    let mut rig = Rig::new([task("done"), task("open"), task("running"), task("next").after(["open"])]);
    rig.succeed("done");
    let lease = rig.lease("running", ONE);
    assert_eq!(rig.engine.add_edge("done", "next"), Ok(true));
    let started = |name: &str| Err(Refused::AlreadyStarted { task: name.into() });
    assert_eq!(rig.engine.add_edge("done", "running"), started("running"));
    assert_eq!(rig.engine.add_edge("open", "running"), started("running"));
    assert_eq!(rig.engine.add_edge("open", "done"), started("done"));
    rig.done(lease);
    assert_eq!(rig.engine.add_edge("open", "running"), started("running"));
    // A new task that waits for nothing but what is finished may run at once.
    rig.engine.add_task(task("late").after(["done"])).unwrap();
    assert_eq!(rig.states(["late", "next"]), [Ready, Waiting]);
    // One that is ready and has not started waits again.
    assert_eq!(rig.engine.add_edge("open", "late"), Ok(true));
    assert_eq!(rig.state("late"), Waiting);
    rig.succeed("open");
    rig.succeed("late");
    rig.succeed("next");
    rig.is_idle();
}

#[test]
fn edge_from_a_failed_or_cancelled_node_resolves_at_once() {
    let mut rig =
        Rig::new([task("failed"), task("cancelled"), task("open"), task("a"), task("b"), task("c")]);
    rig.fail("failed");
    rig.engine.cancel("cancelled").unwrap();
    for name in ["a", "b"] {
        rig.engine.add_edge("open", name).unwrap();
    }
    assert_eq!(rig.engine.add_edge("failed", "a"), Ok(true));
    assert_eq!(rig.engine.add_edge("cancelled", "b"), Ok(true));
    assert_eq!(rig.engine.add_edge("failed", "c"), Ok(true));
    assert_eq!(rig.states(["a", "b", "c"]), [Cancelled; 3]);
    rig.engine.add_task(task("d").after(["failed"])).unwrap();
    rig.engine.add_task(task("e").after(["failed", "open"]).join(Join::AllEnded)).unwrap();
    assert_eq!(rig.states(["d", "e"]), [Cancelled, Waiting]);
    rig.succeed("open");
    rig.succeed("e");
    rig.is_idle();
}

#[test]
fn removing_a_task_never_satisfies_its_dependents() {
    let mut rig = Rig::new([task("a"), task("b").after(["a"]), task("c").after(["b"])]);
    rig.engine.remove_task("b").unwrap();
    assert_eq!(rig.states(["b", "c"]), [Cancelled, Cancelled]);
    assert_eq!((rig.why("b"), rig.why("c")), (Why::Removed, Why::Dependency));
    assert_eq!(rig.engine.remove_task("b"), Err(Refused::AlreadyEnded { task: "b".into() }));
    rig.lease("a", ONE);
    assert_eq!(rig.engine.remove_task("a"), Err(Refused::AlreadyStarted { task: "a".into() }));
    let ghost = GraphError::NoSuchTask { task: "ghost".into() };
    assert_eq!(rig.engine.remove_task("ghost"), Err(Refused::Graph(ghost)));
    rig.audit();
}

#[test]
fn taking_the_last_edge_away_lets_a_task_run() {
    let mut rig = Rig::new([task("a"), task("b").after(["a"]), task("c").after(["b"])]);
    assert_eq!(rig.engine.remove_edge("a", "b"), Ok(true));
    assert_eq!(rig.engine.remove_edge("a", "b"), Ok(false));
    assert_eq!(rig.states(["b", "c"]), [Ready, Waiting]);
    rig.succeed("b");
    // What c waited for has ended: that cannot be taken back.
    assert_eq!(rig.engine.remove_edge("b", "c"), Err(Refused::AlreadyEnded { task: "b".into() }));
    rig.succeed("c");
    rig.succeed("a");
    rig.is_idle();
}

#[test]
fn a_refused_change_leaves_the_engine_as_it_was() {
    let mut rig = Rig::new([task("a"), task("b").after(["a"]), task("run")]);
    rig.lease("run", ONE);
    let before = rig.engine.clone();
    let path = ["a", "b", "a"].map(String::from).to_vec();
    assert_eq!(rig.engine.add_edge("b", "a"), Err(Refused::Graph(GraphError::WouldCycle { path })));
    rig.engine.add_edge("a", "run").unwrap_err();
    rig.engine.add_edge("ghost", "a").unwrap_err();
    rig.engine.add_task(task("a")).unwrap_err();
    rig.engine.add_task(task("x").after(["ghost"])).unwrap_err();
    rig.engine.remove_task("run").unwrap_err();
    assert_eq!(rig.engine, before);
}

#[test]
fn explain_says_what_a_task_is_waiting_for() {
    let mut rig = Rig::new([
        task("a").fallback("spare"),
        task("spare"),
        task("b").after(["a"]),
        task("paint").needs(["brush"]),
    ]);
    let explain = |rig: &Rig, name: &str| rig.engine.explain(rig.id(name));
    assert_eq!(explain(&rig, "a"), Explanation::NextInQueue);
    assert_eq!(explain(&rig, "b"), Explanation::WaitsFor { tasks: vec!["a".into()], open: 1 });
    assert_eq!(explain(&rig, "spare"), Explanation::StandsInFor { task: "a".into() });
    let needs = vec!["brush".to_owned()];
    assert_eq!(explain(&rig, "paint"), Explanation::NoCapableAgent { needs });
    rig.at(5);
    let lease = rig.lease("a", ONE);
    assert_eq!(rig.state("a"), Leased);
    assert_eq!(explain(&rig, "a"), Explanation::Leased { lease, agent: Some(ONE), since: 5 });
    rig.engine.cancel("a").unwrap();
    assert_eq!(explain(&rig, "a"), Explanation::Cancelling { agent: Some(ONE) });
    rig.engine.stopped(lease);
    assert_eq!(explain(&rig, "b"), Explanation::Ended { state: Cancelled, why: Why::Dependency });
}

#[test]
fn what_agents_can_do_is_bounded_and_a_refusal_leaves_no_name_behind() {
    use quorate_scheduler::engine::{
        AgentSpec, CAPABILITIES_MAX, Engine, EngineConfig, PROFILES_MAX, Refused,
    };
    let node = quorate_core::NodeId(1);
    let agent = |id: usize| AgentSpec::new(quorate_core::AgentId(id as u64));
    // As many names as there may be, 64 an agent.
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    let named = |id: usize| (0..64).fold(agent(id), |spec, skill| spec.skill(format!("{id}/{skill}"), 500));
    let agents: Vec<AgentSpec> = (0..CAPABILITIES_MAX / 64).map(named).collect();
    engine.register(node, &agents).unwrap();
    let before = engine.clone();
    let refused = engine.register(node, &[agent(1 << 20).skill("0/0", 1), agent(1 << 21).skill("new", 1)]);
    assert!(matches!(refused, Err(Refused::TooMany { .. })), "{refused:?}");
    let refused = engine.add_task(quorate_scheduler::TaskSpec::new("t").needs(["new"]));
    assert!(refused.is_err());
    assert_eq!(engine, before);
    engine.register(node, &[agent(1 << 20).skill("0/0", 1)]).unwrap();
    // As many lists as there may be.
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    let listed = |id: usize| agent(id).skill("a", (id % 256) as u16).skill("b", (id / 256) as u16);
    let agents: Vec<AgentSpec> = (0..PROFILES_MAX).map(listed).collect();
    engine.register(node, &agents).unwrap();
    let before = engine.clone();
    let refused =
        engine.register(node, &[agent(1 << 20).skill("b", 7).skill("a", 7), agent(1 << 21).skill("a", 9)]);
    assert!(matches!(refused, Err(Refused::TooMany { .. })), "{refused:?}");
    assert_eq!(engine, before);
    // The same list in another order is no other list.
    engine.register(node, &[agent(1 << 20).skill("b", 7).skill("a", 7)]).unwrap();
}
