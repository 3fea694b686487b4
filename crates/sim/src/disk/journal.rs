//! The simulated disk as a [`Journal`], so that the conformance suite of journals judges it as it judges the
//! real ones. Worlds use the disk itself, where a sync takes time.

use super::{Disk, Shelf};
use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, HostRecord, JournalId, Mark, Rng, ScopeId};
use quorate_journal::{BlobError, BlobId, Journal, JournalError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal in memory whose power can be cut. Clones share one disk.
#[derive(Clone, Debug)]
pub struct SimJournal(Arc<Mutex<Disk>>);

impl SimJournal {
    /// An empty one; the seed draws its name.
    pub fn new(seed: u64) -> SimJournal {
        SimJournal(Arc::new(Mutex::new(Disk::new(&mut Rng::from_seed(seed)))))
    }

    /// Cuts the power. Of what was not synced the first `kept` writes are there afterwards; how many were lost.
    pub fn lose_power(&self, kept: usize) -> usize {
        self.disk().lose(kept)
    }

    /// What is there decays; the next load refuses.
    pub fn rot(&self) {
        self.disk().rot();
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing under the lock leaves half a change behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf<T>(&self, f: impl FnOnce(&mut Shelf) -> T) -> T {
        f(self.disk().shelf())
    }
}

impl Journal for SimJournal {
    fn id(&self) -> JournalId {
        self.disk().journal()
    }

    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        let mut disk = self.disk();
        // Whoever opens a journal again without a power cut in between finds what was written.
        let written = disk.unsynced();
        disk.lose(written);
        Ok(disk.begin_life())
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        let disk = self.disk();
        if disk.is_rotten() {
            return Err(Corrupt::new("a record is not what was written").into());
        }
        for record in disk.records() {
            each(record.scope, record.bytes)?;
        }
        Ok(())
    }

    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        let mut disk = self.disk();
        if disk.has_refused() {
            return Err(JournalError::Poisoned);
        }
        disk.append(HostRecord { scope, bytes: record });
        if disk.has_refused() { Err(JournalError::Io("no space left".into())) } else { Ok(()) }
    }

    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        let mut disk = self.disk();
        if disk.has_refused() {
            return Err(JournalError::Poisoned);
        }
        disk.compact(scope, upto, base);
        if disk.has_refused() { Err(JournalError::Io("no space left".into())) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let mut disk = self.disk();
        if disk.has_refused() {
            return Err(JournalError::Poisoned);
        }
        disk.begin_sync();
        disk.end_sync();
        Ok(())
    }

    fn blobs(&self) -> Box<dyn Blobs> {
        Box::new(self.clone())
    }
}

impl Blobs for SimJournal {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.shelf(|shelf| shelf.put(id, bytes))
    }
    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.shelf(|shelf| shelf.len(id))
    }
    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        self.shelf(|shelf| shelf.read(id, offset, max))
    }
    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.shelf(|shelf| shelf.delete(id))
    }
    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.shelf(|shelf| shelf.list(scope))
    }
}
