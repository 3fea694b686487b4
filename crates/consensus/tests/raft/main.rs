//! Raft as a value: small clusters, stepped by hand.

mod cluster;
mod smoke;
