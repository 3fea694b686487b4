//! From the loss of a leader to the next commit, beside raft-rs and omnipaxos. See [`quorate_benches::recovery`].
//!
//! With one word, a number, runs so many seeds a row instead of a thousand.

use quorate_benches::recovery::{CONDITIONS, CONTENDERS, Scenario, TIMEOUT, Waits};
use quorate_benches::report::{Counted, Row, publish};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let seeds = words.first().and_then(|word| word.parse().ok()).unwrap_or(1000);
    let mut rows = Vec::new();
    for (scenario, nodes) in Scenario::all() {
        let waits: Vec<Waits> =
            CONTENDERS.iter().map(|contender| contender.waits(scenario, nodes, seeds)).collect();
        for (contender, peer) in CONTENDERS.iter().zip(&waits).skip(1) {
            rows.push(row(format!("{nodes} nodes, {scenario}"), &waits[0], contender.name, peer));
        }
    }
    println!("waits in election timeouts (lower bound) of {} ms, {seeds} seeds a row", TIMEOUT.as_millis());
    publish("recovery", &rows)
}

fn row(name: String, ours: &Waits, peer_name: &str, peer: &Waits) -> Row {
    let ns = |waits: &Waits| waits.median * TIMEOUT.as_nanos() as f64;
    let mut row = Row::new(name, ns(ours), peer_name, ns(peer), CONDITIONS);
    let counted = |what, of: fn(&Waits) -> f64| Counted { what, ours: of(ours), peer: of(peer) };
    row.counted = vec![
        counted("median", |waits| waits.median),
        counted("p90", |waits| waits.p90),
        counted("p99", |waits| waits.p99),
        counted("max", |waits| waits.max),
        counted("never", |waits| waits.never as f64),
    ];
    row
}
