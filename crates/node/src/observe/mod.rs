//! What can be seen of a running node: its status, the news of its scopes, its metrics.

mod events;
mod latency;
mod meters;
mod status;

pub(crate) use events::Hub;
pub use events::{Event, Events, NoEvent};
pub(crate) use latency::Latency;
pub use latency::LatencySummary;
pub(crate) use meters::Meters;
pub use status::{FrameCounts, JobCounts, JournalCounts, NodeStatus, Session};
