//! Large immutable objects beside the journal: snapshots, above all. Read and written by jobs only.

use crate::ScopeId;
use std::fmt;

/// Names one object of one scope. A number is never used twice for different bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct BlobId {
    /// Whose it is.
    pub scope: ScopeId,
    /// Which.
    pub number: u64,
}

/// Where large objects are kept. The conformance suite of the journal crate says what is expected.
pub trait Blobs: Send {
    /// Writes the whole object and returns once it is on disk. Over an existing one of that name: replaced,
    /// atomically.
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError>;
    /// Length of an object, or `None` where there is none.
    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError>;
    /// At most `max` bytes from `offset`, checked against what was written; fewer only at the end.
    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError>;
    /// Removes an object; nothing happens where there is none.
    fn delete(&mut self, id: BlobId) -> Result<(), BlobError>;
    /// The objects of a scope, in the order of their numbers.
    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError>;
}

/// A store of objects failed. Nothing was changed by the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// No such object.
    Missing(BlobId),
    /// What is there is not what was written.
    Corrupt(BlobId),
    /// The medium said no; the text says what it said.
    Io(String),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::Missing(id) => write!(f, "no object {} of {}", id.number, id.scope),
            BlobError::Corrupt(id) => {
                write!(f, "object {} of {} is not what was written", id.number, id.scope)
            }
            BlobError::Io(what) => write!(f, "object store: {what}"),
        }
    }
}

impl std::error::Error for BlobError {}
