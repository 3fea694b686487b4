//! A journal in memory. What it outlives is the journal value, not the process: the disk is kept and opened
//! again, and what was not synced can be lost on the way, as a crash loses it.
//!
//! It draws no chance of its own: its name is given, and how much a crash spares is the caller's choice.

mod blobs;
mod journal;

pub use blobs::MemoryBlobs;
use blobs::Object;
pub use journal::MemoryJournal;

use bytes::Bytes;
use quorate_core::{BlobId, JournalId, Mark, ScopeId};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The medium below [`MemoryJournal`]. Every clone is the same disk; [`MemoryDisk::copy`] makes another.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Platter>>);

#[derive(Clone)]
struct Platter {
    id: JournalId,
    incarnation: u64,
    scopes: BTreeMap<ScopeId, Scope>,
    blobs: BTreeMap<BlobId, Object>,
    unfinished: BTreeMap<BlobId, Object>,
    /// What the last journal wrote and never synced, in order; in its hands while it lives.
    unsynced: Vec<Op>,
    /// Counts the journals opened here. Only the last one may write.
    owner: u64,
    fail_next_sync: bool,
}

/// One scope. Renumbered at every open, so that its n-th record has mark n.
#[derive(Clone, Default)]
struct Scope {
    base: Vec<Bytes>,
    /// The mark up to which `base` stands.
    floor: u64,
    log: VecDeque<Bytes>,
}

#[derive(Clone)]
enum Op {
    Append(ScopeId, Bytes),
    Compact(ScopeId, Mark, Vec<Bytes>),
}

impl MemoryDisk {
    /// An empty disk. `id` is the journal's name for all its life: on a real node it is drawn at random.
    pub fn new(id: JournalId) -> MemoryDisk {
        MemoryDisk(Arc::new(Mutex::new(Platter {
            id,
            incarnation: 0,
            scopes: BTreeMap::new(),
            blobs: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            unsynced: Vec::new(),
            owner: 0,
            fail_next_sync: false,
        })))
    }

    /// Opens the journal. One that is still open is fenced: it is [`crate::JournalError::Poisoned`] from now
    /// on. What was not synced is lost, unless [`MemoryDisk::crash`] was called before and spared it.
    pub fn open(&self) -> MemoryJournal {
        self.crash(0);
        let mut platter = self.platter();
        for scope in platter.scopes.values_mut() {
            scope.renumber();
        }
        MemoryJournal::new(self.clone(), &platter)
    }

    /// The power fails: of what the last journal wrote and never synced, the first `keep` operations reach the
    /// disk and the rest are gone. Drop the journal first; one that still lives is fenced and loses them all.
    pub fn crash(&self, keep: usize) {
        let mut platter = self.platter();
        platter.owner += 1;
        let unsynced = std::mem::take(&mut platter.unsynced);
        for op in unsynced.into_iter().take(keep) {
            platter.apply(op);
        }
    }

    /// Operations that the last journal, now dropped, wrote and never synced.
    pub fn unsynced(&self) -> usize {
        self.platter().unsynced.len()
    }

    /// A disk of its own with the same content and the same name: what a restored backup is.
    pub fn copy(&self) -> MemoryDisk {
        MemoryDisk(Arc::new(Mutex::new(self.platter().clone())))
    }

    /// Lets the next sync fail, once. Nothing of what it covers is written.
    pub fn fail_next_sync(&self) {
        self.platter().fail_next_sync = true;
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        // Nothing that can panic runs between two changes that belong together, so a poisoned lock guards
        // whole data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platter {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Append(scope, record) => self.scopes.entry(scope).or_default().log.push_back(record),
            Op::Compact(scope, upto, base) => self.scopes.entry(scope).or_default().compact(upto, base),
        }
    }
}

impl Scope {
    fn compact(&mut self, upto: Mark, base: Vec<Bytes>) {
        let replaced = (upto.0 - self.floor) as usize;
        self.log.drain(..replaced);
        self.floor = upto.0;
        self.base = base;
    }

    /// A new life counts its marks from 1, base first.
    fn renumber(&mut self) {
        let later = std::mem::take(&mut self.log);
        self.log = std::mem::take(&mut self.base).into();
        self.log.extend(later);
        self.floor = 0;
    }

    fn len(&self) -> u64 {
        self.floor + self.log.len() as u64
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platter = self.platter();
        write!(f, "MemoryDisk({}, {} scopes)", platter.id, platter.scopes.len())
    }
}
