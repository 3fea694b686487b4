//! What the workers are told.

use crate::rig::Rig;
use quorate_core::NodeId;
use quorate_scheduler::dispatch::granted;
use quorate_scheduler::graph::TaskSpec;
use quorate_scheduler::{Lease, TaskId, task_digest};

#[test]
fn a_level_says_all_that_a_worker_must_know() {
    let mut rig = Rig::new(1, 1, 1);
    rig.run(300);
    rig.submit([TaskSpec::new("a"), TaskSpec::new("b").after(["a"]).expected_ms(77)]);
    rig.run(20);
    let level = rig.replicas[0].levels.last().unwrap();
    assert!(level.leads && level.term == 1);
    let one = &level.nodes[0].leases[0];
    assert_eq!(one.lease, Lease { task: TaskId(1), attempt: 1, epoch: 1 });
    assert_eq!((one.name.as_str(), one.expected_ms, one.cancel), ("b", 77, false));
    assert_eq!(one.inputs, [task_digest("a", [])]);
}

#[test]
fn only_what_changed_is_told_and_everything_by_a_new_leader() {
    let mut rig = Rig::new(3, 1, 1);
    rig.run(300);
    rig.submit([TaskSpec::new("a").expected_ms(1000)]);
    rig.replicas[0].levels.clear();
    rig.submit([TaskSpec::new("b").expected_ms(1000)]);
    let told: Vec<usize> = rig.replicas[0].levels.iter().map(|level| level.nodes.len()).collect();
    assert_eq!(told, [1], "one node got one task");
    assert!(rig.replicas[1].levels.is_empty(), "a follower told something");
    rig.elect(1);
    assert!(!rig.replicas[0].levels.last().unwrap().leads, "the old leader did not say that it stopped");
    let level = &rig.replicas[1].levels[0];
    assert!(level.leads && level.whole && level.term == 2 && level.nodes.len() == 3);
}

#[test]
fn what_workers_were_told_bit_by_bit_is_what_is() {
    let mut rig = Rig::new(4, 3, 2);
    rig.run(300);
    rig.submit((0..80u32).map(|i| TaskSpec::new(format!("t{i}")).expected_ms(20 + 13 * (i % 5))));
    for step in 0..40 {
        rig.run(10);
        if step == 10 {
            rig.verdict(2, quorate_scheduler::dispatch::Health::Suspect);
        }
        if step == 20 {
            rig.verdict(2, quorate_scheduler::dispatch::Health::Failed);
        }
        if step == 25 {
            rig.elect(1);
        }
        for (node, worker) in &rig.workers {
            assert_eq!(worker.held, granted(rig.work(), *node), "{node}, step {step}");
        }
    }
    assert_eq!(rig.work().open(), 0);
    assert_eq!(rig.work().agents_of(NodeId(2)).len(), 0);
}
