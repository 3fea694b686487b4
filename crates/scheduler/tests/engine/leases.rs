//! Leases: who may commit, and who comes too late.

use crate::rig::{ONE, Rig, TWO, retries, task};
use quorate_core::NodeId;
use quorate_scheduler::engine::{Act, Block, Completion, Event, Refused, State, Whom, Why};
use quorate_scheduler::{Engine, EngineConfig, Lease};

#[test]
fn a_zombies_completion_after_reassignment_is_stale_not_committed_dependents_not_fired_again() {
    let mut rig = Rig::new([task("a").retry(retries(3)), task("b").after(["a"])]);
    let zombie = rig.lease("a", ONE);
    rig.engine.suspect(Whom::Agent(ONE));
    let second = rig.lease("a", TWO);
    assert_eq!(rig.done(zombie), Completion::Stale);
    assert_eq!(rig.states(["a", "b"]), [State::Leased, State::Waiting]);
    assert_eq!(rig.done(second), Completion::Committed);
    assert_eq!(rig.done(zombie), Completion::Stale);
    assert!(!rig.engine.fail(zombie, false, ""));
    let b = rig.id("b");
    assert_eq!(rig.count(|e| *e == Event::Ready { task: b }), 1);
    assert_eq!((rig.engine.counts().committed, rig.engine.counts().stale), (1, 3));
    rig.audit();
}

#[test]
fn the_same_completion_twice_is_duplicate() {
    let mut rig = Rig::new([task("a"), task("b").after(["a"])]);
    let lease = rig.lease("a", ONE);
    assert_eq!(rig.done(lease), Completion::Committed);
    assert_eq!(rig.done(lease), Completion::Duplicate);
    assert_eq!((rig.engine.counts().committed, rig.engine.counts().duplicate), (1, 1));
    rig.audit();
}

#[test]
fn leases_carry_the_epoch_across_a_change_of_leader() {
    let mut rig = Rig::new([task("a"), task("b"), task("c")]);
    let block = |epoch, acts| Block { epoch, at: 10, draw: 0, acts };
    let (a, b, c) = (rig.id("a"), rig.id("b"), rig.id("c"));
    rig.engine.block(block(3, vec![Act::Assign(vec![(a, ONE), (b, ONE)])])).unwrap();
    let lease = Lease { task: a, attempt: 1, epoch: 3 };
    rig.engine.block(block(5, vec![Act::Assign(vec![(c, TWO)])])).unwrap();
    // The attempts that run are the same attempts under the next leader.
    assert_eq!(rig.engine.lease(a).unwrap().0, lease);
    assert_eq!(rig.engine.lease(c).unwrap().0.epoch, 5);
    assert_eq!(rig.done(Lease { epoch: 5, ..lease }), Completion::Stale);
    assert_eq!(rig.done(lease), Completion::Committed);
    // What the old leader decided and got into the log too late is refused whole.
    let late = rig.engine.block(block(3, vec![Act::Down(Whom::Agent(ONE))]));
    assert_eq!(late, Err(Refused::Fenced { found: 3, current: 5 }));
    assert_eq!(rig.state("b"), State::Leased);
    rig.audit();
}

#[test]
fn a_false_suspicion_runs_a_task_at_most_once_more_fenced() {
    let mut rig = Rig::new([task("a")]);
    let first = rig.lease("a", ONE);
    rig.engine.suspect(Whom::Node(NodeId(1)));
    rig.engine.suspect(Whom::Node(NodeId(1)));
    let second = rig.lease("a", TWO);
    rig.engine.trust(Whom::Node(NodeId(1)));
    assert_eq!(rig.done(first), Completion::Stale);
    assert_eq!(rig.done(second), Completion::Committed);
    assert_eq!(rig.engine.counts().attempts, 2);
    // And nothing is held against the task, nor the agent.
    assert_eq!(rig.engine.find_agent(ONE).unwrap().free(), 100);
    rig.is_idle();
}

