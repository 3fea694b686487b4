//! Jobs on threads: order, bounds, panics, and the end of their node.

mod common;

use common::*;
use quorate_core::{Failure, JobKind, Reason};
use quorate_node::Jobs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

fn on_threads(n: usize, scopes: u32) -> Setup {
    let mut setup = Setup::new(1);
    setup.scopes = (0..scopes).map(scope).collect();
    setup.config.jobs = Jobs::Threads(at_most(n));
    setup
}

#[test]
fn own_jobs_of_a_scope_run_in_order_and_one_at_a_time() {
    let setup = on_threads(4, 2);
    let (_node, app) = setup.start();
    let (order, running) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let tickets: Vec<_> = (0..40)
        .map(|n| {
            let (order, running) = (order.clone(), running.clone());
            app.work(scope(0), JobKind::Own, move || {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                order.lock().expect("nobody panicked").push(n);
                running.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    assert!(tickets.into_iter().map(outcome).all(|outcome| outcome == Ok(())));
    assert_eq!(*order.lock().expect("nobody panicked"), (0..40).collect::<Vec<_>>());
}

#[test]
fn pool_jobs_and_own_jobs_of_other_scopes_run_beside_each_other() {
    let setup = on_threads(3, 3);
    let (_node, app) = setup.start();
    // None gets past it before all three are there.
    let barrier = Arc::new(Barrier::new(3));
    let kinds = [(0, JobKind::Own), (1, JobKind::Own), (2, JobKind::Pool)];
    let tickets = kinds.map(|(n, kind)| {
        let barrier = barrier.clone();
        app.work(scope(n), kind, move || {
            barrier.wait();
        })
    });
    for ticket in tickets {
        assert_eq!(outcome(ticket), Ok(()));
    }
}

#[test]
fn a_job_that_panics_poisons_its_scope_and_no_other() {
    for jobs in [Jobs::Threads(at_most(1)), Jobs::Inline] {
        let mut setup = on_threads(1, 2);
        setup.config.jobs = jobs;
        let (node, app) = setup.start();
        let failed = app.work(scope(0), JobKind::Own, || panic!("the application's bug"));
        let poisoned = || Reason::Poisoned("the application's bug".into());
        assert_eq!(outcome(failed), Err(Failure::Unknown(poisoned())));
        assert_eq!(outcome(app.keep_in(scope(0), 1)), Err(Failure::Rejected(poisoned())));
        assert_eq!(outcome(app.keep_in(scope(1), 2)), Ok(2));
        assert_eq!(outcome(app.work(scope(1), JobKind::Own, || ())), Ok(()), "its thread went on");
        let status = node.status();
        assert_eq!((status.jobs.done, status.jobs.panics), (2, 1));
        let seen = node.inspect_port(scope(0), |clerk: &Clerk| clerk.poisoned.clone());
        assert_eq!(seen, Ok(Some("the application's bug".into())));
    }
}

#[test]
fn jobs_that_wait_for_a_thread_fill_the_lane() {
    let mut setup = on_threads(1, 1);
    setup.config.jobs_waiting_max = at_most(4);
    setup.asks_max = 10;
    let (mut lane, _node, app) = setup.prepare();
    let (release, released) = channel::<()>();
    let first = app.work(scope(0), JobKind::Pool, move || {
        released.recv_timeout(PATIENCE).expect("it is released");
    });
    let mut rest = Vec::new();
    while app.door.len() < 10 {
        rest.push(app.work(scope(0), JobKind::Pool, || ()));
        lane.turn(Instant::now());
    }
    let status = lane.status();
    assert!(status.full && (1..=2).contains(&status.jobs.out), "{status:?}");
    assert_eq!(status.jobs.waiting, 4);
    assert_eq!(outcome(app.work(scope(0), JobKind::Pool, || ())), Err(Failure::Rejected(Reason::Busy)));
    release.send(()).expect("it waits");
    for ticket in std::iter::once(first).chain(rest) {
        eventually("it ends", || {
            lane.turn(Instant::now());
            ticket.is_settled()
        });
        assert_eq!(outcome(ticket), Ok(()));
    }
}

#[test]
fn a_job_that_was_queued_when_its_node_was_killed_never_runs() {
    let setup = on_threads(1, 2);
    let (node, app) = setup.start();
    let (began, begun) = channel();
    let (release, released) = channel::<()>();
    let running = app.work(scope(0), JobKind::Own, move || {
        began.send(()).expect("somebody waits");
        released.recv_timeout(PATIENCE).expect("it is released");
    });
    begun.recv_timeout(PATIENCE).expect("it runs");
    let ran = Arc::new(AtomicBool::new(false));
    let queued = app.work(scope(1), JobKind::Own, {
        let ran = ran.clone();
        move || ran.store(true, Ordering::SeqCst)
    });
    eventually("it is queued", || node.status().jobs.out == 2);
    let killer = std::thread::spawn(move || node.kill());
    eventually("the lane is gone", || app.door.enter().is_err());
    assert_eq!(outcome(running), Err(Failure::Unknown(Reason::Stopped)));
    assert_eq!(outcome(queued), Err(Failure::Unknown(Reason::Stopped)));
    release.send(()).expect("it waits");
    // Joins the thread, which would have run it.
    killer.join().expect("no panic");
    assert!(!ran.load(Ordering::SeqCst));
}
