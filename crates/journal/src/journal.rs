//! The trait itself. What it leaves out: when to sync and what waits for it, which are the driver's rules.

use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, JournalId, Mark, ScopeId};

/// A node's records, of all its scopes, in order. Used by one thread.
///
/// What it promises: after [`Journal::sync`] returned `Ok`, everything appended and compacted before it is
/// there at every later open, whatever crashes; and what is there is a prefix of what was appended, never a
/// record with a hole before it, and never a record other than it was written.
pub trait Journal: Send {
    /// The journal's own name, drawn at random when it was created.
    fn id(&self) -> JournalId;

    /// Begins a life: counts it, durably, before it returns. Called once, before anything else.
    fn begin_life(&mut self) -> Result<Boot, JournalError>;

    /// Hands out every record: for each scope its base first, then what was appended behind it, in order.
    /// The n-th record of a scope has [`Mark`] n; appends go on from there. An error of `each` ends the load
    /// and is returned.
    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError>;

    /// Adds a record behind all others of its scope. On disk only after the next [`Journal::sync`].
    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError>;

    /// Replaces every record of the scope up to and with `upto` by `base`, atomically, as of the next
    /// [`Journal::sync`]. Later marks keep their numbers, in this life. To compact up to the same mark again
    /// replaces the base.
    ///
    /// A mark that was never appended, or one below the scope's last compaction in this life, is the caller's
    /// bug: the implementation asserts, or refuses with an error. Either way nothing of it reaches the disk.
    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError>;

    /// Returns once everything asked so far is on disk: one sync for all that waited. After an error nothing
    /// is known of what was not synced before, and the journal refuses everything from then on.
    fn sync(&mut self) -> Result<(), JournalError>;

    /// A way to its objects, for the threads that run jobs.
    fn blobs(&self) -> Box<dyn Blobs>;
}

impl<J: Journal + ?Sized> Journal for Box<J> {
    fn id(&self) -> JournalId {
        (**self).id()
    }
    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        (**self).begin_life()
    }
    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        (**self).load(each)
    }
    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        (**self).append(scope, record)
    }
    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        (**self).compact(scope, upto, base)
    }
    fn sync(&mut self) -> Result<(), JournalError> {
        (**self).sync()
    }
    fn blobs(&self) -> Box<dyn Blobs> {
        (**self).blobs()
    }
}

/// A journal that fails.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// What is on disk is not what was written. The node must not start on it.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The medium said no. What was not synced is lost or not, nobody knows.
    #[error("journal: {0}")]
    Io(String),
    /// An earlier append or sync failed.
    #[error("the journal failed before and takes nothing any more")]
    Poisoned,
}
