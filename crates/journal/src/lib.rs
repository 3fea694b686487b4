//! What must survive a crash: small records in order ([`Journal`]), and large immutable objects beside them
//! ([`Blobs`]).
//!
//! * [`MemoryDisk`], [`MemoryJournal`], [`MemoryBlobs`]: both in memory, for tests, simulations and presets that
//!   need no disk.
//! * [`conformance`]: what every implementation must pass, a user's own included.
//!
//! What is deliberately absent: files, threads, clocks and chance. A journal on a disk is an adapter crate.

pub mod conformance;
mod journal;
mod memory;

pub use journal::{Journal, JournalError};
pub use memory::{MemoryBlobs, MemoryDisk, MemoryJournal};
pub use quorate_core::{BlobError, BlobId, Blobs, Boot, Corrupt, JournalId, Mark, ScopeId};
