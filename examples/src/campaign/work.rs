//! The campaign over the whole work: coordinators with the scheduler on Raft beside a scope of registers, workers
//! with agents that are slow, die, and come back with old results. Nothing may be lost or committed twice.

use super::checkers::{
    AWAITED, CHANGED, COMPLETED, LEASED, MADE_WAY, Paths, REMOVED, WorkAudit, raft_leader, watch_raft,
};
use super::kv::{KvWorkload, Registers};
use super::{Protocol, RARE, Run, agents, link_paths, plans};
use quorate::raft::{Mutation as RaftMutation, RaftConfig, RaftHandle};
use quorate::sim::{Fault, FaultKind, Outcome, Swarm, Trial, Workload, World};
use quorate::work::{
    EngineConfig, GraphSpec, Mutation as WorkMutation, TaskSpec, WorkConfig, WorkHandle, WorkerConfig,
    WorkerHandle,
    graph::{Retry, Timeouts},
};
use quorate::{Node, NodeId, Rng, ScopeId};
use std::time::Duration;

/// The scope of the registers, and that of the scheduler.
const REGISTERS: ScopeId = ScopeId::new("raft", "registers", 0);
const WORK: ScopeId = ScopeId::new("raft", "work", 0);

/// How long faults last, in simulated time.
const SAFETY: Duration = Duration::from_secs(12);

/// Within which time after the last fault everything must be done.
const HEALING: Duration = Duration::from_secs(60);

/// The campaign.
pub(super) const PROTOCOL: Protocol = Protocol {
    name: "work",
    run,
    faults: || FaultKind::ALL.iter().copied().filter(|kind| !ABSENT.contains(kind)).collect(),
    paths: || {
        // A replica that is behind by a snapshot and has lost its state machine is too rare here; the campaign over Raft
        // has some.
        let raft = Paths::names().filter(|path| !RARE.contains(path) && !ELSEWHERE.contains(path));
        let shared = raft.chain(link_paths()).chain(KvWorkload::<App>::paths());
        shared.chain(agents::PATHS).collect()
    },
    mutations: || {
        let work = WorkMutation::ALL.iter().map(|(name, _)| *name);
        work.chain(RaftMutation::ALL.iter().map(|(name, _)| *name)).collect()
    },
};

/// Voters change, leases are read by, and leaders are preferred in the campaign over Raft.
const ELSEWHERE: [&str; 6] = [AWAITED, LEASED, CHANGED, COMPLETED, REMOVED, MADE_WAY];

/// What does not happen here: see the campaign over Raft. Nor are disks lost: workers have nothing on theirs, and what
/// the loss of a coordinator's means is seen there.
const ABSENT: [FaultKind; 4] = [FaultKind::Twinned, FaultKind::OldDisk, FaultKind::Wiped, FaultKind::Refused];

/// What the application holds of a node.
pub(super) enum App {
    Coordinator { work: WorkHandle, registers: RaftHandle<Registers> },
    Worker(WorkerHandle),
}

impl App {
    fn registers(&self) -> &RaftHandle<Registers> {
        match self {
            App::Coordinator { registers, .. } => registers,
            App::Worker(_) => unreachable!("clients ask coordinators only"),
        }
    }

    pub(super) fn work(&self) -> Option<&WorkHandle> {
        match self {
            App::Coordinator { work, .. } => Some(work),
            App::Worker(_) => None,
        }
    }

    pub(super) fn worker(&self) -> Option<&WorkerHandle> {
        match self {
            App::Coordinator { .. } => None,
            App::Worker(worker) => Some(worker),
        }
    }
}

