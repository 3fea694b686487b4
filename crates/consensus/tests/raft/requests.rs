//! Every request resolves exactly once, and what it says is true. A session's command is applied once.

use crate::hosts::{Hosts, WORK};
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{
    Founding, Msg, Raft, RaftConfig, RaftHandle, RaftPort, Read, Session, SessionId,
};
use quorate_core::{Failure, HostBuilder, Input, NoDecider, NodeId, Reason, Rng, Ticket};

type Handle = RaftHandle<Tally>;

fn handle(hosts: &Hosts, id: NodeId) -> Handle {
    hosts.handle(id)
}

fn take<T>(ticket: Ticket<T>) -> Result<T, Failure> {
    ticket.try_take().unwrap_or_else(|_| panic!("it is not settled"))
}

fn small() -> RaftConfig {
    RaftConfig { snapshot_log_bytes: 200, trailing_entries: 3, chunk_bytes: 64, ..RaftConfig::default() }
}

/// One round of trouble: time passes with losses, and now and then somebody crashes, stops, starts or resigns.
fn trouble(hosts: &mut Hosts, loss: f64) {
    let id = NodeId(1 + hosts.rng.within(0..3));
    match hosts.rng.within(0..40) {
        0 if (1..=3).filter(|id| hosts.is_up(NodeId(*id))).count() == 3 => hosts.crash(id),
        1 if (1..=3).filter(|id| hosts.is_up(NodeId(*id))).count() == 3 => hosts.stop(id),
        2..=5 => {
            if let Some(down) = (1..=3).map(NodeId).find(|id| !hosts.is_up(*id)) {
                hosts.start(down);
            }
        }
        6 if hosts.is_up(id) => drop(handle(hosts, id).step_down()),
        _ => {}
    }
    let cut = hosts.rng.chance(0.1).then(|| NodeId(1 + hosts.rng.within(0..3)));
    let ms = 1 + hosts.rng.within(0..20);
    hosts.pass_where(ms, |from, to, rng: &mut Rng| Some(from) != cut && Some(to) != cut && !rng.chance(loss));
}

fn heal(hosts: &mut Hosts, ms: u64) {
    for id in (1..=3).map(NodeId) {
        if !hosts.is_up(id) {
            hosts.start(id);
        }
    }
    hosts.pass(ms);
}

fn agreed(hosts: &Hosts) -> Vec<u64> {
    let states: Vec<_> = (1..=3).map(|id| &hosts.state::<Tally, NoDecider>(NodeId(id)).added).collect();
    assert!(states[0] == states[1] && states[1] == states[2], "{states:?}");
    states[0].clone()
}

// 30. Resolves exactly once, also when leadership is lost, the node stops, or the queue is full.
#[test]
fn every_request_resolves_once_and_what_it_says_is_true() {
    let (mut done, mut rejected, mut unknown) = (0, 0, 0);
    for seed in 0..12 {
        let mut hosts = Hosts::of(3, seed, small(), |_| (Tally::default(), NoDecider));
        let mut asked = Vec::new();
        for number in 0..150 {
            let id = NodeId(1 + hosts.rng.within(0..3));
            if hosts.is_up(id) {
                asked.push((number, handle(&hosts, id).propose(Do::Add(number))));
            }
            let loss = if seed % 2 == 0 { 0.0 } else { 0.1 };
            trouble(&mut hosts, loss);
        }
        heal(&mut hosts, 12_000);
        let applied = agreed(&hosts);
        for (number, ticket) in asked {
            let times = applied.iter().filter(|n| **n == number).count();
            match take(ticket) {
                Ok(_) => {
                    done += 1;
                    assert_eq!(times, 1, "seed {seed}: {number} was said to be applied");
                }
                Err(Failure::Rejected(why)) => {
                    rejected += 1;
                    assert_eq!(times, 0, "seed {seed}: {number} was said not to be: {why}");
                }
                Err(Failure::Unknown(_)) => {
                    unknown += 1;
                    assert!(times <= 1, "seed {seed}: {number}");
                }
            }
        }
    }
    assert!(done > 300 && rejected > 20 && unknown > 20, "{done} {rejected} {unknown}");
}

