//! Raft as a value: small clusters, stepped by hand.

mod cluster;
mod joining;
mod journal;
mod made;
mod smoke;
mod snapshots;
mod strangers;
