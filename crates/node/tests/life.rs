//! Starting, stopping, killing, and starting again. What became of every ticket.

mod common;

use bytes::Bytes;
use common::*;
use quorate_core::{Failure, JobKind, Reason, Wire, wire};
use quorate_node::{ConfigError, Jobs, Next, NodeConfig, StartError, Stopped, run_together};
use std::num::NonZeroUsize;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const STOPPED: Reason = Reason::Stopped;

fn both() -> [Setup; 2] {
    [Setup::new(1), Setup::in_memory(1)]
}

#[test]
fn a_node_that_stops_and_starts_again_keeps_what_it_acknowledged() {
    for setup in both() {
        let (node, app) = setup.start();
        for n in 0..10 {
            assert_eq!(outcome(app.keep(n)), Ok(n));
        }
        assert_eq!(node.stop(), Stopped::Asked);
        assert_eq!(node.stopped(), Some(Stopped::Asked));

        let (node, app) = setup.start();
        assert_eq!(outcome(app.keep(10)), Ok(10));
        assert_eq!(node.inspect(scope(0), |ledger: &Ledger| ledger.kept.clone()), Ok((0..=10).collect()));
        let status = node.status();
        assert_eq!((status.incarnation, status.replayed), (2, 10));
    }
}

#[test]
fn a_compaction_is_found_by_the_next_life() {
    for setup in both() {
        let (node, app) = setup.start();
        for n in 0..5 {
            assert_eq!(outcome(app.keep(n)), Ok(n));
        }
        app.tell(scope(0), Ask::Compact);
        // On disk as of the next sync.
        assert_eq!(outcome(app.keep(5)), Ok(5));
        let status = node.status();
        assert_eq!((status.journal.appends, status.journal.compactions), (6, 1));
        assert_eq!(node.stop(), Stopped::Asked);
        assert_eq!(kept(&setup.disk), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_stop_finishes_what_came_in() {
    let setup = Setup::new(1);
    let (node, app) = setup.start();
    setup.gate.close();
    let tickets: Vec<_> = (0..50).map(|n| app.keep(n)).collect();
    eventually("all are taken", || node.status().asks == 50);
    node.ask_to_stop();
    eventually("the door is closed", || app.door.enter().is_err());
    setup.gate.open();
    assert_eq!(node.wait(), Stopped::Asked);
    for (n, ticket) in (0..).zip(tickets) {
        assert_eq!(outcome(ticket), Ok(n));
    }
    assert_eq!(outcome(app.keep(9)), Err(Failure::Rejected(STOPPED)));
}

#[test]
fn a_kill_loses_only_what_was_not_acknowledged() {
    for setup in both() {
        for round in 0..20 {
            let (node, app) = setup.start();
            let base = round * 1000;
            let tickets: Vec<_> = (base..base + 200).map(|n| (n, app.keep(n))).collect();
            // Somewhere in the middle.
            std::thread::sleep(Duration::from_micros(50 * round));
            assert_eq!(node.kill(), Stopped::Killed);
            let there = kept(&setup.disk);
            for (n, ticket) in tickets {
                let is_there = there.contains(&n);
                match outcome(ticket) {
                    Ok(_) => assert!(is_there, "{n} was acknowledged and is lost"),
                    Err(Failure::Rejected(why)) => {
                        assert_eq!(why, STOPPED);
                        assert!(!is_there, "{n} was rejected and is there");
                    }
                    Err(Failure::Unknown(why)) => assert_eq!(why, STOPPED),
                }
            }
        }
    }
}

#[test]
fn after_a_kill_nothing_is_synced_though_it_was_waiting_for_it() {
    let setup = Setup::new(1);
    setup.gate.close();
    let (node, app) = setup.start();
    let first = app.keep(1);
    setup.gate.await_arrivals(1);
    // Would share the next sync, which never comes.
    let second = app.keep(2);
    eventually("the second ask is taken", || node.status().asks == 2);
    let killer = std::thread::spawn(move || node.kill());
    eventually("the lane is gone", || app.door.enter().is_err());
    setup.gate.open();
    assert_eq!(killer.join().expect("no panic"), Stopped::Killed);
    // The first sync was under way: the disk may finish it, and nobody is told.
    assert_eq!(outcome(first), Err(Failure::Unknown(STOPPED)));
    assert_eq!(outcome(second), Err(Failure::Unknown(STOPPED)));
    assert_eq!(kept(&setup.disk), [1]);
}

#[test]
fn a_full_door_says_busy_and_every_other_ticket_is_kept() {
    let mut setup = Setup::in_memory(1);
    setup.asks_max = 3;
    let (mut lane, _node, app) = setup.prepare();
    let tickets: Vec<_> = (0..5).map(|n| app.keep(n)).collect();
    settle(&mut lane, Instant::now());
    let outcomes: Vec<_> = tickets.into_iter().map(outcome).collect();
    let busy = || Err(Failure::Rejected(Reason::Busy));
    assert_eq!(outcomes, [Ok(0), Ok(1), Ok(2), busy(), busy()]);

    let nowhere = app.keep_in(scope(9), 1);
    settle(&mut lane, Instant::now());
    assert_eq!(outcome(nowhere), Err(Failure::Rejected(STOPPED)), "no such scope runs here");
    assert_eq!(lane.status().host.misdirected_asks, 1);
}

#[test]
fn a_failed_sync_stops_the_node_and_says_so() {
    for setup in both() {
        let (node, app) = setup.start();
        assert_eq!(outcome(app.keep(1)), Ok(1));
        setup.disk.fail_next_sync();
        assert_eq!(outcome(app.keep(2)), Err(Failure::Unknown(STOPPED)));
        let why = node.wait();
        assert!(matches!(&why, Stopped::Journal(what) if what.contains("as it was told to")), "{why}");
        assert_eq!(node.status().stopped, Some(why.clone()));
        assert_eq!(outcome(app.keep(3)), Err(Failure::Rejected(STOPPED)));
        // It may be stopped again, and still says what happened.
        assert_eq!(node.stop(), why);
        assert_eq!(kept(&setup.disk), [1]);
    }
}

#[test]
fn after_a_failed_append_nothing_leaves_not_even_in_the_same_turn() {
    let setup = Setup::in_memory(1);
    let peer = Setup { switch: setup.switch.clone(), ..Setup::in_memory(2) };
    let (mut peer_lane, _peer, _) = peer.prepare();
    let (mut lane, node, app) = setup.prepare();
    let at = Instant::now();
    app.say(peer.id, Say::Control(1));
    for _ in 0..5 {
        settle(&mut lane, at);
        settle(&mut peer_lane, at);
    }
    assert_eq!(ledger(&peer_lane).heard, [(setup.id, Say::Control(1))]);
    let sent = lane.status().frames.sent;

    setup.gate.refuse_appends();
    app.say(peer.id, Say::Control(2));
    let ticket = app.keep(1);
    app.say(peer.id, Say::Control(3));
    assert_eq!(settle(&mut lane, at), Next::Ended);
    assert_eq!(outcome(ticket), Err(Failure::Unknown(STOPPED)));
    assert_eq!(node.stopped(), Some(Stopped::Journal("journal: no space".into())));
    assert_eq!(node.status().frames.sent, sent + 1);
    settle(&mut peer_lane, at);
    let heard: Vec<_> = ledger(&peer_lane).heard.iter().map(|(_, say)| say.clone()).collect();
    assert_eq!(heard, [Say::Control(1), Say::Control(2)], "what was asked before the append had left");
}

#[test]
fn a_node_whose_handle_is_dropped_is_killed() {
    for setup in both() {
        let (node, app) = setup.start();
        assert_eq!(outcome(app.keep(1)), Ok(1));
        drop(node);
        assert_eq!(outcome(app.keep(2)), Err(Failure::Rejected(STOPPED)));
    }
}

#[test]
fn a_lane_that_is_dropped_was_killed() {
    let setup = Setup::in_memory(1);
    let (lane, node, app) = setup.prepare();
    let ticket = app.keep(1);
    drop(lane);
    assert_eq!(node.stopped(), Some(Stopped::Killed));
    assert_eq!(outcome(ticket), Err(Failure::Rejected(STOPPED)));
    assert_eq!(node.status().stopped, Some(Stopped::Killed));
}

#[test]
fn a_journal_of_something_else_refuses_the_start() {
    let never_kept = Setup::written(1, scope(0), wire::encode(&Entry(u64::MAX), &mut Default::default()));
    assert!(matches!(never_kept.try_start(), Err(StartError::Corrupt(_))));

    let newer = Setup::written(2, scope(0), Bytes::from_static(&[Entry::VERSION + 1, 0]));
    assert!(matches!(newer.try_start(), Err(StartError::Corrupt(_))));

    let other = Setup::written(3, scope(9), Bytes::from_static(b"what")).try_start();
    let refused = other.expect_err("the scope is not here").to_string();
    assert!(refused.contains("not among the scopes"), "{refused}");
}

#[test]
fn a_configuration_that_cannot_work_touches_nothing() {
    let mut setup = Setup::new(1);
    setup.config.turn.held_max = 0;
    assert!(matches!(setup.try_start(), Err(StartError::Config(ConfigError::Zero("turn.held_max")))));
    setup.config = NodeConfig::default();
    assert_eq!(setup.start().0.status().incarnation, 1, "a life was counted");
}

#[test]
fn a_step_that_panics_ends_its_node_and_not_the_neighbour_on_its_thread() {
    let (bad, good) = (Setup::in_memory(1), Setup::in_memory(2));
    let (bad_lane, bad_node, bad_app) = bad.prepare();
    let (good_lane, good_node, good_app) = good.prepare();
    run_together(vec![bad_lane, good_lane]).expect("a thread");
    assert_eq!(outcome(bad_app.keep(1)), Ok(1));
    bad_app.tell(scope(0), Ask::Panic);
    assert_eq!(bad_node.wait(), Stopped::Panicked("a bug".into()));
    assert_eq!(outcome(bad_app.keep(2)), Err(Failure::Rejected(STOPPED)));
    assert_eq!(outcome(good_app.keep(3)), Ok(3));
    assert_eq!(good_node.stop(), Stopped::Asked);
}

#[test]
fn three_nodes_on_one_thread_hear_each_other() {
    let switch = Switch::default();
    let (mut lanes, mut nodes) = (Vec::new(), Vec::new());
    for id in 1..=3 {
        let setup = Setup { switch: switch.clone(), ..Setup::in_memory(id) };
        let (lane, node, app) = setup.prepare();
        lanes.push(lane);
        nodes.push((node, app));
    }
    run_together(lanes).expect("a thread");
    for (node, app) in &nodes {
        for (peer, _) in nodes.iter().filter(|(peer, _)| peer.id() != node.id()) {
            app.say(peer.id(), Say::Data(node.id().0));
        }
    }
    for (node, _) in &nodes {
        let heard = || node.inspect(scope(0), |ledger: &Ledger| (ledger.heard.len(), ledger.up.len()));
        eventually("two messages", || heard().is_ok_and(|(heard, _)| heard == 2));
        assert!(heard().is_ok_and(|(_, up)| up >= 2), "a link that came up was not told");
        let status = node.status();
        assert_eq!(status.sessions.len(), 2);
        assert!(status.link.accepted >= 2 && status.frames.sent > 0, "{status:?}");
    }
    assert!(nodes.iter().all(|(node, _)| node.stop() == Stopped::Asked));
}

#[test]
fn a_hand_driven_lane_stops_when_it_is_asked_to() {
    let setup = Setup::in_memory(1);
    let (mut lane, node, app) = setup.prepare();
    let at = Instant::now();
    let ticket = app.keep(1);
    assert_eq!(settle(&mut lane, at), Next::Ring);
    assert!(ticket.is_settled());
    node.ask_to_stop();
    assert_eq!(settle(&mut lane, at), Next::Ended);
    assert_eq!(node.stop(), Stopped::Asked);
    assert_eq!(lane.turn(at), Next::Ended);
    assert!(lane.host().is_none());
}

#[test]
fn a_stop_waits_for_jobs_and_answers_them() {
    let (node, app) = Setup::new(1).start();
    let (began, begun) = channel();
    let (release, released) = channel::<()>();
    let ticket = app.work(scope(0), JobKind::Own, move || {
        began.send(()).expect("somebody waits");
        released.recv_timeout(PATIENCE).expect("it is released");
    });
    begun.recv_timeout(PATIENCE).expect("it runs");
    node.ask_to_stop();
    eventually("the door is closed", || app.door.enter().is_err());
    release.send(()).expect("it waits");
    assert_eq!(outcome(ticket), Ok(()));
    assert_eq!(node.wait(), Stopped::Asked);
}

#[test]
fn a_stop_waits_for_jobs_only_as_long_as_its_patience() {
    let mut setup = Setup::new(1);
    setup.config.stop_patience = Duration::from_millis(20);
    setup.config.jobs = Jobs::Threads(NonZeroUsize::MIN);
    let (node, app) = setup.start();
    let (began, begun) = channel();
    let (release, hangs) = channel::<()>();
    let hung = app.work(scope(0), JobKind::Own, move || {
        began.send(()).expect("somebody waits");
        // Until the test is over.
        let _ = hangs.recv();
    });
    begun.recv_timeout(PATIENCE).expect("it runs");
    assert_eq!(node.stop(), Stopped::Asked);
    assert_eq!(outcome(hung), Err(Failure::Unknown(STOPPED)));
    drop(release);
}
