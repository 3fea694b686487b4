//! What a run found.

use quorate_core::NodeId;
use std::fmt;
use std::time::Duration;

/// Something that must not be, with the way to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The run's integer.
    pub seed: u64,
    /// Simulated time at which it was seen.
    pub at: Duration,
    /// The node that was touched last.
    pub node: Option<NodeId>,
    /// What was violated: the name of an invariant, or of a workload's check.
    pub what: String,
    /// What was seen instead.
    pub why: String,
    /// One line that runs it again, if the caller gave one.
    pub replay: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, at {:?}", self.seed, self.at)?;
        if let Some(node) = self.node {
            write!(f, ", {node}")?;
        }
        write!(f, ": {}: {}", self.what, self.why)?;
        if let Some(replay) = &self.replay {
            write!(f, "\n  replay: {replay}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
