//! Figure 2, the receivers of RequestVote and of AppendEntries: every small case, against the steps as the figure has them.

use super::{F, L, M, alone, sent, vote};
use crate::made::{append, entries};
use crate::replication::terms;
use quorate_consensus::raft::{Index, LogId, Msg, Outcome, Term};
use quorate_core::NodeId;
use std::time::Duration;

/// RequestVote RPC, "Receiver implementation", as written: (term, vote, granted) afterwards.
fn request_vote(
    (mut current, mut voted, own): (Term, Option<NodeId>, LogId),
    (candidate, term, last): (NodeId, Term, LogId),
) -> (Term, Option<NodeId>, bool) {
    // Rules for all servers.
    if term > current {
        (current, voted) = (term, None);
    }
    // 1. Reply false if term < currentTerm (§5.1).
    if term < current {
        return (current, voted, false);
    }
    // 2. If votedFor is null or candidateId, and candidate's log is at least as up-to-date as receiver's log, grant vote
    // (§5.2, §5.4).
    let up_to_date = last.term > own.term || last.term == own.term && last.index >= own.index;
    let granted = voted.is_none_or(|voted| voted == candidate) && up_to_date;
    if granted {
        voted = Some(candidate);
    }
    (current, voted, granted)
}

#[test]
fn a_voter_does_what_the_steps_of_its_receiver_say_in_every_small_case() {
    let logs = [LogId::ZERO, LogId::new(1, 1), LogId::new(1, 2), LogId::new(2, 1), LogId::new(2, 2)];
    let mut granted_in = 0;
    for own in logs {
        for voted in [None, Some(L), Some(M)] {
            for (term, last) in (1..5).flat_map(|term| logs.map(|last| (term, last))) {
                let (mut cluster, group) = alone(3);
                // A log of terms that are over, in term 3, with the vote given or not, and nobody heard for long.
                let batches = match own {
                    LogId::ZERO => vec![],
                    LogId { term: 2, index: 2 } => vec![entries(1, 1, 1), entries(2, 2, 1)],
                    LogId { term, index } => vec![entries(1, term, index as usize)],
                };
                cluster.deliver(L, F, append(group, 2, LogId::ZERO, 0, batches));
                cluster.now = cluster.now + Duration::from_secs(1);
                match voted {
                    Some(candidate) => cluster.deliver(candidate, F, vote(group, 3, LogId::new(2, 9))),
                    None => cluster.deliver(
                        L,
                        F,
                        Msg::VoteReply(quorate_consensus::raft::VoteReply {
                            granted: false,
                            ..super::yes(3)
                        }),
                    ),
                }
                assert_eq!((cluster.raft(F).term(), cluster.raft(F).vote()), (3, voted));
                cluster.wire.clear();
                cluster.deliver(L, F, vote(group, term, last));
                let replies = sent(&mut cluster);
                let [(L, Msg::VoteReply(reply))] = &replies[..] else { panic!("{replies:?}") };
                let expected = request_vote((3, voted, own), (L, term, last));
                let happened = (cluster.raft(F).term(), cluster.raft(F).vote(), reply.granted);
                assert_eq!(happened, expected, "{own} {voted:?}, asked for term {term} with {last}");
                assert_eq!(reply.term, expected.0, "\"currentTerm, for candidate to update itself\"");
                granted_in += usize::from(reply.granted);
            }
        }
    }
    assert!(granted_in > 50, "{granted_in}");
}

/// AppendEntries RPC, "Receiver implementation", as written, for a log of one term an index: what it is afterwards, the
/// commit index, and whether it succeeds.
fn append_entries(
    mut log: Vec<Term>,
    (prev, new, leader_commit): (LogId, &[Term], Index),
) -> (Vec<Term>, Index, bool) {
    // 2. Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm (§5.3).
    let before = prev.index as usize;
    if before > 0 && log.get(before - 1) != Some(&prev.term) {
        return (log, 0, false);
    }
    for (at, term) in new.iter().enumerate() {
        // 3. If an existing entry conflicts with a new one (same index but different terms), delete the existing entry and
        // all that follow it (§5.3).
        if log.get(before + at).is_some_and(|existing| existing != term) {
            log.truncate(before + at);
        }
        // 4. Append any new entries not already in the log.
        if log.len() == before + at {
            log.push(*term);
        }
    }
    // 5. If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry).
    (log, leader_commit.min((before + new.len()) as Index), true)
}

/// All logs of up to so many entries with terms 1 and 2 that do not fall.
fn logs(length_max: usize) -> Vec<Vec<Term>> {
    let mut all = Vec::new();
    for ones in 0..=length_max {
        for twos in 0..=length_max - ones {
            all.push([vec![1; ones], vec![2; twos]].concat());
        }
    }
    all
}

#[test]
fn a_follower_does_what_the_steps_of_its_receiver_say_in_every_small_case() {
    let (mut accepted, mut refused) = (0, 0);
    for (log, leader) in
        logs(4).into_iter().flat_map(|log| logs(4).into_iter().map(move |l| (log.clone(), l)))
    {
        // A leader sends what stands in its own log behind any of its entries.
        for (from, upto) in
            (0..=leader.len()).flat_map(|from| (from..=leader.len()).map(move |upto| (from, upto)))
        {
            for commit in 0..=leader.len() as Index {
                let (mut cluster, group) = alone(3);
                let batches = |from: usize, log: &[Term]| {
                    log.iter().enumerate().map(|(at, t)| entries((from + at) as u64 + 1, *t, 1)).collect()
                };
                cluster.deliver(L, F, append(group, 2, LogId::ZERO, 0, batches(0, &log)));
                cluster.wire.clear();
                let prev = if from == 0 { LogId::ZERO } else { LogId::new(leader[from - 1], from as Index) };
                cluster.deliver(M, F, append(group, 3, prev, commit, batches(from, &leader[from..upto])));
                let replies = sent(&mut cluster);
                let [(M, Msg::AppendReply(reply))] = &replies[..] else { panic!("{replies:?}") };
                let success = match reply.outcome {
                    Outcome::Matched(index) => {
                        assert_eq!(index, upto as Index, "what it says to have is what was sent");
                        true
                    }
                    _ => false,
                };
                let happened = (terms(&cluster, F), cluster.raft(F).commit(), success);
                let expected = append_entries(log.clone(), (prev, &leader[from..upto], commit));
                assert_eq!(happened, expected, "{log:?} is sent {:?} behind {prev}", &leader[from..upto]);
                if success { accepted += 1 } else { refused += 1 }
            }
        }
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} {refused}");
}

// "Results: term: currentTerm, for leader to update itself".
#[test]
fn every_answer_to_an_append_names_the_current_term() {
    for term in 1..6 {
        let (mut cluster, group) = alone(3);
        cluster.deliver(L, F, append(group, 3, LogId::ZERO, 0, vec![entries(1, 3, 1)]));
        for (prev, batches) in
            [(LogId::ZERO, vec![]), (LogId::new(1, 7), vec![]), (LogId::ZERO, vec![entries(1, 3, 1)])]
        {
            cluster.wire.clear();
            cluster.deliver(L, F, append(group, term, prev, 0, batches));
            let replies = sent(&mut cluster);
            let [(L, Msg::AppendReply(reply))] = &replies[..] else { panic!("{replies:?}") };
            assert_eq!((reply.term, cluster.raft(F).term()), (term.max(3), term.max(3)));
        }
    }
}
