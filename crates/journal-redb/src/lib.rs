//! quorate's journal on a disk.
//!
//! A directory holds one journal: a redb database with the records of all scopes, a witness beside it, and a
//! folder of objects. [`RedbJournal::open`] reads everything before it hands out anything, and refuses to start
//! on what is not what was written. The formats are in `FORMAT.md`.
//!
//! **What it adds to redb.** redb gives atomic commits and group commit: one sync of the file for all that waits,
//! of every scope. It does not, by itself, find all damage: a flipped bit can give wrong data, a panic, or an
//! older commit without a word. So each record carries a checksum over its place and the record before it, each
//! scope's row says how many there must be, and the witness says which sync was reported last.
//!
//! **A torn tail and rot are told apart.** What was never synced may be missing, as a whole, and is reported as
//! [`Opened::cut`]. What was synced must be there: anything else is [`OpenError::Damaged`], and the file is left
//! as it was found.
//!
//! What is deliberately absent: a way to switch syncs off, repair of damaged records (a node with a damaged journal
//! is wiped and joins anew, under another name), and protection from whoever writes to the disk on purpose:
//! checksums are not signatures.

mod backend;
mod batch;
mod blobs;
mod config;
mod error;
mod files;
mod format;
#[cfg(test)]
mod golden;
mod guard;
mod journal;
mod open;
mod verify;
mod view;
mod witness;

pub use blobs::FileBlobs;
pub use config::{Config, ConfigError};
pub use error::{Damage, OpenError};
pub use journal::{Opened, RedbJournal};
