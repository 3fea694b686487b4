//! The simulator's campaigns behind one program.

fn main() {
    let seeds = 0..std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100u64);
    let from = std::time::Instant::now();
    let report = quorate::sim::Campaign::new(seeds).run(|seed| quorate_examples::campaign::run_raft(seed, None));
    println!("{report}");
    let s = from.elapsed().as_secs_f64();
    println!("{s:.2}s {:.0} msg/s {:.0}x", report.stats.messages as f64 / s, report.stats.time.as_secs_f64() / s);
    println!("{:?}", report.coverage);
}
