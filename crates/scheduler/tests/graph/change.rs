//! One task or edge at a time.

use proptest::prelude::*;
use quorate_scheduler::graph::{Graph, GraphError, GraphSpec, Join, TaskId, TaskSpec};

fn chain(n: u32) -> Graph {
    let mut graph = Graph::default();
    for t in 0..n {
        let new = TaskSpec::new(t.to_string());
        graph.add_task(if t == 0 { new } else { new.after([(t - 1).to_string()]) }).unwrap();
    }
    graph
}

#[test]
fn cycle_checks_on_dynamic_edges_self_edges_through_fallbacks_refusal_leaves_the_graph_unchanged() {
    let mut graph = chain(4);
    graph.append(&GraphSpec::new().task(TaskSpec::new("p").fallback("q")).task(TaskSpec::new("q"))).unwrap();
    let before = graph.clone();
    let id = |name: &str| before.require(name).unwrap();
    let path: Vec<String> = ["0", "1", "2", "3", "0"].map(String::from).into();
    assert_eq!(graph.add_edge(id("3"), id("0")), Err(GraphError::WouldCycle { path }));
    assert_eq!(graph.add_edge(id("2"), id("2")), Err(GraphError::SelfEdge { task: "2".into() }));
    // q runs in the place of p: waiting for p, or p for it, would be p waiting for itself.
    for (from, to) in [("p", "q"), ("q", "p"), ("q", "0"), ("0", "q")] {
        let refused = graph.add_edge(id(from), id(to));
        assert_eq!(refused, Err(GraphError::FallbackHasEdge { fallback: "q".into(), primary: "p".into() }));
    }
    assert_eq!(graph, before);
}

#[test]
fn an_edge_can_be_taken_away_unless_its_join_could_then_never_fire() {
    let mut graph = chain(3);
    let any = TaskSpec::new("any").after(["0", "1"]).join(Join::AtLeast(2));
    let any = graph.add_task(any).unwrap();
    let before = graph.clone();
    assert!(matches!(graph.remove_edge(TaskId(0), any), Err(GraphError::UnreachableJoin { .. })));
    assert_eq!(graph, before);
    assert_eq!(graph.remove_edge(TaskId(0), TaskId(2)), Ok(false));
    assert_eq!(graph.remove_edge(TaskId(0), TaskId(1)), Ok(true));
    assert_eq!(graph.add_edge(TaskId(2), TaskId(0)), Ok(true));
}

proptest! {
    /// Against a twin that searches everything: an edge is refused exactly when it would close a cycle, the order
    /// stays topological, and a refusal changes nothing.
    #[test]
    fn the_order_is_repaired_by_every_edge(
        edges in prop::collection::vec((0u32..16, 0u32..16, prop::bool::weighted(0.85)), 0..80),
    ) {
        let mut graph = Graph::default();
        for t in 0..16 {
            graph.add_task(TaskSpec::new(t.to_string())).unwrap();
        }
        let mut twin: Vec<(u32, u32)> = Vec::new();
        for (a, b, add) in edges {
            if !add {
                let was = twin.contains(&(a, b));
                twin.retain(|edge| *edge != (a, b));
                prop_assert_eq!(graph.remove_edge(TaskId(a), TaskId(b)), Ok(was));
                continue;
            }
            let mut reached = vec![b];
            let mut at = 0;
            while at < reached.len() {
                let next = twin.iter().filter(|(from, _)| *from == reached[at]).map(|(_, to)| *to);
                let next: Vec<u32> = next.filter(|to| !reached.contains(to)).collect();
                reached.extend(next);
                at += 1;
            }
            let before = graph.clone();
            match graph.add_edge(TaskId(a), TaskId(b)) {
                Ok(new) => {
                    prop_assert!(a != b && !reached.contains(&a));
                    prop_assert_eq!(new, !twin.contains(&(a, b)));
                    if new {
                        twin.push((a, b));
                    }
                }
                Err(GraphError::SelfEdge { .. }) => prop_assert_eq!(a, b),
                Err(GraphError::WouldCycle { path }) => {
                    prop_assert!(reached.contains(&a));
                    prop_assert_eq!(&graph, &before);
                    let ends = [path[0].clone(), path[path.len() - 2].clone(), path[path.len() - 1].clone()];
                    prop_assert_eq!(ends, [b.to_string(), a.to_string(), b.to_string()]);
                    for pair in path[..path.len() - 1].windows(2) {
                        let edge = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
                        prop_assert!(twin.contains(&edge));
                    }
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
            let order = graph.topological_order();
            let place = |n: u32| order.iter().position(|t| t.0 == n);
            prop_assert!(twin.iter().all(|(a, b)| place(*a) < place(*b)));
        }
    }
}
