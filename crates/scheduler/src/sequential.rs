//! A whole graph run in order by nobody: what any other run of it, on however many agents and however troubled, has
//! to come to.

use crate::digest::{share, task_digest};
use crate::graph::{Graph, Join};

/// The digest of a workflow in which every task succeeds at its first attempt; compare `Engine::digest`.
pub fn run_sequential(graph: &Graph) -> u64 {
    let mut digests = vec![0u64; graph.len()];
    let mut whole = 0u64;
    for task in graph.topological_order() {
        if graph.slot(task) != task {
            // Nothing fails, so nothing is stood in for.
            continue;
        }
        let takes = !matches!(graph.join(task), Join::AtLeast(_));
        let inputs = graph.before(task).filter(|_| takes).map(|before| digests[before.0 as usize]);
        let digest = task_digest(graph.name(task), inputs);
        digests[task.0 as usize] = digest;
        whole = whole.wrapping_add(share(digest));
    }
    whole
}
