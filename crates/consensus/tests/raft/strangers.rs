//! Who is believed: voters, under the journal they are known by, within reason.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{
    AppendReply, Candidacy, Cmd, Event, Founding, LogId, Msg, Outcome, SnapshotReply, VoteReply,
};
use quorate_core::{Boot, Input, JournalId, LinkState, NodeId};

/// A node that is nobody's voter.
const NOBODY: NodeId = NodeId(77);

fn newer_terms(term: u64) -> Vec<Msg> {
    vec![
        Msg::PreVoteReply(VoteReply { term, granted: false, last: LogId::ZERO }),
        Msg::VoteReply(VoteReply { term, granted: false, last: LogId::ZERO }),
        Msg::AppendReply(AppendReply { term, round: 1, outcome: Outcome::Stale }),
        Msg::SnapshotReply(SnapshotReply { term, round: 1, last: LogId::ZERO, next: 0 }),
    ]
}

#[test]
fn a_peer_cannot_push_a_term_to_its_end() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let group = cluster.group_of(&ids(3));
    for id in ids(3) {
        let peer = ids(3).into_iter().find(|other| *other != id && *other != leader).unwrap_or(leader);
        for term in [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 40] {
            for msg in newer_terms(term) {
                cluster.deliver(peer, id, msg);
            }
            cluster.deliver(
                peer,
                id,
                Msg::Vote(Candidacy { group, term, last: LogId::new(term, term), handed_over: false }),
            );
        }
        assert_eq!(cluster.raft(id).term(), 1, "{id}");
    }
    assert_eq!(cluster.leader(), Some(leader));
}

#[test]
fn a_term_is_learned_from_voters_only() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    for id in ids(3) {
        for msg in newer_terms(9) {
            cluster.deliver(NOBODY, id, msg);
        }
        assert_eq!(cluster.raft(id).term(), 1, "{id}");
    }
    assert_eq!(cluster.leader(), Some(leader));
}

/// A cluster of three with entries, of which `late` lost its disk and was founded anew; and everybody else.
fn with_a_wiped_founder() -> (Cluster, NodeId, Vec<NodeId>) {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.propose(leader, b"kept");
    cluster.settle();
    let wiped = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(wiped);
    cluster.add(wiped, Founding::Found(ids(3)), JournalId(99));
    let others = ids(3).into_iter().filter(|id| *id != wiped).collect();
    (cluster, wiped, others)
}

// 29. A node that lost its disk must not vote in its old name: it is known by its JournalId and enters as a learner.
#[test]
fn a_node_that_lost_its_disk_must_not_vote_in_its_old_name() {
    let (mut cluster, wiped, others) = with_a_wiped_founder();
    let leader = cluster.leader().unwrap();
    assert!(others.contains(&leader));
    // It is served like a learner, and holds everything ...
    cluster.pass(200);
    assert_eq!(cluster.last(wiped), cluster.last(leader));
    // ... but its acknowledgements commit nothing,
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"alone");
    cluster.settle_where(|from, to| from == wiped || to == wiped);
    assert_eq!(cluster.raft(leader).commit(), commit);
    assert_eq!(cluster.last(wiped), cluster.last(leader));
    // and with it alone nobody is elected.
    cluster.crash(leader);
    for _ in 0..3_000 {
        cluster.pass(1);
        assert_eq!(cluster.leader(), None);
    }
    // With the other one back, somebody is.
    cluster.start(leader);
    assert_ne!(cluster.elect(), wiped);
}

// 29. The other direction: its own candidacy is not granted by those who know it under another journal.
#[test]
fn a_voter_under_another_journal_is_not_elected_with_the_votes_of_those_who_know_it() {
    let (mut cluster, wiped, others) = with_a_wiped_founder();
    cluster.pass(200);
    let term = cluster.raft(others[0]).term() + 1;
    // It was served, so it has the same log; with a longer one it could be a voter by an entry that others lack.
    let last = cluster.last(wiped);
    let candidacy = Candidacy { group: 0, term, last, handed_over: false };
    cluster.crash(cluster.leader().unwrap());
    cluster.pass_where(400, |_, _| false);
    let alive = *others.iter().find(|id| cluster.is_up(**id)).unwrap();
    let group = cluster.group_of(&ids(3));
    for msg in [Msg::PreVote(Candidacy { group, ..candidacy }), Msg::Vote(Candidacy { group, ..candidacy })] {
        cluster.wire.clear();
        cluster.deliver(wiped, alive, msg);
        let granted = |msg: &Msg| matches!(msg, Msg::PreVoteReply(r) | Msg::VoteReply(r) if r.granted);
        assert!(!cluster.wire.iter().any(|(_, _, msg)| granted(msg)), "{:?}", cluster.wire);
    }
    assert_ne!(cluster.raft(alive).vote(), Some(wiped));
    assert!(cluster.raft(alive).counters().strangers > 0);
}

