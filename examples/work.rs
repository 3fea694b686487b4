//! Work for agents, on three coordinators and two worker nodes: the leader is lost in the middle of it, and no task is, nor is
//! one done twice as far as anybody can see.
//!
//! cargo run --release --example work

use quorate::raft::Read;
use quorate::transport::Loopback;
use quorate::work::{
    AgentSpec, End, GraphSpec, Order, TaskSpec, WorkConfig, WorkHandle, WorkerConfig, WorkerHandle,
    task_digest,
};
use quorate::{AgentId, Node, NodeConfig, NodeId, Running, journal};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::Duration;

const BEAT: Duration = Duration::from_millis(100);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let network = Loopback::new();
    let mut coordinators: BTreeMap<NodeId, (Running, WorkHandle)> = BTreeMap::new();
    for id in [1, 2, 3] {
        let mut node = Node::builder(id).found([1, 2, 3]);
        let work = node.coordinator("work", WorkConfig::default());
        let transport = network.transport(node.id(), node.inbox());
        coordinators.insert(node.id(), (node.start(transport, journal::in_memory())?, work));
    }
    // Worker nodes have no vote and no copy of anything: agents live on them.
    let mut workers = Vec::new();
    for (id, agents) in [(11, [1, 2]), (12, [3, 4])] {
        let mut node = Node::builder(id).config(NodeConfig::memory());
        let worker = node.worker("work", WorkerConfig::new([1, 2, 3]));
        let transport = network.transport(node.id(), node.inbox());
        let running = node.start(transport, journal::in_memory())?;
        workers.push((running, worker, agents.map(AgentId)));
    }

    // Dinner, once more: what stands behind others begins when they are done.
    let dinner = [
        ("market", vec![]),
        ("chop", vec!["market"]),
        ("knead", vec!["market"]),
        ("soup", vec!["chop"]),
        ("bread", vec!["knead"]),
        ("table", vec!["soup", "bread"]),
    ];
    let graph = dinner
        .into_iter()
        .fold(GraphSpec::new(), |graph, (name, after)| graph.task(TaskSpec::new(name).after(after)));

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (_, worker, agents) in &workers {
            scope.spawn(|| live(worker, agents, &over));
        }
        let done = serve(&mut coordinators, graph);
        over.store(true, Relaxed);
        done
    })
}

/// The application's part of a worker node: its agents beat, run what they are told, and tell how it ended.
fn live(worker: &WorkerHandle, agents: &[AgentId], over: &AtomicBool) {
    let _ = worker.host(agents.iter().copied().map(AgentSpec::new).collect());
    while !over.load(Relaxed) {
        let _ = worker.beat(agents.to_vec());
        if let Some(Order::Start(task)) = worker.wait_order(BEAT) {
            println!("  {:?} does {} (attempt {})", task.agent, task.name, task.lease.attempt);
            sleep(BEAT);
            let digest = task_digest(&task.name, task.inputs);
            // Told until a coordinator has it in its log, whoever leads by then.
            let _ = worker.end(task.lease, End::Done { digest, result: task.name.into_bytes() });
        }
    }
}

fn serve(
    coordinators: &mut BTreeMap<NodeId, (Running, WorkHandle)>,
    graph: GraphSpec,
) -> Result<(), Box<dyn Error>> {
    let open = |work: &WorkHandle| work.read(Read::Follower, |work| work.engine().open()).wait();
    let (_, first) = coordinators.values().next().ok_or("there are three")?;
    println!("submitted: {:?}", first.submit(graph).wait()?);
    let leader = first.raft().leader().wait()?;
    while open(&coordinators[&leader].1)? > 3 {
        sleep(BEAT / 4);
    }
    println!("coordinator {leader} leads, and is killed");
    coordinators.remove(&leader);
    let (_, other) = coordinators.values().next().ok_or("there are two")?;
    // Right after the loss a read may find nobody who leads.
    while open(other) != Ok(0) {
        sleep(BEAT / 4);
    }
    let counts = other.read(Read::Follower, |work| work.engine().counts()).wait()?;
    println!("{counts:?}");
    Ok(())
}
