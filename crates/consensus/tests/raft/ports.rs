//! The application's half: when it serves, when it decides, what a panic costs.

use crate::hosts::{Hosts, WORK};
use crate::tally::{Asked, Do, Goal, Tally};
use quorate_consensus::raft::{Founding, Raft, RaftConfig, RaftHandle, RaftNotice, RaftPort, Read};
use quorate_core::{BlobId, Blobs, Failure, HostBuilder, NoDecider, NodeId, Reason, ScopeId, Ticket};

pub(crate) type Handle = RaftHandle<Tally>;

pub(crate) fn three(config: RaftConfig) -> Hosts {
    Hosts::of(3, 1, config, |_| (Tally::default(), NoDecider))
}

pub(crate) fn handle(hosts: &Hosts, id: NodeId) -> Handle {
    hosts.handle(id)
}

pub(crate) fn take<T>(ticket: Ticket<T>) -> Result<T, Failure> {
    ticket.try_take().unwrap_or_else(|_| panic!("it is not settled"))
}

pub(crate) fn add(hosts: &mut Hosts, id: NodeId, number: u64) {
    let ticket = handle(hosts, id).propose(Do::Add(number));
    hosts.pass(5);
    assert!(take(ticket).is_ok());
}

pub(crate) fn other_than(hosts: &Hosts, ids: &[NodeId]) -> NodeId {
    hosts.nodes.keys().copied().find(|id| !ids.contains(id)).unwrap()
}

/// A snapshot every few entries.
pub(crate) fn hasty() -> RaftConfig {
    RaftConfig { snapshot_log_entries: 8, trailing_entries: 0, ..RaftConfig::default() }
}

/// Three, their leader, and one of the others.
pub(crate) fn led(config: RaftConfig) -> (Hosts, NodeId, NodeId) {
    let mut hosts = three(config);
    let leader = hosts.elect();
    let late = other_than(&hosts, &[leader]);
    (hosts, leader, late)
}

// 26. [S] A restarted node serves nothing until its state machine is whole.
#[test]
pub fn a_restarted_node_serves_nothing_until_its_state_machine_is_whole() {
    for snapshot_log_bytes in [20, 1 << 20] {
        let config = RaftConfig { snapshot_log_bytes, trailing_entries: 2, ..RaftConfig::default() };
        let mut hosts = three(config);
        let leader = hosts.elect();
        for number in 0..20 {
            add(&mut hosts, leader, number);
        }
        let follower = other_than(&hosts, &[leader]);
        hosts.crash(follower);
        hosts.start(follower);
        let read = handle(&hosts, follower).inspect(|tally| tally.added.len());
        hosts.pass_where(500, |from, to, _| ![from, to].contains(&follower));
        assert!(!read.is_settled(), "it cannot know how much was committed when it stopped");
        hosts.pass(300);
        assert_eq!(take(read), Ok(20));
    }
}

#[test]
fn a_local_read_of_a_restarted_node_that_hears_nobody_ends_at_its_deadline() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    add(&mut hosts, leader, 1);
    hosts.crash(leader);
    hosts.start(leader);
    let read = handle(&hosts, leader).inspect(|tally| tally.added.len());
    hosts.pass_where(10_100, |_, _, _| false);
    assert_eq!(take(read), Err(Failure::Rejected(Reason::Deadline)));
}

#[test]
fn a_node_that_never_had_a_log_serves_its_first_state() {
    let mut hosts = three(RaftConfig::default());
    let read = handle(&hosts, NodeId(1)).inspect(|tally| tally.added.len());
    hosts.settle_where(|_, _, _| false);
    assert_eq!(take(read), Ok(0));
}

// 26, the other half: while a job has the state machine nobody sees it, and reads wait.
#[test]
fn reads_wait_while_a_job_has_the_state_machine() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    add(&mut hosts, leader, 1);
    hosts.run_jobs = false;
    let proposed = handle(&hosts, leader).propose(Do::Add(2));
    hosts.pass(5);
    let read = handle(&hosts, leader).read(Read::Linearizable, |tally| tally.added.clone());
    hosts.pass(5);
    assert!(!read.is_settled() && !proposed.is_settled());
    hosts.run_jobs = true;
    hosts.settle();
    assert_eq!(take(read), Ok(vec![1, 2]));
    assert_eq!(take(proposed), Ok(2));
}

