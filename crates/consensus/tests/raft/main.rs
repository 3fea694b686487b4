//! Raft as a value: small clusters, stepped by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod joining;
mod journal;
mod made;
mod smoke;
mod snapshots;
mod strangers;
