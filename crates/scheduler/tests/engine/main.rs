//! The engine by itself: leases, failures, joins, changes while it runs, time, the queue, the books.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod changes;
mod failures;
mod leases;
mod load;
mod queue;
mod rig;
mod time;
mod twin;
