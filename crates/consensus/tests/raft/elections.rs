//! Elections: figure 2's rules for votes, section 5.2 and 5.4.1, pre-vote and check-quorum.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use quorate_consensus::raft::{
    AppendReply, Candidacy, Cmd, Founding, Index, LogId, Msg, Outcome, RaftConfig, Record, Term, VoteReply,
};
use quorate_core::{Input, JournalId, NodeId};
use std::time::Duration;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

/// Three nodes that nobody leads, and how their group is named.
fn three() -> (Cluster, u64) {
    let cluster = Cluster::new(3);
    let group = cluster.group_of(&ids(3));
    (cluster, group)
}

fn others(id: NodeId) -> Vec<NodeId> {
    ids(3).into_iter().filter(|other| *other != id).collect()
}

fn pre_vote(group: u64, term: Term, last: LogId) -> Msg {
    Msg::PreVote(Candidacy { group, term, last, handed_over: false })
}

fn vote(group: u64, term: Term, last: LogId) -> Msg {
    Msg::Vote(Candidacy { group, term, last, handed_over: false })
}

/// What `from` answered since the last time; where its log ends is not looked at.
fn answers(cluster: &mut Cluster, from: NodeId) -> Vec<(NodeId, VoteReply)> {
    let wire = std::mem::take(&mut cluster.wire);
    let replies = wire.into_iter().filter(|(sender, _, _)| *sender == from);
    replies
        .filter_map(|(_, to, msg)| match msg {
            Msg::VoteReply(reply) | Msg::PreVoteReply(reply) => {
                Some((to, VoteReply { last: LogId::ZERO, ..reply }))
            }
            _ => None,
        })
        .collect()
}

const YES: bool = true;
const NO: bool = false;

// Figure 2, RequestVote: 1. Reply false if term < currentTerm. 2. If votedFor is null or candidateId, and the
// candidate's log is at least as up-to-date as receiver's log, grant vote.
#[test]
fn a_vote_is_given_once_a_term_and_to_none_of_an_older_term() {
    let (mut cluster, group) = three();
    let cases = [
        (B, 2, YES, 2),
        // The same candidate again: its answer may have been lost.
        (B, 2, YES, 2),
        (C, 2, NO, 2),
        (C, 1, NO, 2),
        (C, 3, YES, 3),
        (B, 3, NO, 3),
    ];
    for (from, term, granted, now) in cases {
        cluster.deliver(from, A, vote(group, term, LogId::ZERO));
        assert_eq!(
            answers(&mut cluster, A),
            [(from, VoteReply { term: now, granted, last: LogId::ZERO })],
            "{from} {term}"
        );
    }
}

// 7. Log ids compare lexicographically (term, then index), never per component (Raft §5.4.1).
#[test]
fn a_candidate_whose_log_is_behind_by_term_or_by_length_gets_no_vote() {
    let own = LogId::new(2, 3);
    let mut asked = 10;
    for last in (0..4).flat_map(|term| [0, 1, 2, 3, 4, 9].map(|index: Index| LogId::new(term, index))) {
        let (mut cluster, group) = three();
        cluster.deliver(B, A, append(group, 2, LogId::ZERO, 0, vec![entries(1, 1, 2), entries(3, 2, 1)]));
        cluster.now = cluster.now + Duration::from_secs(1);
        cluster.wire.clear();
        asked += 1;
        let granted = (last.term, last.index) >= (own.term, own.index);
        for msg in [pre_vote(group, asked, last), vote(group, asked, last)] {
            cluster.deliver(C, A, msg);
            let answers = answers(&mut cluster, A);
            assert_eq!(
                answers.iter().map(|(_, reply)| reply.granted).collect::<Vec<_>>(),
                [granted],
                "{last}"
            );
        }
    }
}