#[test]
fn the_decider_is_asked_while_leading_and_after_catch_up_only() {
    let goals: Vec<Goal> = (0..3).map(|_| Goal { upto: 7, ..Goal::default() }).collect();
    let made = goals.clone();
    let mut hosts =
        Hosts::of(3, 5, RaftConfig::default(), move |id| (Tally::default(), made[id.0 as usize - 1].clone()));
    let first = hosts.elect();
    hosts.pass(100);
    assert_eq!(hosts.state::<Tally, Goal>(first).added, (0..7).collect::<Vec<_>>());
    for goal in &goals[..] {
        let asked = goal.asked.lock().unwrap();
        let leads = std::ptr::eq(goal, &goals[first.0 as usize - 1]);
        assert_eq!(asked.is_empty(), !leads, "{asked:?}");
    }
    // The next leader has applied all of it before it is asked for the first time.
    let reached = hosts.state::<Tally, Goal>(first).reached;
    hosts.crash(first);
    let second = hosts.elect();
    hosts.pass(100);
    let asked = goals[second.0 as usize - 1].asked.lock().unwrap().clone();
    let Asked::Lead { reached: at, .. } = asked[0] else { panic!("{asked:?}") };
    assert_eq!(at, reached);
    let ticket = hosts.handle::<Tally, Goal>(second).step_down();
    hosts.settle_where(|_, _, _| false);
    assert_eq!(take(ticket), Ok(()));
    let asked = goals[second.0 as usize - 1].asked.lock().unwrap().clone();
    assert_eq!(asked.last(), Some(&Asked::Retire));
    hosts.pass_where(1_000, |_, _, _| false);
    assert_eq!(goals[second.0 as usize - 1].asked.lock().unwrap().len(), asked.len());
}

#[test]
fn the_decider_decides_again_only_when_what_it_proposed_is_decided() {
    let goal = Goal { upto: 100, ..Goal::default() };
    let made = goal.clone();
    let mut hosts = Hosts::of(1, 5, RaftConfig::default(), move |_| (Tally::default(), made.clone()));
    hosts.elect();
    hosts.pass(200);
    assert_eq!(hosts.state::<Tally, Goal>(NodeId(1)).added, (0..100).collect::<Vec<_>>());
    let asked = goal.asked.lock().unwrap();
    let reached: Vec<u64> = asked
        .iter()
        .filter_map(|a| if let Asked::Decide { reached } = a { Some(*reached) } else { None })
        .collect();
    assert!(reached.windows(2).all(|pair| pair[0] < pair[1]), "{reached:?}");
}

const SIDE: ScopeId = ScopeId(8);

#[test]
fn a_panicking_state_machine_poisons_only_its_scope() {
    let voters: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut hosts = Hosts::new(3, 2, move |id, _| {
        let mut builder = HostBuilder::new();
        for scope in [WORK, SIDE] {
            let config = RaftConfig::default();
            let raft = Raft::new(id, config.clone(), Founding::Found(voters.clone())).unwrap();
            let state = Tally { fragile: id == NodeId(1) && scope == WORK, ..Tally::default() };
            builder.scope(scope, raft, RaftPort::new(state, NoDecider, config));
        }
        builder.build().unwrap()
    });
    hosts.elect();
    hosts.pass(300);
    let broken = NodeId(1);
    let tickets = [Do::Break, Do::Add(1)].map(|command| handle(&hosts, broken).propose(command));
    hosts.pass(300);
    for outcome in tickets.map(take) {
        assert!(matches!(outcome, Err(Failure::Unknown(Reason::Poisoned(_)))), "{outcome:?}");
    }
    // On that node and scope nothing is answered any more ...
    for read in [Read::Local, Read::Linearizable] {
        let ticket = handle(&hosts, broken).read(read, |tally| tally.added.len());
        hosts.pass(5);
        assert!(matches!(take(ticket), Err(Failure::Rejected(Reason::Poisoned(_)))));
    }
    assert!(hosts.notices::<RaftNotice>(broken).iter().any(|n| matches!(n, RaftNotice::Poisoned { .. })));
    // ... its other scope goes on ...
    let door = hosts.nodes[&broken].door.clone();
    let side: Handle = RaftHandle::new(door, SIDE);
    let ticket = side.propose(Do::Add(9));
    hosts.pass(300);
    assert_eq!(take(ticket), Ok(1));
    // ... it never leads, and its vote still counts.
    let down = hosts.leader().filter(|id| *id != broken).unwrap_or(NodeId(2));
    hosts.crash(down);
    let left = other_than(&hosts, &[broken, down]);
    hosts.pass(2_000);
    assert_eq!(hosts.leader(), Some(left));
    add(&mut hosts, left, 5);
    hosts.crash(left);
    hosts.start(down);
    hosts.pass(3_000);
    assert!(!hosts.raft(broken).is_leader());
}

