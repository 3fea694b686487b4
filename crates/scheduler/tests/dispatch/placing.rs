//! Who gets the work.

use crate::rig::Rig;
use quorate_core::{AgentId, NodeId};
use quorate_scheduler::dispatch::{CapabilityMatch, Placement, RoundRobin, Skills, TaskView};
use quorate_scheduler::engine::{AgentSlot, AgentSpec, AgentView, State};
use quorate_scheduler::graph::TaskSpec;
use quorate_scheduler::{TaskId, run_sequential};
use std::collections::BTreeMap;

fn many(n: u32, ms: u32) -> impl Iterator<Item = TaskSpec> {
    (0..n).map(move |i| TaskSpec::new(format!("t{i}")).expected_ms(ms))
}

fn by_agent(rig: &Rig) -> BTreeMap<AgentId, usize> {
    let mut loads = BTreeMap::new();
    for (_, _, agent) in &rig.began {
        *loads.entry(*agent).or_default() += 1;
    }
    loads
}

#[test]
fn a_thousand_tasks_over_a_hundred_agents_are_balanced() {
    // One after the other, and all at once.
    for slots in [1, 10] {
        let mut rig = Rig::new(10, 10, slots);
        rig.run(300);
        rig.submit(many(1000, 20));
        rig.run(400);
        assert_eq!(rig.work().open(), 0);
        let loads = by_agent(&rig);
        let off: usize =
            (0..100).map(|a| AgentId(1000 * (1 + a / 10) + a % 10)).map(|a| loads[&a].abs_diff(10)).sum();
        // Mean distance from the mean, as a share of it.
        assert!(off * 1000 <= 15 * 1000, "{off} tasks are where they should not be");
        rig.audit();
    }
}

#[test]
fn a_graph_comes_to_what_it_comes_to_when_run_in_order() {
    let mut rig = Rig::new(3, 4, 2);
    rig.run(300);
    let tasks = (0..200u32).map(|i| {
        let after: Vec<String> = (1..=3).filter(|d| i >= 5 * d).map(|d| format!("t{}", i - 5 * d)).collect();
        TaskSpec::new(format!("t{i}")).expected_ms(1 + i % 7).after(after)
    });
    rig.submit(tasks);
    rig.run(3000);
    assert_eq!(rig.work().open(), 0);
    assert_eq!(rig.work().digest(), run_sequential(rig.work().graph()));
    assert_eq!(rig.work().result(TaskId(7)), Some(&b"t7"[..]));
    assert_eq!(rig.work().counts().attempts, 200);
    rig.audit();
}

#[test]
fn round_robin_stays_fair_as_membership_changes() {
    let mut rig = Rig::with(4, 1, 1000, || Box::new(RoundRobin::default()));
    rig.run(300);
    rig.submit(many(40, 60_000));
    assert!(by_agent(&rig).is_empty());
    rig.run(20);
    assert!(by_agent(&rig).values().all(|load| *load == 10));
    // One leaves, one comes: whoever is there from here on gets the same share.
    rig.workers.remove(&NodeId(2));
    rig.verdict(2, quorate_scheduler::dispatch::Health::Failed);
    let agents = vec![AgentSpec::new(AgentId(9000)).slots(1000)];
    rig.workers.insert(NodeId(9), crate::rig::Worker { agents, up: true, ..Default::default() });
    rig.run(400);
    rig.began.clear();
    rig.submit((0..400).map(|i| TaskSpec::new(format!("late {i}")).expected_ms(60_000)));
    rig.run(20);
    let loads = by_agent(&rig);
    assert_eq!(loads.len(), 4);
    assert!(loads.values().all(|load| *load == 100), "{loads:?}");
}

#[test]
fn tasks_go_to_agents_that_can_do_them_and_to_the_best_of_these() {
    let mut rig = Rig::with(2, 2, 2, || Box::new(CapabilityMatch::default()));
    let skilled = |id, per_mille| AgentSpec::new(AgentId(id)).slots(1).skill("vision", per_mille);
    rig.workers.get_mut(&NodeId(2)).unwrap().agents = vec![skilled(1, 690), skilled(2, 800), skilled(3, 950)];
    rig.run(300);
    let see = |i: u32| TaskSpec::new(format!("see {i}")).needs(["vision"]).expected_ms(100);
    rig.submit((0..4).map(see).chain(many(2, 100)));
    rig.run(20);
    let able: Vec<AgentId> = rig.began.iter().map(|(_, _, agent)| *agent).collect();
    assert!(able.contains(&AgentId(2)) && able.contains(&AgentId(3)), "{able:?}");
    // Two of four wait for those who can; what needs nothing was not kept waiting by them.
    assert_eq!(able.len(), 4, "{able:?}");
    rig.run(400);
    assert_eq!(rig.work().open(), 0);
    let seen = rig.began.iter().filter(|(_, lease, _)| lease.task.0 < 4);
    assert!(seen.into_iter().all(|(_, _, agent)| [2, 3].contains(&agent.0)));
}

/// Answers whoever comes to its mind: full, gone, unable.
struct Careless(u32);

impl Placement for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }
    fn clear(&mut self) {}
    fn set(&mut self, _: &AgentView, _: Skills<'_>) {}
    fn remove(&mut self, _: AgentSlot) {}
    fn place(&mut self, _: &TaskView, _: Skills<'_>) -> Option<AgentSlot> {
        self.0 += 1;
        Some(AgentSlot(self.0 % 7))
    }
}

#[test]
fn a_careless_placement_of_the_users_own_loses_no_task() {
    let mut rig = Rig::with(2, 2, 1, || Box::new(Careless(0)));
    rig.run(300);
    rig.submit(many(30, 10));
    rig.run(6000);
    assert_eq!(rig.work().open(), 0);
    assert!(rig.work().graph().tasks().all(|t| rig.work().state(t) == State::Succeeded));
    rig.audit();
}
