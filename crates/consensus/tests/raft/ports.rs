//! The application's half: when it serves, when it decides, what a panic costs.

use crate::hosts::{Hosts, WORK};
use crate::tally::{Asked, Do, Goal, Tally};
use quorate_consensus::raft::{Founding, Raft, RaftConfig, RaftHandle, RaftNotice, RaftPort, Read};
use quorate_core::{Failure, HostBuilder, NoDecider, NodeId, Reason, ScopeId, Ticket};

type Handle = RaftHandle<Tally>;

fn three(config: RaftConfig) -> Hosts {
    Hosts::of(3, 1, config, |_| (Tally::default(), NoDecider))
}

fn handle(hosts: &Hosts, id: NodeId) -> Handle {
    hosts.handle(id)
}

fn take<T>(ticket: Ticket<T>) -> Result<T, Failure> {
    ticket.try_take().unwrap_or_else(|_| panic!("it is not settled"))
}

fn add(hosts: &mut Hosts, id: NodeId, number: u64) {
    let ticket = handle(hosts, id).propose(Do::Add(number));
    hosts.pass(5);
    assert!(take(ticket).is_ok());
}

fn other_than(hosts: &Hosts, ids: &[NodeId]) -> NodeId {
    hosts.nodes.keys().copied().find(|id| !ids.contains(id)).unwrap()
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
                        assert!(held.is_none(), "one build at a time");
                        held = jobs.pop_front();
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