// 4. [S] Term and vote are one record; nothing is answered before it is on disk.
#[test]
fn term_and_vote_are_one_record_and_nothing_is_answered_before_it_is_on_disk() {
    let (mut cluster, group) = three();
    cluster.sync = false;
    cluster.deliver(B, A, vote(group, 4, LogId::ZERO));
    assert_eq!(answers(&mut cluster, A), []);
    assert_eq!((cluster.raft(A).term(), cluster.raft(A).vote()), (4, Some(B)));
    let mut lost = Cluster::new(3);
    lost.sync = false;
    lost.deliver(B, A, vote(group, 4, LogId::ZERO));
    lost.crash(A);
    lost.start(A);
    assert_eq!(
        (lost.raft(A).term(), lost.raft(A).vote()),
        (0, None),
        "what was not answered may be forgotten"
    );
    cluster.sync_node(A);
    assert_eq!(answers(&mut cluster, A), [(B, VoteReply { term: 4, granted: YES, last: LogId::ZERO })]);
    let hard = cluster.nodes[&A].disk.records().filter(|r| matches!(r, Record::Hard { vote: Some(_), .. }));
    assert_eq!(hard.collect::<Vec<_>>(), [&Record::Hard { term: 4, vote: Some(B) }]);
    cluster.crash(A);
    cluster.start(A);
    cluster.deliver(C, A, vote(group, 4, LogId::ZERO));
    assert!(answers(&mut cluster, A).iter().all(|(_, reply)| !reply.granted));
}

// 4, the candidate's side: its own vote is on disk before it asks for others (figure 2, candidates: increment
// currentTerm, vote for self, reset election timer, send RequestVote RPCs to all other servers).
#[test]
fn a_candidate_asks_for_votes_once_its_own_is_on_disk() {
    let (mut cluster, _) = three();
    cluster.sync = false;
    cluster.pass_where(400, |_, _| false);
    cluster.wire.clear();
    cluster.deliver(B, A, Msg::PreVoteReply(VoteReply { term: 1, granted: YES, last: LogId::ZERO }));
    if cluster.raft(A).term() == 0 {
        // Its own timer had not fired: make it ask.
        while cluster.raft(A).counters().pre_campaigns == 0 {
            cluster.pass_where(10, |_, _| false);
        }
        cluster.wire.clear();
        cluster.deliver(B, A, Msg::PreVoteReply(VoteReply { term: 1, granted: YES, last: LogId::ZERO }));
    }
    assert_eq!((cluster.raft(A).term(), cluster.raft(A).vote()), (1, Some(A)));
    assert!(!cluster.wire.iter().any(|(from, _, msg)| *from == A && matches!(msg, Msg::Vote(_))));
    cluster.sync_node(A);
    let asked: Vec<_> = cluster
        .wire
        .iter()
        .filter(|(from, _, msg)| *from == A && matches!(msg, Msg::Vote(_)))
        .map(|w| w.1)
        .collect();
    assert_eq!(asked, [B, C]);
}

// 3. [S] A pre-vote grant is not a vote; pre-vote must not reset the vote.
#[test]
fn a_pre_vote_neither_is_a_vote_nor_changes_one() {
    let (mut cluster, group) = three();
    cluster.deliver(B, A, vote(group, 2, LogId::ZERO));
    let records = cluster.nodes[&A].disk.records().count();
    answers(&mut cluster, A);
    for from in [B, C] {
        cluster.deliver(from, A, pre_vote(group, 3, LogId::ZERO));
        assert_eq!(
            answers(&mut cluster, A),
            [(from, VoteReply { term: 3, granted: YES, last: LogId::ZERO })]
        );
    }
    assert_eq!((cluster.raft(A).term(), cluster.raft(A).vote()), (2, Some(B)));
    assert_eq!(cluster.nodes[&A].disk.records().count(), records, "nothing is written");
    // Grants of a majority spend a term; they are no votes in it.
    let (mut cluster, _) = three();
    while cluster.raft(A).counters().pre_campaigns == 0 {
        cluster.pass_where(10, |_, _| false);
    }
    for from in [B, C] {
        cluster.deliver(from, A, Msg::PreVoteReply(VoteReply { term: 1, granted: YES, last: LogId::ZERO }));
    }
    assert_eq!(cluster.raft(A).term(), 1);
    assert!(!cluster.raft(A).is_leader());
}

// 2. [L] Granting a pre-vote must not count as hearing from a leader.
#[test]
pub fn granting_a_pre_vote_does_not_count_as_hearing_from_a_leader() {
    let (mut cluster, group) = three();
    let before = cluster.wake_at(A);
    cluster.deliver(B, A, pre_vote(group, 1, LogId::ZERO));
    assert_eq!(cluster.wake_at(A), before);
    cluster.deliver(C, A, pre_vote(group, 1, LogId::ZERO));
    assert!(answers(&mut cluster, A).iter().all(|(_, reply)| reply.granted));
}

