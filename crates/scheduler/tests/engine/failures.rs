//! Retry, then fallback, then the join, then the cascade; and cancellation.

use crate::rig::{ONE, Rig, TWO, pauses, retries, task, total};
use quorate_scheduler::EngineConfig;
use quorate_scheduler::engine::{Completion, Event, State, Whom, Why};
use quorate_scheduler::graph::Join;

use State::{BackingOff, Cancelled, Cancelling, Failed, Ready, Skipped, Standby, Succeeded, Waiting};

#[test]
fn fallback_after_partial_success_exactly_one_commit() {
    let tasks = [task("a").fallback("b"), task("b"), task("end").after(["a"])];
    let mut rig = Rig::new(tasks);
    // The first agent does the work and is lost before it can say so.
    let partial = rig.lease("a", ONE);
    rig.engine.suspect(Whom::Agent(ONE));
    let second = rig.lease("a", TWO);
    assert!(rig.engine.fail(second, false, "half done already"));
    assert_eq!(rig.states(["a", "b", "end"]), [Failed, Ready, Waiting]);
    assert_eq!(rig.done(partial), Completion::Stale);
    let lease = rig.lease("b", TWO);
    assert_eq!(rig.done(partial), Completion::Stale);
    assert_eq!(rig.done(lease), Completion::Committed);
    assert_eq!(rig.state("end"), Ready);
    // Who depends on a gets what stands in its slot.
    assert_eq!(rig.engine.digest_of(rig.id("a")), rig.engine.digest_of(rig.id("b")));
    rig.engine.trust(Whom::Agent(ONE));
    rig.succeed("end");
    assert_eq!(rig.engine.counts().committed, 2);
    rig.is_idle();
}

#[test]
fn fallback_of_a_fallback_exhausted_chain_fails_once() {
    let tasks = [task("a").fallback("b"), task("b").fallback("c"), task("c"), task("end").after(["a"])];
    let mut rig = Rig::new(tasks.clone());
    rig.fail("a");
    rig.fail("b");
    assert_eq!(rig.states(["a", "b", "c", "end"]), [Failed, Failed, Ready, Waiting]);
    rig.fail("c");
    let end = rig.id("end");
    assert_eq!(rig.count(|e| matches!(e, Event::Cancelled { task, .. } if *task == end)), 1);
    assert_eq!(rig.why("end"), Why::Dependency);
    rig.is_idle();
    let mut rig = Rig::new(tasks);
    rig.fail("a");
    rig.succeed("b");
    rig.succeed("end");
    assert_eq!(rig.states(["a", "b", "c", "end"]), [Failed, Succeeded, Skipped, Succeeded]);
    rig.is_idle();
}

#[test]
fn retry_first_then_fallback_never_both() {
    let mut rig = Rig::new([task("a").retry(pauses(2, 10)).fallback("b"), task("b")]);
    for attempt in 1..=2 {
        rig.fail("a");
        assert_eq!(rig.states(["a", "b"]), [BackingOff, Standby], "attempt {attempt}");
        rig.at(attempt * 100);
        assert_eq!(rig.states(["a", "b"]), [Ready, Standby]);
    }
    rig.fail("a");
    assert_eq!(rig.states(["a", "b"]), [Failed, Ready]);
    rig.at(100_000);
    assert_eq!(rig.state("a"), Failed);
    rig.succeed("b");
    assert_eq!(rig.engine.counts().attempts, 4);
    rig.is_idle();
}

#[test]
fn a_hopeless_failure_is_not_retried() {
    let mut rig = Rig::new([task("a").retry(retries(9)).fallback("b"), task("b")]);
    let lease = rig.lease("a", ONE);
    rig.engine.fail(lease, true, "no such file");
    assert_eq!(rig.states(["a", "b"]), [Failed, Ready]);
    assert_eq!(rig.engine.failure_text(rig.id("a")), Some("no such file"));
}

#[test]
fn retry_budget_stops_retry_storms() {
    let config = EngineConfig { retry_budget: 5, retries_earned_per_mille: 500, ..EngineConfig::default() };
    let names: Vec<String> = (0..20).map(|i| i.to_string()).collect();
    let mut rig = Rig::with(config, names.iter().map(|name| task(name).retry(retries(3))));
    for name in &names {
        rig.fail(name);
    }
    let ready = names.iter().filter(|name| rig.state(name) == Ready).count();
    assert_eq!(ready, 5);
    assert_eq!(rig.why("19"), Why::RetryBudget);
    // Two successes earn one retry.
    rig.succeed("0");
    rig.succeed("1");
    rig.fail("2");
    assert_eq!(rig.state("2"), Ready);
    rig.fail("3");
    assert_eq!(rig.state("3"), Failed);
    rig.audit();
}

#[test]
fn deadline_beats_retry_backoff_counts_towards_it() {
    let mut rig = Rig::new([task("a").retry(pauses(100, 30)).timeouts(total(100)).fallback("b"), task("b")]);
    rig.fail("a");
    rig.at(30);
    rig.fail("a");
    // The next pause of 60 would end at 90, the one after it of 120 too late: nobody waits for that.
    rig.at(90);
    rig.fail("a");
    assert_eq!((rig.state("a"), rig.why("a")), (Failed, Why::Deadline));
    assert_eq!(rig.state("b"), Ready);
    rig.audit();
}

