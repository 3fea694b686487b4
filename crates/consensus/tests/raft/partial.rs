//! Partial partitions (scenario 8; Omni-Paxos, Ng et al. 2023, section 2): links are cut one by one and no node is
//! down. Whenever some node is connected to a quorum there is a leader that is, and it commits.

use crate::cluster::{Cluster, ids};
use crate::made::{append, entries};
use quorate_consensus::raft::{Batch, Founding, LogId, Msg, Pulled, RaftConfig, VoteReply};
use quorate_core::{Input, JournalId, NodeId};
use std::time::Duration;

/// Which pairs are connected: a bit for each.
#[derive(Clone, Copy)]
struct Links {
    nodes: u64,
    bits: u64,
}

impl Links {
    fn of(nodes: u64, pairs: &[(u64, u64)]) -> Links {
        let none = Links { nodes, bits: 0 };
        Links { nodes, bits: pairs.iter().fold(0, |bits, (a, b)| bits | 1 << none.bit(*a, *b)) }
    }

    fn bit(self, a: u64, b: u64) -> u64 {
        let (a, b) = (a.min(b) - 1, a.max(b) - 1);
        a * self.nodes + b
    }

    fn all(nodes: u64) -> impl Iterator<Item = Links> {
        let pairs: Vec<(u64, u64)> = (1..=nodes).flat_map(|b| (1..b).map(move |a| (a, b))).collect();
        (0..1u64 << pairs.len()).map(move |set| {
            let chosen: Vec<_> =
                (0..pairs.len()).filter(|at| set >> at & 1 == 1).map(|at| pairs[at]).collect();
            Links::of(nodes, &chosen)
        })
    }

    fn connects(self, a: NodeId, b: NodeId) -> bool {
        self.bits >> self.bit(a.0, b.0) & 1 == 1
    }

    fn has_quorum(self, id: NodeId) -> bool {
        let reached = (1..=self.nodes).filter(|other| *other != id.0 && self.connects(id, NodeId(*other)));
        (reached.count() as u64 + 1) * 2 > self.nodes
    }
}

const TIMEOUT_MS: u64 = 150;

/// A cluster with this leader. `behind` of the others have missed the last entries.
fn led_by(leader: NodeId, nodes: u64, behind: &[NodeId]) -> Cluster {
    let mut cluster = Cluster::with(nodes, RaftConfig::default());
    cluster.elect();
    cluster.settle();
    while cluster.leader() != Some(leader) {
        let now = cluster.leader().unwrap();
        cluster.command(now, quorate_consensus::raft::Cmd::Transfer { to: Some(leader) });
        cluster.pass(5);
    }
    cluster.pass(60);
    for _ in 0..3 {
        cluster.propose(leader, b"x");
        cluster.settle_where(|from, to| !behind.contains(&from) && !behind.contains(&to));
        cluster.wire.clear();
    }
    cluster
}

/// How long until a node that is connected to a quorum leads and commits; in milliseconds.
fn recovers(cluster: &mut Cluster, links: Links) -> Option<u64> {
    let before: u64 = cluster.commits().into_iter().max().unwrap();
    for passed in 0..40 * TIMEOUT_MS {
        let leaders: Vec<_> =
            ids(links.nodes).into_iter().filter(|id| cluster.raft(*id).is_leader()).collect();
        for leader in leaders.into_iter().filter(|id| links.has_quorum(*id)) {
            cluster.propose(leader, b"y");
            cluster.settle_where(|from, to| links.connects(from, to));
            if cluster.raft(leader).commit() > before {
                return Some(passed);
            }
        }
        cluster.pass_where(1, |from, to| links.connects(from, to));
    }
    None
}

fn median_and_worst(mut all: Vec<u64>) -> (f64, f64) {
    all.sort_unstable();
    let timeouts = |ms: u64| ms as f64 / TIMEOUT_MS as f64;
    (timeouts(all[all.len() / 2]), timeouts(all[all.len() - 1]))
}

