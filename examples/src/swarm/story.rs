//! What happens in a run, told by everybody, kept in one place, and shown as it comes.

use super::timeline::{Mark, MarkKind, Reign, Run, RunOutcome};
use quorate::AgentId;
use quorate::work::Lease;
use quorate::work::dispatch::Granted;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Everybody's notebook.
#[derive(Clone)]
pub struct Story(Arc<Shared>);

struct Shared {
    begun: Instant,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    runs: Vec<Run>,
    marks: Vec<Mark>,
    reigns: Vec<Reign>,
    /// The reign that goes on.
    reign: Option<(u64, u64, f64)>,
    /// Attempts that run: whose, and until when if nothing happens.
    running: BTreeMap<Lease, (AgentId, f64)>,
    /// Attempts that were lost, by task, until the task is begun again: the last of them, and when the first was.
    lost: BTreeMap<u32, (u32, f64)>,
    /// When nobody led, from when.
    leaderless: Option<f64>,
    recoveries: Vec<f64>,
    /// The progress line that stands on the screen.
    shown: usize,
    told_at: Option<Instant>,
}

/// What is left at the end.
pub struct Told {
    /// Attempts.
    pub runs: Vec<Run>,
    /// Faults and recoveries.
    pub marks: Vec<Mark>,
    /// Leaderships.
    pub reigns: Vec<Reign>,
    /// How long each recovery took, in milliseconds.
    pub recoveries: Vec<f64>,
}

impl Told {
    /// Corrects what agents believed of the results that they reported by what the books say: which attempt of each
    /// task was committed. An agent cannot know that its lease was over when it reported.
    pub fn judge(&mut self, committed: &BTreeMap<u32, u32>) {
        let mut counted = BTreeSet::new();
        for run in self.runs.iter_mut().filter(|run| run.outcome != RunOutcome::Lost) {
            let Some(attempt) = committed.get(&run.slot) else { continue };
            let counts = run.attempt == *attempt && counted.insert(run.slot);
            run.outcome = if counts { RunOutcome::Done } else { RunOutcome::Stale };
        }
    }
}

impl Story {
    /// Begins now.
    pub fn begin() -> Story {
        Story(Arc::new(Shared { begun: Instant::now(), pages: Mutex::default() }))
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> f64 {
        self.ms(Instant::now())
    }

    fn ms(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.0.begun).as_secs_f64() * 1000.0
    }

    /// An agent that lives began an attempt. If it takes up a lost one, that is a recovery.
    pub fn started(&self, granted: &Granted, until: Instant) {
        let now = self.now_ms();
        let mut pages = self.pages();
        pages.running.insert(granted.lease, (granted.agent, self.ms(until)));
        let task = granted.lease.task.0;
        if let Some((attempt, since)) = pages.lost.get(&task).copied()
            && granted.lease.attempt > attempt
        {
            pages.lost.remove(&task);
            pages.recoveries.push(now - since);
        }
    }

    /// An attempt was lost with its agent, or was given to one that is dead.
    pub fn lost(&self, granted: &Granted) {
        let (now, attempt) = (self.now_ms(), granted.lease.attempt);
        let mut pages = self.pages();
        pages.lost.entry(granted.lease.task.0).and_modify(|lost| lost.0 = attempt).or_insert((attempt, now));
    }

    /// Agents with something to do, the one with the longest way to go first.
    pub fn busy(&self) -> Vec<AgentId> {
        let mut all: Vec<(AgentId, f64)> = self.pages().running.values().copied().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut seen = BTreeSet::new();
        all.into_iter().map(|(agent, _)| agent).filter(|agent| seen.insert(*agent)).collect()
    }

    /// An attempt ended.
    pub fn run(&self, granted: &Granted, from: Instant, outcome: RunOutcome) {
        let run = Run {
            agent: granted.agent.0,
            task: granted.name.clone(),
            slot: granted.lease.task.0,
            kind: kind_of(&granted.name),
            attempt: granted.lease.attempt,
            from_ms: self.ms(from),
            to_ms: self.now_ms(),
            outcome,
        };
        let mut pages = self.pages();
        pages.running.remove(&granted.lease);
        pages.runs.push(run);
    }

    /// Something broke; with its length where it is known.
    pub fn fault(&self, what: String, lasts_ms: f64) {
        self.mark(MarkKind::Fault, what, lasts_ms);
    }

    /// Something works again.
    pub fn recovery(&self, what: String) {
        self.mark(MarkKind::Recovery, what, 0.0);
    }

    fn mark(&self, kind: MarkKind, what: String, lasts_ms: f64) {
        let from_ms = self.now_ms();
        let sign = if kind == MarkKind::Fault { "✗" } else { "✓" };
        let mut pages = self.pages();
        clear(&mut pages);
        println!("{:>7.2} s  {sign} {what}", from_ms / 1000.0);
        pages.marks.push(Mark { kind, what, from_ms, to_ms: from_ms + lasts_ms });
    }

    /// A coordinator leads and has applied everything committed before.
    pub fn leads(&self, node: u64, term: u64) {
        let now = self.now_ms();
        let since = {
            let mut pages = self.pages();
            end_reign(&mut pages, now);
            pages.reign = Some((node, term, now));
            let since = pages.leaderless.take();
            pages.recoveries.extend(since.map(|since| now - since));
            since
        };
        match since {
            Some(since) => self.recovery(format!(
                "coordinator {node} leads term {term}, {:.0} ms after the loss",
                now - since
            )),
            None => self.recovery(format!("coordinator {node} leads term {term}")),
        }
    }

    /// The leader was taken away.
    pub fn leader_lost(&self) {
        let now = self.now_ms();
        let mut pages = self.pages();
        end_reign(&mut pages, now);
        pages.leaderless.get_or_insert(now);
    }

    /// Writes the progress line anew.
    pub fn progress(&self, text: &str) {
        let mut pages = self.pages();
        if std::io::stderr().is_terminal() {
            clear(&mut pages);
            eprint!("{text}");
            pages.shown = text.chars().count();
        } else if pages.told_at.is_none_or(|at| at.elapsed() > Duration::from_secs(2)) {
            // Nobody watches a line that moves: now and then one that stays.
            pages.told_at = Some(Instant::now());
            println!("{text}");
        }
    }

    /// The end.
    pub fn end(&self) -> Told {
        let now = self.now_ms();
        let mut pages = self.pages();
        clear(&mut pages);
        end_reign(&mut pages, now);
        let Pages { runs, marks, reigns, recoveries, .. } = std::mem::take(&mut *pages);
        Told { runs, marks, reigns, recoveries }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_reign(pages: &mut Pages, now: f64) {
    if let Some((node, term, from_ms)) = pages.reign.take() {
        pages.reigns.push(Reign { node, term, from_ms, to_ms: now });
    }
}

fn clear(pages: &mut Pages) {
    let shown = std::mem::take(&mut pages.shown);
    if shown > 0 {
        eprint!("\r{}\r", " ".repeat(shown));
    }
}

/// The kind of a task: its name up to the first thing that looks like a number.
fn kind_of(name: &str) -> String {
    let parts = name
        .split('_')
        .take_while(|part| !part.starts_with("ID") && !part.starts_with(|c: char| c.is_ascii_digit()));
    let kind = parts.collect::<Vec<_>>().join("_");
    if kind.is_empty() { name.to_owned() } else { kind }
}
