//! A cluster is named by its founders and the disks on which they met. Founders that lost their disks and found again
//! found another one, and neither takes anything of the other's.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries, piece};
use quorate_consensus::raft::{Candidacy, Change, Cmd, Founding, LogId, Msg, Raft, RaftConfig, Record};
use quorate_core::{Boot, Corrupt, Input, JournalId, LinkState, NodeId, Protocol};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);

/// Its disk is lost, and it is started as a founder once more.
fn found_again(cluster: &mut Cluster, id: NodeId, founders: u64) {
    cluster.crash(id);
    cluster.add(id, Founding::Found(ids(founders)), JournalId(100 + u128::from(id.0)));
}

fn change(cluster: &mut Cluster, leader: NodeId, change: Change) {
    cluster.command(leader, Cmd::Change { request: 1, change: Box::new(change) });
    cluster.pass(500);
}

/// What is in the log of each.
fn held_by(cluster: &Cluster, nodes: &[NodeId]) -> Vec<Vec<Vec<u8>>> {
    let held = |id: &NodeId| {
        cluster.commands(*id).into_iter().map(|(_, _, data)| data).filter(|data| !data.is_empty())
    };
    nodes.iter().map(|id| held(id).collect()).collect()
}

// One that founded alone needs nobody to do so again: it leads a cluster of its own at once.
#[test]
fn a_founder_alone_that_lost_its_disk_and_founds_again_takes_nothing_from_the_cluster_it_had() {
    let mut cluster = Cluster::new(1);
    cluster.add(B, Founding::Join(vec![A]), JournalId(2));
    cluster.add(C, Founding::Join(vec![A]), JournalId(3));
    let leader = cluster.elect();
    change(&mut cluster, leader, Change::new().add(B).add(C));
    cluster.propose(leader, b"first");
    cluster.pass(200);
    found_again(&mut cluster, A, 1);
    // It is done before the others could tell it that there is a cluster already.
    cluster.pass_where(1_000, |from, to| from != A && to != A);
    cluster.pass(1_000);
    // Both go on, each by itself.
    let leads =
        |cluster: &Cluster| ids(3).into_iter().filter(|id| cluster.raft(*id).is_leader()).collect::<Vec<_>>();
    let leaders = leads(&cluster);
    assert_eq!((leaders.len(), leaders[0]), (2, A), "{leaders:?}");
    assert_ne!(cluster.raft(A).group(), cluster.raft(B).group());
    for leader in leaders.clone() {
        cluster.propose(leader, b"second");
    }
    cluster.pass(1_000);
    let [again, b, c] = &held_by(&cluster, &[A, B, C])[..] else { panic!() };
    assert_eq!(again, &[b"second".to_vec()]);
    assert_eq!((b, b.last()), (c, Some(&b"second".to_vec())));
    assert!(b.contains(&b"first".to_vec()));
    assert_eq!(leads(&cluster), leaders);
    assert!(cluster.raft(A).counters().foreign > 0);
    // Started as it should have been, it is served, and holds what they do.
    cluster.crash(A);
    cluster.add(A, Founding::Join(ids(3)), JournalId(200));
    cluster.pass(1_000);
    assert_eq!(cluster.commands(A), cluster.commands(B));
}

#[test]
fn founders_that_were_all_replaced_and_found_again_are_another_cluster() {
    let mut cluster = Cluster::new(2);
    for id in [3, 4, 5] {
        cluster.add(NodeId(id), Founding::Join(ids(2)), JournalId(u128::from(id)));
    }
    let leader = cluster.elect();
    let all = [3, 4, 5].into_iter().fold(Change::new(), |change, id| change.add(NodeId(id)));
    change(&mut cluster, leader, all.remove(A).remove(B));
    let leader = cluster.elect();
    assert!(leader.0 > 2);
    cluster.propose(leader, b"theirs");
    cluster.pass(200);
    let named = cluster.raft(leader).group();
    cluster.crash(B);
    for id in [A, B] {
        found_again(&mut cluster, id, 2);
    }
    // They meet before anybody of the others could tell them that there is a cluster already.
    cluster.pass_where(2_000, |from, to| (from.0 <= 2) == (to.0 <= 2));
    assert_eq!(cluster.raft(A).group(), cluster.raft(B).group());
    assert_ne!(cluster.raft(A).group(), named);
    let again = ids(2).into_iter().find(|id| cluster.raft(*id).is_leader()).expect("the two lead themselves");
    cluster.propose(again, b"ours");
    // Whoever leads the three is cut off for a while, so that their terms pass one another's.
    cluster.pass_where(1_000, |from, to| (from.0 <= 2) != (to.0 <= 2) || from != leader && to != leader);
    cluster.pass(1_000);
    for (nodes, what) in
        [([A, B].to_vec(), b"ours".to_vec()), (vec![C, NodeId(4), NodeId(5)], b"theirs".to_vec())]
    {
        for held in held_by(&cluster, &nodes) {
            assert!(held.contains(&what) && held.len() <= 2, "{held:?}");
        }
    }
}