/// One run.
fn run(mut run: Run<'_>) -> Outcome {
    let Run { seed, mutation, .. } = run;
    let mut rng = Rng::from_seed(seed ^ 0x3014_0000_77aa);
    let mut shaped = Rng::from_seed(seed ^ 0x0b1e_c75e_0d15);
    let coordinators: Vec<NodeId> = (1..=*rng.pick(&[3u64, 3, 5]).unwrap_or(&3)).map(NodeId).collect();
    let workers: Vec<NodeId> = (101..=101 + rng.within(1..3)).map(NodeId).collect();
    let raft = RaftConfig {
        snapshot_log_bytes: 300 + rng.index(3_000),
        trailing_entries: rng.within(0..20),
        chunk_bytes: 500 + rng.index(8000),
        snapshot_log_entries: 20 + shaped.within(0..300),
        snapshot_inflight_max: 1 + shaped.index(6),
        snapshot_bytes_per_second: 20_000 << shaped.index(8),
        inflight_max: 1 + rng.index(8),
        request_timeout: Duration::from_secs(2),
        mutation: RaftMutation::ALL.iter().find(|(name, _)| Some(*name) == mutation).map(|(_, m)| *m),
        ..RaftConfig::default()
    };
    // A task must not be given up because its workers are unlucky: in this campaign they always are.
    let engine = EngineConfig {
        kills_max: u8::MAX,
        retry_budget: 1_000_000,
        mutation: WorkMutation::ALL.iter().find(|(name, _)| Some(*name) == mutation).map(|(_, m)| *m),
        ..EngineConfig::default()
    };
    let unit = raft.election_timeout;
    let everybody: Vec<NodeId> = coordinators.iter().chain(&workers).copied().collect();
    let founders = coordinators.clone();
    let fuses = plans::fuses(seed, coordinators.len());
    let lit = fuses.clone().unwrap_or_default();
    let mut world = World::with(plans::settings(seed), seed, everybody, move |id| {
        let mut node = Node::builder(id);
        let app = if founders.contains(&id) {
            node = node.found(founders.clone());
            let config = WorkConfig { engine: engine.clone(), raft: raft.clone(), ..WorkConfig::default() };
            let work = node.coordinator("work", config);
            let fuse = lit.get(id.0 as usize - 1).cloned().unwrap_or_default();
            let registers =
                node.raft_with("registers", Registers::with_fuse(fuse), quorate::NoDecider, raft.clone());
            App::Coordinator { work, registers }
        } else {
            App::Worker(node.worker("work", WorkerConfig::new(founders.clone())))
        };
        // What the seed draws is valid by construction.
        #[allow(clippy::expect_used)]
        (node.build().expect("a valid node"), app)
    });
    run.tell(&mut world, &[WORK, REGISTERS]);
    watch_raft(&mut world, WORK);
    watch_raft(&mut world, REGISTERS);
    world.invariant(Box::new(WorkAudit::new(WORK)));
    let nodes = coordinators.len();
    world.leader_by(move |world| raft_leader(world, nodes, WORK));
    let graph = graph(&mut rng);
    let mut workload = Both {
        registers: KvWorkload::new(seed, REGISTERS, coordinators.clone(), App::registers)
            .with_fuses(fuses.unwrap_or_default()),
        agents: agents::Agents::new(seed, WORK, coordinators, workers, graph),
    };
    let mut swarm = Swarm::new(unit);
    swarm.without = vec![Fault::OldDisk, Fault::Twin, Fault::Wipe, Fault::Rot];
    plans::sieve(&mut world, WORK, unit, SAFETY);
    let plan = plans::draw(&swarm, seed);
    Trial { plan, safety: SAFETY, healing: HEALING }.run(&mut world, &mut workload)
}

/// A small graph of random shape.
fn graph(rng: &mut Rng) -> GraphSpec {
    let tasks = 5 + rng.index(30);
    let mut spec = GraphSpec::new();
    for i in 0..tasks {
        let parents =
            (0..i).filter(|_| rng.chance(2.0 / (1.0 + i as f64))).map(|parent| format!("t{parent}"));
        let parents: Vec<String> = parents.collect();
        let task = TaskSpec::new(format!("t{i}")).after(parents).expected_ms(50 + rng.within(0..400) as u32);
        // As little may bad luck exhaust its retries, or have it wait for longer than healing lasts.
        let task = task.retry(Retry { retries_max: 1_000, backoff_max_ms: 1_000, ..Retry::default() });
        spec = spec.task(task.timeouts(Timeouts { idle_ms: Some(3_000), ..Timeouts::default() }));
    }
    spec
}

/// Two scopes on the same nodes, each with its own workload.
struct Both {
    registers: KvWorkload<App>,
    agents: agents::Agents,
}

impl Workload<App> for Both {
    fn setup(&mut self, world: &mut World<App>) {
        self.registers.setup(world);
        self.agents.setup(world);
    }

    fn step(&mut self, world: &mut World<App>) -> Duration {
        self.registers.step(world).min(self.agents.step(world))
    }

    fn calmed(&mut self, world: &mut World<App>) {
        self.registers.calmed(world);
        self.agents.calmed(world);
    }

    fn has_recovered(&mut self, world: &World<App>) -> bool {
        // Both are asked: each prepares its end.
        let agents = self.agents.has_recovered(world);
        self.registers.has_recovered(world) && agents
    }

    fn lacks(&self, world: &World<App>) -> String {
        format!("registers: {}. Agents: {}", self.registers.lacks(world), self.agents.lacks(world))
    }

    fn check(&mut self, world: &mut World<App>) -> Result<(), String> {
        self.registers.check(world)?;
        self.agents.check(world)
    }
}
