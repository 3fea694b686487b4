//! What happened in a run, as data: for the page and for the table.

use serde::Serialize;

/// A run of the swarm. Times are milliseconds since its beginning.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timeline {
    /// What ran.
    pub title: String,
    /// How long it took.
    pub end_ms: f64,
    /// Rows of the summary.
    pub summary: Vec<(String, String)>,
    /// Coordinators.
    pub coordinators: Vec<u64>,
    /// Agents, in the order of their lanes.
    pub agents: Vec<AgentLane>,
    /// Attempts of tasks.
    pub runs: Vec<Run>,
    /// Who led when.
    pub reigns: Vec<Reign>,
    /// What went wrong, and what came right again.
    pub marks: Vec<Mark>,
}

/// A lane of the chart.
#[derive(Clone, Debug, Serialize)]
pub struct AgentLane {
    /// The agent.
    pub agent: u64,
    /// Where it lives.
    pub node: u64,
}

/// One attempt of one task by one agent.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The agent.
    pub agent: u64,
    /// The task.
    pub task: String,
    /// Its slot in the books.
    #[serde(skip)]
    pub slot: u32,
    /// What kind of task, for the colour.
    pub kind: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Begin.
    pub from_ms: f64,
    /// End.
    pub to_ms: f64,
    /// What became of it.
    pub outcome: RunOutcome,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// Its result was reported, and counts.
    Done,
    /// Its agent died, or its lease was taken away.
    Lost,
    /// It came too late: somebody else's result counts.
    Stale,
}

/// A leadership.
#[derive(Clone, Debug, Serialize)]
pub struct Reign {
    /// The coordinator.
    pub node: u64,
    /// The term.
    pub term: u64,
    /// Begin.
    pub from_ms: f64,
    /// End.
    pub to_ms: f64,
}

/// A fault or a recovery.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// Which of the two.
    pub kind: MarkKind,
    /// In words.
    pub what: String,
    /// When it began.
    pub from_ms: f64,
    /// When it ended; the same for what has no length.
    pub to_ms: f64,
}

/// Which kind of mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Something was broken.
    Fault,
    /// Something works again.
    Recovery,
}
