//! Sections 5.3 to 5.5: figure 3's properties of one log, idempotent requests, servers that crash.

use super::{F, L, M, alone, lead, vote};
use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use crate::replication::{matched, terms};
use quorate_consensus::raft::{AppendReply, Cmd, LogId, Msg, Outcome, Pulled, VoteReply};
use quorate_core::{Input, NodeId};

// Figure 3, Leader Append-Only: "a leader never overwrites or deletes entries in its log; it only appends new entries".
#[test]
fn a_leader_only_appends_to_its_own_log_whatever_it_is_told() {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 4)]));
    let term = lead(&mut cluster, 3);
    let conflict = |refused, hint| {
        let outcome = Outcome::Conflict { refused, hint };
        Msg::AppendReply(AppendReply { term, round: 1, outcome })
    };
    let told = [
        append(group, term, LogId::ZERO, 9, vec![entries(1, term, 9)]),
        append(group, term - 1, LogId::ZERO, 9, vec![entries(1, 1, 9)]),
        vote(group, term, LogId::new(9, 9)),
        vote(group, term + 1, LogId::new(9, 9)),
        Msg::Pulled(Pulled {
            group,
            after: LogId::ZERO,
            last: LogId::new(term, 9),
            batches: vec![entries(1, term, 9)].into(),
        }),
        Msg::VoteReply(VoteReply { term, granted: true, last: LogId::new(9, 9) }),
        conflict(4, LogId::ZERO),
        conflict(5, LogId::new(9, 3)),
        matched(term, 2),
        matched(term, 99),
    ];
    let mut before = terms(&cluster, F);
    for msg in told {
        for from in [L, M] {
            cluster.deliver(from, F, msg.clone());
            cluster.propose(F, b"x");
            cluster.step(F, Input::Wake);
            let now = terms(&cluster, F);
            assert_eq!(now[..before.len()], before[..], "{msg:?}");
            assert_eq!((now.len(), cluster.raft(F).is_leader()), (before.len() + 1, true), "{msg:?}");
            before = now;
        }
    }
}

// §5.4.1: "If the logs have last entries with different terms, then the log with the later term is more up-to-date. If
// the logs end with the same term, then whichever log is longer": so of any two logs one can be elected by the other,
// and only if neither is behind both can.
#[test]
fn of_two_logs_the_more_up_to_date_one_gets_the_others_vote_and_equal_ones_get_each_others() {
    let names = [(1, 1), (1, 2), (1, 9), (2, 1), (2, 2), (3, 1)].map(|(term, index)| LogId::new(term, index));
    let grants = |own: LogId, asks: LogId| {
        let (mut cluster, group) = alone(3);
        cluster.deliver(
            L,
            F,
            append(group, 3, LogId::ZERO, 0, vec![entries(1, own.term, own.index as usize)]),
        );
        cluster.now = cluster.now + std::time::Duration::from_secs(1);
        cluster.deliver(M, F, vote(group, 4, asks));
        cluster.raft(F).vote() == Some(M)
    };
    for (a, b) in names.iter().flat_map(|a| names.map(|b| (*a, b))) {
        let (for_b, for_a) = (grants(a, b), grants(b, a));
        assert!(for_a || for_b, "{a} {b}");
        assert_eq!(for_a && for_b, a == b, "{a} {b}");
    }
}

// §5.5: "Raft RPCs are idempotent, so this causes no harm": everything is delivered three times, the second time at once
// and the third time late.
#[test]
fn what_is_delivered_again_does_no_harm() {
    let run = |times: usize| {
        let mut cluster = Cluster::new(3);
        let leader = cluster.elect();
        for round in 0..20 {
            cluster.propose(leader, b"x");
            let mut late: Vec<(NodeId, NodeId, Msg)> = Vec::new();
            for _ in 0..6 {
                cluster.step(leader, Input::Wake);
                for (from, to, msg) in std::mem::take(&mut cluster.wire) {
                    for _ in 0..times.min(2) {
                        cluster.deliver(from, to, msg.clone());
                    }
                    late.push((from, to, msg));
                }
            }
            if times > 2 {
                for (from, to, msg) in late {
                    cluster.deliver(from, to, msg);
                }
            }
            cluster.settle();
            if round == 10 {
                cluster.command(leader, Cmd::Read { request: 1 });
            }
            cluster.pass(5);
        }
        let all: Vec<_> = ids(3)
            .into_iter()
            .map(|id| (cluster.raft(id).term(), cluster.raft(id).commit(), cluster.commands(id)))
            .collect();
        let truncations: u64 = ids(3).iter().map(|id| cluster.raft(*id).counters().truncations).sum();
        (cluster.leader(), all, truncations)
    };
    let once = run(1);
    assert_eq!(once.1[0].2.len(), 20);
    assert_eq!((run(2), run(3)), (once.clone(), once));
}

// §5.5: "If a follower or candidate crashes, then future RequestVote and AppendEntries RPCs sent to it will fail. Raft
// handles these failures by retrying indefinitely; if the crashed server restarts, then the RPC will complete successfully."
#[test]
fn a_server_that_crashed_gets_what_it_missed_once_it_is_back_however_late() {
    for down_ms in [1, 60, 5_000] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.elect();
        let down = ids(3).into_iter().find(|id| *id != leader).unwrap();
        cluster.crash(down);
        for _ in 0..5 {
            cluster.propose(leader, b"x");
            cluster.pass(down_ms);
        }
        cluster.start(down);
        cluster.pass(120);
        assert_eq!((cluster.leader(), cluster.raft(down).leader()), (Some(leader), Some(leader)));
        assert_eq!(cluster.last(down), cluster.last(leader));
        assert_eq!(cluster.raft(down).commit(), cluster.raft(leader).commit());
    }
}

// §5.5: a candidate that crashes, and the voters that crash, forget nothing that the election rests on.
#[test]
fn an_election_goes_on_across_crashes_and_elects_one_leader_a_term() {
    let mut cluster = Cluster::new(3);
    let mut leaders = std::collections::BTreeMap::new();
    for round in 0..40u64 {
        cluster.pass(150);
        let down = NodeId(1 + round % 3);
        cluster.crash(down);
        cluster.start(down);
        for id in ids(3) {
            if cluster.raft(id).is_leader() {
                let first = *leaders.entry(cluster.raft(id).term()).or_insert(id);
                assert_eq!(first, id, "two leaders of term {}", cluster.raft(id).term());
            }
        }
    }
    assert!(leaders.len() > 5, "{leaders:?}");
}