// 8. A leader connected to a quorum exists whenever some node is quorum-connected: every graph of links, every leader.
#[test]
fn whatever_links_are_cut_a_node_with_a_quorum_leads_and_commits() {
    for nodes in 3..=5 {
        let mut took = Vec::new();
        for leader in ids(nodes) {
            for links in Links::all(nodes).filter(|links| ids(nodes).iter().any(|id| links.has_quorum(*id))) {
                let mut cluster = led_by(leader, nodes, &[]);
                let ms = recovers(&mut cluster, links);
                took.push(
                    ms.unwrap_or_else(|| panic!("{nodes} nodes, led by {leader}, links {:b}", links.bits)),
                );
            }
        }
        let runs = took.len();
        let lost: Vec<u64> = took.into_iter().filter(|ms| *ms > 0).collect();
        let count = lost.len();
        let (median, worst) = median_and_worst(lost);
        println!(
            "{nodes} nodes: {runs} runs, {count} lost their leader: back after {median:.2} election timeouts, at most {worst:.2}"
        );
        // What the library promises under partial partitions.
        assert!(median <= 2.0 && worst <= 4.0);
    }
}

// 8. Quorum-loss: the leader keeps one link, to the only node that is connected to all.
#[test]
fn a_leader_that_lost_its_quorum_makes_way_for_the_one_that_has_it() {
    let hub = Links::of(5, &[(1, 2), (1, 3), (1, 4), (1, 5)]);
    let mut cluster = led_by(NodeId(3), 5, &[]);
    let ms = recovers(&mut cluster, hub).unwrap();
    assert!(cluster.raft(NodeId(1)).is_leader() && !cluster.raft(NodeId(3)).is_leader());
    println!("quorum-loss: {:.2} election timeouts", ms as f64 / TIMEOUT_MS as f64);
}

// 8. Chained: two of three cannot hear one another, and neither unseats the leader that the other hears.
#[test]
fn in_a_chain_nobody_fights_for_leadership() {
    for leader in ids(3) {
        let chain = Links::of(3, &[(1, 2), (2, 3)]);
        let mut cluster = led_by(leader, 3, &[]);
        let terms = |cluster: &Cluster| ids(3).into_iter().map(|id| cluster.raft(id).term()).max().unwrap();
        let before = terms(&cluster);
        assert_eq!(recovers(&mut cluster, chain), Some(0), "the leader has a quorum");
        cluster.pass_where(50 * TIMEOUT_MS, |from, to| chain.connects(from, to));
        assert_eq!((cluster.leader(), terms(&cluster)), (Some(leader), before));
    }
}

// 8. Constrained: the only node that is connected to a quorum has a shorter log than those it is connected to.
#[test]
pub fn the_only_node_with_a_quorum_pulls_what_it_lacks_and_leads() {
    let mut took = Vec::new();
    for leader in [2, 3, 4, 5].map(NodeId) {
        let others: Vec<_> = (2..=5).filter(|id| *id != leader.0).map(|id| (1, id)).collect();
        let hub = Links::of(5, &others);
        let mut cluster = led_by(leader, 5, &[NodeId(1)]);
        let (short, long) = (cluster.last(NodeId(1)), cluster.last(leader));
        assert!(short < long);
        took.push(recovers(&mut cluster, hub).unwrap());
        assert!(cluster.raft(NodeId(1)).is_leader() && cluster.raft(NodeId(1)).counters().pulled > 0);
        assert_eq!(cluster.commands(NodeId(1)).len(), 4, "what was committed is there");
    }
    let (median, worst) = median_and_worst(took);
    println!("constrained: back after {median:.2} election timeouts, at most {worst:.2}");
}

// 8. The same in every graph of links, with any two of five behind: whoever has the longest log or can reach it leads.
#[test]
fn whatever_links_are_cut_a_node_that_was_behind_is_no_obstacle() {
    let mut took = Vec::new();
    for behind in [[2, 3], [4, 5], [2, 5]].map(|pair| pair.map(NodeId)) {
        for links in Links::all(5).filter(|links| ids(5).iter().any(|id| links.has_quorum(*id))) {
            let mut cluster = led_by(NodeId(1), 5, &behind);
            let ms = recovers(&mut cluster, links);
            took.push(ms.unwrap_or_else(|| panic!("{behind:?} behind, links {:b}", links.bits)));
        }
    }
    let (median, worst) = median_and_worst(took.into_iter().filter(|ms| *ms > 0).collect());
    assert!(median <= 2.0 && worst <= 4.0);
    println!("behind: back after {median:.2} election timeouts, at most {worst:.2}");
}

fn pulled(group: u64, after: LogId, batches: Vec<Batch>) -> Msg {
    let last = batches.last().map_or(after, Batch::last_id);
    pulled_of(group, last, after, batches)
}