// 2. An ex-leader's pre-vote must not be refused for ever.
#[test]
fn an_ex_leader_with_the_longest_log_is_elected_again() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    cluster.pass(10);
    let behind = others(leader)[0];
    cluster.propose(leader, b"only here and there");
    cluster.settle_where(|_, to| to != behind);
    cluster.crash(others(leader)[1]);
    // It would pull the entry and lead; here it is only asked for its vote.
    cluster.command(behind, Cmd::Abstain);
    cluster.command(leader, Cmd::StepDown);
    assert!(!cluster.raft(leader).is_leader());
    assert_eq!(cluster.elect(), leader);
    cluster.pass(100);
    assert_eq!(cluster.last(behind), cluster.last(leader));
}

// 1. [L] Pre-vote with check-quorum: nodes at a lower term that never learn the higher one deadlock.
#[test]
pub fn nodes_at_a_lower_term_learn_the_higher_one_and_elect() {
    // The one ahead has the longest log or the shortest.
    for longest in [true, false] {
        let (mut cluster, group) = three();
        for id in [A, B, C] {
            if longest == (id == A) {
                cluster.deliver(others(id)[0], id, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 2)]));
            }
        }
        cluster.now = cluster.now + Duration::from_secs(1);
        cluster.deliver(C, A, vote(group, 10, LogId::ZERO));
        assert_eq!(cluster.raft(A).term(), 10);
        cluster.wire.clear();
        let leader = cluster.elect();
        assert!(cluster.raft(leader).term() > 10);
        cluster.pass(300);
        assert!(
            cluster.commits().iter().all(|commit| *commit == cluster.raft(leader).commit() && *commit > 0)
        );
    }
    // Of two that are left the one ahead cannot be elected, and says no to every term that the other asks for.
    let (mut cluster, group) = three();
    cluster.deliver(B, C, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 2)]));
    cluster.now = cluster.now + Duration::from_secs(1);
    cluster.deliver(B, A, vote(group, 10, LogId::ZERO));
    cluster.command(A, Cmd::Abstain);
    cluster.crash(B);
    assert_eq!((cluster.raft(A).term(), cluster.raft(C).term()), (10, 1));
    cluster.wire.clear();
    assert_eq!(cluster.elect(), C);
    assert!(cluster.raft(C).term() > 10);
}

// 1, with a leader: one that is at a higher term for whatever reason is taken in again.
#[test]
fn a_leader_takes_in_a_node_at_a_higher_term() {
    let (mut cluster, group) = three();
    let leader = cluster.elect();
    let ahead = others(leader)[0];
    cluster.pass_where(400, |from, to| ![from, to].contains(&ahead));
    cluster.deliver(others(leader)[1], ahead, vote(group, 7, LogId::new(9, 9)));
    assert_eq!(cluster.raft(ahead).term(), 7);
    cluster.pass(2_000);
    let leader = cluster.leader().unwrap();
    assert!(cluster.raft(leader).term() > 7);
    assert_eq!(cluster.raft(ahead).leader(), Some(leader));
}

// 5. [S] A stale pre-vote round must not start a campaign after leadership was won.
#[test]
pub fn a_stale_pre_vote_round_starts_no_campaign_after_leadership_was_won() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    let term = cluster.raft(leader).term();
    for from in others(leader) {
        for of in [term, term + 1] {
            cluster.deliver(
                from,
                leader,
                Msg::PreVoteReply(VoteReply { term: of, granted: YES, last: LogId::ZERO }),
            );
        }
        cluster.deliver(from, leader, Msg::VoteReply(VoteReply { term, granted: YES, last: LogId::ZERO }));
    }
    assert_eq!((cluster.raft(leader).term(), cluster.raft(leader).is_leader()), (term, true));
    // Nor in a follower that asked before it heard of the leader.
    let follower = others(leader)[0];
    for from in others(follower) {
        cluster.deliver(
            from,
            follower,
            Msg::PreVoteReply(VoteReply { term: term + 1, granted: YES, last: LogId::ZERO }),
        );
    }
    assert_eq!(cluster.raft(follower).term(), term);
}

// 6. [L] A node whose disk hangs must stop heartbeating.
#[test]
pub fn a_leader_whose_disk_hangs_is_replaced() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    cluster.pass(10);
    cluster.hung.push(leader);
    cluster.propose(leader, b"x");
    cluster.pass(1_500);
    assert!(!cluster.raft(leader).is_leader());
    assert_eq!(cluster.raft(leader).counters().stalled_disk, 1);
    let next = cluster.leader().unwrap();
    cluster.propose(next, b"y");
    cluster.pass(10);
    assert!(
        cluster
            .commands(next)
            .iter()
            .any(|(index, _, data)| data == b"y" && *index <= cluster.raft(next).commit())
    );
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), Some(next), "and it does not come back to disturb");
}

