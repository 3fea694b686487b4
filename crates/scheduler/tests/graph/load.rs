//! A whole graph at once.

use proptest::prelude::*;
use quorate_core::Rng;
use quorate_scheduler::graph::{Graph, GraphError, GraphSpec, Join, TaskSpec};

fn task(name: &str) -> TaskSpec {
    TaskSpec::new(name)
}

fn refused(spec: GraphSpec) -> GraphError {
    Graph::build(&spec).expect_err("a graph that is none was taken in")
}

#[test]
fn tasks_and_edges_come_in_any_order() {
    let mut spec = GraphSpec::new().task(task("c").after(["b"]));
    spec.edge("a", "b");
    let spec = spec.task(task("a")).task(task("b"));
    let graph = Graph::build(&spec).unwrap();
    let order: Vec<&str> = graph.topological_order().into_iter().map(|t| graph.name(t)).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn a_cycle_is_reported_with_its_path() {
    let spec = GraphSpec::new()
        .task(task("in").after(Vec::<String>::new()))
        .task(task("a").after(["in", "c"]))
        .task(task("b").after(["a"]))
        .task(task("c").after(["b"]))
        .task(task("out").after(["c"]));
    let why = refused(spec);
    assert_eq!(why.to_string().matches(" -> ").count(), 3, "{why}");
    let GraphError::Cycle { path } = why else { panic!("no cycle") };
    assert_eq!((path.len(), path.first()), (4, path.last()));
    let waits = [("a", "b"), ("b", "c"), ("c", "a")];
    for pair in path.windows(2) {
        assert!(waits.contains(&(pair[0].as_str(), pair[1].as_str())), "{path:?}");
    }
}

#[test]
fn what_is_wrong_is_told_by_name() {
    let self_edge = GraphSpec::new().task(task("a").after(["a"]));
    assert_eq!(refused(self_edge), GraphError::SelfEdge { task: "a".into() });
    let dangling = GraphSpec::new().task(task("a").after(["ghost"]));
    assert_eq!(refused(dangling), GraphError::Unknown { task: "ghost".into(), wanted_by: "a".into() });
    let no_fallback = GraphSpec::new().task(task("a").fallback("ghost"));
    assert_eq!(refused(no_fallback), GraphError::Unknown { task: "ghost".into(), wanted_by: "a".into() });
    let twice = GraphSpec::new().task(task("a")).task(task("b")).task(task("a"));
    assert_eq!(refused(twice), GraphError::Duplicate { task: "a".into() });
    let join = GraphSpec::new().task(task("a")).task(task("b").after(["a"]).join(Join::AtLeast(2)));
    assert_eq!(refused(join), GraphError::UnreachableJoin { task: "b".into(), wants: 2, dependencies: 1 });
    // An edge that is named twice is one dependency.
    let join = GraphSpec::new().task(task("a")).task(task("b").after(["a", "a"]).join(Join::AtLeast(2)));
    assert!(matches!(refused(join), GraphError::UnreachableJoin { dependencies: 1, .. }));
    assert_eq!(refused(GraphSpec::new().task(task(""))), GraphError::BadName { bytes: 0 });
}

#[test]
fn fallbacks_stand_in_for_one_task_and_never_in_a_ring() {
    let ring = GraphSpec::new()
        .task(task("x").fallback("a"))
        .task(task("a").fallback("b"))
        .task(task("b").fallback("c"))
        .task(task("c").fallback("b"));
    assert!(matches!(refused(ring), GraphError::FallbackShared { .. }));
    let ring = GraphSpec::new().task(task("a").fallback("b")).task(task("b").fallback("a"));
    let GraphError::FallbackCycle { path } = refused(ring) else { panic!("no cycle") };
    assert_eq!((path.len(), path.first()), (3, path.last()));
    let alone = GraphSpec::new().task(task("a").fallback("a"));
    assert_eq!(refused(alone), GraphError::FallbackCycle { path: vec!["a".into(), "a".into()] });
    let edge = GraphSpec::new().task(task("a").fallback("b")).task(task("b")).task(task("c").after(["b"]));
    assert_eq!(refused(edge), GraphError::FallbackHasEdge { fallback: "b".into(), primary: "a".into() });
    let own = GraphSpec::new().task(task("a").fallback("b")).task(task("b").after(["a"]));
    assert!(matches!(refused(own), GraphError::FallbackHasEdge { .. }));
}

#[test]
fn a_second_graph_may_wait_for_the_first_and_not_the_other_way() {
    let mut graph = Graph::build(&GraphSpec::new().task(task("a"))).unwrap();
    let before = graph.clone();
    let mut back = GraphSpec::new().task(task("b"));
    back.edge("b", "a");
    assert_eq!(graph.append(&back), Err(GraphError::IntoExisting { task: "a".into() }));
    let again = GraphSpec::new().task(task("b")).task(task("a"));
    assert_eq!(graph.append(&again), Err(GraphError::Duplicate { task: "a".into() }));
    assert_eq!(graph, before, "a refusal left something behind");
    assert_eq!(graph.append(&GraphSpec::new().task(task("b").after(["a"]))), Ok(1..2));
    let (a, b) = (graph.require("a").unwrap(), graph.require("b").unwrap());
    assert_eq!(graph.after(a).collect::<Vec<_>>(), [b]);
}

#[test]
fn the_critical_path_of_a_ladder_of_thirty_layers_takes_dynamic_programming() {
    // 2^30 ways lead through it. Whoever walks them is still walking.
    let mut spec = GraphSpec::new();
    for layer in 0..30 {
        for side in ["l", "r"] {
            let before = ["l", "r"].map(|side| format!("{side}{}", layer - 1));
            let new = task(&format!("{side}{layer}")).expected_ms(if side == "l" { 2 } else { 3 });
            spec.add(if layer == 0 { new } else { new.after(before) });
        }
    }
    let graph = Graph::build(&spec).unwrap();
    let path = graph.critical_path();
    assert_eq!(path.length_ms, 90);
    assert_eq!(path.tasks.len(), 30);
    assert!(path.tasks.iter().all(|t| graph.name(*t).starts_with('r')));
    assert_eq!(graph.rank_ms(graph.require("r0").unwrap()), 90);
    assert_eq!(graph.rank_ms(graph.require("l0").unwrap()), 89);
}

#[test]
fn a_drawing_names_every_task_and_edge() {
    let spec = GraphSpec::new()
        .task(task("a \"quoted\"").fallback("plan b"))
        .task(task("plan b"))
        .task(task("c").after(["a \"quoted\""]));
    let dot = Graph::build(&spec).unwrap().to_dot("work");
    assert!(dot.starts_with("digraph \"work\" {"));
    for line in
        ["0 [label=\"a \\\"quoted\\\"\\n1 ms\"];", "0 -> 2;", "0 -> 1 [style=dashed, label=\"else\"];"]
    {
        assert!(dot.contains(line), "{line} is not in\n{dot}");
    }
}

#[test]
fn a_million_tasks_in_random_order_are_one_graph() {
    let tasks = 1_000_000u32;
    let mut rng = Rng::from_seed(11);
    let mut shuffled: Vec<u32> = (0..tasks).collect();
    rng.shuffle(&mut shuffled);
    let mut spec = GraphSpec::with_capacity(tasks as usize, tasks as usize);
    for number in &shuffled {
        spec.add(task(&format!("t{number}")));
        if *number > 0 {
            // Half the edges come before their ends are declared.
            spec.edge(&format!("t{}", rng.within(0..u64::from(*number))), &format!("t{number}"));
        }
    }
    let graph = Graph::build(&spec).unwrap();
    assert_eq!(graph.len(), tasks as usize);
    let mut place = vec![0u32; tasks as usize];
    for (at, task) in graph.topological_order().into_iter().enumerate() {
        place[task.0 as usize] = at as u32;
    }
    let mut edges = 0;
    for task in graph.tasks() {
        for before in graph.before(task) {
            edges += 1;
            assert!(place[before.0 as usize] < place[task.0 as usize]);
        }
    }
    assert_eq!(edges, tasks - 1);
    // One edge back, from the last to the first, and it is a graph no more.
    spec.edge(&format!("t{}", tasks - 1), "t0");
    let GraphError::Cycle { path } = refused(spec) else { panic!("no cycle") };
    assert_eq!(path.first(), path.last());
}

proptest! {
    /// Names of every kind: declared before, after or never, used twice, empty, and enough for several batches.
    #[test]
    fn many_at_once_are_the_same_as_one_after_the_other(
        tasks in prop::collection::vec(0u32..400, 0..300),
        edges in prop::collection::vec((0u32..400, 0u32..400), 0..300),
        split in 0usize..300,
    ) {
        let name = |number: &u32| if *number == 0 { String::new() } else { format!("task {number}") };
        let tasks: Vec<TaskSpec> = tasks.iter().map(|number| task(&name(number)).after(["root"])).collect();
        let edges: Vec<(String, String)> = edges.iter().map(|(from, to)| (name(from), name(to))).collect();
        let (first, second) = edges.split_at(split.min(edges.len()));
        let pair = |(from, to): &'_ (String, String)| (from.clone(), to.clone());
        let mut one_by_one = GraphSpec::new();
        first.iter().map(pair).for_each(|(from, to)| one_by_one.edge(&from, &to));
        tasks.iter().cloned().for_each(|task| {
            one_by_one.add(task);
        });
        second.iter().map(pair).for_each(|(from, to)| one_by_one.edge(&from, &to));
        let mut at_once = GraphSpec::new();
        at_once.edges(first.iter().map(|(from, to)| (from.as_str(), to.as_str())));
        at_once.add_all(tasks);
        at_once.edges(second.iter().map(|(from, to)| (from.as_str(), to.as_str())));
        prop_assert_eq!(at_once, one_by_one);
    }

    /// The first description of a graph is taken in by a shorter way.
    #[test]
    fn a_graph_is_the_same_whether_it_was_loaded_first_or_behind_another(
        edges in prop::collection::vec((0u32..20, 1u32..20), 0..40),
    ) {
        let mut spec = GraphSpec::new();
        spec.add_all((0..40).map(|number| task(&format!("{number}"))));
        for (from, more) in edges {
            spec.edge(&from.to_string(), &(from + more).to_string());
        }
        let first = Graph::build(&spec).unwrap();
        let mut second = Graph::build(&GraphSpec::new().task(task("before all"))).unwrap();
        second.append(&spec).unwrap();
        let named = |graph: &Graph, number: u32| {
            let task = graph.require(&number.to_string()).unwrap();
            let names = |tasks: Vec<_>| tasks.iter().map(|t| graph.name(*t).to_owned()).collect::<Vec<_>>();
            let (before, after) = (graph.before(task).collect(), graph.after(task).collect());
            (names(before), names(after), graph.rank_ms(task), graph.join(task))
        };
        for number in 0..40 {
            prop_assert_eq!(named(&first, number), named(&second, number));
        }
    }

    /// Whatever is taken in is in order; whatever is refused for a cycle has one, along edges that were given.
    #[test]
    fn a_graph_is_refused_exactly_when_it_has_a_cycle(
        edges in prop::collection::vec((0u32..12, 0u32..12), 0..30),
    ) {
        let edges: Vec<(u32, u32)> = edges.into_iter().filter(|(a, b)| a != b).collect();
        let mut spec = GraphSpec::new();
        for t in 0..12 {
            spec.add(task(&format!("{t}")));
        }
        for (a, b) in &edges {
            spec.edge(&a.to_string(), &b.to_string());
        }
        // The slow twin: who reaches whom.
        let mut reach = [[false; 12]; 12];
        for (a, b) in &edges {
            reach[*a as usize][*b as usize] = true;
        }
        for k in 0..12 {
            for i in 0..12 {
                for j in 0..12 {
                    reach[i][j] |= reach[i][k] && reach[k][j];
                }
            }
        }
        let cyclic = (0..12).any(|i| reach[i][i]);
        match Graph::build(&spec) {
            Ok(graph) => {
                prop_assert!(!cyclic);
                let order = graph.topological_order();
                let place = |n: u32| order.iter().position(|t| t.0 == n);
                prop_assert!(edges.iter().all(|(a, b)| place(*a) < place(*b)));
            }
            Err(GraphError::Cycle { path }) => {
                prop_assert!(cyclic && path.len() > 2 && path.first() == path.last());
                for pair in path.windows(2) {
                    let edge = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
                    prop_assert!(edges.contains(&edge));
                }
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
