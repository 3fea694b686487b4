//! What every [`Journal`] and every [`Blobs`] must do, as suites to be run against an implementation.
//!
//! ```
//! use quorate_journal::conformance::{self, Medium};
//! use quorate_journal::{JournalId, MemoryDisk};
//!
//! let mut disks = 0;
//! let mut disk = MemoryDisk::new(JournalId(0));
//! conformance::journal(|medium| {
//!     if medium == Medium::Fresh {
//!         disks += 1;
//!         disk = MemoryDisk::new(JournalId(disks));
//!     }
//!     disk.open()
//! })?;
//! # Ok::<(), conformance::Broken>(())
//! ```
//!
//! The suites end a life by dropping the journal. Whoever opens the same medium again may lose any suffix of
//! what was not synced on the way, and should: the suite then holds the journal to what it promises after a
//! power loss, and not merely after a restart. That each law can fail is shown by journals that break it, in
//! this crate's tests.

mod blobs;
mod crash;
mod life;
mod model;
mod order;
mod pieces;
mod scale;

pub use model::{Contents, Model};

use crate::{Blobs, Journal, JournalError};
use quorate_core::{BlobId, ScopeId};
use std::fmt;

/// What to open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Medium {
    /// An empty one. The one before is not needed any more.
    Fresh,
    /// The one of the call before; what was opened on it has been dropped.
    Same,
}

/// What an implementation is held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// The name of a journal never changes, and no two have the same.
    Identity,
    /// Every life counts, from 1, durably before it begins.
    Incarnation,
    /// Records come back as they were written: base first, then the rest, each scope in its order.
    Order,
    /// Marks keep their numbers in a life, whatever is compacted; the next life counts from 1.
    Marks,
    /// What was synced is there after every reopen.
    Durable,
    /// What survives is a prefix, over all scopes, of what was done.
    Prefix,
    /// A compaction happened entirely or not at all.
    Atomic,
    /// Records of every size, none included.
    Sizes,
    /// Thousands of scopes.
    Scopes,
    /// Compaction after compaction.
    Compactions,
    /// What the caller must not ask changes nothing; an error of the reader ends the load.
    Refusal,
    /// After a failed sync nothing is taken any more.
    FailedSync,
    /// Random use with random restarts agrees with the model.
    Random,
    /// Objects: what was put is what is read, in every part.
    Objects,
}

/// An implementation breaks a law.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.what)
    }
}

impl std::error::Error for Broken {}

/// A journal against every law but [`Law::FailedSync`] and [`Law::Objects`]. Stops at the first that is broken.
/// About 300 syncs.
pub fn journal<J: Journal>(mut open: impl FnMut(Medium) -> J) -> Result<(), Broken> {
    let open: Open<'_, J> = &mut open;
    law(Law::Identity, life::names_are_kept(open))?;
    law(Law::Incarnation, life::every_life_counts(open))?;
    law(Law::Durable, order::what_was_synced_is_there(open))?;
    law(Law::Order, order::scopes_keep_their_order(open))?;
    law(Law::Marks, order::marks_keep_their_numbers(open))?;
    law(Law::Sizes, scale::records_of_every_size(open))?;
    law(Law::Prefix, crash::what_survives_is_a_prefix(open))?;
    law(Law::Atomic, crash::compaction_is_atomic(open))?;
    law(Law::Refusal, life::misuse_changes_nothing(open))?;
    law(Law::Scopes, scale::thousands_of_scopes(open))?;
    law(Law::Compactions, scale::many_compactions(open))?;
    (1..=8).try_for_each(|seed| law(Law::Random, crash::random_use(open, seed)))
}

/// A journal whose next sync fails, once `fail` was called, against [`Law::FailedSync`].
pub fn failed_sync<J: Journal>(journal: J, fail: impl FnOnce()) -> Result<(), Broken> {
    law(Law::FailedSync, life::a_failed_sync_poisons(journal, fail))
}

/// A store of objects against [`Law::Objects`]. About 40 objects, the largest of 3 MiB.
pub fn blobs<B: Blobs>(mut open: impl FnMut(Medium) -> B) -> Result<(), Broken> {
    law(Law::Objects, blobs::objects(&mut open))
}

type Open<'a, J> = &'a mut dyn FnMut(Medium) -> J;
/// What was seen, where it is not what must be.
type Seen = Result<(), String>;

fn law(law: Law, seen: Seen) -> Result<(), Broken> {
    seen.map_err(|what| Broken { law, what })
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Seen {
    if holds { Ok(()) } else { Err(what()) }
}

fn no(what: &'static str) -> impl FnOnce(JournalError) -> String {
    move |error| format!("{what} failed: {error}")
}

/// The scope number `n` of a script.
fn scope(n: u64) -> ScopeId {
    // Spread over the whole range, so that order by id is not order of use.
    ScopeId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn object(scope_number: u64, number: u64) -> BlobId {
    BlobId { scope: scope(scope_number), number }
}