#[test]
fn a_poisoned_replica_refuses_snapshots_and_goes_on_voting() {
    let config = RaftConfig { snapshot_log_bytes: 30, trailing_entries: 0, ..RaftConfig::default() };
    let mut hosts =
        Hosts::of(3, 3, config, |id| (Tally { fragile: id == NodeId(3), ..Tally::default() }, NoDecider));
    let broken = NodeId(3);
    hosts.elect();
    hosts.pass(300);
    let ticket = handle(&hosts, NodeId(1)).propose(Do::Break);
    hosts.pass(300);
    assert!(take(ticket).is_ok());
    let leader = hosts.elect();
    assert_ne!(leader, broken);
    for number in 0..30 {
        let ticket = handle(&hosts, leader).propose(Do::Add(number));
        hosts.pass_where(5, |_, to, _| to != broken);
        assert!(take(ticket).is_ok());
    }
    hosts.pass(1_000);
    assert!(hosts.raft(broken).snapshot().is_none());
    assert!(hosts.raft(broken).counters().snapshots_refused >= 1);
    let down = other_than(&hosts, &[leader, broken]);
    hosts.crash(down);
    hosts.pass(1_000);
    assert_eq!(hosts.leader(), Some(leader), "it hears the poisoned one");
}

#[test]
fn a_reader_that_panics_costs_its_own_answer_only() {
    let mut hosts = three(RaftConfig::default());
    let leader = hosts.elect();
    let ticket = handle(&hosts, leader).inspect(|_| -> u64 { panic!("mine") });
    hosts.pass(5);
    assert!(matches!(take(ticket), Err(Failure::Rejected(Reason::Refused(_)))));
    add(&mut hosts, leader, 1);
}

// 28. [L] A compaction trigger that comes during a build is not lost.
#[test]
pub fn a_compaction_trigger_that_comes_during_a_build_is_not_lost() {
    let config = RaftConfig { snapshot_log_bytes: 50, trailing_entries: 0, ..RaftConfig::default() };
    let mut hosts = three(config);
    let leader = hosts.elect();
    hosts.pass(100);
    // Jobs of the leader are ended by hand: applies at once, the one that builds a snapshot late.
    hosts.run_jobs = false;
    let mut built = 0;
    let mut held = None;
    for number in 0..200 {
        let ticket = handle(&hosts, leader).propose(Do::Add(number));
        hosts.pass(2);
        for id in hosts.nodes.keys().copied().collect::<Vec<_>>() {
            loop {
                let jobs = &mut hosts.nodes.get_mut(&id).unwrap().jobs;
                match jobs.front() {
                    None => break,
                    Some((_, job)) if id == leader && job.kind() == quorate_core::JobKind::Pool => {
                        let job = jobs.pop_front().unwrap();
                        let node = hosts.nodes.get_mut(&leader).unwrap();
                        // Two objects: the older one is about to be removed.
                        if node.objects.list(WORK).unwrap().len() > 1 {
                            node.jobs.push_front(job);
                            assert!(hosts.finish_job(id));
                            continue;
                        }
                        assert!(held.is_none(), "one build at a time");
                        held = Some(job);
                    }
                    Some(_) => assert!(hosts.finish_job(id)),
                }
            }
        }
        hosts.settle();
        assert!(take(ticket).is_ok());
        if number % 50 == 49
            && let Some(job) = held.take()
        {
            built += 1;
            hosts.nodes.get_mut(&leader).unwrap().jobs.push_front(job);
            hosts.finish_job(leader);
            // What came during the build is more than a trigger's worth: the next one begins at once.
            assert!(!hosts.nodes[&leader].jobs.is_empty());
        }
    }
    assert!(built >= 3);
    assert_eq!(hosts.raft(leader).counters().compactions, built);
}

