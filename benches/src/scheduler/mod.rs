//! A whole graph of tasks that do nothing, from its first task to its last: what each task costs its scheduler.
//!
//! Ours gives every task a lease on one of a hundred agents, moves it through the queue of its class, keeps its
//! retries and timeouts ready, tells events, and answers a completion under a lease that is not the live one. What
//! the peers do is said with each: none of them does all of that.
//!
//! Left out: agreement, network, the tasks' own work, and the digest of what a task came to, which its agent makes.

mod dag;
mod dagrs_peer;
mod floor;
mod join_set;
mod load;
mod ours;

pub use dag::{Dag, Shape};
pub use load::{LOAD_ROW, LOAD_TASKS, NamedEdges, load_ours, load_petgraph};

use crate::allocations::{self, Allocations};
use crate::clock::thread_cpu_ns;

/// Said with every row of a run.
pub const CONDITIONS: &str = "CPU time of one thread a task, from the loaded graph to the last completion; tasks do \
    nothing; ours with leases on 100 agents of 16 slots, classes, retries, events and fencing; no agreement, no network";

/// Said with every row of a load.
pub const LOAD_CONDITIONS: &str = "CPU time of one thread a task, from names and edges in random order to a checked \
    graph with a topological order; making the names is not counted";

/// A contender.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// Most tasks that it is asked to run.
    pub tasks_max: u32,
    make: fn(&Dag) -> Box<dyn Loaded>,
}

/// A graph that a contender has loaded.
pub trait Loaded {
    /// Runs every task, once and in order, and says how many ran.
    fn run(&mut self) -> u32;
}

/// What a run came to, for one task.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// CPU nanoseconds of loading.
    pub load_ns: f64,
    /// CPU nanoseconds of running.
    pub run_ns: f64,
}

/// Ours first: its methods called, and the same as blocks of decisions, which is what a cluster agrees on.
pub const CONTENDERS: &[Contender] = &[
    Contender { name: "quorate", tasks_max: u32::MAX, make: ours::by_methods },
    Contender { name: "quorate, as blocks", tasks_max: u32::MAX, make: ours::by_blocks },
    Contender { name: "Kahn loop (the floor: counts only)", tasks_max: u32::MAX, make: floor::make },
    Contender { name: "tokio JoinSet, a task each", tasks_max: u32::MAX, make: join_set::make },
    Contender { name: "dagrs", tasks_max: 10_000, make: dagrs_peer::make },
];

impl Contender {
    /// Whether it is asked to run this graph.
    pub fn takes(&self, dag: &Dag) -> bool {
        dag.len() <= self.tasks_max
    }

    /// Loads the graph and runs it.
    pub fn run(&self, dag: &Dag) -> Run {
        let start = thread_cpu_ns();
        let mut loaded = (self.make)(dag);
        let begun = thread_cpu_ns();
        let ran = loaded.run();
        let end = thread_cpu_ns();
        assert_eq!(ran, dag.len(), "{} did not run every task", self.name);
        let each = |ns: u64| ns as f64 / f64::from(dag.len());
        Run { load_ns: each(begun - start), run_ns: each(end - begun) }
    }
}

/// What every contender allocates for a task, loading and running, and still holds at the end.
pub fn allocations() -> Vec<Allocations> {
    let mut all = Vec::new();
    for dag in Dag::all() {
        for contender in CONTENDERS.iter().filter(|contender| contender.takes(&dag)) {
            let mut kept = None;
            all.push(allocations::count(contender.name, &dag.to_string(), dag.len().into(), || {
                let mut loaded = (contender.make)(&dag);
                loaded.run();
                kept = Some(loaded);
            }));
        }
    }
    let named = NamedEdges::random(LOAD_TASKS);
    let mut ours = None;
    all.push(allocations::count("quorate", LOAD_ROW, LOAD_TASKS.into(), || ours = Some(load_ours(&named))));
    let mut peer = None;
    all.push(allocations::count("petgraph", LOAD_ROW, LOAD_TASKS.into(), || {
        peer = Some(load_petgraph(&named))
    }));
    all
}
