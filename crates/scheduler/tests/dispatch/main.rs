//! The leader's decisions, over a log that two replicas share: placement, silence, changes of leader, levels.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod leaders;
mod levels;
mod placing;
mod recovery;
mod rig;
