//! A machine in memory with files that keep unsynced writes apart, and lose them when its power fails.

#![allow(dead_code, clippy::unwrap_used)] // not every test needs every part; what helps a test may fail

use quorate_core::Rng;
use quorate_journal::conformance::Contents;
use quorate_journal::{Boot, Journal, JournalError, JournalId, MemoryBlobs, MemoryDisk};
use quorate_journal_redb::{Config, OpenError, RedbJournal};
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// Two files, the database and the witness, that share a power supply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: [Content; 2],
    /// Counts the power failures. A handle of before one is dead.
    life: u64,
    /// Operations until the power fails.
    left: Option<u64>,
    /// Operations until one fails and changes nothing.
    fault_in: Option<u64>,
    /// Whether syncs do nothing.
    lying: bool,
    syncs: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    cached: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// What a power failure does to writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// All are lost.
    All,
    /// Each piece of this many bytes is written or lost by itself, whenever it was written.
    Pieces(usize, f64),
}

impl Loss {
    pub(crate) fn any(rng: &mut Rng) -> Loss {
        let kept = [0.05, 0.5, 0.95][rng.index(3)];
        match rng.within(0..4) {
            0 => Loss::All,
            1 => Loss::Pieces(4096, kept),
            _ => Loss::Pieces(512, kept),
        }
    }
}

impl Machine {
    /// A machine whose syncs return at once and do nothing.
    pub(crate) fn lying() -> Machine {
        let machine = Machine::default();
        machine.inner().lying = true;
        machine
    }

    /// A machine with these files, all on disk.
    pub(crate) fn with(files: [Vec<u8>; 2]) -> Machine {
        let machine = Machine::default();
        machine.inner().files =
            files.map(|bytes| Content { cached: bytes.clone(), durable: bytes, unsynced: Vec::new() });
        machine
    }

    pub(crate) fn open(&self) -> Result<RedbJournal, OpenError> {
        self.open_with(&Config::default())
    }

    pub(crate) fn open_with(&self, config: &Config) -> Result<RedbJournal, OpenError> {
        let life = self.inner().life;
        let file = |file| Handle { machine: self.clone(), file, life };
        let blobs = MemoryBlobs::new(MemoryDisk::new(JournalId(0)));
        RedbJournal::open_on(config, file(0), file(1), move || Box::new(blobs.clone()))
    }

    /// The database below the journal, to do with it what a journal never does.
    pub(crate) fn raw(&self) -> redb::Database {
        let life = self.inner().life;
        redb::Builder::new().create_with_backend(Handle { machine: self.clone(), file: 0, life }).unwrap()
    }

    /// The power will fail after this many operations.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.inner().left = Some(operations);
    }

    /// The operation after this many fails, once. Where it is a sync, what it should have written stays in memory
    /// and no later sync writes it, as systems do it.
    pub(crate) fn fault_after(&self, operations: u64) {
        self.inner().fault_in = Some(operations);
    }

    /// Whether the fault has been met.
    pub(crate) fn had_its_fault(&self) -> bool {
        self.inner().fault_in.is_none()
    }

    /// A bit of the database flips, under whoever has it open.
    pub(crate) fn flip(&self, bit: usize) {
        self.inner().files[0].cached[bit / 8] ^= 1 << (bit % 8);
    }

    /// The power fails now and comes back.
    pub(crate) fn fail(&self, loss: Loss, rng: &mut Rng) {
        let mut inner = self.inner();
        inner.life += 1;
        inner.left = None;
        inner.fault_in = None;
        inner.files.iter_mut().for_each(|file| file.lose(loss, rng));
    }

    /// What a copy of the files would hold now.
    pub(crate) fn files(&self) -> [Vec<u8>; 2] {
        let inner = self.inner();
        [0, 1].map(|file| inner.files[file].cached.clone())
    }

    /// How often a file was synced so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.inner().syncs
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Content {
    fn lose(&mut self, loss: Loss, rng: &mut Rng) {
        // Lengths reach the disk in their order (the file system journals them), a write only within a length
        // that did; pieces reach it each by itself.
        let resizes = self.unsynced.iter().filter(|op| matches!(op, Unsynced::SetLen(_))).count();
        let mut resizes = match loss {
            Loss::All => 0,
            Loss::Pieces(..) => rng.index(resizes + 1),
        };
        for op in std::mem::take(&mut self.unsynced) {
            match (op, loss) {
                (_, Loss::All) => {}
                (Unsynced::SetLen(len), _) if resizes > 0 => {
                    resizes -= 1;
                    self.durable.resize(len, 0);
                }
                (Unsynced::SetLen(_), _) => {}
                (Unsynced::Write(offset, data), Loss::Pieces(bytes, kept)) => {
                    let mut at = 0;
                    while at < data.len() {
                        let piece = (bytes - (offset + at) % bytes).min(data.len() - at);
                        let place = offset + at..offset + at + piece;
                        if rng.chance(kept) && place.end <= self.durable.len() {
                            self.durable[place].copy_from_slice(&data[at..at + piece]);
                        }
                        at += piece;
                    }
                }
            }
        }
        self.cached = self.durable.clone();
    }
}

