//! The paper, sentence by sentence (Ongaro and Ousterhout, 2014, the extended version): what its figure 2, figure 13 and
//! sections say and no other test of this crate shows. `docs/protocols/raft.md` lists all of it with code and tests.

mod figure_13;
mod figure_2_candidates;
mod figure_2_leaders;
mod figure_2_receivers;
mod figure_2_state;
mod section_5;
mod section_8;

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Append, Candidacy, Founding, LogId, Msg, RaftConfig, Term, VoteReply};
use quorate_core::{Boot, Input, JournalId, LinkState, NodeId};
use std::time::Duration;

const F: NodeId = NodeId(1);
const L: NodeId = NodeId(2);
const M: NodeId = NodeId(3);

/// One node of so many founders, which runs alone: the others are messages made by hand. Also the founding's name.
fn alone(founders: u64) -> (Cluster, u64) {
    let mut cluster = Cluster::empty(RaftConfig::default());
    cluster.add(F, Founding::Found(ids(founders)), JournalId(1));
    for peer in ids(founders).into_iter().skip(1) {
        let boot = Boot { incarnation: 1, journal: JournalId(peer.0.into()) };
        cluster.step(F, Input::Link { peer, state: LinkState::Up(boot) });
    }
    cluster.wire.clear();
    let group = cluster.group_of(&ids(founders));
    (cluster, group)
}

fn vote(group: u64, term: Term, last: LogId) -> Msg {
    Msg::Vote(Candidacy { group, term, last, handed_over: false })
}

fn yes(term: Term) -> VoteReply {
    VoteReply { term, granted: true, last: LogId::ZERO }
}

/// Time passes and nobody answers until it asks whether it would be elected; what it has sent since is left on the wire.
fn until_it_asks(cluster: &mut Cluster) {
    let asked = cluster.raft(F).counters().pre_campaigns;
    for _ in 0..1_000 {
        cluster.pass_where(1, |_, _| false);
        if cluster.raft(F).counters().pre_campaigns > asked {
            return cluster.wire.clear();
        }
    }
    panic!("it asks nobody");
}

/// The other founders say that they have met all, as this one has.
fn meet(cluster: &mut Cluster, founders: u64) {
    cluster.step(
        F,
        Input::Link { peer: NodeId(2), state: LinkState::Up(Boot { incarnation: 1, journal: JournalId(2) }) },
    );
    let pins = sent(cluster).into_iter().find(|(_, msg)| matches!(msg, Msg::Pins { digest: Some(_), .. }));
    let Some((_, Msg::Pins { founders: all, digest, .. })) = pins else { panic!("it has not met them all") };
    for peer in ids(founders).into_iter().skip(1) {
        cluster.deliver(peer, F, Msg::Pins { founders: all, digest, ask: false });
    }
    assert!(cluster.raft(F).is_founded());
}

/// All founders have met and one leads; it falls silent, node F asks, and a majority would vote for it: a candidate, its requests on the wire.
fn candidate(founders: u64) -> (Cluster, u64) {
    let (mut cluster, group) = alone(founders);
    if founders > 1 {
        meet(&mut cluster, founders);
        let heartbeat = crate::made::append(group, 1, LogId::ZERO, 0, vec![]);
        cluster.deliver(L, F, heartbeat);
    }
    until_it_asks(&mut cluster);
    // The answers come just before its timer goes off again.
    cluster.now = cluster.now + Duration::from_millis(148);
    let term = cluster.raft(F).term() + 1;
    for peer in ids(founders).into_iter().skip(1).take(founders as usize / 2) {
        cluster.deliver(peer, F, Msg::PreVoteReply(yes(term)));
    }
    (cluster, group)
}

/// Has it elected by a majority, whatever it was before; its term.
fn lead(cluster: &mut Cluster, founders: u64) -> Term {
    if !cluster.raft(F).is_founded() {
        meet(cluster, founders);
    }
    until_it_asks(cluster);
    let term = cluster.raft(F).term() + 1;
    let majority = ids(founders).into_iter().skip(1).take(founders as usize / 2);
    for reply in [Msg::PreVoteReply(yes(term)), Msg::VoteReply(yes(term))] {
        majority.clone().for_each(|peer| cluster.deliver(peer, F, reply.clone()));
    }
    assert!(cluster.raft(F).is_leader());
    term
}

/// What was sent, and to whom, by node F.
fn sent(cluster: &mut Cluster) -> Vec<(NodeId, Msg)> {
    let wire = std::mem::take(&mut cluster.wire);
    wire.into_iter().filter(|(from, _, _)| *from == F).map(|(_, to, msg)| (to, msg)).collect()
}

fn appends(cluster: &mut Cluster) -> Vec<(NodeId, Append)> {
    let all = sent(cluster).into_iter();
    all.filter_map(|(to, msg)| if let Msg::Append(append) = msg { Some((to, append)) } else { None })
        .collect()
}
