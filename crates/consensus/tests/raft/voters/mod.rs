//! Change of voters: joint consensus and what surrounds it (Raft §6; thesis §4).

mod change;
pub mod interrupted;
mod newcomers;
mod quorums;
pub mod removed;

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Change, Cmd, Configuration, EntryKind, Event, Founding, NotChanged};
use quorate_core::{JournalId, NodeId};

/// So many founders, led, and newcomers up to `all` that were not asked to vote.
fn with_newcomers(founders: u64, all: u64) -> (Cluster, NodeId) {
    let mut cluster = Cluster::new(founders);
    for id in founders + 1..=all {
        cluster.add(NodeId(id), Founding::Join(ids(founders)), JournalId(id.into()));
    }
    let leader = cluster.elect();
    cluster.propose(leader, b"before");
    cluster.pass(500);
    (cluster, leader)
}

fn change(cluster: &mut Cluster, leader: NodeId, change: Change) {
    cluster.take_events(leader);
    cluster.command(leader, Cmd::Change { request: 1, change: Box::new(change) });
}

/// What a change that was asked of this node came to, if it did.
fn answer(cluster: &mut Cluster, id: NodeId) -> Option<Result<(), NotChanged>> {
    cluster.take_events(id).into_iter().find_map(|event| match event {
        Event::Changed { request: 1 } => Some(Ok(())),
        Event::NotChanged { request: 1, why } => Some(Err(why)),
        _ => None,
    })
}

/// The configurations in a node's log, in order.
fn configurations(cluster: &Cluster, id: NodeId) -> Vec<Configuration> {
    let log = cluster.raft(id).log();
    let batches = log.batches_within(log.base().index + 1, log.last().index);
    batches
        .filter(|batch| batch.kind() == EntryKind::Configuration)
        .map(|batch| batch.as_configuration().unwrap())
        .collect()
}

/// Who votes alone by the configuration in force; nobody while there are two bodies.
fn sole_voters(cluster: &Cluster, id: NodeId) -> Vec<u64> {
    match cluster.raft(id).configuration() {
        Some((_, configuration)) if !configuration.is_joint() => {
            configuration.incoming.voters().iter().map(|(voter, _)| voter.node.0).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a command goes through under whoever leads.
fn works(cluster: &mut Cluster) -> bool {
    let leader = cluster.elect();
    cluster.propose(leader, b"works");
    let last = cluster.last(leader);
    cluster.pass(100);
    cluster.raft(leader).commit() >= last.index
}
