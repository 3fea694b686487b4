//! The workload of agents: they take orders on worker nodes, need their time, and tell digests. Some die, some
//! fall silent and come back with old results, some tell everything twice.

use super::describe_replica;
use super::work::App;
use quorate::raft::RaftPort;
use quorate::sim::{NodeState, Workload, World};
use quorate::work::{
    AgentSpec, Dispatcher, End, Graph, GraphSpec, Lease, Order, Reply, Work, run_sequential, task_digest,
};
use quorate::{AgentId, NodeId, Rng, ScopeId, Ticket};
use std::time::Duration;

/// Paths that agents report to the campaign.
pub(super) const PATHS: [&str; 7] = [
    "an agent dies and its task goes to another",
    "an agent comes back with an old result",
    "an agent tells a result twice",
    "a stale completion is refused",
    "an attempt that makes no progress expires",
    "an attempt fails and is repeated",
    "a workflow is submitted twice",
];

/// How often an agent says that what it runs goes on. One that died and is back before its silence was noticed has
/// forgotten what it ran, and says nothing of it: the idle timeout finds out.
const PROGRESS: Duration = Duration::from_millis(500);

/// Tasks that are named where not all have ended.
const TASKS_TOLD: usize = 3;

struct Agent {
    id: AgentId,
    node: NodeId,
    /// Dead or silent until then.
    away_until: Duration,
    running: Vec<Running>,
}

struct Running {
    lease: Lease,
    digest: u64,
    ends_at: Duration,
    /// When it is said next that it goes on.
    progress_at: Duration,
}

pub(super) struct Agents {
    scope: ScopeId,
    coordinators: Vec<NodeId>,
    workers: Vec<NodeId>,
    agents: Vec<Agent>,
    spec: GraphSpec,
    expected: u64,
    submitting: Option<Ticket<Reply>>,
    submitted: bool,
    calm: bool,
    hosts_at: Duration,
    beat_at: Duration,
    rng: Rng,
}

impl Agents {
    pub(super) fn new(
        seed: u64,
        scope: ScopeId,
        coordinators: Vec<NodeId>,
        workers: Vec<NodeId>,
        spec: GraphSpec,
    ) -> Self {
        let mut rng = Rng::from_seed(seed ^ 0xa9e4_7500);
        let mut agents = Vec::new();
        for node in &workers {
            for _ in 0..1 + rng.index(3) {
                let id = AgentId(agents.len() as u64 + 1);
                agents.push(Agent { id, node: *node, away_until: Duration::ZERO, running: Vec::new() });
            }
        }
        // Drawn here, so valid.
        let expected = Graph::build(&spec).map(|graph| run_sequential(&graph)).unwrap_or_default();
        Agents {
            scope,
            coordinators,
            workers,
            agents,
            spec,
            expected,
            submitting: None,
            submitted: false,
            calm: false,
            hosts_at: Duration::ZERO,
            beat_at: Duration::ZERO,
            rng,
        }
    }

    fn submit(&mut self, world: &mut World<App>) {
        if let Some(ticket) = self.submitting.take() {
            match ticket.try_take() {
                Err(ticket) => self.submitting = Some(ticket),
                Ok(Ok(Reply::Admitted { .. })) => self.submitted = true,
                // Its names are taken: an earlier try went through after all.
                Ok(Ok(_)) => {
                    world.sometimes("a workflow is submitted twice");
                    self.submitted = true;
                }
                Ok(Err(_)) => {}
            }
        } else if let Some(node) = self.rng.pick(&self.coordinators)
            && let Some(work) = world.app(*node).work()
        {
            self.submitting = Some(work.submit(self.spec.clone()));
        }
    }

    /// Takes the orders of a worker node and gives them to its agents.
    fn take_orders(&mut self, world: &World<App>, node: NodeId) {
        let Some(worker) = world.app(node).worker() else { return };
        while let Some(order) = worker.take_order() {
            match order {
                Order::Start(granted) => {
                    let digest = task_digest(&granted.name, granted.inputs.iter().copied());
                    let took =
                        Duration::from_millis(u64::from(granted.expected_ms)).mul_f64(0.5 + self.rng.unit());
                    let (ends_at, progress_at) = (world.now() + took, world.now() + PROGRESS);
                    let running = Running { lease: granted.lease, digest, ends_at, progress_at };
                    if let Some(agent) = self.agents.iter_mut().find(|agent| agent.id == granted.agent) {
                        agent.running.push(running);
                    }
                }
                Order::Drop(granted) => {
                    // Half of them do not hear it, and end what they began.
                    if self.rng.chance(0.5)
                        && let Some(agent) = self.agents.iter_mut().find(|agent| agent.id == granted.agent)
                    {
                        agent.running.retain(|running| running.lease != granted.lease);
                    }
                }
                Order::Cancel(granted) => {
                    let _ = worker.end(granted.lease, End::Stopped);
                }
            }
        }
    }

