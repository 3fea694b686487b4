//! A commit from ask to answer beside openraft. See [`quorate_benches::end_to_end`].
//!
//! With two words, a contender and a number of clients, runs only this, a line a round: for profilers.

use quorate_benches::end_to_end::{CONDITIONS, CONTENDERS, loads, on_disk};
use quorate_benches::report::{Row, publish};
use quorate_benches::rounds::interleaved;

const ROUNDS: usize = 5;

const DISK_ROUNDS: usize = 3;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [who, clients] = words.as_slice() {
        for contender in CONTENDERS.iter().filter(|contender| contender.name.contains(who)) {
            for (nodes, _) in loads().filter(|(_, some)| some.to_string() == *clients) {
                for _ in 0..ROUNDS {
                    println!(
                        "{} {nodes} nodes, {clients} clients: {:.0} ns",
                        contender.name,
                        contender.run(nodes, clients.parse().unwrap_or(1))
                    );
                }
            }
        }
        return Ok(());
    }
    let mut rows = Vec::new();
    for (nodes, clients) in loads() {
        let mut runs: Vec<_> = CONTENDERS.iter().map(|who| move || who.run(nodes, clients)).collect();
        let mut contenders: Vec<&mut dyn FnMut() -> f64> = runs.iter_mut().map(|run| run as _).collect();
        let spreads = interleaved(ROUNDS, &mut contenders);
        let row = format!("{nodes} nodes, {clients} clients");
        rows.push(Row::new(row, spreads[0].median, CONTENDERS[1].name, spreads[1].median, CONDITIONS));
    }
    for (clients, commits) in on_disk::LOADS {
        let mut ours = || on_disk::ours(clients, commits);
        let mut floor = || on_disk::floor(clients, commits);
        let spreads = interleaved(DISK_ROUNDS, &mut [&mut ours, &mut floor]);
        let row = format!("3 nodes, {clients} clients, on disk");
        rows.push(Row::new(row, spreads[0].median, on_disk::FLOOR, spreads[1].median, on_disk::CONDITIONS));
    }
    publish("end_to_end", &rows)
}
