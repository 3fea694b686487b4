//! What bounds an engine.

use super::queue::WhenFull;
use serde::{Deserialize, Serialize};

/// What bounds an engine. Part of its state: every replica has the same, and a snapshot brings its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EngineConfig {
    /// Tasks, ended ones included. Default 4 Mi.
    pub tasks_max: u32,
    /// Agents. Default 1 Mi.
    pub agents_max: u32,
    /// Tasks in the queue. Default 1 Mi, at least 1.
    pub queue_max: u32,
    /// What happens when it is full.
    pub when_full: WhenFull,
    /// How long a task waits in a class before it goes up by one. Default 30 s (guess), at least 1 ms.
    pub aging_ms: u64,
    /// A task that was on so many agents when they were lost is stopped. Default 3, at least 1.
    pub kills_max: u8,
    /// Mean of the skills that a task needs, from which an agent is able, in thousandths. Default 700.
    pub match_per_mille: u16,
    /// Retries of all tasks together that can be owed: a storm of failures uses them up, successes earn them.
    /// Default 10,000 (guess).
    pub retry_budget: u32,
    /// Retries that a thousand successes earn. Default 200 (guess).
    pub retries_earned_per_mille: u32,
    /// How long an agent has to say that it stopped. Default 10 s (guess).
    pub cancel_ms: u64,
    /// Bytes of one result that are kept. Default 64 KiB. A result that is longer, or that comes when
    /// `results_bytes_max` are kept, stands by its digest alone, and is counted.
    pub result_bytes_max: u32,
    /// Bytes of all results that are kept. Default 64 MiB.
    pub results_bytes_max: u64,
    /// A planted bug. Here, so that it survives a snapshot.
    #[cfg(feature = "mutations")]
    pub mutation: Option<crate::Mutation>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            tasks_max: 4 << 20,
            agents_max: 1 << 20,
            queue_max: 1 << 20,
            when_full: WhenFull::Block,
            aging_ms: 30_000,
            kills_max: 3,
            match_per_mille: 700,
            retry_budget: 10_000,
            retries_earned_per_mille: 200,
            cancel_ms: 10_000,
            result_bytes_max: 64 << 10,
            results_bytes_max: 64 << 20,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }
}

/// A setting that cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{setting} is {found}: it must be {must}")]
pub struct ConfigError {
    /// Its name.
    pub setting: &'static str,
    /// What it is.
    pub found: u64,
    /// What it must be.
    pub must: &'static str,
}

impl EngineConfig {
    /// Whether every setting can be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |setting, found, must| Err(ConfigError { setting, found, must });
        if self.tasks_max > u32::MAX / 4 {
            return error("tasks_max", self.tasks_max.into(), "at most 2^30");
        }
        if self.queue_max == 0 {
            return error("queue_max", 0, "at least 1");
        }
        if self.aging_ms == 0 {
            return error("aging_ms", 0, "at least 1");
        }
        if self.kills_max == 0 {
            return error("kills_max", 0, "at least 1");
        }
        if self.match_per_mille > 1000 {
            return error("match_per_mille", self.match_per_mille.into(), "at most 1000");
        }
        Ok(())
    }
}