// 28. By entries as well as by bytes, whichever comes first.
#[test]
fn a_snapshot_is_taken_after_so_many_entries_or_so_many_bytes() {
    for (snapshot_log_bytes, snapshot_log_entries) in [(1 << 20, 8), (20, 1 << 20)] {
        let config = RaftConfig { snapshot_log_bytes, snapshot_log_entries, ..RaftConfig::default() };
        let mut hosts = three(RaftConfig { trailing_entries: 0, ..config });
        let leader = hosts.elect();
        for number in 0..40 {
            add(&mut hosts, leader, number);
            let (last, taken) = (hosts.raft(leader).last().index, hosts.raft(leader).counters().compactions);
            if snapshot_log_entries == 8 {
                assert_eq!(taken, last / 8, "at {last}");
            }
        }
        assert!(hosts.raft(leader).counters().compactions >= 4);
    }
}

// Its votes and its log are in its journal and are as good as before; its state is nowhere.
#[test]
fn a_replica_whose_snapshot_is_lost_at_a_start_serves_nothing_and_votes() {
    let config = hasty();
    let mut hosts = three(config);
    let leader = hosts.elect();
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let broken = other_than(&hosts, &[leader]);
    let third = other_than(&hosts, &[leader, broken]);
    hosts.crash(broken);
    let blob = hosts.nodes.get_mut(&broken).unwrap().objects.list(WORK).unwrap()[0];
    hosts.nodes.get_mut(&broken).unwrap().objects.delete(BlobId { scope: WORK, number: blob }).unwrap();
    hosts.start(broken);
    hosts.pass(500);
    let told = hosts.notices::<RaftNotice>(broken);
    let why = told.iter().find_map(|n| if let RaftNotice::Poisoned { why } = n { Some(why) } else { None });
    assert!(why.is_some_and(|why| why.contains(&format!("no object {blob}"))), "{told:?}");
    let read = handle(&hosts, broken).inspect(|tally| tally.added.len());
    hosts.pass(5);
    assert!(matches!(take(read), Err(Failure::Rejected(Reason::Poisoned(_)))));
    // The others need it to commit.
    hosts.crash(third);
    add(&mut hosts, leader, 99);
    assert!(!hosts.raft(broken).is_leader());
}

// A medium that says no may say yes later, and nothing is served or applied meanwhile.
#[test]
fn a_disk_that_refuses_to_read_the_snapshot_at_a_start_is_asked_again() {
    let config = RaftConfig { snapshot_log_entries: 8, trailing_entries: 100, ..RaftConfig::default() };
    let mut hosts = three(config);
    let leader = hosts.elect();
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let late = other_than(&hosts, &[leader]);
    hosts.crash(late);
    hosts.nodes.get_mut(&late).unwrap().objects.refuses = true;
    hosts.start(late);
    hosts.pass(1_000);
    assert!(hosts.notices::<RaftNotice>(late).iter().any(|n| matches!(n, RaftNotice::NotInstalled { .. })));
    let read = handle(&hosts, late).inspect(|tally| tally.added.len());
    hosts.pass(5);
    assert!(!read.is_settled());
    hosts.nodes.get_mut(&late).unwrap().objects.refuses = false;
    hosts.pass(500);
    assert_eq!(take(read), Ok(20));
}

// The log stays, and everything goes on; the next trigger is another try.
#[test]
fn a_snapshot_that_cannot_be_written_costs_nothing_but_its_time() {
    let config = hasty();
    let mut hosts = three(config);
    let leader = hosts.elect();
    hosts.nodes.get_mut(&leader).unwrap().objects.refuses = true;
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let tried = hosts.notices::<RaftNotice>(leader);
    assert!(tried.iter().filter(|n| matches!(n, RaftNotice::NotTaken { .. })).count() >= 2, "{tried:?}");
    assert_eq!(hosts.raft(leader).log().base().index, 0);
    hosts.nodes.get_mut(&leader).unwrap().objects.refuses = false;
    for number in 20..30 {
        add(&mut hosts, leader, number);
    }
    assert!(hosts.raft(leader).log().base().index > 0);
    // Nothing is left of those that failed.
    assert_eq!(hosts.nodes.get_mut(&leader).unwrap().objects.list(WORK).unwrap().len(), 1);
    assert_eq!(hosts.nodes.get_mut(&leader).unwrap().objects.list_unfinished(WORK).unwrap(), [0u64; 0]);
}