/// Of a log that ends there.
fn pulled_of(group: u64, last: LogId, after: LogId, batches: Vec<Batch>) -> Msg {
    Msg::Pulled(Pulled { group, after, last, batches: batches.into() })
}

/// A follower at term 5 whose log is two entries of term 3, and which was just refused by a voter that has more.
fn refused(last: LogId) -> (Cluster, u64) {
    let (me, other) = (NodeId(1), NodeId(2));
    let mut cluster = Cluster::new(3);
    let group = cluster.group_of(&ids(3));
    cluster.deliver(NodeId(3), me, append(group, 3, LogId::ZERO, 0, vec![entries(1, 3, 2)]));
    cluster.deliver(NodeId(3), me, append(group, 5, LogId::new(3, 2), 1, vec![]));
    cluster.now = cluster.now + Duration::from_millis(301);
    cluster.step(me, Input::Wake);
    cluster.wire.clear();
    let refusal = VoteReply { term: 5, granted: false, last };
    cluster.deliver(other, me, Msg::PreVoteReply(refusal));
    (cluster, group)
}

#[test]
fn what_is_pulled_is_acknowledged_to_nobody_and_changes_no_term() {
    let (me, other) = (NodeId(1), NodeId(2));
    let (mut cluster, group) = refused(LogId::new(4, 4));
    let after = LogId::new(3, 2);
    assert_eq!(cluster.wire, [(me, other, Msg::Pull { group, after })]);
    cluster.wire.clear();
    cluster.deliver(other, me, pulled(group, after, vec![entries(3, 4, 2)]));
    assert_eq!(cluster.last(me), LogId::new(4, 4));
    assert_eq!((cluster.raft(me).term(), cluster.raft(me).commit(), cluster.wire.len()), (5, 1, 0));
    // It stands for election again at once.
    assert_eq!(cluster.wake_at(me), Some(cluster.now));
}

#[test]
fn a_log_that_was_not_asked_for_or_is_no_more_up_to_date_is_not_taken() {
    let (me, other, third) = (NodeId(1), NodeId(2), NodeId(3));
    let mine = LogId::new(3, 2);
    let cases = [
        (third, mine, vec![entries(3, 4, 2)]),
        // In place of what is here, and older.
        (other, LogId::new(3, 1), vec![entries(2, 2, 9)]),
        // Behind an entry that is not here, and of a term that is not known.
        (other, LogId::new(4, 7), vec![entries(8, 4, 1)]),
        (other, mine, vec![entries(3, 6, 1)]),
    ];
    for (from, after, batches) in cases {
        let (mut cluster, group) = refused(LogId::new(4, 4));
        cluster.deliver(from, me, pulled(group, after, batches));
        assert_eq!(cluster.last(me), mine);
    }
    // What says that its log ends before it does, or with less than is here.
    for last in [LogId::new(4, 3), mine, LogId::new(2, 9)] {
        let (mut cluster, group) = refused(LogId::new(4, 4));
        cluster.deliver(other, me, pulled_of(group, last, mine, vec![entries(3, 4, 2)]));
        assert_eq!(cluster.last(me), mine);
    }
    // Nobody is asked whose log is no longer.
    assert_eq!(refused(mine).0.wire, []);
    assert_eq!(refused(LogId::new(2, 900)).0.wire, []);
    // Whoever hears a leader meanwhile takes its word.
    let (mut cluster, group) = refused(LogId::new(4, 4));
    cluster.deliver(third, me, append(group, 5, mine, 1, vec![]));
    cluster.deliver(other, me, pulled(group, mine, vec![entries(3, 4, 2)]));
    assert_eq!(cluster.last(me), mine);
}

