//! Tasks through the engine, and graphs into it. See [`quorate_benches::scheduler`].

use quorate_benches::allocations::{self, Allocations};
use quorate_benches::clock::thread_cpu_ns;
use quorate_benches::report::{Counted, Row, publish};
use quorate_benches::rounds::{Spread, interleaved};
use quorate_benches::scheduler::{
    CONDITIONS, CONTENDERS, Contender, Dag, LOAD_CONDITIONS, LOAD_ROW, LOAD_TASKS, NamedEdges, load_ours,
    load_petgraph,
};
use std::cell::Cell;
use std::hint::black_box;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let counted = allocations::of_bench(Path::new(env!("CARGO_BIN_EXE_count_allocations")), "scheduler")?;
    let mut rows = Vec::new();
    for dag in Dag::all() {
        rows.extend(rows_of(&dag, &counted));
    }
    rows.push(load_row(&counted));
    publish("scheduler", &rows)
}

fn rounds(tasks: u32) -> usize {
    if tasks > 100_000 { 3 } else { 7 }
}

/// Each of ours beside each peer.
fn rows_of(dag: &Dag, counted: &[Allocations]) -> Vec<Row> {
    let takers: Vec<&Contender> = CONTENDERS.iter().filter(|contender| contender.takes(dag)).collect();
    let loads: Vec<Cell<f64>> = takers.iter().map(|_| Cell::new(0.0)).collect();
    let mut runs: Vec<_> = takers
        .iter()
        .zip(&loads)
        .map(|(contender, load)| {
            move || {
                let run = contender.run(dag);
                load.set(run.load_ns);
                run.run_ns
            }
        })
        .collect();
    let mut contenders: Vec<&mut dyn FnMut() -> f64> = runs.iter_mut().map(|run| run as _).collect();
    let spreads = interleaved(rounds(dag.len()), &mut contenders);
    let found = |who: &str| counted.iter().find(|c| c.who == who && c.row == dag.to_string());
    let (ours, peers): (Vec<_>, Vec<_>) =
        (0..takers.len()).partition(|at| takers[*at].name.starts_with("quorate"));
    let mut rows = Vec::new();
    for our in ours {
        // The blocks of a cluster stand beside one peer only: the way in is the same.
        let by_blocks = takers[our].name != "quorate";
        for peer in peers.iter().filter(|peer| !by_blocks || takers[**peer].name.contains("JoinSet")) {
            let name = format!("{dag}{}", takers[our].name.trim_start_matches("quorate"));
            let (a, b): (Spread, Spread) = (spreads[our], spreads[*peer]);
            let mut row = Row::new(name, a.median, takers[*peer].name, b.median, CONDITIONS);
            row.counted = vec![Counted { what: "load ns", ours: loads[our].get(), peer: loads[*peer].get() }];
            if let (Some(a), Some(b)) = (found(takers[our].name), found(takers[*peer].name)) {
                row.counted.push(Counted { what: "allocations", ours: a.count, peer: b.count });
                row.counted.push(Counted { what: "bytes held", ours: a.held, peer: b.held });
            }
            rows.push(row);
        }
    }
    rows
}

fn load_row(counted: &[Allocations]) -> Row {
    let named = NamedEdges::random(LOAD_TASKS);
    let tasks = named.tasks.len() as f64;
    let timed = |load: &mut dyn FnMut() -> usize| {
        let start = thread_cpu_ns();
        assert_eq!(black_box(load()), named.tasks.len());
        (thread_cpu_ns() - start) as f64 / tasks
    };
    let spreads = interleaved(
        3,
        &mut [&mut || timed(&mut || load_ours(&named).graph().len()), &mut || {
            timed(&mut || load_petgraph(&named).node_count())
        }],
    );
    let peer = "petgraph with a HashMap, and toposort";
    let mut row = Row::new(LOAD_ROW.into(), spreads[0].median, peer, spreads[1].median, LOAD_CONDITIONS);
    let found = |who: &str| counted.iter().find(|c| c.who == who && c.row == LOAD_ROW);
    if let (Some(a), Some(b)) = (found("quorate"), found("petgraph")) {
        row.counted = vec![
            Counted { what: "load ns", ours: row.ours_ns, peer: row.peer_ns },
            Counted { what: "allocations", ours: a.count, peer: b.count },
            Counted { what: "bytes held", ours: a.held, peer: b.held },
        ];
    }
    row
}
