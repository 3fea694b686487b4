//! What a world does, as scripts.

mod toy;

use quorate_core::{Failure, NodeId, Reason};
use quorate_sim::{Delay, FaultKind, Garbled, NodeState, Settings, Verdict, Weather, World};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use toy::{Ack, Acknowledged, Ledger, ledger, world};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[test]
fn a_request_is_finished_by_letting_time_pass() {
    let mut world = world(1, 3, Ack::OnDisk);
    let ticket = world.app(1).enter(2, 50);
    let id = world.finish(ticket).expect("nothing fails");
    assert_eq!(ledger(&world, 2).entries.get(&id), Some(&50));
    assert!(world.now() > Duration::ZERO && world.now() < MS(50), "{:?}", world.now());
    assert_eq!(ledger(&world, 1).ups, 1, "the link to 2 came up");
}

#[test]
fn a_crash_forgets_everything_but_the_disk() {
    let mut world = world(2, 2, Ack::OnDisk);
    let ticket = world.app(1).enter(2, 50);
    let id = world.finish(ticket).expect("nothing fails");
    world.crash(2);
    assert_eq!(world.state(2), NodeState::Down);
    assert!(world.host(2).is_none());
    let refused = world.app(2).enter(1, 1);
    assert_eq!(world.finish(refused), Err(Failure::Rejected(Reason::Stopped)));
    world.restart(2);
    assert_eq!(ledger(&world, 2).entries.get(&id), Some(&50));
    assert_eq!(ledger(&world, 2).boot.map(|boot| boot.incarnation), Some(2));
    let ticket = world.app(2).enter(1, 9);
    assert!(world.finish(ticket).is_ok(), "the new handles lead to the new life");
}

#[test]
fn what_was_asked_of_a_node_that_crashes_is_unknown() {
    let mut world = world(3, 2, Ack::OnDisk);
    let ticket = world.app(1).enter(2, 50);
    world.run_for(Duration::from_nanos(1));
    world.crash(1);
    assert_eq!(world.finish(ticket), Err(Failure::Unknown(Reason::Stopped)));
}

#[test]
fn a_cut_holds_and_heals_and_a_one_way_cut_is_one_way() {
    let mut world = world(4, 2, Ack::OnDisk);
    let ticket = world.app(1).enter(2, 50);
    world.finish(ticket).expect("nothing fails");
    world.cut_one_way(2, 1);
    let ticket = world.app(1).enter(2, 51);
    world.run_for(MS(100));
    assert!(!ticket.is_settled());
    assert_eq!(ledger(&world, 2).entries.len(), 2, "it was heard, and its answer was not");
    world.mend(1, 2);
    assert!(world.finish(ticket).is_ok());
    world.isolate(1);
    let ticket = world.app(1).enter(2, 52);
    world.run_for(MS(100));
    assert_eq!(ledger(&world, 2).entries.len(), 2);
    world.heal();
    assert!(world.finish(ticket).is_ok());
    assert!(world.coverage().of(FaultKind::Cut) > 0);
}

#[test]
fn a_way_that_the_transport_lost_is_told_as_down_and_as_up_again_with_the_next_message() {
    let mut world = world(4, 2, Ack::OnDisk);
    world.set_weather(Weather { noticed: 1.0, ..Weather::fair() });
    let ticket = world.app(1).enter(2, 50);
    world.finish(ticket).expect("nothing fails");
    world.cut(1, 2);
    let ticket = world.app(1).enter(2, 51);
    world.run_for(MS(500));
    let told = |ledger: &Ledger| (ledger.ups, ledger.downs);
    assert_eq!(told(ledger(&world, 1)), (1, 1), "told once, however often it is asked again");
    assert_eq!(told(ledger(&world, 2)), (1, 0), "it had nothing to say");
    world.mend(1, 2);
    assert!(world.finish(ticket).is_ok());
    assert_eq!(told(ledger(&world, 1)), (2, 1));
    assert!(world.coverage().of(FaultKind::Noticed) > 0);
}

#[test]
fn a_paused_node_takes_what_came_meanwhile() {
    let mut world = world(5, 2, Ack::OnDisk);
    let first = world.app(1).enter(2, 1);
    world.finish(first).expect("nothing fails");
    world.pause(2);
    let ticket = world.app(1).enter(2, 50);
    world.run_for(MS(500));
    assert_eq!(ledger(&world, 2).entries.len(), 1);
    let before = world.stats().frames_arrived;
    world.resume(2);
    assert!(world.finish(ticket).is_ok());
    assert!(world.stats().frames_arrived - before > 10, "the repeated asks had waited in the inbox");
}

