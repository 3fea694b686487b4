//! Section 8: how clients interact with the cluster.

use super::{F, L, appends, candidate, yes};
use crate::cluster::{Cluster, ids};
use crate::hosts::Hosts;
use crate::replication::matched;
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{AppendReply, Cmd, Event, Msg, Outcome, RaftConfig, RaftHandle, Read, Session};
use quorate_core::{Input, NoDecider, NodeId};

type Handle = RaftHandle<Tally>;

fn three(seed: u64) -> (Hosts, NodeId) {
    let mut hosts = Hosts::of(3, seed, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let leader = hosts.elect();
    hosts.pass(50);
    (hosts, leader)
}

// "If the client's first choice is not the leader, that server will reject the client's request and supply information
// about the most recent leader": here it passes the command on itself, and the answer is the leader's.
#[test]
fn a_command_asked_of_any_server_is_done() {
    let (mut hosts, _) = three(1);
    for id in (1..=3).map(NodeId) {
        let handle: Handle = hosts.handle(id);
        let ticket = handle.propose(Do::Add(id.0));
        hosts.pass(20);
        assert_eq!(ticket.try_take().unwrap(), Ok(id.0));
    }
}

// "if the leader crashes after committing the log entry but before responding to the client, the client will retry the
// command with a new leader, causing it to be executed a second time. The solution is for clients to assign unique serial
// numbers to every command."
#[test]
fn a_command_retried_after_its_leader_crashed_before_answering_is_executed_once() {
    for with_session in [true, false] {
        let (mut hosts, leader) = three(2);
        let opened = hosts.handle::<Tally, NoDecider>(leader).open_session();
        hosts.pass(20);
        let mut session = Session::new(opened.try_take().unwrap().unwrap());
        let sequence = session.begin();
        let ask = |hosts: &Hosts, at| {
            let handle: Handle = hosts.handle(at);
            if with_session {
                session.propose(&handle, sequence, Do::Add(7))
            } else {
                handle.propose(Do::Add(7))
            }
        };
        let first = ask(&hosts, leader);
        // Committed, and not applied: nobody was answered.
        hosts.run_jobs = false;
        hosts.pass(20);
        let last = hosts.raft(leader).last().index;
        assert!(hosts.raft(leader).commit() == last && !first.is_settled());
        hosts.crash(leader);
        hosts.run_jobs = true;
        hosts.pass(1_000);
        let next = hosts.leader().unwrap();
        assert_ne!(next, leader);
        let again = ask(&hosts, next);
        hosts.pass(50);
        let (times, reply) = if with_session { (1, Ok(1)) } else { (2, Ok(2)) };
        assert_eq!(again.try_take().unwrap(), reply, "with a session: the reply of the first time");
        assert_eq!(hosts.state::<Tally, NoDecider>(next).added, vec![7; times]);
    }
}

// "First, a leader must have the latest information on which entries are committed. ... at the start of its term, it may
// not know which those are. To find out, it needs to commit an entry from its term": every read waits for that, and is
// answered with an index that is not before it.
#[test]
fn a_read_that_comes_at_the_start_of_a_term_is_answered_at_its_first_entry_or_behind_it() {
    for founders in 2..=5u64 {
        let (mut cluster, _) = candidate(founders);
        let others: Vec<NodeId> = ids(founders).into_iter().skip(1).collect();
        for peer in &others[..founders as usize / 2] {
            cluster.deliver(*peer, F, Msg::VoteReply(yes(2)));
        }
        let first = cluster.last(F).index;
        cluster.command(F, Cmd::Read { request: 1 });
        cluster.step(F, Input::Wake);
        // All answer heartbeats, of whatever round that was asked, and none has the entry.
        for peer in &others {
            cluster.now = cluster.now + RaftConfig::default().heartbeat;
            cluster.step(F, Input::Wake);
            let round = appends(&mut cluster).iter().map(|(_, append)| append.round).max().unwrap();
            let outcome = Outcome::Matched(0);
            cluster.deliver(*peer, F, Msg::AppendReply(AppendReply { term: 2, round, outcome }));
        }
        assert!(ready(&mut cluster).is_empty(), "{founders}");
        for peer in &others {
            cluster.deliver(*peer, F, matched(2, first));
        }
        assert_eq!(cluster.raft(F).commit(), first);
        cluster.step(F, Input::Wake);
        for peer in &others {
            let outcome = Outcome::Matched(first);
            cluster.deliver(*peer, F, Msg::AppendReply(AppendReply { term: 2, round: 2, outcome }));
        }
        assert_eq!(ready(&mut cluster), [first], "{founders}");
    }
}

fn ready(cluster: &mut Cluster) -> Vec<u64> {
    let events = cluster.take_events(F).into_iter();
    events.filter_map(|e| if let Event::ReadReady { index, .. } = e { Some(index) } else { None }).collect()
}

// "Second, a leader must check whether it has been deposed before processing a read-only request ... by having the leader
// exchange heartbeat messages with a majority of the cluster before responding". Every number of answers.
#[test]
fn a_read_is_answered_once_a_majority_has_answered_the_round_asked_for_it() {
    for founders in 2..=7u64 {
        let (mut cluster, _) = candidate(founders);
        let others: Vec<NodeId> = ids(founders).into_iter().skip(1).collect();
        for peer in &others[..founders as usize / 2] {
            cluster.deliver(*peer, F, Msg::VoteReply(yes(2)));
        }
        let first = cluster.last(F).index;
        for peer in &others {
            cluster.deliver(*peer, F, matched(2, first));
        }
        assert_eq!(cluster.raft(F).commit(), first);
        cluster.wire.clear();
        cluster.take_events(F);
        cluster.command(F, Cmd::Read { request: 1 });
        cluster.step(F, Input::Wake);
        let rounds = appends(&mut cluster);
        assert_eq!(rounds.iter().map(|(to, _)| *to).collect::<Vec<_>>(), others, "all are asked");
        let round = rounds[0].1.round;
        for (at, peer) in others.iter().enumerate() {
            let answered = at as u64 + 1;
            let outcome = Outcome::Matched(first);
            cluster.deliver(*peer, F, Msg::AppendReply(AppendReply { term: 2, round, outcome }));
            let is_first_majority = (answered + 1) * 2 > founders && answered * 2 <= founders;
            let expected = if is_first_majority { vec![first] } else { vec![] };
            assert_eq!(ready(&mut cluster), expected, "{answered} answers and its own of {founders}");
        }
    }
}

// An answer that says no to the entries is still an answer of one that follows this leader; that of another term is not.
#[test]
fn a_refused_append_confirms_a_read_and_an_answer_of_another_term_does_not() {
    let answers = [(2, true), (1, false)];
    for (term, confirms) in answers {
        let (mut cluster, _) = candidate(3);
        cluster.deliver(L, F, Msg::VoteReply(yes(2)));
        cluster.deliver(L, F, matched(2, 1));
        cluster.take_events(F);
        cluster.command(F, Cmd::Read { request: 1 });
        cluster.step(F, Input::Wake);
        let outcome = Outcome::Conflict { refused: 1, hint: quorate_consensus::raft::LogId::ZERO };
        cluster.deliver(L, F, Msg::AppendReply(AppendReply { term, round: 2, outcome }));
        assert_eq!(ready(&mut cluster).len(), usize::from(confirms), "term {term}");
    }
}

// "Linearizable: ... each operation appears to execute instantaneously, exactly once, at some point between its invocation
// and its response": a read sees every command that was answered before it was asked, at every server.
#[test]
fn a_linearizable_read_sees_every_command_that_was_answered_before_it_was_asked() {
    let mut seen = 0;
    for seed in 0..5 {
        let (mut hosts, _) = three(seed);
        for number in 0..12u64 {
            let at = NodeId(1 + hosts.rng.within(0..3));
            let ticket = hosts.handle::<Tally, NoDecider>(at).propose(Do::Add(number));
            for _ in 0..20_000 {
                if ticket.is_settled() {
                    break;
                }
                hosts.pass(1);
            }
            if number % 4 == 3 {
                let leader = hosts.leader().unwrap();
                drop(hosts.handle::<Tally, NoDecider>(leader).transfer(None));
            }
            let from = NodeId(1 + hosts.rng.within(0..3));
            let policy = if Some(from) == hosts.leader() { Read::Linearizable } else { Read::Follower };
            let read = hosts.handle::<Tally, NoDecider>(from).read(policy, |t| t.added.len() as u64);
            hosts.pass(500);
            match read.try_take().unwrap() {
                Ok(count) => {
                    assert_eq!(count, number + 1, "seed {seed}");
                    seen += 1;
                }
                // The leader was handing over.
                Err(failure) => assert!(number % 4 == 3 && policy == Read::Linearizable, "{failure:?}"),
            }
        }
    }
    assert!(seen > 50, "{seen}");
}