/// One file of a machine, until its power fails.
#[derive(Debug)]
struct Handle {
    machine: Machine,
    file: usize,
    life: u64,
}

impl Handle {
    fn act<T>(&self, f: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.machine.inner();
        if inner.life != self.life || inner.left == Some(0) {
            return Err(io::Error::other("the power failed"));
        }
        f(&mut inner.files[self.file])
    }

    /// Something that a power failure or a fault may come before.
    fn change<T>(&self, f: impl FnOnce(&mut Content) -> io::Result<T>) -> io::Result<T> {
        self.meet_fault()?;
        let done = self.act(f)?;
        let mut inner = self.machine.inner();
        inner.left = inner.left.map(|left| left - 1);
        Ok(done)
    }
}

impl Handle {
    fn meet_fault(&self) -> io::Result<()> {
        let mut inner = self.machine.inner();
        match inner.fault_in {
            Some(0) => {
                inner.fault_in = None;
                Err(io::Error::other("a fault of the medium"))
            }
            left => {
                inner.fault_in = left.map(|left| left - 1);
                Ok(())
            }
        }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.act(|file| Ok(file.cached.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.act(|file| {
            let found = file.cached.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(found.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|file| {
            file.cached.resize(len as usize, 0);
            file.unsynced.push(Unsynced::SetLen(len as usize));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let lying = self.machine.inner().lying;
        self.machine.inner().syncs += 1;
        if self.machine.inner().fault_in == Some(0) {
            self.machine.inner().files[self.file].unsynced.clear();
        }
        self.change(|file| {
            if lying {
                return Ok(());
            }
            for op in file.unsynced.drain(..) {
                match op {
                    Unsynced::SetLen(len) => file.durable.resize(len, 0),
                    Unsynced::Write(offset, data) => {
                        file.durable[offset..offset + data.len()].copy_from_slice(&data);
                    }
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|file| {
            let offset = offset as usize;
            let place = file.cached.get_mut(offset..offset + data.len());
            place.ok_or(io::Error::from(io::ErrorKind::UnexpectedEof))?.copy_from_slice(data);
            file.unsynced.push(Unsynced::Write(offset, data.to_vec()));
            Ok(())
        })
    }
}

/// A life's beginning: its boot, and all that is there.
pub(crate) fn begin(journal: &mut impl Journal) -> Result<(Boot, Contents), JournalError> {
    let boot = journal.begin_life()?;
    Ok((boot, load(journal)?))
}

pub(crate) fn load(journal: &mut impl Journal) -> Result<Contents, JournalError> {
    let mut found = Contents::new();
    journal.load(&mut |scope, record| {
        found.entry(scope).or_default().push(record);
        Ok(())
    })?;
    Ok(found)
}
