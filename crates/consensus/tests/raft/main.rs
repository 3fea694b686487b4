//! Raft as a value: small clusters, stepped by hand.

mod cluster;
mod hosts;
mod joining;
mod journal;
mod made;
mod ports;
mod requests;
mod smoke;
mod snapshots;
mod strangers;
mod tally;
