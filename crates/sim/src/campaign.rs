//! Many runs: what they found, what they did, and what they never reached.
//!
//! A failing seed's plan is cut down by [`crate::FaultPlan::shrink`]; its nodes and its workload are not yet.
//! Byzantine actors are not here: a node that lies would be another kind of node in the world, with a link of its
//! own.

use crate::trace::join;
use crate::{Coverage, FaultKind, Outcome, Stats, Violation};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Runs seed after seed.
pub struct Campaign {
    seeds: Range<u64>,
    faults: Vec<FaultKind>,
    reached: Vec<String>,
    replay: Option<Box<dyn Fn(u64) -> String>>,
}

/// How far a campaign is, after each run.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The run that just ended.
    pub outcome: &'a Outcome,
    /// Runs that ended.
    pub done: u64,
    /// Runs that there will be.
    pub of: u64,
}

/// What a campaign came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which seeds ran.
    pub seeds: Range<u64>,
    /// What was found, in the order of seeds; one a seed at most.
    pub violations: Vec<Violation>,
    /// The trace hashes of all runs in their order, joined.
    pub trace_hash: u64,
    /// How much was done.
    pub stats: Stats,
    /// What really happened.
    pub coverage: Coverage,
    /// What should have happened in some run and did in none.
    pub never: Vec<String>,
}

impl Campaign {
    /// A campaign over these seeds that expects nothing in particular to be reached.
    pub fn new(seeds: Range<u64>) -> Campaign {
        Campaign { seeds, faults: Vec::new(), reached: Vec::new(), replay: None }
    }

    /// These faults must really strike in some run.
    pub fn expect_faults(mut self, faults: impl IntoIterator<Item = FaultKind>) -> Campaign {
        self.faults.extend(faults);
        self
    }

    /// These must be reported through [`crate::World::sometimes`] in some run.
    pub fn expect(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Campaign {
        self.reached.extend(names.into_iter().map(Into::into));
        self
    }

    /// The line that runs one seed again, for violations whose world was told none.
    pub fn replay_by(mut self, line: impl Fn(u64) -> String + 'static) -> Campaign {
        self.replay = Some(Box::new(line));
        self
    }

    /// Runs all seeds on this thread. A run that panics is a violation of its seed; the others go on.
    pub fn run(&self, one: impl FnMut(u64) -> Outcome) -> Report {
        self.run_watched(one, |_| {})
    }

    /// As [`Campaign::run`], and tells after each run how far it is.
    pub fn run_watched(
        &self,
        mut one: impl FnMut(u64) -> Outcome,
        watch: impl FnMut(Progress<'_>),
    ) -> Report {
        self.gather(self.seeds.clone().map(|seed| Outcome::caught(seed, &mut one)), watch)
    }

    /// The report over runs that took place elsewhere, on other threads or machines: their outcomes in the order of the
    /// campaign's seeds. The report is the one of [`Campaign::run`]. Outcomes that are missing at the end are not
    /// missed.
    pub fn gather(
        &self,
        outcomes: impl IntoIterator<Item = Outcome>,
        mut watch: impl FnMut(Progress<'_>),
    ) -> Report {
        let mut report = Report {
            seeds: self.seeds.clone(),
            violations: Vec::new(),
            trace_hash: 0,
            stats: Stats::default(),
            coverage: Coverage::new(),
            never: Vec::new(),
        };
        let of = self.seeds.end.saturating_sub(self.seeds.start);
        for (done, mut outcome) in (1..).zip(outcomes) {
            if let Some(violation) = &mut outcome.violation
                && violation.replay.is_none()
            {
                violation.replay = self.replay.as_ref().map(|line| line(outcome.seed));
            }
            report.trace_hash = join(report.trace_hash, outcome.trace_hash);
            report.stats.merge(&outcome.stats);
            report.coverage.merge(&outcome.coverage);
            report.violations.extend(outcome.violation.clone());
            watch(Progress { outcome: &outcome, done, of });
        }
        let faults = report.coverage.never(&self.faults).map(|kind| kind.name().to_owned());
        let names = self.reached.iter().filter(|name| report.coverage.named(name) == 0).cloned();
        report.never = faults.chain(names).collect();
        report
    }
}

impl Outcome {
    /// What a run comes to; if it panics, that is its violation.
    pub fn caught(seed: u64, one: impl FnOnce(u64) -> Outcome) -> Outcome {
        // Whatever the closure shares between runs is its own affair; a world that panicked is gone.
        catch_unwind(AssertUnwindSafe(|| one(seed))).unwrap_or_else(|panic| panicked(seed, &*panic))
    }
}

fn panicked(seed: u64, panic: &(dyn std::any::Any + Send)) -> Outcome {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let why = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Outcome {
        seed,
        violation: Some(Violation {
            seed,
            at: Duration::ZERO,
            node: None,
            what: "nothing panics".into(),
            why,
            replay: None,
        }),
        trace_hash: 0,
        stats: Stats::default(),
        coverage: Coverage::new(),
    }
}

impl Report {
    /// Whether nothing was found and everything was reached.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.never.is_empty()
    }

    /// The seeds that failed.
    pub fn failed(&self) -> impl Iterator<Item = u64> + '_ {
        self.violations.iter().map(|violation| violation.seed)
    }
}

impl fmt::Debug for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Campaign({:?})", self.seeds)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seeds {:?}: {} failed, {} messages, {} events, {:?} simulated, trace {:016x}",
            self.seeds,
            self.violations.len(),
            self.stats.messages,
            self.stats.events,
            self.stats.time,
            self.trace_hash
        )?;
        for violation in &self.violations {
            writeln!(f, "  {violation}")?;
        }
        for never in &self.never {
            writeln!(f, "  never happened: {never}")?;
        }
        Ok(())
    }
}