#[test]
fn a_task_that_kills_its_workers_is_stopped_after_k_of_them() {
    let mut rig = Rig::new([task("bomb").retry(retries(100)), task("after").after(["bomb"])]);
    for killed in 1..=3 {
        let node = NodeId(10 + killed);
        let agent = quorate_core::AgentId(10 + killed);
        rig.engine.register(node, &[quorate_scheduler::engine::AgentSpec::new(agent)]).unwrap();
        rig.lease("bomb", agent);
        rig.engine.down(Whom::Node(node));
    }
    assert_eq!((rig.state("bomb"), rig.why("bomb")), (State::Failed, Why::KilledWorkers));
    assert_eq!(rig.state("after"), State::Cancelled);
    assert_eq!(rig.engine.agent_count(), 2);
    rig.is_idle();
}

#[test]
fn agents_that_leave_in_good_order_or_come_back_are_not_held_against_a_task() {
    let mut rig = Rig::new([task("a")]);
    for round in 0..5 {
        rig.lease("a", ONE);
        rig.engine.suspect(Whom::Agent(ONE));
        rig.engine.trust(Whom::Agent(ONE));
        rig.lease("a", TWO);
        rig.engine.unregister(&[TWO]);
        let two = quorate_scheduler::engine::AgentSpec::new(TWO);
        rig.engine.register(NodeId(2), &[two]).unwrap();
        assert_eq!(rig.state("a"), State::Ready, "round {round}");
    }
    rig.succeed("a");
    rig.is_idle();
}

#[test]
fn an_agent_that_moves_to_another_node_leaves_its_leases_behind() {
    let mut rig = Rig::new([task("a")]);
    let lease = rig.lease("a", ONE);
    rig.engine.register(NodeId(9), &[quorate_scheduler::engine::AgentSpec::new(ONE)]).unwrap();
    assert_eq!(rig.state("a"), State::Ready);
    assert_eq!(rig.done(lease), Completion::Stale);
    assert_eq!(rig.engine.agents_of(NodeId(9)).len(), 1);
    assert_eq!(rig.engine.agents_of(NodeId(1)).len(), 0);
    rig.audit();
}

#[test]
fn leases_of_nowhere_are_refused_and_counted() {
    let mut rig = Rig::new([task("a")]);
    let nowhere = Lease { task: quorate_scheduler::TaskId(77), attempt: 1, epoch: 0 };
    assert_eq!(rig.engine.complete(nowhere, 0, Vec::new()), Completion::Stale);
    let early = Lease { task: rig.id("a"), attempt: 0, epoch: 0 };
    assert_eq!(rig.engine.complete(early, 0, Vec::new()), Completion::Stale);
    assert!(!rig.engine.expire(nowhere) && !rig.engine.stopped(nowhere));
    rig.audit();
}

#[test]
fn results_are_kept_within_their_bounds_and_counted_beyond() {
    let config = EngineConfig { result_bytes_max: 4, results_bytes_max: 6, ..EngineConfig::default() };
    let mut rig = Rig::with(config, ["a", "b", "c"].map(task));
    for (name, result) in [("a", &b"1234"[..]), ("b", b"12345"), ("c", b"123")] {
        let lease = rig.lease(name, ONE);
        assert_eq!(rig.engine.complete(lease, 1, result.to_vec()), Completion::Committed);
    }
    assert_eq!(rig.engine.result(rig.id("a")), Some(&b"1234"[..]));
    assert_eq!((rig.engine.result(rig.id("b")), rig.engine.result(rig.id("c"))), (None, None));
    assert_eq!(rig.engine.counts().results_dropped, 2);
}

#[test]
fn a_configuration_that_cannot_be_is_refused_by_name() {
    let bad = EngineConfig { queue_max: 0, ..EngineConfig::default() };
    assert_eq!(Engine::new(bad).unwrap_err().setting, "queue_max");
    let bad = EngineConfig { kills_max: 0, ..EngineConfig::default() };
    assert_eq!(Engine::new(bad).unwrap_err().setting, "kills_max");
}
