//! What must survive a crash: small records in order ([`Journal`]), and large immutable objects beside them
//! ([`Blobs`]).

mod journal;

pub use journal::{Journal, JournalError};
pub use quorate_core::{BlobError, BlobId, Blobs, Boot, Corrupt, JournalId, Mark, ScopeId};
