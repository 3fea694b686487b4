//! Why a node does not start, and why it ended.

use crate::ConfigError;
use quorate_core::Corrupt;
use serde::{Deserialize, Serialize};

/// A node did not start. Nothing was sent; on the journal a life was counted at most.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot work. The journal was not touched.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The journal holds what was never written, or what a scope of this node never wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The journal could not be read, or its life not be counted.
    #[error("{0}")]
    Journal(String),
    /// The operating system gave no random numbers. The journal was not touched.
    #[error("no random numbers: {0}")]
    Chance(String),
    /// The operating system gave no thread.
    #[error("no thread for the {role}: {error}")]
    Thread {
        /// What it was for.
        role: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Why a node ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// It was asked to.
    #[error("stopped")]
    Asked,
    /// It was killed, or its handle was dropped.
    #[error("killed")]
    Killed,
    /// An append or a sync failed. Nothing left the node since.
    #[error("the journal failed: {0}")]
    Journal(String),
    /// A step panicked: a bug, in this library or in a port.
    #[error("panicked: {0}")]
    Panicked(String),
}
