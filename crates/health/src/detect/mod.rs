//! Detectors as values: no clock, no subject, no messages. What they are told is when something was heard.
//!
//! A detector answers one question, "how long a silence means what", as [`Thresholds`]. The fixed one answers
//! with its configuration, [`Phi`] adapts it to the rhythm it saw. [`Track`] then judges one subject's silence.

mod phi;
mod thresholds;
mod track;

pub use phi::{Phi, PhiConfig};
pub use thresholds::{State, Thresholds, ThresholdsError};
pub use track::{Condition, Track};
