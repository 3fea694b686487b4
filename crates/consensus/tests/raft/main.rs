//! Raft as a value: small clusters, stepped by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

mod chaos;
mod cluster;
mod clusters;
mod elections;
mod founding;
mod gathering;
mod golden;
#[path = "../shared/golden_file.rs"]
mod golden_file;
mod hostile;
mod hosts;
mod joining;
mod journal;
mod leaderless;
mod leases;
mod made;
mod objects;
mod objects_kept;
mod page;
mod paper;
mod partial;
mod planted;
mod ports;
mod preference;
mod reads;
mod recovery;
mod replication;
mod requests;
mod rollback;
mod samples;
mod smoke;
mod snapshots;
mod strangers;
mod tally;
mod through_leader;
#[cfg(feature = "trace")]
mod trace;
mod transcripts;
mod transfer;
mod voters;
mod witness;