#[test]
fn a_failure_goes_down_the_graph_and_not_up_or_aside() {
    let mut rig = Rig::new([
        task("a"),
        task("aside"),
        task("b").after(["a"]),
        task("c").after(["b", "aside"]),
        task("clean up").after(["c"]).join(Join::AllEnded),
    ]);
    rig.fail("a");
    assert_eq!(rig.states(["a", "b", "c"]), [Failed, Cancelled, Cancelled]);
    assert_eq!(rig.states(["aside", "clean up"]), [Ready, Ready]);
    rig.succeed("aside");
    rig.succeed("clean up");
    rig.is_idle();
}

#[test]
fn a_join_of_two_arms_fires_once_when_one_is_skipped() {
    // The arm that is not taken is skipped because what it joins was.
    let mut rig = Rig::new([
        task("try").fallback("else"),
        task("else"),
        task("one").after(["try"]),
        task("two").after(["try"]).join(Join::AtLeast(1)),
        task("join").after(["one", "two"]).join(Join::NoneFailed),
    ]);
    rig.succeed("try");
    assert_eq!(rig.state("else"), Skipped);
    rig.succeed("one");
    rig.succeed("two");
    rig.succeed("join");
    let join = rig.id("join");
    assert_eq!(rig.count(|e| *e == Event::Ready { task: join }), 1);
    rig.is_idle();
}

#[test]
fn at_least_one_runs_at_once_and_only_once() {
    let mut rig = Rig::new([task("a"), task("b"), task("any").after(["a", "b"]).join(Join::AtLeast(1))]);
    rig.fail("a");
    assert_eq!(rig.state("any"), Waiting);
    rig.succeed("b");
    rig.succeed("any");
    rig.is_idle();
    let mut rig = Rig::new([task("a"), task("b"), task("any").after(["a", "b"]).join(Join::AtLeast(1))]);
    rig.succeed("a");
    rig.succeed("any");
    rig.succeed("b");
    let any = rig.id("any");
    assert_eq!(rig.count(|e| *e == Event::Ready { task: any }), 1);
    rig.is_idle();
}

#[test]
fn diamond_with_cancellation_in_flight_each_node_cancelled_once_finished_work_not_rerun() {
    let mut rig = Rig::new([
        task("top"),
        task("left").after(["top"]),
        task("right").after(["top"]),
        task("bottom").after(["left", "right"]),
    ]);
    rig.succeed("top");
    let left = rig.lease("left", ONE);
    let right = rig.lease("right", TWO);
    rig.engine.cancel("left").unwrap();
    rig.engine.cancel("left").unwrap();
    // It holds its agent until that has said that it stopped.
    assert_eq!(rig.states(["left", "bottom"]), [Cancelling, Waiting]);
    assert_eq!(rig.engine.find_agent(ONE).unwrap().running, 1);
    assert!(rig.engine.stopped(left));
    assert!(!rig.engine.stopped(left));
    assert_eq!(rig.states(["left", "bottom"]), [Cancelled, Cancelled]);
    assert_eq!(rig.done(right), Completion::Committed);
    rig.engine.cancel("right").unwrap_err();
    assert_eq!(rig.states(["top", "right"]), [Succeeded, Succeeded]);
    assert_eq!(rig.count(|e| matches!(e, Event::Cancelled { .. })), 2);
    rig.is_idle();
}

#[test]
fn a_cancelled_task_is_acknowledged_by_a_stop_a_late_result_a_loss_or_time() {
    for end in ["stopped", "done", "failed", "lost", "time"] {
        let mut rig = Rig::new([task("a").fallback("b"), task("b")]);
        let lease = rig.lease("a", ONE);
        rig.engine.cancel("a").unwrap();
        match end {
            "stopped" => assert!(rig.engine.stopped(lease)),
            "done" => assert_eq!(rig.done(lease), Completion::Cancelled),
            "failed" => assert!(rig.engine.fail(lease, false, "")),
            "lost" => rig.engine.down(Whom::Agent(ONE)),
            _ => {
                rig.at(9_999);
                assert_eq!(rig.state("a"), Cancelling);
                rig.at(10_000);
            }
        }
        assert_eq!(rig.states(["a", "b"]), [Cancelled, Cancelled], "{end}");
        assert_eq!(rig.engine.counts().committed, 0);
        rig.is_idle();
    }
}

#[test]
fn a_fallback_that_was_cancelled_before_its_turn_is_passed_over() {
    let mut rig =
        Rig::new([task("a").fallback("b"), task("b").fallback("c"), task("c"), task("d").after(["a"])]);
    rig.engine.cancel("b").unwrap();
    assert_eq!(rig.states(["a", "b", "c", "d"]), [Ready, Cancelled, Standby, Waiting]);
    rig.fail("a");
    assert_eq!(rig.state("c"), Ready);
    rig.succeed("c");
    rig.succeed("d");
    rig.is_idle();
}
