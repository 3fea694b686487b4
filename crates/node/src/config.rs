//! What a node is told about how to run. What it runs is the [`quorate_core::Assembly`].

use quorate_core::{LinkLimits, TurnLimits};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How a node runs. [`NodeConfig::default`] is for a node with a disk, [`NodeConfig::memory`] for one without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Where the journal is written.
    pub journal: JournalMode,
    /// Where jobs run.
    pub jobs: Jobs,
    /// Bounds on what waits for the disk. Past them asks stay in the door, which answers Busy when it is full
    /// too, and data frames are dropped and counted.
    pub turn: TurnLimits,
    /// Bounds of the link.
    pub link: LinkLimits,
    /// Frames taken in one turn, round robin over peers. Larger spreads the cost of a turn over more frames,
    /// smaller makes wakes more punctual: a turn lasts about a microsecond a frame. Default 256 (guess).
    pub frames_a_turn: NonZeroUsize,
    /// Asks taken in one turn. Default 1,024 (guess).
    pub asks_a_turn: NonZeroUsize,
    /// Jobs that wait for a worker thread; from then on the lane is full, as above. Own jobs are at most one a
    /// scope, so it is pool jobs that are bounded. Default 1,024 (guess).
    pub jobs_waiting_max: NonZeroUsize,
    /// How long a stop waits for jobs that are running. A job cannot be cut off; past this its thread is left
    /// behind and ends by itself. Default 5 s (guess).
    pub stop_patience: Duration,
    /// How often gauges and counters are handed to the `metrics` recorder while anything changes. Default 1 s
    /// (the shortest interval at which exporters usually read).
    pub metrics_interval: Duration,
    /// The seed of everything that is random on this node. `None`, the default, is the operating system's own;
    /// a number makes tokens and timeouts guessable and is for benchmarks and tests.
    pub seed: Option<u64>,
}

/// Where the journal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// On a thread of its own: steps never wait for the disk, and one sync serves all that waited.
    Thread,
    /// On the lane, in the same turn: no hop. Where a sync takes no longer than a step, as in memory.
    Inline,
}

/// Where jobs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    /// On the lane, in the same turn. A job that takes long delays everything.
    Inline,
    /// On this many threads. A job that takes long delays jobs only.
    Threads(NonZeroUsize),
}

/// A configuration that cannot work. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A bound of zero would let nothing through at all.
    #[error("{0} is zero, so nothing could ever pass")]
    Zero(&'static str),
}

impl NodeConfig {
    /// For a journal in memory and jobs that are short: everything runs on the lane, no thread is spared for
    /// waiting.
    pub fn memory() -> NodeConfig {
        NodeConfig { journal: JournalMode::Inline, jobs: Jobs::Inline, ..NodeConfig::default() }
    }

    /// Checks the relations that types do not.
    ///
    /// # Errors
    /// The first bound that is zero.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bounds = [
            (self.turn.undurable_bytes_max, "turn.undurable_bytes_max"),
            (self.turn.held_max, "turn.held_max"),
        ];
        match bounds.iter().find(|(bound, _)| *bound == 0) {
            Some((_, name)) => Err(ConfigError::Zero(name)),
            None if self.metrics_interval.is_zero() => Err(ConfigError::Zero("metrics_interval")),
            None => Ok(()),
        }
    }
}

const fn at_least_one(n: usize) -> NonZeroUsize {
    match NonZeroUsize::new(n) {
        Some(n) => n,
        None => NonZeroUsize::MIN,
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            journal: JournalMode::Thread,
            jobs: Jobs::Threads(at_least_one(2)),
            turn: TurnLimits::default(),
            link: LinkLimits::default(),
            frames_a_turn: at_least_one(256),
            asks_a_turn: at_least_one(1024),
            jobs_waiting_max: at_least_one(1024),
            stop_patience: Duration::from_secs(5),
            metrics_interval: Duration::from_secs(1),
            seed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_zero_is_refused_by_name() {
        assert_eq!(NodeConfig::default().validate(), Ok(()));
        assert_eq!(NodeConfig::memory().validate(), Ok(()));
        let mut config = NodeConfig::default();
        config.turn.held_max = 0;
        assert_eq!(config.validate(), Err(ConfigError::Zero("turn.held_max")));
        let config = NodeConfig { metrics_interval: Duration::ZERO, ..NodeConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Zero("metrics_interval")));
    }
}
