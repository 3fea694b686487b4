//! What a watch is told when it is made.

use crate::detect::{PhiConfig, Thresholds, ThresholdsError};
use quorate_core::NodeId;
use std::time::Duration;

/// Which detector judges nodes. Agents are always judged by the fixed one: their worker knows their silence
/// exactly, so there is no network's rhythm to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detection {
    /// By [`WatchConfig::nodes`] alone.
    #[default]
    Fixed,
    /// Suspicion and failure adapt to each node's rhythm, within the fixed thresholds.
    Phi(PhiConfig),
}

/// Settings of a watch. Every node of the scope should have the same thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// This node.
    pub me: NodeId,
    /// Whom this node tells that it and its agents live: the coordinators. May name itself.
    pub watchers: Vec<NodeId>,
    /// What a node's silence means. Default [`Thresholds::standard`]. A node that hosts agents beats as often as
    /// they do.
    pub nodes: Thresholds,
    /// What an agent's silence means. Default [`Thresholds::lan`]: agents beat inside a process.
    pub agents: Thresholds,
    /// Which detector judges nodes.
    pub detection: Detection,
    /// How late this node's own wake must be to count as a pause of this process, after which nobody is judged by
    /// the silence before. Rule of thumb: an interval of the agents. Default 200 ms (guess).
    pub pause_after: Duration,
    /// Nodes watched here; more are refused and counted. Default 16,384 (guess).
    pub nodes_max: usize,
    /// Agents watched here, over all nodes; more are refused and counted. Default 2^20.
    pub agents_max: usize,
    /// Agents that live here; more are refused and counted. Default 2^20.
    pub hosted_max: usize,
}

/// Settings that contradict one another. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchConfigError {
    /// Of the nodes.
    #[error("nodes: {0}")]
    Nodes(ThresholdsError),
    /// Of the agents.
    #[error("agents: {0}")]
    Agents(ThresholdsError),
    /// A phi outside 1 to 16, or a failure below the suspicion.
    #[error("phi is not within 1 to 16, or failure comes before suspicion")]
    Phi,
    /// Every wake would be a pause.
    #[error("pause_after is zero")]
    NoPause,
}

impl WatchConfig {
    /// The defaults, for this node and these watchers.
    pub fn new(me: NodeId, watchers: impl IntoIterator<Item = NodeId>) -> WatchConfig {
        WatchConfig {
            me,
            watchers: watchers.into_iter().collect(),
            nodes: Thresholds::standard(),
            agents: Thresholds::lan(),
            detection: Detection::Fixed,
            pause_after: Duration::from_millis(200),
            nodes_max: 16_384,
            agents_max: 1 << 20,
            hosted_max: 1 << 20,
        }
    }

    /// Checks what the fields state.
    pub fn validate(&self) -> Result<(), WatchConfigError> {
        self.nodes.validate().map_err(WatchConfigError::Nodes)?;
        self.agents.validate().map_err(WatchConfigError::Agents)?;
        if matches!(self.detection, Detection::Phi(phi) if !phi.is_valid()) {
            return Err(WatchConfigError::Phi);
        }
        if self.pause_after.is_zero() {
            return Err(WatchConfigError::NoPause);
        }
        Ok(())
    }
}
