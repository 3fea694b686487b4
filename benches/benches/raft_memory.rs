//! Agreement alone beside omnipaxos and raft-rs. See [`quorate_benches::raft_memory`].
//!
//! With two words, a contender and a setting (each by a part of its name), runs only these, a line a round: for
//! profilers.

use quorate_benches::allocations::{self, Allocations};
use quorate_benches::raft_memory::{CONDITIONS, CONTENDERS, Load, Run};
use quorate_benches::report::{Counted, Row, publish};
use quorate_benches::rounds::interleaved;
use std::cell::Cell;
use std::path::Path;

const ROUNDS: usize = 5;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [who, row] = words.as_slice() {
        profile(who, row);
        return Ok(());
    }
    let counted = allocations::of_bench(Path::new(env!("CARGO_BIN_EXE_count_allocations")), "raft_memory")?;
    let mut rows = Vec::new();
    for load in Load::all() {
        rows.extend(rows_of(&load, &counted));
    }
    publish("raft_memory", &rows)
}

fn profile(who: &str, row: &str) {
    for load in Load::all().iter().filter(|load| load.to_string().contains(row)) {
        for contender in CONTENDERS.iter().filter(|contender| contender.name.contains(who)) {
            for _ in 0..2 * ROUNDS {
                println!(
                    "{} {} {load}: {:.0} ns",
                    contender.name,
                    contender.variant,
                    contender.run(load).cpu_ns
                );
            }
        }
    }
}

/// Ours beside the best variant of each peer.
fn rows_of(load: &Load, counted: &[Allocations]) -> Vec<Row> {
    let messages: Vec<Cell<f64>> = CONTENDERS.iter().map(|_| Cell::new(0.0)).collect();
    let mut runs: Vec<_> = CONTENDERS
        .iter()
        .zip(&messages)
        .map(|(contender, messages)| {
            move || {
                let Run { cpu_ns, messages: sent } = contender.run(load);
                messages.set(sent);
                cpu_ns
            }
        })
        .collect();
    let mut contenders: Vec<&mut dyn FnMut() -> f64> = runs.iter_mut().map(|run| run as _).collect();
    let spreads = interleaved(ROUNDS, &mut contenders);
    let allocations = |at: usize| {
        let who = format!("{} {}", CONTENDERS[at].name, CONTENDERS[at].variant);
        let found = counted.iter().find(|counted| counted.who == who && counted.row == load.to_string());
        found.map_or((f64::NAN, f64::NAN), |counted| (counted.count, counted.part))
    };
    ["omnipaxos, by value", "omnipaxos, bytes", "raft-rs"]
        .into_iter()
        .filter_map(|name| {
            let variants = (1..CONTENDERS.len()).filter(|at| CONTENDERS[*at].name == name);
            let best = variants.min_by(|a, b| spreads[*a].median.total_cmp(&spreads[*b].median))?;
            let peer = match CONTENDERS[best].variant {
                "" => name.to_owned(),
                variant => format!("{name} ({variant})"),
            };
            let (ours, theirs) = (spreads[0].median, spreads[best].median);
            let mut row = Row::new(load.to_string(), ours, &peer, theirs, CONDITIONS);
            let (ours, theirs) = (allocations(0), allocations(best));
            row.counted = vec![
                Counted { what: "messages", ours: messages[0].get(), peer: messages[best].get() },
                Counted { what: "allocations", ours: ours.0, peer: theirs.0 },
                Counted { what: "leader's", ours: ours.1, peer: theirs.1 },
            ];
            Some(row)
        })
        .collect()
}