// Two disks under one name: what the one acknowledged is not on the other.
#[test]
pub fn an_acknowledgement_does_not_count_for_the_next_journal_of_the_same_node() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let [a, b] = ids(3).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..] else { panic!() };
    let own = Boot { incarnation: 1, journal: JournalId(u128::from(a.0)) };
    let other = Boot { incarnation: 1, journal: JournalId(1234) };
    let commit = cluster.raft(leader).commit();
    // Another disk speaks for `a`, and acknowledges.
    cluster.step(leader, Input::Link { peer: a, state: LinkState::Down });
    cluster.step(leader, Input::Link { peer: a, state: LinkState::Up(other) });
    cluster.propose(leader, b"only on the other disk");
    cluster.settle_where(|_, to| to != b);
    assert_eq!(cluster.raft(leader).commit(), commit, "a stranger's acknowledgement counted");
    // The disk that is known comes back, and has said nothing yet.
    cluster.step(leader, Input::Link { peer: a, state: LinkState::Down });
    cluster.step(leader, Input::Link { peer: a, state: LinkState::Up(own) });
    cluster.command(leader, Cmd::Read { request: 1 });
    cluster.propose(leader, b"next");
    cluster.take_events(leader);
    cluster.settle_where(|_, _| false);
    assert_eq!(cluster.raft(leader).commit(), commit, "it counted for the other journal");
    assert!(!cluster.take_events(leader).iter().any(|e| matches!(e, Event::ReadReady { .. })));
    cluster.pass(200);
    assert!(cluster.raft(leader).commit() > commit, "and then it is asked anew");
}

// 29b. A founder started twice, a wiped node started with `found`, and a fourth node started with a different founding
// set join no quorum.
#[test]
pub fn a_node_with_a_different_founding_set_joins_no_quorum() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    cluster.add(NodeId(4), Founding::Found(ids(4)), JournalId(4));
    let down = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(down);
    cluster.pass(1_000);
    let fourth = cluster.raft(NodeId(4));
    assert!(!fourth.is_leader());
    assert_eq!(fourth.last(), LogId::ZERO, "it has nothing of the others");
    assert!(fourth.counters().foreign > 0 || cluster.raft(leader).counters().foreign > 0);
    assert_eq!(cluster.leader(), Some(leader));
}

// 29b. The same name on two disks at once: the one that was met first counts.
#[test]
fn a_founder_started_twice_joins_no_quorum_with_its_second_disk() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(10);
    let twin = ids(3).into_iter().find(|id| *id != leader).unwrap();
    let second = Boot { incarnation: 1, journal: JournalId(555) };
    for id in ids(3).into_iter().filter(|id| *id != twin) {
        cluster.step(id, Input::Link { peer: twin, state: LinkState::Up(second) });
    }
    let commit = cluster.raft(leader).commit();
    cluster.propose(leader, b"x");
    cluster.settle_where(|from, to| [from, to].contains(&twin));
    assert_eq!(cluster.raft(leader).commit(), commit);
}

// A pin that is not on disk yet would be forgotten by a crash: then one node could vote under two journals.
#[test]
fn a_vote_is_asked_for_once_the_pin_of_its_voter_is_on_disk() {
    let mut cluster = Cluster::new(0);
    cluster.sync = false;
    for id in ids(2) {
        cluster.add(id, Founding::Found(ids(2)), JournalId(u128::from(id.0)));
    }
    let [a, b] = [NodeId(1), NodeId(2)];
    cluster.sync_node(b);
    cluster.pass_where(400, |from, to| (from, to) != (a, b));
    assert_eq!(cluster.raft(b).term(), 0);
    // Its pre-vote is granted before the pin is on its disk: it asks for no vote; once it is, it does.
    while cluster.raft(a).counters().pre_campaigns == 0 {
        cluster.pass(10);
    }
    cluster.wire.clear();
    cluster.deliver(b, a, Msg::PreVoteReply(VoteReply { term: 1, granted: true, last: LogId::ZERO }));
    let asks = |cluster: &Cluster| cluster.wire.iter().any(|(_, _, msg)| matches!(msg, Msg::Vote(_)));
    assert!(cluster.raft(a).counters().campaigns == 1 && !asks(&cluster));
    cluster.sync_node(a);
    assert!(asks(&cluster));
}
