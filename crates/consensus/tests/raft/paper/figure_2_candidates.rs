//! Figure 2, "Rules for Servers": followers and candidates.

use super::{F, L, M, alone, candidate, meet, sent, until_it_asks, vote, yes};
use crate::cluster::ids;
use crate::made::{append, entries};
use quorate_consensus::raft::{Candidacy, LogId, Msg, RaftConfig, VoteReply};
use quorate_core::NodeId;
use std::time::Duration;

// "Followers: Respond to RPCs from candidates and leaders": one answer each, to whoever asked, and nothing of their own.
#[test]
fn a_follower_answers_whoever_asked_and_asks_nobody() {
    let (mut cluster, group) = alone(5);
    let asked = [
        (L, append(group, 1, LogId::ZERO, 0, vec![])),
        (L, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 2)])),
        (L, append(group, 1, LogId::new(1, 7), 0, vec![])),
        (M, append(group, 0, LogId::ZERO, 0, vec![])),
        (M, Msg::PreVote(Candidacy { group, term: 2, last: LogId::ZERO, handed_over: false })),
        (M, vote(group, 1, LogId::ZERO)),
    ];
    for (from, msg) in asked {
        cluster.deliver(from, F, msg.clone());
        let to: Vec<NodeId> = sent(&mut cluster).into_iter().map(|(to, _)| to).collect();
        assert_eq!(to, [from], "{msg:?}");
    }
    let least = RaftConfig::default().election_timeout.as_millis() as u64;
    cluster.pass_where(least - 1, |_, _| false);
    assert_eq!(cluster.wire, []);
}

// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote to candidate:
// convert to candidate".
#[test]
fn a_follower_that_hears_its_leader_does_not_stand_and_one_that_hears_nothing_does() {
    let (mut cluster, group) = alone(3);
    meet(&mut cluster, 3);
    for _ in 0..60 {
        cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![]));
        cluster.pass_where(50, |_, _| false);
    }
    assert_eq!(cluster.raft(F).counters().pre_campaigns, 0);
    cluster.pass_where(300, |_, _| false);
    assert!(cluster.raft(F).counters().pre_campaigns > 0);
}

#[test]
fn granting_a_vote_resets_the_election_timer_and_refusing_one_does_not() {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 2)]));
    cluster.now = cluster.now + Duration::from_millis(150);
    let before = cluster.wake_at(F);
    cluster.deliver(M, F, vote(group, 2, LogId::ZERO));
    assert_eq!((cluster.raft(F).vote(), cluster.wake_at(F)), (None, before), "its log is behind");
    cluster.deliver(M, F, vote(group, 3, LogId::new(1, 2)));
    assert_eq!(cluster.raft(F).vote(), Some(M));
    let least = RaftConfig::default().election_timeout;
    assert!(cluster.wake_at(F).unwrap() >= cluster.now + least);
    // A second one is refused.
    cluster.now = cluster.now + Duration::from_millis(50);
    let before = cluster.wake_at(F);
    cluster.deliver(L, F, vote(group, 3, LogId::new(1, 2)));
    assert_eq!((cluster.raft(F).vote(), cluster.wake_at(F)), (Some(M), before));
}

// "... from current leader": one of an older term does not keep anybody from standing.
#[test]
fn an_append_of_an_older_term_does_not_reset_the_election_timer() {
    let (mut cluster, group) = alone(3);
    cluster.deliver(L, F, append(group, 5, LogId::ZERO, 0, vec![]));
    let before = cluster.wake_at(F);
    cluster.now = cluster.now + Duration::from_millis(100);
    cluster.deliver(M, F, append(group, 4, LogId::ZERO, 0, vec![]));
    assert_eq!(cluster.wake_at(F), before);
    cluster.deliver(L, F, append(group, 5, LogId::ZERO, 0, vec![]));
    assert!(cluster.wake_at(F) > before);
}

// "On conversion to candidate, start election: Increment currentTerm. Vote for self. Reset election timer. Send RequestVote
// RPCs to all other servers."
#[test]
fn a_candidate_increments_its_term_votes_for_itself_resets_its_timer_and_asks_all_others() {
    for founders in 2..=7 {
        let (mut cluster, group) = candidate(founders);
        let raft = cluster.raft(F);
        assert_eq!((raft.term(), raft.vote()), (2, Some(F)), "{founders}");
        let least = RaftConfig::default().election_timeout;
        let timer = cluster.wake_at(F).unwrap();
        assert!(timer >= cluster.now + least && timer < cluster.now + least * 2);
        let candidacy = Candidacy { group, term: 2, last: LogId::ZERO, handed_over: false };
        let expected: Vec<_> =
            ids(founders).into_iter().skip(1).map(|id| (id, Msg::Vote(candidacy))).collect();
        assert_eq!(sent(&mut cluster), expected);
    }
}

// "If votes received from majority of servers: become leader". Every number of votes in clusters of up to seven.
#[test]
fn votes_from_a_majority_make_a_leader_and_fewer_do_not() {
    for founders in 1..=7u64 {
        for votes in 0..founders {
            let (mut cluster, _) = candidate(founders);
            for (at, peer) in ids(founders).into_iter().skip(1).enumerate() {
                let granted = (at as u64) < votes;
                cluster.deliver(peer, F, Msg::VoteReply(VoteReply { granted, ..yes(2) }));
            }
            let expected = (votes + 1) * 2 > founders;
            assert_eq!(cluster.raft(F).is_leader(), expected, "{votes} votes and its own of {founders}");
        }
    }
}

#[test]
fn a_vote_that_comes_again_or_of_another_term_or_of_nobody_is_no_further_vote() {
    let (mut cluster, _) = candidate(5);
    for (from, term) in [(L, 2), (L, 2), (L, 2), (M, 1), (F, 2), (NodeId(9), 2)] {
        cluster.deliver(from, F, Msg::VoteReply(yes(term)));
        assert!(!cluster.raft(F).is_leader(), "{from} {term}");
    }
    cluster.deliver(M, F, Msg::VoteReply(yes(2)));
    assert!(cluster.raft(F).is_leader());
}

// "If election timeout elapses: start new election": in another term, with votes counted anew.
#[test]
fn a_candidate_whose_election_ends_with_nobody_starts_another_in_a_new_term() {
    let (mut cluster, group) = candidate(5);
    cluster.deliver(L, F, Msg::VoteReply(yes(2)));
    until_it_asks(&mut cluster);
    assert_eq!(cluster.raft(F).term(), 2, "a term is spent once it would be won");
    for peer in [L, M] {
        cluster.deliver(peer, F, Msg::PreVoteReply(yes(3)));
    }
    let asked = sent(&mut cluster);
    let candidacy = Candidacy { group, term: 3, last: LogId::ZERO, handed_over: false };
    assert!(asked.len() == 4 && asked.iter().all(|(_, msg)| *msg == Msg::Vote(candidacy)), "{asked:?}");
    cluster.deliver(M, F, Msg::VoteReply(yes(3)));
    assert!(!cluster.raft(F).is_leader(), "the vote of term 2 is over");
    cluster.deliver(L, F, Msg::VoteReply(yes(3)));
    assert!(cluster.raft(F).is_leader());
}