    fn work(&mut self, world: &World<App>) {
        let now = world.now();
        for agent in &mut self.agents {
            let Some(worker) = world.app(agent.node).worker() else { continue };
            if !self.calm && agent.away_until <= now && self.rng.chance(0.002) {
                // Dead: what it ran is gone, and half of the deaths are seen. Or silent, and it goes on later.
                agent.away_until = now + Duration::from_millis(self.rng.within(100..6_000));
                if self.rng.chance(0.5) {
                    agent.running.clear();
                    world.sometimes("an agent dies and its task goes to another");
                    if self.rng.chance(0.5) {
                        let _ = worker.crashed(agent.id);
                    }
                }
            }
            if agent.away_until > now {
                continue;
            }
            for running in agent.running.iter_mut().filter(|running| running.progress_at <= now) {
                running.progress_at = now + PROGRESS;
                let _ = worker.progress(running.lease);
            }
            let ended: Vec<Running> = extract(&mut agent.running, |running| running.ends_at <= now);
            for Running { lease, digest, ends_at, .. } in ended {
                if now.saturating_sub(ends_at) > Duration::from_millis(500) {
                    world.sometimes("an agent comes back with an old result");
                }
                if !self.calm && self.rng.chance(0.05) {
                    world.sometimes("an attempt fails and is repeated");
                    let _ = worker.end(lease, End::Failed { hopeless: false, text: "unlucky".into() });
                    continue;
                }
                let end = End::Done { digest, result: Vec::new() };
                let _ = worker.end(lease, end.clone());
                if self.rng.chance(0.1) {
                    world.sometimes("an agent tells a result twice");
                    let _ = worker.end(lease, end);
                }
            }
        }
    }

    /// What workers say again and again, and so to every new life of their nodes.
    fn say(&mut self, world: &World<App>) {
        let now = world.now();
        let (hosts, beat) = (now >= self.hosts_at, now >= self.beat_at);
        if hosts {
            self.hosts_at = now + Duration::from_secs(1);
        }
        if beat {
            self.beat_at = now + Duration::from_millis(150);
        }
        for node in &self.workers {
            let Some(worker) = world.app(*node).worker() else { continue };
            let here = || self.agents.iter().filter(|agent| agent.node == *node);
            if hosts {
                let _ = worker.host(here().map(|agent| AgentSpec::new(agent.id)).collect());
            }
            if beat {
                let _ = worker
                    .beat(here().filter(|agent| agent.away_until <= now).map(|agent| agent.id).collect());
            }
        }
    }

    fn works<'a>(&'a self, world: &'a World<App>) -> impl Iterator<Item = Option<(&'a Work, u64)>> {
        let port = |id: &NodeId| world.host(*id)?.port::<RaftPort<Work, Dispatcher>>(self.scope)?.state();
        self.coordinators.iter().map(move |id| port(id).map(|(work, at)| (work, at.index)))
    }
}

fn extract<T>(from: &mut Vec<T>, mut is: impl FnMut(&T) -> bool) -> Vec<T> {
    let (out, kept) = std::mem::take(from).into_iter().partition(|item| is(item));
    *from = kept;
    out
}

impl Workload<App> for Agents {
    fn step(&mut self, world: &mut World<App>) -> Duration {
        if !self.submitted {
            self.submit(world);
        }
        self.say(world);
        for at in 0..self.workers.len() {
            let node = self.workers[at];
            if world.state(node) == NodeState::Up {
                self.take_orders(world, node);
            }
        }
        self.work(world);
        Duration::from_millis(10)
    }

    fn calmed(&mut self, _: &mut World<App>) {
        self.calm = true;
    }

    fn has_recovered(&mut self, world: &World<App>) -> bool {
        self.submitted
            && self
                .works(world)
                .all(|state| state.is_some_and(|(work, _)| work.open() == 0 && !work.graph().is_empty()))
    }

    fn lacks(&self, world: &World<App>) -> String {
        if !self.submitted {
            return "the workflow was not admitted".to_owned();
        }
        let mut text: Vec<String> = Vec::new();
        for (id, state) in self.coordinators.iter().zip(self.works(world)) {
            text.push(describe_replica::<App, Work, Dispatcher>(world, *id, self.scope));
            if let Some((work, _)) = state {
                let open = work.graph().tasks().filter(|task| !work.state(*task).is_final());
                let what = open.map(|task| (work.graph().name(task), work.explain(task)));
                let some: Vec<_> = what.take(TASKS_TOLD).collect();
                text.push(format!("{} tasks open there: {some:?}", work.open()));
            }
        }
        text.join("; ")
    }

    fn check(&mut self, world: &mut World<App>) -> Result<(), String> {
        let (mut stale, mut expired) = (false, false);
        for (id, state) in self.coordinators.iter().zip(self.works(world)) {
            let Some((work, _)) = state else { return Err(format!("{id} has no state after healing")) };
            let (counts, audit) = (work.counts(), work.audit());
            stale |= counts.stale > 0;
            expired |= counts.expired > 0;
            if !audit.is_clean() {
                return Err(format!("on {id} the books do not agree: {audit:?}"));
            }
            if counts.committed != self.spec.len() as u64 {
                return Err(format!(
                    "on {id} {} of {} tasks succeeded: {counts:?}",
                    counts.committed,
                    self.spec.len()
                ));
            }
            if work.digest() != self.expected {
                return Err(format!(
                    "on {id} the digest is {:016x}, not {:016x}",
                    work.digest(),
                    self.expected
                ));
            }
        }
        if expired {
            world.sometimes("an attempt that makes no progress expires");
        }
        if stale {
            world.sometimes("a stale completion is refused");
        }
        Ok(())
    }
}
