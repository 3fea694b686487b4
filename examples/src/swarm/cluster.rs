//! The nodes of the swarm: coordinators on journals in a folder, workers with their agents.

use super::agents::{Blow, Crew};
use super::options::Options;
use super::story::Story;
use super::wires::Network;
use quorate::journal::{MemoryDisk, RedbJournal};
use quorate::raft::RaftNotice;
use quorate::work::{EngineConfig, WorkConfig, WorkHandle, WorkerConfig};
use quorate::{AgentId, JournalId, Node, NodeConfig, NodeId, NodeStatus, Running};
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that runs.
pub struct Cluster {
    /// The way between nodes.
    pub network: Network,
    /// Coordinators that run.
    pub coordinators: BTreeMap<u64, Coordinator>,
    /// Worker nodes.
    pub workers: Vec<Worker>,
    voters: Vec<u64>,
    folder: PathBuf,
    story: Story,
}

/// A coordinator that runs.
pub struct Coordinator {
    /// The node.
    pub running: Running,
    /// Its handle.
    pub work: WorkHandle,
    watcher: Option<std::thread::JoinHandle<()>>,
}

/// A worker node that runs. Its crew comes first, so that agents end before their node however it is dropped.
pub struct Worker {
    /// The agents at work.
    pub crew: Crew,
    /// The node.
    pub running: Running,
    /// Its name.
    pub id: NodeId,
    /// Who lives there.
    pub agents: Vec<AgentId>,
}

/// Names of worker nodes begin here.
const FIRST_WORKER: u64 = 101;
const WORKERS_MAX: u64 = 10;

impl Cluster {
    /// Starts all nodes and agents.
    pub fn start(options: &Options, folder: PathBuf, speedup: f64, story: Story) -> io::Result<Cluster> {
        let voters: Vec<u64> = (1..=options.nodes).collect();
        let mut cluster = Cluster {
            network: Network::new(options.transport),
            coordinators: BTreeMap::new(),
            workers: Vec::new(),
            voters: voters.clone(),
            folder,
            story,
        };
        for id in voters {
            cluster.start_coordinator(id)?;
        }
        let workers = WORKERS_MAX.min(options.agents);
        for worker in 0..workers {
            let mine = (0..options.agents).filter(|agent| agent % workers == worker);
            cluster.start_worker(
                NodeId(FIRST_WORKER + worker),
                mine.map(|agent| AgentId(agent + 1)).collect(),
                speedup,
            )?;
        }
        Ok(cluster)
    }

    /// Starts a coordinator on its journal, for the first time or again.
    pub fn start_coordinator(&mut self, id: u64) -> io::Result<()> {
        // Here whole groups of agents are killed again and again, and their tasks are not to blame.
        let engine = EngineConfig { kills_max: u8::MAX, ..EngineConfig::default() };
        let mut node = Node::builder(id).cluster("swarm").found(self.voters.iter().copied());
        let work = node.coordinator("work", WorkConfig { engine, ..WorkConfig::default() });
        let gate = self.network.connect(NodeId(id), node.inbox())?;
        let journal =
            RedbJournal::open(self.folder.join(format!("coordinator-{id}"))).map_err(io::Error::other)?;
        let running = node.start(gate, journal).map_err(io::Error::other)?;
        let events =
            running.events_of(work.raft().scope(), NonZeroUsize::new(4096).unwrap_or(NonZeroUsize::MIN));
        let story = self.story.clone();
        let watch = move || {
            // Ends with the node.
            loop {
                match events.recv_timeout(Duration::from_secs(1)) {
                    Ok(event) => {
                        if let Some(RaftNotice::Leading { term }) = event.downcast::<RaftNotice>() {
                            story.leads(id, *term);
                        }
                    }
                    Err(quorate::NoEvent::Yet) => {}
                    Err(_) => return,
                }
            }
        };
        let watcher = std::thread::Builder::new().name(format!("watches-{id}")).spawn(watch)?;
        self.coordinators.insert(id, Coordinator { running, work, watcher: Some(watcher) });
        Ok(())
    }

    fn start_worker(&mut self, id: NodeId, agents: Vec<AgentId>, speedup: f64) -> io::Result<()> {
        let mut node = Node::builder(id).cluster("swarm").config(NodeConfig::memory());
        let handle = node.worker("work", WorkerConfig::new(self.voters.iter().copied()));
        let gate = self.network.connect(id, node.inbox())?;
        let running = node
            .start(gate, MemoryDisk::new(JournalId(u128::from(id.0))).open())
            .map_err(io::Error::other)?;
        let crew = Crew::start(id, agents.clone(), handle, speedup, self.story.clone())?;
        self.workers.push(Worker { crew, running, id, agents });
        Ok(())
    }

    /// Kills a coordinator as a crash would: nothing is flushed. Its figures up to then.
    pub fn kill(&mut self, id: u64) -> Option<NodeStatus> {
        let mut coordinator = self.coordinators.remove(&id)?;
        let status = Some(coordinator.running.status());
        coordinator.running.kill();
        if let Some(watcher) = coordinator.watcher.take() {
            let _ = watcher.join();
        }
        status
    }

    /// Stops a coordinator in order.
    pub fn stop(&mut self, id: u64) {
        if let Some(mut coordinator) = self.coordinators.remove(&id) {
            coordinator.running.stop();
            if let Some(watcher) = coordinator.watcher.take() {
                let _ = watcher.join();
            }
        }
    }

    /// How many coordinators the cluster was founded with.
    pub fn founders(&self) -> u64 {
        self.voters.len() as u64
    }

    /// The coordinator that says that it leads; if several do, the one of the newest term.
    pub fn leader(&self) -> Option<u64> {
        let leads = |c: &Coordinator| c.work.status().wait_timeout(Duration::from_millis(500)).ok()?.ok();
        let all = self.coordinators.iter().filter_map(|(id, c)| Some((leads(c)?, *id)));
        all.filter(|(status, _)| status.leads).max_by_key(|(status, _)| status.term).map(|(_, id)| id)
    }

    /// Strikes agents, wherever they live.
    pub fn strike(&self, blow: impl Fn(Vec<AgentId>) -> Blow, victims: &[AgentId]) {
        for worker in &self.workers {
            let here: Vec<AgentId> =
                victims.iter().copied().filter(|victim| worker.agents.contains(victim)).collect();
            if !here.is_empty() {
                worker.crew.strike(blow(here));
            }
        }
    }
}
