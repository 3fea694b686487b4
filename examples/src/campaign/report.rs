//! What a campaign prints and writes.

use quorate::sim::{FaultKind, Report};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

/// How a campaign ran.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// On how many threads.
    pub jobs: usize,
    /// For how long.
    pub wall: Duration,
}

/// The figures of a campaign, as other programs read them.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The campaign.
    pub protocol: String,
    /// The planted bug, if any.
    pub mutation: Option<String>,
    /// How many seeds ran.
    pub seeds: u64,
    /// The first of them.
    pub seeds_from: u64,
    /// On how many threads they ran.
    pub jobs: usize,
    /// The seeds in which something was found.
    pub failed: Vec<u64>,
    /// Everything that happened, over all seeds in order.
    pub trace_hash: String,
    /// Delivered messages in a second of wall time.
    pub messages_per_s: f64,
    /// Events in a second of wall time.
    pub events_per_s: f64,
    /// Simulated seconds in a second of wall time.
    pub realtime_factor: f64,
    /// How often each fault struck and each recovery path was taken.
    pub fired: BTreeMap<String, u64>,
    /// What should have happened and never did.
    pub never: Vec<String>,
    /// What was found, a line each, with its replay.
    pub violations: Vec<String>,
    /// Wall time.
    pub wall_s: f64,
}

impl Figures {
    /// Of a campaign.
    pub fn of(protocol: &str, mutation: Option<&str>, ran: Ran, report: &Report) -> Figures {
        let Ran { seeds, jobs, wall } = ran;
        let wall_s = wall.as_secs_f64().max(1e-9);
        let faults = FaultKind::ALL.iter().map(|kind| (kind.name().to_owned(), report.coverage.of(*kind)));
        let named = report.coverage.all_named().map(|(name, count)| (name.to_owned(), count));
        Figures {
            protocol: protocol.to_owned(),
            mutation: mutation.map(str::to_owned),
            seeds: seeds.end.saturating_sub(seeds.start),
            seeds_from: seeds.start,
            jobs,
            failed: report.failed().collect(),
            trace_hash: format!("{:016x}", report.trace_hash),
            messages_per_s: report.stats.messages as f64 / wall_s,
            events_per_s: report.stats.events as f64 / wall_s,
            realtime_factor: report.stats.time.as_secs_f64() / wall_s,
            fired: faults.chain(named).collect(),
            never: report.never.clone(),
            violations: report.violations.iter().map(ToString::to_string).collect(),
            wall_s,
        }
    }

    /// Whether nothing was found and everything was reached.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty() && self.never.is_empty()
    }
}

/// The table at the end.
pub fn table(figures: &Figures) -> String {
    let mut text = String::new();
    let last = figures.seeds_from + figures.seeds;
    let _ = writeln!(text, "campaign {}, seeds {}..{last}", figures.protocol, figures.seeds_from);
    if let Some(mutation) = &figures.mutation {
        let _ = writeln!(text, "  with a planted bug     {mutation}");
    }
    let _ = writeln!(text, "  failed                 {}", figures.failed.len());
    let _ = writeln!(text, "  messages a second      {:.0}", figures.messages_per_s);
    let _ = writeln!(text, "  events a second        {:.0}", figures.events_per_s);
    let _ = writeln!(text, "  times real time        {:.0}", figures.realtime_factor);
    let _ = writeln!(text, "  wall time              {:.1} s on {} threads", figures.wall_s, figures.jobs);
    let _ = writeln!(text, "  trace                  {}", figures.trace_hash);
    let _ = writeln!(text, "  faults that struck and paths that were taken:");
    for (name, count) in figures.fired.iter().filter(|(_, count)| **count > 0) {
        let _ = writeln!(text, "    {count:>10}  {name}");
    }
    for name in &figures.never {
        let _ = writeln!(text, "  NEVER HAPPENED: {name}");
    }
    for violation in &figures.violations {
        let _ = writeln!(text, "  {violation}");
    }
    text
}
