//! Why a journal does not open, and what is found in a damaged one.

use crate::ConfigError;
use quorate_core::ScopeId;
use std::path::PathBuf;

/// A journal that does not open. The database is left as it was found.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Another journal, of this process or of another, has it open.
    #[error("{file}: another process or journal has it open")]
    InUse {
        /// What is locked.
        file: PathBuf,
    },
    /// The medium said no.
    #[error("{file}: {what}")]
    Io {
        /// Where.
        file: PathBuf,
        /// What it said.
        what: String,
    },
    /// Written by another version of this crate.
    #[error("{file}: format {found}, and this version reads {known} only")]
    Version {
        /// Which file.
        file: PathBuf,
        /// What it says.
        found: u32,
        /// What this version reads.
        known: u32,
    },
    /// What is on disk is not what was synced. A node must not start on it: it may have promised what is lost.
    #[error("{file}: {found}; the journal is damaged and the node must not start on it")]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was found.
        found: Damage,
    },
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// redb refuses the file, or its own check fails.
    #[error("redb finds its structure damaged: {0}")]
    Structure(String),
    /// redb panicked on it.
    #[error("redb panicked on it: {0}")]
    Panicked(String),
    /// The file has no journal in it, yet the witness tells of one.
    #[error("it holds no journal, but {syncs} syncs were reported")]
    Gone {
        /// How many.
        syncs: u64,
    },
    /// An older state than was reported as synced.
    #[error("it is at sync {found}, but sync {reported} was reported: synced records are lost")]
    RolledBack {
        /// The last sync that was reported.
        reported: u64,
        /// The last sync in the file.
        found: u64,
    },
    /// The witness is that of another journal: the files of two were mixed.
    #[error("the witness beside it belongs to another journal")]
    Mixed,
    /// The row about the whole journal is not what was written.
    #[error("the journal's own row is damaged")]
    Journal,
    /// The row about a scope is not what was written.
    #[error("the row of scope {0} is damaged")]
    Scope(ScopeId),
    /// The rows about scopes are not those that were written.
    #[error("the rows of scopes are not those that were written: {0}")]
    Scopes(&'static str),
    /// A record is not what was written in its place.
    #[error("record {record} of scope {scope} is damaged")]
    Record {
        /// Its scope.
        scope: ScopeId,
        /// Its number in the file.
        record: u64,
    },
    /// A record of a base is not what was written in its place.
    #[error("record {record} of the base of scope {scope} is damaged")]
    Base {
        /// Its scope.
        scope: ScopeId,
        /// Its number in the base.
        record: u64,
    },
    /// Records are missing.
    #[error("scope {scope} lacks records: {expected} should follow, {found:?} does")]
    Hole {
        /// The scope.
        scope: ScopeId,
        /// The number that should have followed.
        expected: u64,
        /// The number that does, if any.
        found: Option<u64>,
    },
    /// There are records that were not written, or were removed.
    #[error("scope {scope} has a record {record} that should not be there")]
    Stray {
        /// The scope.
        scope: ScopeId,
        /// The number.
        record: u64,
    },
}