// As a campaign found it: two tails that differ, and room for one entry in a message. The first pieces are older than what they
// are taken in place of; the log that they are of is not.
#[test]
pub fn a_tail_of_an_old_term_gives_way_to_a_newer_log_piece_by_piece() {
    let [me, third, witness] = [1, 2, 3].map(NodeId);
    let mut cluster = Cluster::empty(RaftConfig { batch_bytes_max: 1, ..RaftConfig::default() });
    for id in ids(3) {
        cluster.add_as(id == witness, id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.settle();
    let group = cluster.group_of(&ids(3));
    let both = vec![entries(1, 1, 1)];
    cluster.deliver(third, me, append(group, 1, LogId::ZERO, 1, both.clone()));
    cluster.deliver(third, me, append(group, 3, LogId::new(1, 1), 1, vec![entries(2, 3, 3)]));
    cluster.deliver(third, witness, append(group, 1, LogId::ZERO, 1, both));
    let newer = (2..=4).map(|index| entries(index, 2, 1)).chain([entries(5, 4, 1)]);
    cluster.deliver(third, witness, append(group, 4, LogId::new(1, 1), 1, newer.collect()));
    cluster.crash(third);
    cluster.wire.clear();
    cluster.pass(3_000);
    assert_eq!(cluster.leader(), Some(me), "the other one holds no state");
    assert!(cluster.raft(me).log().has(LogId::new(4, 5)) && cluster.raft(me).counters().pulled >= 4);
}

// A log may differ from its first entry on: then all of it is pulled.
#[test]
fn a_log_that_differs_from_its_first_entry_on_is_pulled() {
    let (me, other, third) = (NodeId(1), NodeId(2), NodeId(3));
    let mut cluster = Cluster::new(3);
    let group = cluster.group_of(&ids(3));
    cluster.deliver(third, me, append(group, 1, LogId::ZERO, 0, vec![entries(1, 1, 1)]));
    cluster.deliver(third, other, append(group, 2, LogId::ZERO, 0, vec![entries(1, 2, 2)]));
    cluster.deliver(third, me, append(group, 2, LogId::new(2, 2), 0, vec![]));
    cluster.now = cluster.now + Duration::from_millis(301);
    cluster.step(me, Input::Wake);
    cluster.wire.clear();
    let refusal = VoteReply { term: 2, granted: false, last: LogId::new(2, 2) };
    cluster.deliver(other, me, Msg::PreVoteReply(refusal));
    for _ in 0..4 {
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            cluster.deliver(from, to, msg);
        }
    }
    assert_eq!(cluster.last(me), LogId::new(2, 2));
}

// What an old leader left may be acknowledged to the leader of this term and then taken back by a pull: the leader has to
// learn that, or it waits for ever for one that needs what it never sends again.
#[test]
fn one_that_pulled_in_place_of_what_it_acknowledged_is_no_dead_end_for_the_leader() {
    let [x, y, a, b, c] = [1, 2, 3, 4, 5].map(NodeId);
    let mut cluster = Cluster::new(5);
    let group = cluster.group_of(&ids(5));
    // Term 3, led by b: all have 1 to 8; x and a have 9 and 10, too.
    for id in [x, y, a, c] {
        cluster.deliver(b, id, append(group, 3, LogId::ZERO, 0, vec![entries(1, 3, 8)]));
    }
    for id in [x, a] {
        cluster.deliver(b, id, append(group, 3, LogId::new(3, 8), 0, vec![entries(9, 3, 2)]));
    }
    // Terms 4 and 5: what their leaders placed came no further than to x and to y.
    cluster.deliver(c, x, append(group, 4, LogId::new(3, 10), 0, vec![entries(11, 4, 5)]));
    cluster.deliver(b, y, append(group, 5, LogId::new(3, 8), 0, vec![entries(9, 5, 1)]));
    cluster.deliver(c, b, append(group, 5, LogId::ZERO, 0, vec![entries(1, 3, 8)]));
    cluster.wire.clear();
    // Term 6: a is elected by b and c. Its first append to x is lost, a heartbeat is not.
    let majority = |id: NodeId| [a, b, c].contains(&id);
    while !cluster.raft(a).is_leader() {
        cluster.pass_where(1, |from, to| majority(from) && majority(to) && [from, to].contains(&a));
    }
    let term = cluster.raft(a).term();
    cluster.wire.clear();
    cluster.deliver(a, x, append(group, term, LogId::new(3, 10), 0, vec![]));
    cluster.settle_where(|from, to| (from, to) == (x, a));
    cluster.deliver(a, y, append(group, term, LogId::new(3, 8), 0, vec![]));
    cluster.wire.clear();
    // x and y hear one another only, and x pulls.
    while cluster.raft(x).counters().pulled == 0 {
        cluster.pass_where(1, |from, to| majority(from) == majority(to));
    }
    assert_eq!(cluster.last(x), LogId::new(5, 9));
    // Without b and c everybody is needed.
    cluster.crash(b);
    cluster.crash(c);
    cluster.pass(3_000);
    let leader = cluster.leader().unwrap();
    cluster.propose(leader, b"x");
    cluster.pass(100);
    assert_eq!(cluster.raft(leader).commit(), cluster.last(leader).index);
    assert_eq!([x, y, a].map(|id| cluster.last(id)), [cluster.last(leader); 3]);
}

// Whoever hears a follower and not its leader cannot be elected, and does not pull each entry that is added.
#[test]
fn one_that_hears_no_leader_while_others_do_asks_for_votes_once_a_timeout() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(60);
    let cut_off = ids(3).into_iter().find(|id| *id != leader).unwrap();
    let before = cluster.raft(cut_off).counters().pre_campaigns;
    // Each tenth of a millisecond what is on its way arrives, and something is proposed.
    for _ in 0..30_000 {
        cluster.propose(leader, b"x");
        cluster.now = cluster.now + Duration::from_micros(100);
        for id in ids(3) {
            if cluster.wake_at(id).unwrap() <= cluster.now {
                cluster.step(id, Input::Wake);
            }
        }
        for (from, to, msg) in std::mem::take(&mut cluster.wire) {
            if ![from, to].contains(&leader) || ![from, to].contains(&cut_off) {
                cluster.deliver(from, to, msg);
            }
        }
    }
    assert!(cluster.raft(leader).is_leader());
    let asked = cluster.raft(cut_off).counters().pre_campaigns - before;
    assert!(asked <= 3_000 / TIMEOUT_MS, "{asked} times in three seconds");
}

