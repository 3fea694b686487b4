//! Raft as a value: small clusters, stepped by hand.

mod cluster;
mod journal;
mod made;
mod smoke;
mod snapshots;
mod strangers;
