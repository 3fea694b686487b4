use super::{MemoryBlobs, MemoryDisk, Op, Platter};
use crate::{Journal, JournalError};
use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, JournalId, Mark, ScopeId};
use std::collections::BTreeMap;
use std::fmt;

/// A journal on a [`MemoryDisk`]. The disk's lock is taken at a sync, not at an append.
pub struct MemoryJournal {
    disk: MemoryDisk,
    id: JournalId,
    owner: u64,
    marks: BTreeMap<ScopeId, Marks>,
    unsynced: Vec<Op>,
    poisoned: bool,
}

/// What is asked of a scope's marks, synced or not.
#[derive(Clone, Copy, Default)]
struct Marks {
    appended: u64,
    compacted: u64,
}

impl MemoryJournal {
    pub(super) fn new(disk: MemoryDisk, platter: &Platter) -> MemoryJournal {
        let marks =
            platter.scopes.iter().map(|(id, scope)| (*id, Marks { appended: scope.len(), compacted: 0 }));
        MemoryJournal {
            disk,
            id: platter.id,
            owner: platter.owner,
            marks: marks.collect(),
            unsynced: Vec::new(),
            poisoned: false,
        }
    }

    fn check(&self) -> Result<(), JournalError> {
        if self.poisoned { Err(JournalError::Poisoned) } else { Ok(()) }
    }

    /// The disk, if it is still this journal's.
    fn with_platter<T>(&mut self, f: impl FnOnce(&mut Platter) -> T) -> Result<T, JournalError> {
        self.check()?;
        let mut platter = self.disk.platter();
        if platter.owner != self.owner {
            drop(platter);
            self.poisoned = true;
            return Err(JournalError::Poisoned);
        }
        Ok(f(&mut platter))
    }
}

impl Journal for MemoryJournal {
    fn id(&self) -> JournalId {
        self.id
    }

    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        self.with_platter(|platter| {
            platter.incarnation += 1;
            Boot { incarnation: platter.incarnation, journal: platter.id }
        })
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        // Copied, so that what `each` does cannot meet the lock: records are shared, not their bytes.
        let scopes = self.with_platter(|platter| platter.scopes.clone())?;
        for (id, scope) in scopes {
            for record in scope.base.into_iter().chain(scope.log) {
                each(id, record)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        self.check()?;
        self.marks.entry(scope).or_default().appended += 1;
        self.unsynced.push(Op::Append(scope, record));
        Ok(())
    }

    /// # Panics
    /// If `upto` was never appended, or lies below the last compaction of this life.
    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        self.check()?;
        let mut marks = self.marks.get(&scope).copied().unwrap_or_default();
        assert!(upto.0 <= marks.appended, "compaction of {scope} beyond what was appended");
        assert!(upto.0 >= marks.compacted, "compaction of {scope} below its last one");
        marks.compacted = upto.0;
        self.marks.insert(scope, marks);
        self.unsynced.push(Op::Compact(scope, upto, base));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let mut unsynced = std::mem::take(&mut self.unsynced);
        let failed = self.with_platter(|platter| {
            if std::mem::take(&mut platter.fail_next_sync) {
                return true;
            }
            unsynced.drain(..).for_each(|op| platter.apply(op));
            false
        })?;
        // The vector goes back for its memory.
        self.unsynced = unsynced;
        if failed {
            self.poisoned = true;
            return Err(JournalError::Io("the sync failed, as it was told to".into()));
        }
        Ok(())
    }

    fn blobs(&self) -> Box<dyn Blobs> {
        Box::new(MemoryBlobs::new(self.disk.clone()))
    }
}

impl Drop for MemoryJournal {
    /// What was not synced stays with the disk until it is told how much of it a crash spared.
    fn drop(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let mut platter = self.disk.platter();
        if platter.owner == self.owner {
            platter.unsynced = unsynced;
        }
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryJournal({}, {} unsynced)", self.id, self.unsynced.len())
    }
}
