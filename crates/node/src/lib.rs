//! The driver: it reads the clock, owns the threads, and moves bytes between a host, a transport and a journal.
//!
//! * [`start`] runs a node on threads of its own; [`Running`] is its handle.
//! * [`Lane`] is a node as a value that is called in turns: by [`start`]'s thread, by one thread for several nodes
//!   ([`run_together`]), or by an event loop of somebody else's ([`prepare`]).
//! * [`NodeStatus`], [`Events`] and the metrics ([`metric_names`]) say how it is.
//!
//! The rules that it follows are not here: which effect waits for which mark, when to sync and what is full is
//! [`quorate_core::Turn`], which frame is whose is [`quorate_core::Link`]. The simulator runs the same ones.
//!
//! What is deliberately absent: an async runtime, any protocol, any file or socket, and any order in which
//! things come in that a protocol could rely on.
//!
//! # Threads
//! | thread | there is one | does |
//! |---|---|---|
//! | lane | a node, or for several nodes that run together | turns: every step of every scope |
//! | journal | a node with [`JournalMode::Thread`] | appends, compacts, syncs |
//! | job | so many as [`Jobs::Threads`] says | [`quorate_core::Job`]s |
//!
//! No lock is held while a protocol steps, and no thread waits for another but in [`Running`]'s methods.

mod bell;
mod clock;
mod config;
mod crew;
mod drive;
mod error;
mod lane;
mod observe;
mod running;
mod scribe;
mod shared;

pub use config::{ConfigError, Jobs, JournalMode, NodeConfig};
pub use drive::{drive, run_together, start};
pub use error::{StartError, Stopped};
pub use lane::{Lane, Next, prepare};
pub use observe::{
    Event, Events, FrameCounts, JobCounts, JournalCounts, LatencySummary, NoEvent, NodeStatus, Session,
};
pub use running::{InspectError, Running};

#[doc = include_str!("observe/metrics.md")]
pub mod metric_names {}

use std::any::Any;

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