// 6. A node with a corrupt log must not win again and again. (Its port says so: its state machine is lost.)
#[test]
pub fn a_node_that_abstains_votes_and_never_leads() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    cluster.command(leader, Cmd::Abstain);
    assert!(!cluster.raft(leader).is_leader());
    cluster.crash(others(leader)[0]);
    let next = cluster.elect();
    assert_eq!(next, others(leader)[1], "with the vote of the one that abstains");
    cluster.crash(next);
    cluster.start(others(leader)[0]);
    cluster.pass(3_000);
    assert!(!cluster.raft(leader).is_leader());
}

// Figure 2, all servers: if RPC request or response contains term T > currentTerm, set currentTerm = T, convert
// to follower (§5.1).
#[test]
fn whoever_learns_of_a_newer_term_from_a_voter_follows_in_it() {
    let newer = |term| {
        [
            Msg::VoteReply(VoteReply { term, granted: NO, last: LogId::ZERO }),
            Msg::PreVoteReply(VoteReply { term, granted: NO, last: LogId::ZERO }),
            Msg::AppendReply(AppendReply { term, round: 0, outcome: Outcome::Stale }),
        ]
    };
    for at in 0..3 {
        let (mut cluster, _) = three();
        let leader = cluster.elect();
        let term = cluster.raft(leader).term() + 5;
        cluster.deliver(others(leader)[0], leader, newer(term)[at].clone());
        assert_eq!((cluster.raft(leader).term(), cluster.raft(leader).is_leader()), (term, false));
        assert_eq!(cluster.raft(leader).vote(), None);
    }
}

// Figure 2, candidates: if AppendEntries RPC received from new leader: convert to follower.
#[test]
fn a_candidate_that_hears_the_leader_of_its_term_follows_it() {
    let (mut cluster, group) = three();
    while cluster.raft(A).counters().pre_campaigns == 0 {
        cluster.pass_where(10, |_, _| false);
    }
    cluster.deliver(B, A, Msg::PreVoteReply(VoteReply { term: 1, granted: YES, last: LogId::ZERO }));
    assert_eq!(cluster.raft(A).term(), 1);
    cluster.deliver(C, A, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 1)]));
    assert_eq!((cluster.raft(A).leader(), cluster.last(A)), (Some(C), LogId::new(1, 1)));
    // A vote that comes now makes no second leader of the term.
    cluster.deliver(B, A, Msg::VoteReply(VoteReply { term: 1, granted: YES, last: LogId::ZERO }));
    assert!(!cluster.raft(A).is_leader());
}

// Figure 2, candidates: if election timeout elapses: start new election. §5.2: split votes are resolved by
// randomised timeouts.
#[test]
fn a_split_vote_is_followed_by_another_election() {
    let mut cluster = Cluster::new(4);
    // Each half votes for its own candidate until one is lucky.
    let leader = cluster.elect();
    cluster.crash(leader);
    let next = cluster.elect();
    assert!(cluster.raft(next).term() > 1);
    let elected: u64 =
        ids(4).iter().filter(|id| cluster.is_up(**id)).map(|id| cluster.raft(*id).counters().elected).sum();
    assert_eq!(elected, 1);
}

// §5.2: timeouts are drawn at random from a fixed interval, once to twice the least.
#[test]
fn election_timeouts_are_drawn_from_once_to_twice_the_least() {
    let mut drawn = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut cluster = Cluster::seeded(RaftConfig::default(), seed);
        cluster.add(A, Founding::Found(ids(3)), JournalId(1));
        let wait = cluster.wake_at(A).unwrap().since(cluster.now);
        let least = RaftConfig::default().election_timeout;
        assert!(wait >= least && wait < least * 2, "{wait:?}");
        drawn.insert(wait);
    }
    assert!(drawn.len() > 190);
}