// 30. A session's repeated command is applied once, across snapshots and leaders.
#[test]
fn a_repeated_command_of_a_session_is_applied_once_across_leaders_restarts_and_snapshots() {
    let mut snapshots = 0;
    for seed in 100..110 {
        let mut hosts = Hosts::of(3, seed, small(), |_| (Tally::default(), NoDecider));
        hosts.elect();
        hosts.pass(50);
        let opened = handle(&hosts, NodeId(1)).open_session();
        hosts.pass(300);
        let mut session = Session::new(take(opened).unwrap());
        for number in 0..40 {
            let sequence = session.begin();
            for _ in 0..200 {
                // Each try through somebody else; the answer to the one before may still come.
                let id = NodeId(1 + hosts.rng.within(0..3));
                let ticket = session.propose(&handle(&hosts, id), sequence, Do::Add(number));
                let again = hosts.rng.chance(0.3).then(|| {
                    let id = NodeId(1 + hosts.rng.within(0..3));
                    session.propose(&handle(&hosts, id), sequence, Do::Add(number))
                });
                for _ in 0..5 {
                    trouble(&mut hosts, 0.05);
                }
                drop(again);
                if let Ok(Ok(count)) = ticket.try_take() {
                    assert_eq!(count, number + 1, "seed {seed}: the reply of the first time");
                    session.end(sequence);
                    break;
                }
            }
            snapshots += (1..=3).filter(|id| hosts.is_up(NodeId(*id))).map(NodeId).fold(0, |sum, id| {
                sum + hosts.raft(id).counters().snapshots_installed + hosts.raft(id).counters().compactions
            });
        }
        heal(&mut hosts, 5_000);
        assert_eq!(agreed(&hosts), (0..40).collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(snapshots > 10);
}

// 30. A command of a session that is gone may have been applied before: nobody knows any more.
#[test]
fn a_command_of_a_session_that_was_closed_or_forgot_it_is_unknown() {
    let config = RaftConfig { sessions_max: 1, session_window: 2, ..RaftConfig::default() };
    let mut hosts = Hosts::of(1, 1, config, |_| (Tally::default(), NoDecider));
    let id = hosts.elect();
    let open = |hosts: &mut Hosts| {
        let ticket = handle(hosts, id).open_session();
        hosts.pass(5);
        take(ticket).unwrap()
    };
    let run = |hosts: &mut Hosts, session, sequence| {
        let ticket = handle(hosts, id).propose_in(session, sequence, 0, Do::Add(sequence));
        hosts.pass(5);
        take(ticket)
    };
    let first = open(&mut hosts);
    for sequence in 1..=3 {
        assert_eq!(run(&mut hosts, first, sequence), Ok(sequence));
    }
    // The window is two: the first reply is forgotten, the command is not applied again.
    assert!(matches!(run(&mut hosts, first, 1), Err(Failure::Unknown(_))));
    assert_eq!(run(&mut hosts, first, 3), Ok(3));
    let _second = open(&mut hosts);
    assert_eq!(run(&mut hosts, first, 3), Err(Failure::Unknown(Reason::SessionExpired)));
    assert_eq!(run(&mut hosts, SessionId(999), 1), Err(Failure::Unknown(Reason::SessionExpired)));
    assert_eq!(hosts.state::<Tally, NoDecider>(id).added, [1, 2, 3]);
}

// Thesis §6.3: replicas must agree on when to expire sessions, or their states diverge.
#[test]
fn replicas_with_other_bounds_keep_the_same_sessions() {
    let voters: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let mut hosts = Hosts::new(3, 5, move |id, _| {
        let bounds = 4 - id.0 as u32;
        let config = RaftConfig { sessions_max: bounds, session_window: bounds, ..small() };
        let raft = Raft::new(id, config.clone(), Founding::Found(voters.clone())).unwrap();
        let mut builder = HostBuilder::new();
        builder.scope(WORK, raft, RaftPort::new(Tally::default(), NoDecider, config));
        builder.build().unwrap()
    });
    hosts.elect();
    // The first node keeps three of each, whoever leads and applies.
    let opened: Vec<_> = (0..3).map(|_| handle(&hosts, NodeId(1)).open_session()).collect();
    hosts.pass(5);
    let sessions: Vec<SessionId> = opened.into_iter().map(|ticket| take(ticket).unwrap()).collect();
    let ask = |hosts: &mut Hosts, at: NodeId, number: u64| {
        let session = sessions[number as usize % 3];
        let ticket = handle(hosts, at).propose_in(session, 1 + number / 3, 0, Do::Add(number));
        hosts.pass(10);
        take(ticket)
    };
    for number in 0..9 {
        ask(&mut hosts, NodeId(1 + number % 3), number).unwrap();
    }
    for node in [3, 2, 1].map(NodeId) {
        let down = node;
        hosts.crash(down);
        hosts.pass(1000);
        let at = hosts.leader().unwrap();
        for number in 0..9 {
            // The reply of the first time: how many there were then.
            assert_eq!(ask(&mut hosts, at, number), Ok(number + 1), "at {at}, asked again");
        }
        hosts.start(down);
        hosts.pass(1000);
    }
    assert_eq!(agreed(&hosts), (0..9).collect::<Vec<_>>());
}

// 30. Also when the queue is full.
#[test]
fn what_comes_to_a_full_queue_is_rejected_and_never_happens() {
    let config = RaftConfig { promises_max: 5, ..RaftConfig::default() };
    let mut hosts = Hosts::of(3, 1, config, |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    let tickets: Vec<_> = (0..9).map(|n| handle(&hosts, leader).propose(Do::Add(n))).collect();
    let reads: Vec<_> =
        (0..9).map(|_| handle(&hosts, leader).read(Read::Linearizable, |t| t.added.len())).collect();
    hosts.pass(50);
    let settled: Vec<_> = tickets.into_iter().map(take).collect();
    assert_eq!(settled.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    assert_eq!(settled[5..], vec![Err(Failure::Rejected(Reason::Busy)); 4]);
    let reads: Vec<_> = reads.into_iter().map(take).collect();
    assert_eq!(reads.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    assert_eq!(hosts.state::<Tally, NoDecider>(leader).added, [0, 1, 2, 3, 4]);
}

// 30. Also when the node stops: what may still happen is Unknown, what cannot is Rejected.
#[test]
fn a_node_that_stops_settles_everything() {
    let mut hosts = Hosts::of(3, 1, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    let proposed = handle(&hosts, leader).propose(Do::Add(1));
    let read = handle(&hosts, leader).read(Read::Linearizable, |t| t.added.len());
    hosts.settle_where(|_, _, _| false);
    assert!(!proposed.is_settled() && !read.is_settled());
    hosts.stop(leader);
    assert_eq!(take(proposed), Err(Failure::Unknown(Reason::Stopped)));
    assert_eq!(take(read), Err(Failure::Rejected(Reason::Stopped)));
}

// A place may become known after what stands there was applied: then nobody knows what it came to.
#[test]
fn a_forwarded_proposal_whose_place_comes_late_is_never_said_not_to_have_happened() {
    let mut hosts = Hosts::of(3, 1, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    let follower = hosts.nodes.keys().copied().find(|id| *id != leader).unwrap();
    let ticket = handle(&hosts, follower).propose(Do::Add(1));
    // The leader's answer is kept back while everything else goes on.
    hosts.hold = |msg| matches!(msg, Msg::ForwardReply(_));
    hosts.pass(100);
    assert_eq!(hosts.state::<Tally, NoDecider>(follower).added, [1]);
    assert!(!ticket.is_settled());
    let (_, _, msg) = hosts.held.pop().unwrap();
    hosts.step(follower, Input::Message { from: leader, msg });
    hosts.pass(10);
    assert!(matches!(take(ticket), Err(Failure::Unknown(_))));
    // One whose answer is lost ends at its deadline.
    let ticket = handle(&hosts, follower).propose(Do::Add(2));
    hosts.pass(10_100);
    assert_eq!(take(ticket), Err(Failure::Unknown(Reason::Deadline)));
}