#[test]
fn a_slow_node_takes_its_time_for_each_input() {
    let mut world = world(6, 2, Ack::OnDisk);
    world.slow(2, MS(7));
    let ticket = world.app(1).enter(2, 50);
    world.finish(ticket).expect("slow is not dead");
    assert!(world.now() > MS(7), "{:?}", world.now());
}

#[test]
fn a_wiped_node_has_another_journal_and_an_old_disk_the_same() {
    let mut world = world(7, 2, Ack::OnDisk);
    let journal = world.journal_id(2);
    let first = world.app(1).enter(2, 1);
    let first = world.finish(first).expect("nothing fails");
    world.keep_disk(2);
    let second = world.app(1).enter(2, 2);
    let second = world.finish(second).expect("nothing fails");
    assert!(world.old_disk(2));
    assert_eq!(world.journal_id(2), journal);
    assert!(ledger(&world, 2).entries.contains_key(&first));
    assert!(!ledger(&world, 2).entries.contains_key(&second));
    assert!(!world.old_disk(2), "it was put aside once");
    world.wipe(2);
    assert_ne!(world.journal_id(2), journal);
    assert!(ledger(&world, 2).entries.is_empty());
}

#[test]
fn a_node_whose_disk_decayed_refuses_to_start() {
    let mut world = world(8, 2, Ack::OnDisk);
    world.rot(2);
    world.restart(2);
    assert_eq!(world.state(2), NodeState::Refused);
    world.calm();
    assert_eq!(world.state(2), NodeState::Refused, "no calm brings back what is gone");
    world.wipe(2);
    assert_eq!(world.state(2), NodeState::Up);
}

#[test]
fn a_full_disk_stops_the_node_before_it_promises() {
    let mut world = world(9, 2, Ack::OnDisk);
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    world.fill_disk(2, true);
    let ticket = world.app(1).enter(2, 2);
    world.run_for(MS(100));
    assert_eq!(world.state(2), NodeState::Down);
    assert!(!ticket.is_settled());
    world.fill_disk(2, false);
    world.restart(2);
    assert!(world.finish(ticket).is_ok());
    assert_eq!(world.coverage().of(FaultKind::NoSpace), 1);
}

#[test]
fn clocks_drift_jump_and_freeze() {
    let mut world = world(10, 2, Ack::OnDisk);
    world.drift(1, 50_000);
    world.run_for(MS(1000));
    assert_eq!(world.time_at(1).0, 1_050_000_000);
    assert_eq!(world.time_at(2).0, 1_000_000_000);
    world.jump_clock(2, -300_000_000);
    world.run_for(MS(100));
    assert_eq!(world.time_at(2).0, 1_000_000_000, "it stands still instead of going back");
    let utc = world.wall_at(2).0;
    world.jump_wall(2, -5_000_000_000);
    assert_eq!(utc - world.wall_at(2).0, 5_000_000_000);
    world.freeze_clock(1);
    let frozen = world.time_at(1);
    let ticket = world.app(1).enter(2, 1);
    world.isolate(1);
    world.run_for(MS(1000));
    assert_eq!(world.time_at(1), frozen);
    world.heal();
    world.run_for(MS(1000));
    assert!(!ticket.is_settled(), "nothing is asked again while its clock stands still");
    world.repair_clock(1);
    assert!(world.finish(ticket).is_ok());
}

