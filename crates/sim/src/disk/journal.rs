//! The simulated disk as a [`Journal`], so that the conformance suite of journals judges it as it judges the
//! real ones. Worlds use the disk itself, where a sync takes time.

use super::{Disk, Shelf};
use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, HostRecord, JournalId, Mark, Rng, ScopeId};
use quorate_journal::{BlobError, BlobId, Journal, JournalError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal in memory whose power can be cut.
#[derive(Debug)]
pub struct SimJournal {
    disk: Arc<Mutex<Disk>>,
    /// A sync failed, or a write: nothing is taken any more.
    poisoned: bool,
}

impl SimJournal {
    /// An empty one; the seed draws its name.
    pub fn new(seed: u64) -> SimJournal {
        let disk = Disk::new(&mut Rng::from_seed(seed));
        SimJournal { disk: Arc::new(Mutex::new(disk)), poisoned: false }
    }

    /// Opens the same disk anew.
    pub fn open(&self) -> SimJournal {
        SimJournal { disk: self.disk.clone(), poisoned: false }
    }

    /// Cuts the power. Of what was not synced the first `kept` writes are there afterwards; how many were lost.
    pub fn lose_power(&self, kept: usize) -> usize {
        let mut disk = self.disk();
        disk.shelf().tear();
        disk.lose(kept)
    }

    /// What is there decays; the next load refuses.
    pub fn rot(&self) {
        self.disk().rot();
    }

    /// The disk takes no more, or does again.
    pub fn fill(&self, full: bool) {
        self.disk().fill(full);
    }

    /// The next sync fails, and from then on its journal takes nothing.
    pub fn fail_sync(&self) {
        self.disk().fail_sync();
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing under the lock leaves half a change behind.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn healthy<T>(&self, f: impl FnOnce(&mut Disk) -> Result<T, JournalError>) -> Result<T, JournalError> {
        if self.poisoned { Err(JournalError::Poisoned) } else { f(&mut self.disk()) }
    }

    fn write(&mut self, f: impl FnOnce(&mut Disk)) -> Result<(), JournalError> {
        let refused = self.healthy(|disk| {
            f(disk);
            Ok(disk.has_refused())
        })?;
        self.poisoned = refused;
        if refused { Err(JournalError::Io("no space left".into())) } else { Ok(()) }
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
        self.healthy(|disk| {
            // Whoever opens a journal again without a power cut in between finds what was written.
            let written = disk.unsynced();
            disk.lose(written);
            Ok(disk.begin_life())
        })
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        self.healthy(|disk| {
            if disk.is_rotten() {
                return Err(Corrupt::new("a record is not what was written").into());
            }
            disk.records().try_for_each(|record| Ok(each(record.scope, record.bytes)?))
        })
    }

    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        self.write(|disk| {
            disk.append(HostRecord { scope, bytes: record });
        })
    }

    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        self.write(|disk| disk.compact(scope, upto, base))
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let synced = self.healthy(|disk| {
            disk.begin_sync();
            Ok(disk.ends_sync())
        })?;
        self.poisoned = !synced;
        if synced { Ok(()) } else { Err(JournalError::Io("the sync failed".into())) }
    }

    fn blobs(&self) -> Box<dyn Blobs> {
        Box::new(self.open())
    }
}

impl Blobs for SimJournal {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.shelf(|shelf| shelf.put(id, bytes))
    }
    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        self.shelf(|shelf| shelf.append(id, at, piece))
    }
    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.shelf(|shelf| shelf.unfinished(id))
    }
    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.shelf(|shelf| shelf.seal(id))
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
    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.shelf(|shelf| shelf.list_unfinished(scope))
    }
}