// Thesis §4.2.3, §6.4.1: a server that hears a leader does not help to depose it.
#[test]
fn a_follower_that_hears_its_leader_grants_nothing_and_learns_no_term() {
    let (mut cluster, group) = three();
    let leader = cluster.elect();
    cluster.pass(60);
    let [follower, other] = others(leader)[..] else { panic!() };
    for msg in [pre_vote(group, 9, LogId::new(9, 9)), vote(group, 9, LogId::new(9, 9))] {
        cluster.wire.clear();
        cluster.deliver(other, follower, msg);
        assert!(answers(&mut cluster, follower).iter().all(|(_, reply)| !reply.granted));
    }
    assert_eq!(cluster.raft(follower).term(), cluster.raft(leader).term());
}

// Thesis §6.2: a leader that hears no quorum stops leading.
#[test]
fn a_leader_without_a_quorum_stops_leading_and_a_leader_with_one_does_not() {
    let mut cluster = Cluster::new(5);
    let leader = cluster.elect();
    let term = cluster.raft(leader).term();
    let far: Vec<_> = ids(5).into_iter().filter(|id| *id != leader).take(2).collect();
    cluster.pass_where(2_000, |from, to| !far.contains(&from) && !far.contains(&to));
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
    cluster.pass_where(600, |from, to| from != leader && to != leader);
    assert!(!cluster.raft(leader).is_leader());
    assert_eq!(cluster.raft(leader).counters().lost_quorum, 1);
}

// A node that was cut off for long does not depose the leader when it is back (thesis §9.6).
#[test]
fn a_node_that_was_cut_off_comes_back_without_an_election() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    let term = cluster.raft(leader).term();
    let far = others(leader)[0];
    cluster.pass_where(5_000, |from, to| ![from, to].contains(&far));
    assert!(cluster.raft(far).counters().pre_campaigns > 5);
    cluster.pass(1_000);
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term));
}

#[test]
fn a_single_node_elects_itself_and_commits_once_its_disk_has_it() {
    let mut cluster = Cluster::new(1);
    assert_eq!(cluster.elect(), A);
    cluster.hung.push(A);
    let commit = cluster.raft(A).commit();
    cluster.propose(A, b"x");
    cluster.pass(10);
    assert_eq!(cluster.raft(A).commit(), commit);
    cluster.hung.clear();
    cluster.sync_node(A);
    assert_eq!(cluster.raft(A).commit(), commit + 1);
    cluster.crash(A);
    cluster.start(A);
    cluster.elect();
    assert_eq!(cluster.commands(A).len(), 1);
}

// Figure 2: the vote is persistent. A leader whose own vote could be forgotten could lead the term a second time, with
// other entries, and whoever is served without a vote would have seen the first ones.
#[test]
fn a_single_voter_leads_once_its_vote_is_on_disk() {
    let mut cluster = Cluster::new(1);
    cluster.add(NodeId(9), Founding::Join(ids(1)), JournalId(9));
    cluster.elect();
    cluster.pass(500);
    cluster.crash(A);
    cluster.hung.push(A);
    cluster.start(A);
    cluster.wire.clear();
    cluster.pass(1_000);
    assert!(cluster.raft(A).counters().campaigns > 0 && !cluster.raft(A).is_leader());
    assert_eq!(cluster.raft(NodeId(9)).term(), 1);
    cluster.hung.clear();
    cluster.sync_node(A);
    assert_eq!(cluster.leader(), Some(A));
}

#[test]
fn of_two_nodes_neither_decides_alone() {
    let mut cluster = Cluster::new(2);
    let leader = cluster.elect();
    let other = ids(2).into_iter().find(|id| *id != leader).unwrap();
    cluster.pass(10);
    let commit = cluster.raft(leader).commit();
    cluster.crash(other);
    cluster.propose(leader, b"x");
    cluster.pass(100);
    assert_eq!(cluster.raft(leader).commit(), commit);
    cluster.pass(2_000);
    assert_eq!(cluster.leader(), None);
    cluster.start(other);
    cluster.elect();
    cluster.pass(300);
    assert_eq!(cluster.commands(other), cluster.commands(leader));
}

// The seam: a wake may come early, and then does nothing; a time in the past is one that a step consumes.
#[test]
fn an_early_wake_does_nothing_and_a_due_one_is_consumed() {
    let (mut cluster, _) = three();
    let leader = cluster.elect();
    cluster.propose(leader, b"x");
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.settle();
    for _ in 0..500 {
        cluster.pass(1);
        for id in ids(3) {
            assert!(cluster.wake_at(id).unwrap() > cluster.now, "{id} is due again");
            let before = cluster.raft(id).clone();
            cluster.step(id, Input::Wake);
            assert_eq!(*cluster.raft(id), before);
        }
    }
}
