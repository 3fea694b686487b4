//! Voters change while clients write: a fourth node comes, the leader goes, a lost disk is replaced, and then all at once.
//!
//! cargo run --release --example voters

use quorate::raft::{Change, RaftHandle, Read, Session};
use quorate::transport::Loopback;
use quorate::{Applied, Node, NodeId, Running, StateMachine, journal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Counter(u64);

impl StateMachine for Counter {
    type Command = u64;
    type Reply = u64;
    quorate::freeze_by_clone!();
    fn apply(&mut self, add: u64, _: Applied) -> u64 {
        self.0 += add;
        self.0
    }
}

type Handle = RaftHandle<Counter>;

struct Cluster {
    network: Loopback,
    nodes: BTreeMap<NodeId, (Running, Handle)>,
}

impl Cluster {
    /// Starts a node on an empty journal.
    fn start(&mut self, id: u64, founds: bool) -> Result<(), Box<dyn Error>> {
        let node = Node::builder(id).cluster("voters");
        let mut node = if founds { node.found([1, 2, 3]) } else { node.join([1, 2, 3]) };
        let counter = node.raft("counter", Counter::default());
        let transport = self.network.transport(node.id(), node.inbox());
        self.nodes.insert(node.id(), (node.start(transport, journal::in_memory())?, counter));
        Ok(())
    }

    fn leader(&self) -> Result<(NodeId, Handle), Box<dyn Error>> {
        for (_, handle) in self.nodes.values() {
            if let Ok(leader) = handle.leader().wait()
                && let Some((_, handle)) = self.nodes.get(&leader)
            {
                return Ok((leader, handle.clone()));
            }
        }
        Err("nobody leads".into())
    }

    /// Asks whoever leads until it says yes, and tells how long that took.
    fn change(&self, what: &str, change: &Change) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        loop {
            let (leader, handle) = self.leader()?;
            match handle.change(change.clone()).wait() {
                Ok(now) => {
                    let took = began.elapsed();
                    println!("{what}: asked {leader}, and {:?} decide after {took:.0?}", now.nodes());
                    // The client goes on for a while.
                    std::thread::sleep(Duration::from_millis(200));
                    return Ok(());
                }
                Err(why) if began.elapsed() > Duration::from_secs(30) => return Err(why.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster { network: Loopback::new(), nodes: BTreeMap::new() };
    (1..=3).try_for_each(|id| cluster.start(id, true))?;
    let (_, first) = cluster.leader()?;
    (4..=7).try_for_each(|id| cluster.start(id, false))?;

    // A client that adds up all the while, through node 7, which never has a vote until the end.
    let (through, done, added) =
        (cluster.nodes[&7.into()].1.clone(), AtomicBool::new(false), AtomicU64::new(0));
    let session = first.open_session().wait()?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = Session::new(session);
            while !done.load(Relaxed) {
                let mut answer = session.next(&through, 1).wait();
                while answer.is_err() && !done.load(Relaxed) {
                    answer = session.repeat(&through, 1).wait();
                }
                added.fetch_add(u64::from(answer.is_ok()), Relaxed);
            }
        });
        let changed = changes(&mut cluster);
        done.store(true, Relaxed);
        changed
    })?;

    let total = through.read(Read::Follower, |counter| counter.0).wait()?;
    let added = added.into_inner();
    println!("{added} additions were answered meanwhile, and the counter is {total}");
    // The last one may have happened after nobody waited for it any more.
    match (added..=added + 1).contains(&total) {
        true => Ok(()),
        false => Err("an addition was lost, or counted twice".into()),
    }
}

fn changes(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    cluster.change("a fourth voter", &Change::new().add(4))?;
    let (leader, _) = cluster.leader()?;
    cluster.change("without the leader", &Change::new().remove(leader))?;

    // A voter loses its disk: it comes back without a vote, and is given one on the new disk.
    let (leader, _) = cluster.leader()?;
    let voters: Vec<NodeId> = (1..=4).map(NodeId).filter(|id| *id != leader).collect();
    let lost = *voters.last().ok_or("there are others")?;
    cluster.nodes.remove(&lost);
    cluster.start(lost.0, false)?;
    cluster.change(&format!("node {lost} on a new disk"), &Change::new().add(lost))?;

    cluster.change("all others", &Change::to([5, 6, 7]))?;
    (1..=4).for_each(|id| drop(cluster.nodes.remove(&id.into())));
    let (leader, _) = cluster.leader()?;
    println!("nodes 1 to 4 are gone, and {leader} leads");
    Ok(())
}
