//! The simulator's campaigns behind one program.

fn main() {
    let from: u64 = std::env::args().nth(3).and_then(|n| n.parse().ok()).unwrap_or(0);
    let seeds = from..std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100u64);
    let name = std::env::args().nth(2);
    let m = quorate::raft::Mutation::ALL.iter().find(|(n, _)| Some(*n) == name.as_deref()).map(|(_, m)| *m);
    let from = std::time::Instant::now();
    let report = quorate::sim::Campaign::new(seeds).run(|seed| quorate_examples::campaign::run_raft(seed, m));
    println!("{}", report.to_string().lines().take(8).collect::<Vec<_>>().join("\n"));
    let s = from.elapsed().as_secs_f64();
    println!(
        "{s:.2}s {:.0} msg/s {:.0}x",
        report.stats.messages as f64 / s,
        report.stats.time.as_secs_f64() / s
    );
    println!("{:?}", report.coverage);
}
