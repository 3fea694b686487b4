//! Status, events, inspection and metrics of a running node.

mod common;

use common::*;
use quorate_core::NodeId;
use quorate_node::{InspectError, NoEvent, NodeStatus, Stopped};
use std::time::Duration;

#[test]
fn a_status_says_what_was_done_and_travels_as_json() {
    let setup = Setup::new(1);
    let (node, app) = setup.start();
    for n in 0..5 {
        assert_eq!(outcome(app.keep(n)), Ok(n));
    }
    let status = node.status();
    assert_eq!((status.id, status.incarnation, status.stopped.clone()), (NodeId(1), 1, None));
    assert_eq!((status.asks, status.journal.appends, status.journal.undurable_bytes), (5, 5, 0));
    assert!((1..=5).contains(&status.journal.syncs) && status.journal.sync.max_ns > 0, "{status:?}");
    assert!(status.steps >= 11, "a start, five asks, and what became durable: {status:?}");
    assert!(status.uptime_ns > 0 && status.busy_share() > 0.0 && status.busy_share() <= 1.0);
    let json = serde_json::to_string(&status).expect("it is plain data");
    assert_eq!(serde_json::from_str::<NodeStatus>(&json).expect("it reads back"), status);

    node.stop();
    let last = node.status();
    assert_eq!((last.stopped, last.asks), (Some(Stopped::Asked), 5));
}

#[test]
fn a_node_that_nobody_drives_shows_how_it_was() {
    let (mut lane, node, app) = Setup::in_memory(1).prepare();
    assert_eq!((node.status().steps, node.status().incarnation), (0, 1));
    let _ = app.keep(1);
    settle(&mut lane, std::time::Instant::now());
    assert_eq!(lane.status().asks, 1);
    assert_eq!(node.status().asks, 1, "as it was looked at last");
}

#[test]
fn watchers_hear_the_news_of_their_scopes() {
    let mut setup = Setup::new(1);
    setup.scopes = (0..2).map(scope).collect();
    let (node, app) = setup.start();
    let (all, one) = (node.events(at_most(8)), node.events_of(scope(1), at_most(1)));
    app.tell(scope(0), Ask::Tell("zero"));
    app.tell(scope(1), Ask::Tell("one"));
    app.tell(scope(1), Ask::Tell("more"));
    for expected in ["zero", "one", "more"] {
        let event = all.recv_timeout(PATIENCE).expect("it comes");
        assert_eq!(event.downcast::<&str>(), Some(&expected));
    }
    assert_eq!(one.recv_timeout(PATIENCE).expect("it came").scope, scope(1));
    assert_eq!((one.try_recv().err(), one.dropped()), (Some(NoEvent::Yet), 1));
    assert_eq!((node.status().notices, node.status().notices_dropped), (3, 1));
    node.stop();
    assert_eq!(all.recv_timeout(PATIENCE).err(), Some(NoEvent::Ended));
}

#[test]
fn a_look_at_a_scope_is_typed_and_cannot_hurt_the_node() {
    let (node, app) = Setup::new(1).start();
    assert_eq!(outcome(app.keep(4)), Ok(4));
    assert_eq!(node.inspect(scope(0), |ledger: &Ledger| ledger.kept.clone()), Ok(vec![4]));
    assert_eq!(node.inspect(scope(9), |_: &Ledger| ()), Err(InspectError::NotHere(scope(9))));
    assert_eq!(node.inspect_port(scope(0), |_: &String| ()), Err(InspectError::NotHere(scope(0))));
    let clumsy = node.inspect(scope(0), |_: &Ledger| -> () { panic!("oh") });
    assert_eq!(clumsy, Err(InspectError::Panicked("oh".into())));
    assert_eq!(outcome(app.keep(5)), Ok(5));
    node.kill();
    assert_eq!(node.inspect(scope(0), |_: &Ledger| ()), Err(InspectError::Ended));
}

#[test]
fn every_metric_is_handed_over_and_says_what_the_status_says() {
    let notebook = Notebook::default();
    let mut setup = Setup::new(1);
    setup.beat_every = Some(Duration::from_millis(1));
    setup.config.metrics_interval = Duration::from_millis(5);
    let peer = Setup { switch: setup.switch.clone(), ..Setup::new(2) };
    let (peer, _) = peer.start();
    let (node, app) = metrics::with_local_recorder(&notebook, || setup.start());
    assert_eq!(notebook.names(), 34, "as many as the table has rows");

    for n in 0..3 {
        assert_eq!(outcome(app.keep(n)), Ok(n));
    }
    app.say(NodeId(2), Say::Data(1));
    app.say(NodeId(2), Say::Long(vec![0; 5000]));
    let heard = || peer.inspect(scope(0), |ledger: &Ledger| ledger.heard.len());
    eventually("the message", || heard() == Ok(1));
    let failed = app.work(scope(0), quorate_core::JobKind::Own, || panic!("a bug"));
    assert!(outcome(failed).is_err());
    eventually("while it runs", || {
        notebook.count("quorate_node_asks_total") == 6 && notebook.level("quorate_node_sessions") == 1.0
    });
    assert_eq!(notebook.level("quorate_node_stopped"), 0.0);

    node.stop();
    let status = node.status();
    let count = |name: &str| notebook.count(&format!("quorate_node_{name}_total"));
    let level = |name: &str| notebook.level(&format!("quorate_node_{name}"));
    assert_eq!(count("steps"), status.steps);
    assert_eq!(count("wakes"), status.wakes);
    assert!(status.wakes > 0);
    assert_eq!((count("asks"), count("appends"), count("syncs")), (6, 3, status.journal.syncs));
    assert_eq!((count("jobs"), count("job_panics")), (1, 1));
    assert_eq!(count("frames_received"), status.frames.received);
    assert_eq!(count("received_bytes"), status.frames.received_bytes);
    assert_eq!(count("frames_sent"), status.frames.sent);
    assert_eq!(count("sent_bytes"), status.frames.sent_bytes);
    assert!(count("frames_sent") > 0 && count("sent_bytes") > 32 && count("received_bytes") > 32);
    assert_eq!((count("frames_oversized"), count("handshakes")), (1, status.link.sessions));
    for name in ["frames_refused", "frames_dropped", "frames_replayed", "malformed", "notices_dropped"] {
        assert_eq!(count(name), 0, "{name}");
    }
    assert_eq!(count("frames_unsealed"), status.link.unsealed);
    assert_eq!((level("sessions"), level("stopped"), level("full")), (1.0, 1.0, 0.0));
    for name in ["asks_waiting", "held_effects", "undurable_bytes", "jobs_out", "jobs_waiting"] {
        assert_eq!(level(name), 0.0, "{name}");
    }
    assert_eq!(level("busy_share"), status.busy_share());
    assert_eq!(level("uptime_seconds"), status.uptime_ns as f64 * 1e-9);
    assert_eq!(level("sync_mean_seconds"), status.journal.sync.mean_ns as f64 * 1e-9);
    assert_eq!(level("sync_p99_seconds"), status.journal.sync.p99_ns as f64 * 1e-9);
    assert_eq!(level("wake_late_p99_seconds"), status.wake_late.p99_ns as f64 * 1e-9);
    assert_eq!(level("wake_late_max_seconds"), status.wake_late.max_ns as f64 * 1e-9);
    assert_eq!(level("turn_p99_seconds"), status.turns.p99_ns as f64 * 1e-9);
}