/// A founder of three that has met both others, and was told by nobody that they have met.
fn untold() -> (Cluster, u64) {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(A, Founding::Found(ids(3)), JournalId(1));
    for other in [B, C] {
        let boot = Boot { incarnation: 1, journal: JournalId(other.0.into()) };
        cluster.step(A, Input::Link { peer: other, state: LinkState::Up(boot) });
    }
    assert_eq!((cluster.raft(A).group(), cluster.raft(A).is_founded()), (0, false));
    let group = cluster.group_of(&ids(3));
    (cluster, group)
}

fn votes(cluster: &Cluster) -> bool {
    cluster.wire.iter().any(|(_, _, msg)| matches!(msg, Msg::VoteReply(reply) if reply.granted))
}

// Nobody can be without it: the others may be elected and gone before their word that they met all is here.
#[test]
fn a_founder_knows_that_all_have_met_once_one_of_them_speaks_in_the_name_of_what_it_wrote_down_itself() {
    let (mut cluster, group) = untold();
    let candidacy = Candidacy { group, term: 1, last: LogId::ZERO, handed_over: false };
    cluster.deliver(B, A, Msg::Vote(candidacy));
    assert!(votes(&cluster) && cluster.raft(A).is_founded());
    assert_eq!(cluster.raft(A).group(), group);
    cluster.crash(A);
    cluster.start(A);
    assert_eq!((cluster.raft(A).group(), cluster.raft(A).is_founded()), (group, true));
}

#[test]
fn a_founder_gives_no_vote_in_a_name_that_is_not_what_it_wrote_down() {
    let (mut cluster, group) = untold();
    let candidacy = Candidacy { group: group ^ 1, term: 1, last: LogId::new(1, 9), handed_over: false };
    for msg in [Msg::PreVote(candidacy), Msg::Vote(candidacy)] {
        cluster.deliver(B, A, msg);
    }
    assert!(!votes(&cluster));
    assert_eq!((cluster.raft(A).vote(), cluster.raft(A).group()), (None, 0));
    assert!(cluster.raft(A).counters().strangers > 0);
}

// It lost its disk before it founded: those who lead took it for nobody, and serve it.
#[test]
fn a_founder_that_is_served_by_a_cluster_founds_no_other() {
    let (mut cluster, group) = untold();
    cluster.deliver(B, A, append(group ^ 1, 3, LogId::ZERO, 0, vec![entries(1, 3, 1)]));
    assert_eq!((cluster.raft(A).group(), cluster.raft(A).founding()), (group ^ 1, None));
    for restart in [false, true] {
        if restart {
            cluster.crash(A);
            cluster.start(A);
        }
        cluster.wire.clear();
        cluster.pass_where(400, |_, _| false);
        assert!(!cluster.raft(A).is_founded());
        // What the others say of a founding comes too late.
        let candidacy = Candidacy { group, term: 9, last: LogId::new(8, 9), handed_over: false };
        cluster.deliver(C, A, Msg::Vote(candidacy));
        assert!(!votes(&cluster));
        assert_eq!(cluster.raft(A).group(), group ^ 1);
    }
}

#[test]
fn the_name_of_a_founders_cluster_outlives_the_records_of_its_founding() {
    let (mut cluster, group) = untold();
    cluster.deliver(B, A, Msg::Snapshot(Box::new(piece(group, 1, 1, LogId::new(1, 6), b"state", 0, 5))));
    cluster.installed(A, true);
    cluster.step(A, Input::Wake);
    let records: Vec<Record> = cluster.nodes[&A].disk.records().cloned().collect();
    assert!(!records.contains(&Record::AllMet), "{records:?}");
    cluster.crash(A);
    cluster.start(A);
    assert_eq!(cluster.raft(A).group(), group);
}

#[test]
fn a_journal_of_two_clusters_is_refused() {
    let mut joined = Raft::new(A, RaftConfig::default(), Founding::Join(ids(3))).unwrap();
    joined.replay(Record::Joined { group: 5 }).unwrap();
    joined.replay(Record::Joined { group: 5 }).unwrap();
    let refused: Result<(), Corrupt> = joined.replay(Record::Joined { group: 6 });
    assert!(
        refused.unwrap_err().to_string().contains("group 0000000000000006 in a journal of 0000000000000005")
    );
    let mut founder = Raft::new(A, RaftConfig::default(), Founding::Found(ids(3))).unwrap();
    founder.replay(Record::Founded { voters: ids(3) }).unwrap();
    founder.replay(Record::Founded { voters: ids(3) }).unwrap();
    assert!(founder.replay(Record::Founded { voters: ids(2) }).is_err());
}
