//! dagrs: every task a node with an action, every edge a channel. The action waits for its inputs and tells its
//! dependents, as its examples do. On tokio's runtime of one thread.

use super::{Dag, Loaded};
use dagrs::{Action, Content, DefaultNode, EnvVar, Graph, InChannels, Node, NodeTable, OutChannels, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::{Builder, Runtime};

struct Nothing(Arc<AtomicU32>);

#[async_trait::async_trait]
impl Action for Nothing {
    async fn run(&self, input: &mut InChannels, output: &mut OutChannels, _: Arc<EnvVar>) -> Output {
        input.map(|content| content.unwrap()).await;
        self.0.fetch_add(1, Ordering::Relaxed);
        output.broadcast(Content::new(())).await;
        Output::empty()
    }
}

struct Built {
    runtime: Runtime,
    graph: Graph,
    ran: Arc<AtomicU32>,
}

pub fn make(dag: &Dag) -> Box<dyn Loaded> {
    let runtime = Builder::new_current_thread().build().unwrap();
    let ran = Arc::new(AtomicU32::new(0));
    // It may want a runtime while it is built.
    let graph = runtime.block_on(async {
        let mut table = NodeTable::default();
        let mut graph = Graph::new();
        let mut ids = Vec::with_capacity(dag.before.len());
        for task in 0..dag.len() {
            let node = DefaultNode::with_action(format!("t{task}"), Nothing(ran.clone()), &mut table);
            ids.push(node.id());
            graph.add_node(node).unwrap();
        }
        let (_, offsets, after) = dag.counts();
        for (task, id) in ids.iter().enumerate() {
            let next: Vec<_> = after[offsets[task] as usize..offsets[task + 1] as usize]
                .iter()
                .map(|after| ids[*after as usize])
                .collect();
            if !next.is_empty() {
                graph.add_edge(*id, next).unwrap();
            }
        }
        graph.set_env(EnvVar::new(table));
        graph
    });
    Box::new(Built { runtime, graph, ran })
}

impl Loaded for Built {
    fn run(&mut self) -> u32 {
        self.runtime.block_on(self.graph.async_start()).unwrap();
        self.ran.load(Ordering::Relaxed)
    }
}