#[test]
fn a_filter_takes_single_messages_away() {
    let mut world = world(11, 2, Ack::OnDisk);
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    let lost = Rc::new(Cell::new(0));
    let counter = lost.clone();
    world.filter(move |passing| {
        if passing.from == NodeId(1) && passing.message.is_some() && counter.get() < 3 {
            counter.set(counter.get() + 1);
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    let start = world.now();
    let ticket = world.app(1).enter(2, 2);
    world.finish(ticket).expect("the fourth gets through");
    assert_eq!(lost.get(), 3);
    assert!(world.now() - start > MS(60), "three times 20 ms");
}

#[test]
fn what_is_garbled_is_lost_like_everything_else_on_bad_links() {
    let mut world = world(12, 2, Ack::OnDisk);
    world.set_weather(garbling(Garbled::Dropped));
    for amount in 1..50 {
        let ticket = world.app(1).enter(2, amount);
        world.finish(ticket).expect("some get through whole");
    }
    let coverage = world.coverage();
    for kind in [FaultKind::Flipped, FaultKind::Truncated, FaultKind::Duplicated, FaultKind::Replayed] {
        assert!(coverage.of(kind) > 0, "{kind:?}");
    }
}

#[test]
fn garbled_bytes_that_are_delivered_are_refused_by_the_link() {
    let mut world = world(12, 2, Ack::OnDisk);
    world.set_weather(garbling(Garbled::Delivered));
    for amount in 1..50 {
        let ticket = world.app(1).enter(2, amount);
        world.finish(ticket).expect("some get through whole");
    }
    assert!(world.coverage().of(FaultKind::Flipped) > 0);
    assert!(world.host(2).is_some_and(|host| host.counters().malformed == 0), "none reached the codec");
}

fn garbling(garbled: Garbled) -> Weather {
    let mut weather = Weather::fair();
    weather.flip = 0.5;
    weather.truncate = 0.3;
    weather.duplicate = 0.3;
    weather.replay = 0.1;
    weather.garbled = garbled;
    weather
}

#[test]
fn a_link_carries_so_much_and_no_more() {
    let mut world = world(13, 2, Ack::OnDisk);
    let mut weather = Weather::fair();
    weather.bytes_per_second = Some(10_000);
    weather.queue_bytes_max = 500;
    world.set_weather(weather);
    let tickets: Vec<_> = (0..50).map(|amount| world.app(1).enter(2, amount)).collect();
    world.run_for(MS(100));
    assert!(world.coverage().of(FaultKind::Overflowed) > 0);
    assert!(ledger(&world, 2).entries.len() < 50);
    for ticket in tickets {
        world.finish(ticket).expect("asked again, each gets through");
    }
}

#[test]
fn a_narrow_path_loses_what_is_too_large_for_it() {
    let mut world = world(18, 2, Ack::OnDisk);
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    let mut weather = Weather::fair();
    weather.frame_bytes_max = Some(10);
    world.set_weather(weather);
    let ticket = world.app(1).enter(2, 2);
    world.run_for(MS(100));
    assert!(!ticket.is_settled() && world.coverage().of(FaultKind::Oversized) > 0);
    world.set_weather(Weather::fair());
    world.finish(ticket).expect("asked again, it fits");
}

#[test]
fn what_links_refuse_and_repair_is_counted_over_all_lives() {
    let mut world = world(19, 2, Ack::OnDisk);
    let begun = |world: &World<_>| world.coverage().named("link: a session with a life of a peer begins");
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    assert_eq!(begun(&world), 2, "one on each side");
    let mut weather = Weather::fair();
    weather.duplicate = 1.0;
    world.set_weather(weather);
    let ticket = world.app(1).enter(2, 2);
    world.finish(ticket).expect("nothing is lost");
    let twice = world.coverage().named("link: a frame that came before is refused");
    assert!(twice > 0);
    world.set_weather(Weather::fair());
    world.restart(2);
    let ticket = world.app(1).enter(2, 3);
    world.finish(ticket).expect("nothing is lost");
    assert_eq!(begun(&world), 4, "and again with the new life");
    assert!(world.coverage().named("link: a frame that came before is refused") >= twice);
    let names: Vec<&str> = quorate_sim::link_paths().collect();
    assert!(world.coverage().all_named().all(|(name, _)| names.contains(&name)));
}

#[test]
fn a_touch_names_the_place_of_its_node() {
    let mut world = world(20, 3, Ack::OnDisk);
    world.always("places are those of the nodes", |world, touch| {
        let by_name = world.host(touch.node).map(std::ptr::from_ref);
        let by_place = world.host_at(touch.place).map(std::ptr::from_ref);
        if by_name == by_place { Ok(()) } else { Err(format!("{touch:?}")) }
    });
    world.add_node(9);
    let ticket = world.app(1).enter(9, 2);
    world.finish(ticket).expect("nothing fails");
    world.crash(2);
    world.restart(2);
    assert!(world.violation().is_none() && world.host_at(4).is_none());
}

#[test]
fn a_clog_lets_everything_through_in_one_burst() {
    let mut world = world(14, 2, Ack::OnDisk);
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    world.clog(1, 2, MS(300));
    let ticket = world.app(1).enter(2, 2);
    world.run_for(MS(299));
    assert_eq!(ledger(&world, 2).entries.len(), 1);
    world.finish(ticket).expect("the burst comes");
    assert!(world.coverage().of(FaultKind::Clogged) > 10);
}

#[test]
fn notices_reach_those_who_watch_and_jobs_run() {
    let mut world = world(15, 2, Ack::OnDisk);
    let seen = Rc::new(Cell::new(0));
    let counter = seen.clone();
    world.watch(move |told| {
        if let Some(Acknowledged(_)) = told.notice() {
            assert_eq!(told.node, NodeId(1));
            counter.set(counter.get() + 1);
        }
    });
    for _ in 0..5 {
        let ticket = world.app(1).enter(2, 2);
        world.finish(ticket).expect("nothing fails");
    }
    world.run_for(MS(200));
    assert_eq!(seen.get(), 5);
    assert_eq!(world.stats().jobs, 5);
    let written = world.host(1).and_then(|host| host.port::<toy::Desk>(toy::LEDGER)).map(|desk| desk.written);
    assert_eq!(written, Some(5));
}

#[test]
fn the_first_violation_stops_the_world() {
    let mut world = world(16, 2, Ack::OnDisk);
    world.always("nobody has two entries", |world, touch| {
        let entries = world
            .host(touch.node)
            .and_then(|host| host.protocol::<toy::Ledger>(toy::LEDGER))
            .map_or(0, |ledger| ledger.entries.len());
        if entries < 2 { Ok(()) } else { Err(format!("{entries} entries")) }
    });
    let first = world.app(1).enter(2, 2);
    assert!(world.finish(first).is_ok());
    let second = world.app(1).enter(2, 2);
    assert_eq!(world.finish(second), Err(Failure::Unknown(Reason::Deadline)));
    let violation = world.violation().expect("two entries").clone();
    assert_eq!((violation.node, &violation.why[..]), (Some(NodeId(2)), "2 entries"));
    let (now, events) = (world.now(), world.stats().events);
    world.run_for(MS(1000));
    assert_eq!((world.now(), world.stats().events), (now, events));
}

#[test]
fn errands_are_run_at_their_time() {
    let mut world = world(17, 2, Ack::OnDisk);
    world.at(MS(50), |world| world.crash(2));
    world.at(MS(70), |world| world.restart(2));
    world.run_for(MS(60));
    assert_eq!(world.state(2), NodeState::Down);
    world.run_for(MS(20));
    assert_eq!(world.state(2), NodeState::Up);
}

#[test]
fn a_node_may_be_added_while_the_world_runs() {
    let mut world = world(18, 2, Ack::OnDisk);
    world.run_for(MS(10));
    world.add_node(9);
    let ticket = world.app(9).enter(1, 5);
    assert!(world.finish(ticket).is_ok());
    assert_eq!(world.ids().collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(9)]);
}

#[test]
fn what_happens_can_be_read() {
    #[derive(Clone, Default)]
    struct Shared(Rc<std::cell::RefCell<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut world = world(19, 2, Ack::OnDisk);
    let lines = Shared::default();
    world.trace_to(lines.clone());
    world.describe(|_, body| {
        let msg: toy::Msg = quorate_core::wire::decode(bytes::Bytes::copy_from_slice(body)).ok()?;
        Some(format!("{msg:?}"))
    });
    let ticket = world.app(1).enter(2, 5);
    world.finish(ticket).expect("nothing fails");
    world.crash(1);
    let text = String::from_utf8(lines.0.borrow().clone()).expect("it is text");
    for part in
        ["n1 -> n2: ", "Enter { id: ", "amount: 5", "n2 synced", "n1 tells Acknowledged", "n1 goes down"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn a_paused_nodes_inbox_fills_and_refuses() {
    let mut settings = Settings::default();
    settings.inbox.control_frames_max = 3;
    let mut world = World::with(settings, 20, 1..=2u64, |id| toy::node(id, Ack::OnDisk));
    let warm = world.app(1).enter(2, 1);
    world.finish(warm).expect("nothing fails");
    world.pause(2);
    let ticket = world.app(1).enter(2, 2);
    world.run_for(MS(200));
    let full = world.coverage().of(FaultKind::InboxFull);
    assert!((5..=7).contains(&full), "ten were sent, three waited, {full} were refused");
    world.resume(2);
    assert!(world.finish(ticket).is_ok());
}

#[test]
fn a_full_lane_leaves_asks_at_the_door() {
    let mut settings = Settings::default();
    // One entry that waits for the disk fills the lane.
    settings.turn.undurable_bytes_max = 1;
    settings.disks.sync = Delay::Constant(MS(100));
    let mut world = World::with(settings, 21, 1..=2u64, |id| toy::node(id, Ack::OnDisk));
    let entry = world.app(1).enter(2, 1);
    world.run_until(|world| !ledger(world, 2).entries.is_empty(), MS(1000));
    let asked = world.app(2).enter(1, 1);
    world.run_for(MS(50));
    assert_eq!(world.stats().asks, 1, "the second waits until the disk has caught up");
    assert!(world.finish(entry).is_ok() && world.finish(asked).is_ok());
    assert_eq!(world.stats().asks, 2);
}

#[test]
fn a_process_that_dies_loses_nothing_and_a_machine_that_does_may() {
    let entries_after = |power: bool| {
        let mut lost = 0;
        for seed in 0..20 {
            let mut settings = Settings::default();
            settings.disks.sync = Delay::Constant(MS(100));
            let mut world = World::with(settings, seed, 1..=2u64, |id| toy::node(id, Ack::OnDisk));
            let _asked = world.app(1).enter(2, 1);
            world.run_until(|world| !ledger(world, 2).entries.is_empty(), MS(1000));
            if power {
                world.crash(2)
            } else {
                world.kill(2)
            }
            world.isolate(2);
            world.restart(2);
            lost += u64::from(ledger(&world, 2).entries.is_empty());
        }
        lost
    };
    assert_eq!(entries_after(false), 0);
    let lost = entries_after(true);
    assert!((5..20).contains(&lost), "{lost} of 20");
}

#[test]
fn a_disk_that_crashes_its_node_does_so_between_append_and_sync() {
    let mut settings = Settings::default();
    settings.disks.crash_on_append = 1.0;
    let mut world = World::with(settings, 22, 1..=2u64, |id| toy::node(id, Ack::AtOnce));
    let ticket = world.app(1).enter(2, 1);
    assert!(world.finish(ticket).is_ok(), "what did not wait for the disk had left");
    assert_eq!(world.state(2), NodeState::Down);
    assert_eq!(world.coverage().of(FaultKind::CrashedOnAppend), 1);
}

#[test]
fn a_node_that_stops_in_good_order_keeps_all_and_answers_all() {
    let mut world = world(23, 2, Ack::OnDisk);
    let open = world.app(1).enter(2, 1);
    world.run_for(Duration::from_nanos(1));
    world.stop(1);
    assert!(open.is_settled());
    assert_eq!(world.state(1), NodeState::Down);
}

#[test]
fn a_core_makes_progress_while_the_others_are_down() {
    let mut world = world(24, 3, Ack::OnDisk);
    world.partition(&[1], &[2, 3]);
    world.crash(2);
    world.pause(1);
    world.freeze_clock(1);
    world.calm_core(&[NodeId(1), NodeId(2)]);
    assert_eq!(world.state(3), NodeState::Down);
    let ticket = world.app(1).enter(2, 1);
    assert!(world.finish(ticket).is_ok());
}

#[test]
fn far_nodes_take_as_long_as_they_are_far() {
    let mut world = world(25, 3, Ack::OnDisk);
    world.set_distance(1, 3, Delay::Constant(MS(80)));
    let near = world.app(1).enter(2, 1);
    world.finish(near).expect("nothing fails");
    assert!(world.now() < MS(50));
    let far = world.app(1).enter(3, 1);
    world.finish(far).expect("nothing fails");
    assert!(world.now() > MS(160));
}

#[test]
fn a_copy_of_a_node_takes_some_of_its_frames() {
    let mut world = world(26, 2, Ack::OnDisk);
    let first = world.app(1).enter(2, 1);
    world.finish(first).expect("nothing fails");
    world.start_twin(2);
    // The toy asks the copy again and again until one of the two has answered.
    let tickets: Vec<_> = (0..40).map(|amount| world.app(1).enter(2, amount)).collect();
    for ticket in tickets {
        world.finish(ticket).expect("one of them answers");
    }
    let seen = ledger(&world, 2).entries.len();
    assert!((2..40).contains(&seen), "{seen} of 41 reached the original");
    world.end_twins();
    let alone = world.app(1).enter(2, 1);
    assert!(world.finish(alone).is_ok());
}
