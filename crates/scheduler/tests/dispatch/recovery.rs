//! Agents that fall silent, come back, are slow; tasks that hang or are cancelled.

use crate::rig::{Rig, time};
use quorate_core::{Decider, NodeId};
use quorate_scheduler::Command;
use quorate_scheduler::dispatch::Health;
use quorate_scheduler::engine::{AgentState, State};
use quorate_scheduler::graph::{Retry, TaskSpec, Timeouts};

fn long(n: u32, ms: u32) -> impl Iterator<Item = TaskSpec> {
    (0..n).map(move |i| TaskSpec::new(format!("t{i}")).expected_ms(ms))
}

#[test]
fn a_silent_nodes_tasks_run_elsewhere_within_a_second_and_its_agents_are_out_after_ten() {
    let mut rig = Rig::new(3, 2, 4);
    rig.run(300);
    rig.submit(long(12, 500));
    rig.run(100);
    let crash = rig.now;
    let lost = rig.workers[&NodeId(2)].running.len();
    assert!(lost > 0);
    rig.workers.get_mut(&NodeId(2)).unwrap().up = false;
    rig.began.clear();
    rig.run(1020);
    let again: Vec<u64> = rig.began.iter().map(|(at, _, _)| at - crash).collect();
    assert_eq!(again.len(), lost, "all that it held runs again, and nothing else does");
    assert!(again.iter().all(|after| *after <= 1000), "{again:?}");
    rig.run(2000);
    assert_eq!(rig.work().open(), 0);
    assert_eq!(rig.work().agent_count(), 6);
    rig.run(crash + 10_300 - rig.now);
    assert_eq!(rig.work().agent_count(), 4);
    assert_eq!(rig.work().counts().attempts, 12 + lost as u64);
    rig.audit();
}

#[test]
fn a_verdict_of_the_health_scope_moves_the_tasks_at_once_and_back_costs_one_run_at_most() {
    let mut rig = Rig::new(2, 1, 4);
    rig.run(300);
    rig.submit(long(4, 300));
    rig.run(50);
    rig.began.clear();
    rig.verdict(1, Health::Suspect);
    rig.run(10);
    assert_eq!(rig.began.len(), 2);
    assert!(rig.began.iter().all(|(_, lease, agent)| lease.attempt == 2 && agent.0 == 2000));
    // It was a mistake: what was moved stays moved, and the node gets work again.
    rig.verdict(1, Health::Healthy);
    rig.submit([TaskSpec::new("more")]);
    rig.run(1000);
    assert_eq!(rig.work().open(), 0);
    assert_eq!(rig.work().counts().attempts, 4 + 2 + 1);
    assert!(rig.began.iter().any(|(_, _, agent)| agent.0 == 1000));
    rig.audit();
}

#[test]
fn one_agent_alone_can_be_suspected_and_its_neighbours_go_on() {
    let mut rig = Rig::new(1, 2, 4);
    rig.run(300);
    rig.submit(long(4, 200));
    rig.run(20);
    rig.hint(quorate_scheduler::Hint::Agent(quorate_core::AgentId(1000), Health::Suspect));
    let bad = rig.work().find_agent(quorate_core::AgentId(1000)).unwrap();
    assert_eq!(rig.work().agent_state(bad.slot), Some(AgentState::Suspected));
    rig.run(600);
    assert_eq!(rig.work().open(), 0);
    rig.hint(quorate_scheduler::Hint::Agent(quorate_core::AgentId(1000), Health::Healthy));
    assert_eq!(rig.work().agent_state(bad.slot), Some(AgentState::Up));
    rig.audit();
}

#[test]
fn a_node_that_was_taken_out_is_taken_in_again_when_it_is_heard() {
    let mut rig = Rig::new(2, 3, 1);
    rig.run(300);
    rig.workers.get_mut(&NodeId(1)).unwrap().up = false;
    rig.run(11_000);
    assert_eq!(rig.work().agent_count(), 3);
    rig.workers.get_mut(&NodeId(1)).unwrap().up = true;
    rig.run(500);
    assert_eq!(rig.work().agent_count(), 6);
    // And what it hosts is what it says.
    rig.workers.get_mut(&NodeId(1)).unwrap().agents.truncate(1);
    rig.run(500);
    assert_eq!(rig.work().agent_count(), 4);
    rig.audit();
}

#[test]
fn a_leader_that_slept_does_not_take_its_own_silence_for_theirs() {
    let mut rig = Rig::new(3, 1, 4);
    rig.run(300);
    rig.submit(long(9, 60_000));
    rig.run(100);
    // An hour passes for the machine of the leader, in which it did not run; then it is woken.
    rig.now += 3_600_000;
    rig.settle();
    rig.run(700);
    assert_eq!(rig.work().counts().transfers, 0);
    assert_eq!(rig.work().agent_count(), 3);
}

#[test]
fn an_attempt_without_progress_is_over_and_one_with_progress_is_not() {
    let idle = Timeouts { idle_ms: Some(300), ..Timeouts::default() };
    let mut rig = Rig::new(1, 1, 4);
    rig.run(300);
    let quick = Retry { backoff_ms: 0, ..Retry::default() };
    let spec = |name: &str| TaskSpec::new(name).timeouts(idle).expected_ms(5000).retry(quick);
    rig.submit([spec("stuck"), spec("moves")]);
    for step in 0..12 {
        rig.now += 100;
        let mut report = quorate_scheduler::Report::alive(NodeId(1));
        let work = rig.work();
        for task in work.graph().tasks() {
            let progress = if work.graph().name(task) == "moves" { step } else { 0 };
            report.running.extend(work.lease(task).map(|(lease, _)| (lease, progress)));
        }
        rig.hint(quorate_scheduler::Hint::Report(report));
    }
    let attempt = |name: &str| rig.work().lease(rig.work().graph().find(name).unwrap()).unwrap().0.attempt;
    assert_eq!((attempt("stuck"), attempt("moves")), (4, 1));
    rig.audit();
}

#[test]
fn a_cancelled_task_is_stopped_where_it_runs() {
    let mut rig = Rig::new(1, 1, 4);
    rig.run(300);
    rig.submit(long(2, 60_000));
    rig.run(50);
    rig.apply(Command::Cancel { task: "t0".into() });
    rig.run(50);
    assert_eq!(rig.work().state(quorate_scheduler::TaskId(0)), State::Cancelled);
    assert_eq!(rig.workers[&NodeId(1)].running.len(), 1);
    rig.audit();
}

#[test]
fn retries_come_when_the_log_says_and_a_lost_block_is_decided_again() {
    let mut rig = Rig::new(1, 1, 4);
    rig.run(300);
    let task = TaskSpec::new("a").timeouts(Timeouts { run_ms: Some(100), ..Timeouts::default() });
    rig.submit([task.expected_ms(60_000)]);
    // Every other block never gets into the log.
    let mut lost = 0;
    for step in 0..300 {
        rig.now += 10;
        if step % 20 == 0 {
            rig.hint(quorate_scheduler::Hint::Report(quorate_scheduler::Report::alive(NodeId(1))));
        }
        let replica = &mut rig.replicas[0];
        let mut proposals = Vec::new();
        replica.decider.decide(&replica.work, time(rig.now), &mut rig.rng, &mut proposals);
        if let Some(proposal) = proposals.pop() {
            lost += 1;
            if lost % 2 == 0 {
                rig.apply(proposal);
            }
        }
    }
    assert_eq!(rig.work().state(quorate_scheduler::TaskId(0)), State::Failed);
    assert_eq!(rig.work().counts().attempts, 4);
    rig.audit();
}
