//! Wakes: timed ones, those in the past, and those that jobs must not delay.

mod common;

use common::*;
use quorate_core::{JobKind, Time};
use quorate_node::Next;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const BEAT: Duration = Duration::from_millis(10);

#[test]
fn a_wake_in_the_past_comes_after_the_inputs_that_wait() {
    let setup = Setup::in_memory(1);
    let (mut lane, _node, app) = setup.prepare();
    let tickets: Vec<_> = (0..50).map(|n| app.keep_at_wake(n)).collect();
    lane.turn(Instant::now());
    assert_eq!(ledger(&lane).batches, [50], "one batch for all that waited");
    assert!(tickets.iter().all(|ticket| ticket.is_settled()));
    assert_eq!(lane.status().wake_late.count, 0, "what is batched is not late");
}

#[test]
fn a_timed_wake_is_asked_for_and_its_lateness_measured() {
    let mut setup = Setup::in_memory(1);
    setup.beat_every = Some(BEAT);
    let (mut lane, _node, _) = setup.prepare();
    let began = Instant::now();
    let Next::At(due) = settle(&mut lane, began) else { panic!("it beats") };
    assert_eq!(due.duration_since(began), BEAT);
    assert!(!lane.is_due(due - Duration::from_nanos(1)) && lane.is_due(due));
    let Next::At(next) = settle(&mut lane, due + Duration::from_millis(3)) else { panic!("it beats") };
    assert_eq!(ledger(&lane).beats, 1);
    let late = lane.status().wake_late;
    assert_eq!((late.count, late.max_ns), (1, 3_000_000));
    assert_eq!(next.duration_since(due), BEAT + Duration::from_millis(3));
}

#[test]
fn time_stands_still_in_a_turn_and_never_goes_back() {
    let setup = Setup::in_memory(1);
    let (mut lane, _node, app) = setup.prepare();
    let began = Instant::now();
    // The third instant lies before the second.
    for (n, after) in [0, 5, 2, 9].into_iter().enumerate() {
        let _ = (app.keep(n as u64), app.keep(0));
        lane.turn(began + Duration::from_millis(after));
    }
    let times: &[Time] = &ledger(&lane).times;
    assert!(times.is_sorted(), "{times:?}");
    let mut distinct = times.to_vec();
    distinct.dedup();
    assert_eq!(distinct.len(), 3, "{times:?}");
}

#[test]
fn a_lane_with_nothing_to_do_asks_for_no_turn_but_to_hand_over_its_metrics() {
    let setup = Setup::in_memory(1);
    let (mut lane, _node, app) = setup.prepare();
    let began = Instant::now();
    assert_eq!(settle(&mut lane, began), Next::Ring);
    let _ = app.keep(1);
    let Next::At(publish) = settle(&mut lane, began + Duration::from_millis(1)) else {
        panic!("its counters changed")
    };
    assert_eq!(settle(&mut lane, publish), Next::Ring);
}

#[test]
fn a_job_that_takes_long_does_not_delay_wakes() {
    let mut setup = Setup::new(1);
    setup.beat_every = Some(Duration::from_millis(1));
    let (node, app) = setup.start();
    let (release, released) = channel::<()>();
    let ticket = app.work(scope(0), JobKind::Own, move || {
        released.recv_timeout(PATIENCE).expect("it is released by the beats that go on");
        std::thread::sleep(Duration::from_millis(100));
    });
    let beats = || node.inspect(scope(0), |ledger: &Ledger| ledger.beats).expect("it runs");
    eventually("it is out", || node.status().jobs.out == 1);
    let before = beats();
    eventually("beats while it runs", || beats() >= before + 20);
    release.send(()).expect("it waits");
    assert_eq!(outcome(ticket), Ok(()));
    let late = node.status().wake_late;
    // Most wakes are later than a moment on a busy machine, but not by the length of the job.
    assert!(late.count >= 20 && late.p50_ns < 100_000_000, "{late:?}");
}
