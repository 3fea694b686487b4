//! Ours: the engine, driven through its methods, and through the blocks of decisions that a cluster agrees on.

use super::{Dag, Loaded};
use quorate_core::{AgentId, NodeId};
use quorate_scheduler::Lease;
use quorate_scheduler::engine::{
    Act, AgentSpec, Block, BlockReply, Command, Completion, Engine, EngineConfig, Reply, Visit,
};
use quorate_scheduler::graph::{GraphSpec, TaskId, TaskSpec};

const AGENTS: u64 = 100;
const SLOTS: u32 = 16;
/// Tasks that are out at a time, and decisions in a block.
const BATCH: usize = 1000;

struct ByMethods {
    engine: Engine,
    ready: Vec<TaskId>,
    leases: Vec<Lease>,
    next_agent: u64,
}

struct ByBlocks {
    engine: Engine,
    ready: Vec<TaskId>,
    next_agent: u64,
}

pub fn by_methods(dag: &Dag) -> Box<dyn Loaded> {
    Box::new(ByMethods { engine: load(dag), ready: Vec::new(), leases: Vec::new(), next_agent: 0 })
}

pub fn by_blocks(dag: &Dag) -> Box<dyn Loaded> {
    Box::new(ByBlocks { engine: load(dag), ready: Vec::new(), next_agent: 0 })
}

fn load(dag: &Dag) -> Engine {
    let edges = dag.before.iter().map(Vec::len).sum();
    let mut spec = GraphSpec::with_capacity(dag.before.len(), edges);
    let mut refs = Vec::with_capacity(dag.before.len());
    for (task, befores) in dag.before.iter().enumerate() {
        let this = spec.add(TaskSpec::new(format!("t{task}")));
        for before in befores {
            spec.link(refs[*before as usize], this);
        }
        refs.push(this);
    }
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    let agents: Vec<AgentSpec> = (1..=AGENTS).map(|id| AgentSpec::new(AgentId(id)).slots(SLOTS)).collect();
    engine.register(NodeId(1), &agents).unwrap();
    engine.submit(&spec).unwrap();
    engine
}

fn visit(engine: &Engine, ready: &mut Vec<TaskId>) {
    engine.visit_ready(|task, _| {
        ready.push(task);
        if ready.len() < BATCH { Visit::Next } else { Visit::Stop }
    });
    assert!(!ready.is_empty(), "nothing is ready and {} are open", engine.open());
}

fn next(agent: &mut u64) -> AgentId {
    *agent = *agent % AGENTS + 1;
    AgentId(*agent)
}

impl Loaded for ByMethods {
    fn run(&mut self) -> u32 {
        while self.engine.open() > 0 {
            visit(&self.engine, &mut self.ready);
            for task in self.ready.drain(..) {
                self.leases.push(self.engine.assign(task, next(&mut self.next_agent)).unwrap());
            }
            for lease in self.leases.drain(..) {
                let done = self.engine.complete(lease, 1, Vec::new());
                assert_eq!(done, Completion::Committed);
            }
        }
        self.engine.counts().committed as u32
    }
}

impl ByBlocks {
    fn apply(&mut self, acts: Vec<Act>) -> BlockReply {
        let block = Block { epoch: 1, at: 1, draw: 7, acts };
        match self.engine.apply(Command::Block(block)) {
            Reply::Block(reply) => reply,
            other => panic!("{other:?}"),
        }
    }
}

impl Loaded for ByBlocks {
    fn run(&mut self) -> u32 {
        while self.engine.open() > 0 {
            visit(&self.engine, &mut self.ready);
            let agent = &mut self.next_agent;
            let pairs: Vec<_> = self.ready.iter().map(|task| (*task, next(agent))).collect();
            let out = pairs.len() as u32;
            assert_eq!(self.apply(vec![Act::Assign(pairs)]).assigned, out);
            let mut acts = Vec::with_capacity(self.ready.len());
            for task in self.ready.drain(..) {
                let (lease, _) = self.engine.lease(task).unwrap();
                acts.push(Act::Complete { lease, digest: 1, result: Vec::new() });
            }
            assert_eq!(self.apply(acts).committed, out);
        }
        self.engine.counts().committed as u32
    }
}
