//! What a run came to, for programs and for people.

use super::story::Told;
use super::timeline::RunOutcome;
use quorate::NodeStatus;
use quorate::work::engine::Audit;
use serde::Serialize;

/// The figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// What ran.
    pub workflow: String,
    /// Tasks of the workflow.
    pub tasks: u64,
    /// Tasks that succeeded.
    pub completed: u64,
    /// Tasks that failed for good.
    pub failed: u64,
    /// Tasks that never came to an end.
    pub lost: u64,
    /// Tasks whose result was committed more than once.
    pub committed_twice: u64,
    /// Whether the digest of the whole workflow is that of a sequential run.
    pub digest_ok: bool,
    /// Leases given out.
    pub attempts: u64,
    /// Attempts repeated after a failure, or on another agent after a loss.
    pub retries: u64,
    /// Completions refused because their lease was not the live one.
    pub stale_refused: u64,
    /// Completions refused because they stood already.
    pub duplicates_refused: u64,
    /// How long each recovery took: until a new leader was ready, or a lost attempt was begun again elsewhere.
    pub recoveries_ms: Vec<f64>,
    /// Decisions in the log (leases, ends, transfers) a second.
    pub decisions_per_s: f64,
    /// Median time from a proposal at the leader until it is committed and applied, every commit on disk.
    pub commit_ms_p50: f64,
    /// The 99th percentile.
    pub commit_ms_p99: f64,
    /// Time in coordination (all nodes' lanes) as a share of that and the agents' work.
    pub coordination_share: f64,
    /// From submission to the last result.
    pub makespan_s: f64,
    /// Of everything random here.
    pub seed: u64,
    /// Coordinators whose books were read at the end.
    pub coordinators_agreeing: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

impl Figures {
    /// Whether nothing was lost or committed twice and the digest is right.
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.committed_twice == 0 && self.failed == 0 && self.digest_ok && !self.interrupted
    }

    /// Takes in the engine's books.
    pub fn books(&mut self, audit: Audit) {
        self.lost += audit.lost + audit.leases_astray + audit.out_of_order + audit.miscounted;
        self.committed_twice += audit.committed_twice + audit.unfenced;
    }

    /// Takes in what was told and what nodes say of themselves.
    pub fn times(&mut self, told: &Told, nodes: &[NodeStatus], mut commits_ms: Vec<f64>) {
        self.recoveries_ms = told.recoveries.clone();
        let busy_ms: f64 = nodes.iter().map(|node| node.busy_ns as f64 / 1e6).sum();
        let worked_ms: f64 = told.runs.iter().map(|run| run.to_ms - run.from_ms).sum();
        self.coordination_share =
            if busy_ms + worked_ms > 0.0 { busy_ms / (busy_ms + worked_ms) } else { 0.0 };
        commits_ms.sort_by(f64::total_cmp);
        self.commit_ms_p50 = percentile(&commits_ms, 0.50);
        self.commit_ms_p99 = percentile(&commits_ms, 0.99);
    }

    /// The rows of the table.
    pub fn rows(&self, told: &Told) -> Vec<(String, String)> {
        let mut sorted = self.recoveries_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let first = self.recoveries_ms.first().copied().unwrap_or(0.0);
        let worst = sorted.last().copied().unwrap_or(0.0);
        let count = |outcome| told.runs.iter().filter(|run| run.outcome == outcome).count();
        let digest = match (self.digest_ok, self.interrupted) {
            (true, _) => "yes",
            (false, true) => "not compared: interrupted",
            (false, false) => "NO",
        };
        let row = |name: &str, value: String| (name.to_owned(), value);
        vec![
            row("tasks", format!("{} ({} completed, {} failed)", self.tasks, self.completed, self.failed)),
            row(
                "attempts",
                format!(
                    "{} ({} lost with their agents, {} never begun or not ended)",
                    self.attempts,
                    count(RunOutcome::Lost),
                    self.attempts.saturating_sub(told.runs.len() as u64)
                ),
            ),
            row("retries and transfers", self.retries.to_string()),
            row("stale completions refused", self.stale_refused.to_string()),
            row("duplicate completions refused", self.duplicates_refused.to_string()),
            row("committed twice", self.committed_twice.to_string()),
            row("lost", self.lost.to_string()),
            row("digest equals a sequential run", digest.to_owned()),
            row(
                "recovery first / median / worst",
                format!(
                    "{first:.0} / {:.0} / {worst:.0} ms ({} recoveries)",
                    percentile(&sorted, 0.5),
                    sorted.len()
                ),
            ),
            row("decisions a second", format!("{:.0}", self.decisions_per_s)),
            row(
                "commit latency p50 / p99",
                format!("{:.2} / {:.2} ms", self.commit_ms_p50, self.commit_ms_p99),
            ),
            row("time spent coordinating", format!("{:.2} %", self.coordination_share * 100.0)),
            row("makespan", format!("{:.2} s", self.makespan_s)),
        ]
    }
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
    sorted[at - 1]
}