// The disk of a leader loses its snapshot: it makes another one of its state, for those who need one.
#[test]
fn a_leader_whose_snapshot_is_damaged_makes_another_and_sends_that() {
    let (mut hosts, leader, late) = led(hasty());
    hosts.crash(late);
    for number in 0..20 {
        add(&mut hosts, leader, number);
    }
    let blob = hosts.raft(leader).snapshot().unwrap().blob;
    hosts.nodes.get_mut(&leader).unwrap().objects.delete(BlobId { scope: WORK, number: blob }).unwrap();
    hosts.start(late);
    hosts.pass(1_000);
    assert_ne!(hosts.raft(leader).snapshot().unwrap().blob, blob);
    assert!(hosts.raft(leader).counters().snapshots_unread > 0);
    assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 20);
}

// While a disk says no the leader asks and the follower answers; nothing is lost, and what was stored is gone on with.
#[test]
fn a_follower_whose_disk_refuses_pieces_goes_on_when_it_takes_them() {
    let (mut hosts, leader, late) = led(RaftConfig { chunk_bytes: 4, ..hasty() });
    hosts.crash(late);
    for number in 0..50 {
        add(&mut hosts, leader, number);
    }
    hosts.start(late);
    for _ in 0..20 {
        let objects = &mut hosts.nodes.get_mut(&late).unwrap().objects;
        objects.refuses = !objects.refuses;
        hosts.pass_where(40, |_, _, rng| rng.chance(0.9));
    }
    hosts.nodes.get_mut(&late).unwrap().objects.refuses = false;
    hosts.pass(3_000);
    assert_eq!(hosts.state::<Tally, NoDecider>(late).added.len(), 50);
    assert!(hosts.raft(late).counters().snapshots_unread > 0);
}

// 24. Install while applying: the state never goes back.
#[test]
fn a_snapshot_that_comes_while_entries_are_applied_never_takes_the_state_back() {
    let config = RaftConfig { snapshot_log_bytes: 60, trailing_entries: 1, ..RaftConfig::default() };
    for seed in 0..20 {
        let mut hosts = Hosts::of(3, seed, config.clone(), |_| (Tally::default(), NoDecider));
        hosts.elect();
        hosts.pass(100);
        hosts.run_jobs = false;
        let mut reached = [0; 4];
        let mut next = 0;
        for _ in 0..600 {
            let id = NodeId(1 + hosts.rng.within(0..3));
            let slow = NodeId(1 + (next / 50) % 3);
            if hosts.rng.chance(0.3) {
                next += 1;
                drop(handle(&hosts, id).propose(Do::Add(next)));
            }
            hosts.pass_where(2, |_, to, rng| to != slow || rng.chance(0.5));
            for id in (1..=3).map(NodeId) {
                while hosts.rng.chance(0.7) && hosts.finish_job(id) {}
                let port: &RaftPort<Tally> =
                    hosts.nodes[&id].turn.as_ref().unwrap().protocol().port(WORK).unwrap();
                if let Some((state, at)) = port.state() {
                    assert!(state.reached >= reached[id.0 as usize], "seed {seed}: {id} went back to {at}");
                    reached[id.0 as usize] = state.reached;
                }
            }
        }
        hosts.run_jobs = true;
        hosts.pass(3_000);
        let states: Vec<_> =
            (1..=3).map(|id| hosts.state::<Tally, NoDecider>(NodeId(id)).added.clone()).collect();
        assert!(states[0].len() > 20, "seed {seed}: {states:?}");
        assert!(states[0] == states[1] && states[1] == states[2], "seed {seed}: {states:?}");
    }
}

#[test]
fn how_far_it_has_come_is_known_while_a_job_has_the_state() {
    let (mut hosts, leader, _) = led(RaftConfig::default());
    let session = handle(&hosts, leader).open_session();
    hosts.pass(20);
    take(session).unwrap();
    (0..5).for_each(|number| add(&mut hosts, leader, number));
    let status = |hosts: &mut Hosts| {
        let ticket = handle(hosts, leader).status();
        hosts.settle();
        take(ticket).unwrap()
    };
    let before = status(&mut hosts);
    hosts.run_jobs = false;
    let slow = handle(&hosts, leader).propose(Do::Add(5));
    hosts.pass(20);
    assert_eq!(hosts.nodes[&leader].jobs.len(), 1, "it applies");
    let meanwhile = status(&mut hosts);
    assert!(meanwhile.commit > before.commit);
    assert_eq!((meanwhile.applied, meanwhile.sessions), (before.applied, before.sessions));
    assert_eq!((before.applied.index, before.sessions), (before.commit, 1));
    hosts.run_jobs = true;
    hosts.pass(20);
    assert!(slow.is_settled());
    assert_eq!(status(&mut hosts).applied.index, meanwhile.commit);
}