#[test]
fn a_leader_that_resigns_is_replaced_without_a_timeout() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.pass(100);
    cluster.command(leader, quorate_consensus::raft::Cmd::StepDown);
    let mut ms = 0;
    while cluster.leader().is_none() {
        cluster.pass(1);
        ms += 1;
    }
    assert!(ms <= TIMEOUT_MS / 2 + 1, "{ms} ms");
    // Only its own word counts, of its own term.
    let (leader, group) = (cluster.leader().unwrap(), cluster.group_of(&ids(3)));
    let (term, others): (_, Vec<_>) =
        (cluster.raft(leader).term(), ids(3).into_iter().filter(|id| *id != leader).collect());
    for (from, term) in [(others[1], term), (leader, term - 1), (leader, term + 1)] {
        cluster.deliver(from, others[0], Msg::Resigned { group, term });
        assert_eq!(cluster.raft(others[0]).leader(), Some(leader));
    }
}

// Of the others, the one with the greatest log has forgotten what this one lacks, and another one has it.
#[test]
fn a_log_that_begins_too_late_is_passed_over_for_a_lesser_one_that_leads_there() {
    let mut cluster = Cluster::new(5);
    let leader = cluster.elect();
    cluster.pass(60);
    let [behind, holds, begins, _] = ids(5).into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..]
    else {
        panic!("four others")
    };
    let lacks = |away: Vec<NodeId>, cluster: &mut Cluster| {
        for _ in 0..5 {
            cluster.propose(leader, b"x");
            cluster.settle_where(|from, to| !away.contains(&from) && !away.contains(&to));
        }
        cluster.pass_where(5, |from, to| !away.contains(&from) && !away.contains(&to));
    };
    lacks(vec![behind], &mut cluster);
    let base = cluster.last(begins);
    lacks(vec![behind, holds], &mut cluster);
    // Its own state says what it forgot.
    let at = LogId::new(base.term, base.index - 1);
    cluster.config.trailing_entries = 0;
    cluster.crash(begins);
    cluster.start(begins);
    cluster.pass_where(60, |from, to| ![from, to].contains(&behind) && ![from, to].contains(&holds));
    cluster.snapshot(begins, at, b"the state");
    assert_eq!(cluster.raft(begins).log().base(), at);
    let all = cluster.last(begins);
    cluster.wire.clear();
    // It has a state and would lead, but hears only those that would lead if it did not.
    let left = [behind, holds, begins];
    for id in ids(5).into_iter().filter(|id| !left.contains(id)) {
        cluster.crash(id);
    }
    let cut = |from: NodeId, to: NodeId| [from, to] != [holds, begins] && [from, to] != [begins, holds];
    cluster.pass_where(5_000, cut);
    assert_eq!(cluster.leader(), Some(behind), "{all}");
    assert!(cluster.raft(behind).commit() > all.index);
}
