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
///
/// An object is **whole**, and then durable and immutable, or **unfinished**: written piece by piece by [`Blobs::append`]
/// until [`Blobs::seal`] makes it whole. A crash leaves of an unfinished one a beginning, which may be nothing, and never
/// other bytes than those written.
pub trait Blobs: Send {
    /// Writes the whole object and returns once it is on disk. Over an existing one of that name: replaced,
    /// atomically.
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError>;
    /// Puts a piece behind the first `at` bytes of an unfinished object; what it held from there on is gone. At 0 it
    /// begins. Need not be on disk before the object is sealed. A whole object is not written to. Where it fails, less
    /// than before may be there: [`Blobs::unfinished`] says.
    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError>;
    /// Bytes of an unfinished object that are there and as they were written; `None` where there is none.
    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError>;
    /// Makes an unfinished object whole, atomically, and returns once it is on disk. One that is whole stays so. Where it fails,
    /// nothing of it may be left, as of what a sync failed on nobody knows what is on disk: [`Blobs::unfinished`] says.
    fn seal(&mut self, id: BlobId) -> Result<(), BlobError>;
    /// Length of a whole object, or `None` where there is none.
    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError>;
    /// At most `max` bytes from `offset` of a whole object, checked against what was written; fewer only at the end.
    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError>;
    /// Removes an object, whole or unfinished; nothing happens where there is none.
    fn delete(&mut self, id: BlobId) -> Result<(), BlobError>;
    /// The whole objects of a scope, in the order of their numbers.
    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError>;
    /// The unfinished objects of a scope, in the order of their numbers.
    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError>;
}

/// A store of objects failed. Nothing was changed by the call, but for what [`Blobs::append`] and [`Blobs::seal`] say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobError {
    /// No such object.
    Missing(BlobId),
    /// What is there is not what was written.
    Corrupt(BlobId),
    /// A piece for an object that is whole.
    Sealed(BlobId),
    /// A piece that would leave a gap behind what is there.
    Gap(BlobId),
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
            BlobError::Sealed(id) => write!(f, "object {} of {} is whole already", id.number, id.scope),
            BlobError::Gap(id) => write!(f, "a piece behind a gap in object {} of {}", id.number, id.scope),
            BlobError::Io(what) => write!(f, "object store: {what}"),
        }
    }
}

impl std::error::Error for BlobError {}
