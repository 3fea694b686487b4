//! Changes of leader: nothing lost, nothing committed twice, leases never shortened.

use crate::rig::{Rig, time};
use quorate_core::{Decider, NodeId};
use quorate_scheduler::dispatch::{End, Finished};
use quorate_scheduler::engine::State;
use quorate_scheduler::graph::{TaskSpec, Timeouts};
use quorate_scheduler::{Hint, Report, TaskId, run_sequential};

#[test]
fn a_coordinators_crash_loses_no_task_and_commits_none_twice() {
    let mut rig = Rig::new(3, 2, 2);
    rig.run(300);
    let tasks = (0..100u32).map(|i| {
        let task = TaskSpec::new(format!("t{i}")).expected_ms(30 + i % 20);
        if i < 10 { task } else { task.after([format!("t{}", i - 10), format!("t{}", i - 7)]) }
    });
    rig.submit(tasks);
    for round in 0..10 {
        rig.run(70);
        rig.elect((round + 1) % 2);
    }
    rig.run(3000);
    assert_eq!(rig.work().open(), 0);
    // Those that run go on under the next leader: nobody has to begin again.
    assert_eq!(rig.work().counts().attempts, 100);
    assert_eq!(rig.work().counts().committed, 100);
    assert_eq!(rig.work().digest(), run_sequential(rig.work().graph()));
    rig.audit();
}

#[test]
fn a_new_leader_knows_what_was_reported_to_the_old_one() {
    let mut rig = Rig::new(1, 1, 4);
    rig.run(300);
    rig.submit([TaskSpec::new("a")]);
    let lease = rig.work().lease(TaskId(0)).unwrap().0;
    // The report reaches every replica; the leader is gone before it decides.
    let end = End::Done { digest: 5, result: Vec::new() };
    let report = Report { finished: vec![Finished { lease, end }], ..Report::alive(NodeId(1)) };
    let now = time(rig.now);
    for replica in &mut rig.replicas {
        replica.decider.hint(Hint::Report(report.clone()), now);
        assert_eq!(replica.decider.unsettled(), 1);
    }
    rig.elect(1);
    assert_eq!(rig.work().state(TaskId(0)), State::Succeeded);
    assert!(rig.replicas.iter().all(|replica| replica.decider.unsettled() == 0), "it was not forgotten");
}

#[test]
fn a_change_of_leader_lengthens_leases_and_never_shortens_them() {
    let run = Timeouts { run_ms: Some(1000), ..Timeouts::default() };
    let mut rig = Rig::new(1, 1, 4);
    rig.run(300);
    rig.submit([TaskSpec::new("a").timeouts(run).expected_ms(600_000)]);
    let granted = rig.now;
    let mut stamps = vec![rig.work().stamp()];
    rig.run(600);
    // Nobody leads for five seconds.
    rig.replicas[0].decider.retire();
    rig.now += 5000;
    rig.elect(1);
    while rig.work().counts().expired == 0 {
        rig.run(10);
        stamps.push(rig.work().stamp());
    }
    // At most what was left of it, and some of what was used up, again; never less.
    let held = rig.now - granted;
    assert!((6000..=7000).contains(&held), "{held}");
    assert!(stamps.windows(2).all(|pair| pair[0] <= pair[1]), "time went back");
}

#[test]
fn a_new_leader_gives_everybody_a_heartbeat_timeout_before_it_judges() {
    let mut rig = Rig::new(2, 1, 4);
    rig.run(300);
    rig.submit((0..4).map(|i| TaskSpec::new(format!("t{i}")).expected_ms(60_000)));
    // The replica that will lead has been deaf for a minute.
    rig.now += 60_000;
    rig.elect(1);
    rig.run(10);
    assert_eq!(rig.work().counts().transfers, 0);
    rig.workers.get_mut(&NodeId(1)).unwrap().up = false;
    rig.run(780);
    assert_eq!(rig.work().counts().transfers, 0);
    rig.run(50);
    assert_eq!(rig.work().counts().transfers, 2);
    rig.audit();
}

#[test]
fn what_a_stranger_reports_is_bounded_and_counted() {
    let config = quorate_scheduler::DispatchConfig { nodes_max: 2, finished_max: 3, ..Default::default() };
    let placement = quorate_scheduler::dispatch::LeastLoaded::default();
    let mut decider = quorate_scheduler::Dispatcher::new(config, placement).unwrap();
    for node in 1..10 {
        let lease = |task| quorate_scheduler::Lease { task: TaskId(task), attempt: 1, epoch: node };
        let finished = (0..3).map(|task| Finished { lease: lease(task), end: End::Stopped }).collect();
        let report = Report { finished, ..Report::alive(NodeId(node)) };
        decider.hint(Hint::Report(report), time(1));
    }
    assert_eq!(decider.unsettled(), 3);
    assert_eq!(decider.counts().strangers, 7);
    assert_eq!(decider.counts().finished_dropped, 3);
}
