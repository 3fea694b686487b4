//! A graph as people give it: names and edges in any order.

use petgraph::graph::{DiGraph, NodeIndex};
use quorate_core::Rng;
use quorate_scheduler::engine::{Engine, EngineConfig};
use quorate_scheduler::graph::{GraphSpec, TaskSpec};
use std::collections::HashMap;

/// Tasks of the row.
pub const LOAD_TASKS: u32 = 1_000_000;

/// Its name.
pub const LOAD_ROW: &str = "1000000 tasks, 2 edges a task, loaded by name in random order";

/// Tasks and edges by name, shuffled.
#[derive(Clone, Debug)]
pub struct NamedEdges {
    /// Names.
    pub tasks: Vec<String>,
    /// From, to, as places in `tasks`.
    pub edges: Vec<(u32, u32)>,
}

impl NamedEdges {
    /// So many tasks, each after the first thousand waiting for two drawn from those before it; tasks and edges
    /// in random order.
    pub fn random(tasks: u32) -> NamedEdges {
        let mut rng = Rng::from_seed(3);
        let mut numbers: Vec<u32> = (0..tasks).collect();
        rng.shuffle(&mut numbers);
        let mut place = vec![0; tasks as usize];
        for (at, number) in numbers.iter().enumerate() {
            place[*number as usize] = at as u32;
        }
        let mut edges = Vec::new();
        for number in 1000..tasks {
            for half in [0, number / 2] {
                let before = rng.within(u64::from(half)..u64::from(half + number / 2)) as usize;
                edges.push((place[before], place[number as usize]));
            }
        }
        rng.shuffle(&mut edges);
        NamedEdges { tasks: numbers.iter().map(|number| format!("t{number}")).collect(), edges }
    }
}

/// Ours: described by names, taken in by an engine.
pub fn load_ours(named: &NamedEdges) -> Engine {
    let mut spec = GraphSpec::with_capacity(named.tasks.len(), named.edges.len());
    spec.add_all(named.tasks.iter().map(|task| TaskSpec::new(task.as_str())));
    let name = |at: u32| named.tasks[at as usize].as_str();
    spec.edges(named.edges.iter().map(|(from, to)| (name(*from), name(*to))));
    let mut engine = Engine::new(EngineConfig::default()).unwrap();
    engine.submit(&spec).unwrap();
    engine
}

/// petgraph with a map of names, and its topological sort as the check.
pub fn load_petgraph(named: &NamedEdges) -> DiGraph<&str, ()> {
    let mut graph: DiGraph<&str, ()> = DiGraph::with_capacity(named.tasks.len(), named.edges.len());
    let mut by_name: HashMap<&str, NodeIndex> = HashMap::with_capacity(named.tasks.len());
    for task in &named.tasks {
        by_name.insert(task, graph.add_node(task));
    }
    for (from, to) in &named.edges {
        let end = |at: &u32| by_name[named.tasks[*at as usize].as_str()];
        graph.add_edge(end(from), end(to), ());
    }
    assert_eq!(petgraph::algo::toposort(&graph, None).unwrap().len(), named.tasks.len());
    graph
}
