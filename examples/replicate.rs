//! A replicated score board on three nodes: whoever is asked, all agree, and losing the leader loses nothing.
//!
//! cargo run --example replicate

use quorate::raft::{RaftHandle, Read, Session};
use quorate::transport::Loopback;
use quorate::{Applied, Node, StateMachine, journal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Scores(BTreeMap<String, u64>);

impl StateMachine for Scores {
    type Command = (String, u64);
    type Reply = u64;
    quorate::freeze_by_clone!();
    fn apply(&mut self, (player, points): (String, u64), _: Applied) -> u64 {
        *self.0.entry(player).and_modify(|score| *score += points).or_insert(points)
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Three nodes. Here they share a process; apart, each would be started with a transport such as TCP, on a disk.
    let (network, mut nodes) = (Loopback::new(), BTreeMap::new());
    for id in [1, 2, 3] {
        let mut node = Node::builder(id).found([1, 2, 3]);
        let scores: RaftHandle<Scores> = node.raft("scores", Scores::default());
        let transport = network.transport(node.id(), node.inbox());
        nodes.insert(node.id(), (node.start(transport, journal::in_memory())?, scores));
    }

    // What is proposed under a session is applied once, through whichever node and however often it is proposed.
    let leader = nodes[&1.into()].1.leader().wait()?;
    let mut session = Session::new(nodes[&leader].1.open_session().wait()?);
    for (id, (_, scores)) in &nodes {
        println!("asked {id}: ada has {} points", session.next(scores, ("ada".into(), 10)).wait()?);
    }

    // A node whose handle is dropped is killed. The others elect another leader, and go on.
    nodes.remove(&leader);
    nodes.values().try_for_each(|(_, scores)| session.next(scores, ("grace".into(), 10)).wait().map(drop))?;
    for (id, (_, scores)) in &nodes {
        println!("without {leader}, {id} knows {:?}", scores.read(Read::Follower, Scores::clone).wait()?.0);
    }
    Ok(())
}
