//! The suites must be able to fail: a small honest journal passes them, and each way of breaking it is caught
//! by the law that it breaks.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use bytes::Bytes;
use quorate_core::Corrupt;
use quorate_journal::conformance::{self, Broken, Law, Medium};
use quorate_journal::{
    Blobs, Boot, Journal, JournalError, JournalId, Mark, MemoryBlobs, MemoryDisk, ScopeId,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    ForgetsSync,
    ForgetsOldLives,
    LosesTheBase,
    Reorders,
    BaseBehindTheRest,
    MixesScopes,
    RenumbersMarks,
    KeepsMarksOverLives,
    ReusesIncarnation,
    CountsLivesAtTheNextSync,
    NewNameEachLife,
    OneNameForAll,
    CompactsInTwoSteps,
    LosesFromTheMiddle,
    KeepsOneScopeMore,
    ChangesAByte,
    DropsEmptyRecords,
    CutsLargeRecords,
    HoldsFewScopes,
    CompactsAnything,
    CompactsBackwards,
    LoadGoesOnAfterARefusal,
    ForgivesAFailedSync,
    LiesOnceAboutASync,
}

#[derive(Default)]
struct Disk {
    name: u128,
    lives: u64,
    written: BTreeMap<ScopeId, Scope>,
    failing: bool,
}

#[derive(Clone, Default)]
struct Scope {
    base: Vec<Bytes>,
    log: Vec<(u64, Bytes)>,
    next: u64,
}

enum Op {
    Append(ScopeId, Bytes),
    DropUpto(ScopeId, u64),
    PutBase(ScopeId, Vec<Bytes>),
}

/// A journal that is as plain as can be, on a disk that loses the second half of what was not synced.
struct Toy {
    disk: Arc<Mutex<Disk>>,
    fault: Fault,
    live: BTreeMap<ScopeId, Scope>,
    compacted: BTreeMap<ScopeId, u64>,
    since: Vec<Op>,
    poisoned: bool,
    life: u64,
    syncs: u64,
}

impl Toy {
    fn open(disk: &Arc<Mutex<Disk>>, fault: Fault) -> Toy {
        let mut at = disk.lock().unwrap();
        if fault != Fault::KeepsMarksOverLives {
            let behind = fault == Fault::BaseBehindTheRest;
            at.written.values_mut().for_each(|scope| scope.renumber(behind));
        }
        let live = at.written.clone();
        drop(at);
        Toy {
            disk: disk.clone(),
            fault,
            live,
            compacted: BTreeMap::new(),
            since: Vec::new(),
            poisoned: false,
            life: 0,
            syncs: 0,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn push(&mut self, op: Op) {
        apply(&mut self.live, &op, self.fault);
        self.since.push(op);
    }
}

impl Scope {
    /// The base counts as records 1, 2 ...; it stays apart only in marks.
    fn renumber(&mut self, base_behind: bool) {
        let base = self.base.len();
        let mut all: Vec<Bytes> = std::mem::take(&mut self.base);
        all.extend(self.log.drain(..).map(|(_, record)| record));
        if base_behind {
            all.rotate_left(base);
        }
        let log: Vec<_> = (1..).zip(all).collect();
        self.next = log.len() as u64;
        self.log = log;
    }
}

fn apply(scopes: &mut BTreeMap<ScopeId, Scope>, op: &Op, fault: Fault) {
    match op {
        Op::Append(scope, record) => {
            if fault == Fault::HoldsFewScopes && scopes.len() >= 1000 && !scopes.contains_key(scope) {
                return;
            }
            let scope = scopes.entry(*scope).or_default();
            scope.next += 1;
            scope.log.push((scope.next, record.clone()));
        }
        Op::DropUpto(scope, upto) => {
            let scope = scopes.entry(*scope).or_default();
            scope.log.retain(|(mark, _)| mark > upto);
            scope.base.clear();
        }
        Op::PutBase(scope, base) => {
            let scope = scopes.entry(*scope).or_default();
            scope.base = base.clone();
            if fault == Fault::RenumbersMarks {
                scope.renumber(false);
            }
        }
    }
}

impl Journal for Toy {
    fn id(&self) -> JournalId {
        let name = if self.is(Fault::OneNameForAll) { 7 } else { self.disk.lock().unwrap().name };
        JournalId(if self.is(Fault::NewNameEachLife) { name * 1000 + u128::from(self.life) } else { name })
    }

    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let mut disk = self.disk.lock().unwrap();
        self.life = disk.lives + 1;
        if self.fault == Fault::ReusesIncarnation && self.life == 4 {
            self.life = 3;
        } else if self.fault != Fault::CountsLivesAtTheNextSync {
            disk.lives += 1;
        }
        drop(disk);
        Ok(Boot { incarnation: self.life, journal: self.id() })
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        let mut refused = None;
        for (id, scope) in &self.live {
            let log = scope.log.iter().map(|(_, record)| record.clone());
            let mut records: Vec<Bytes> = scope.base.iter().cloned().chain(log).collect();
            if self.is(Fault::Reorders) && records.len() > 8 {
                records.swap(6, 7);
            }
            for record in records {
                if let Err(why) = each(*id, record) {
                    refused.get_or_insert(why);
                    if !self.is(Fault::LoadGoesOnAfterARefusal) {
                        break;
                    }
                }
            }
            if refused.is_some() && !self.is(Fault::LoadGoesOnAfterARefusal) {
                break;
            }
        }
        refused.map_or(Ok(()), |why| Err(why.into()))
    }

    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let mut record = record;
        if self.is(Fault::ChangesAByte) && record.len() > 4096 {
            let mut bytes = record.to_vec();
            bytes[4000] ^= 0x10;
            record = bytes.into();
        }
        if self.is(Fault::CutsLargeRecords) {
            record.truncate(1 << 20);
        }
        if self.is(Fault::DropsEmptyRecords) && record.is_empty() {
            return Ok(());
        }
        let scope = if self.is(Fault::MixesScopes) { ScopeId(scope.0 & !0xf) } else { scope };
        self.push(Op::Append(scope, record));
        Ok(())
    }

    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let last = self.live.get(&scope).map_or(0, |scope| scope.next);
        if upto.0 > last && !self.is(Fault::CompactsAnything) && !self.is(Fault::RenumbersMarks) {
            return Err(JournalError::Io("beyond what was appended".into()));
        }
        let compacted = self.compacted.entry(scope).or_default();
        if upto.0 < *compacted && self.fault != Fault::CompactsBackwards {
            return Err(JournalError::Io("below the last compaction".into()));
        }
        *compacted = upto.0;
        self.push(Op::DropUpto(scope, upto.0));
        if !self.is(Fault::LosesTheBase) {
            self.push(Op::PutBase(scope, base));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        let mut disk = self.disk.lock().unwrap();
        if std::mem::take(&mut disk.failing) {
            self.poisoned = self.fault != Fault::ForgivesAFailedSync;
            return Err(JournalError::Io("no".into()));
        }
        if self.fault == Fault::CountsLivesAtTheNextSync {
            disk.lives = disk.lives.max(self.life);
        }
        self.syncs += 1;
        if self.fault == Fault::ForgetsSync {
            return Ok(());
        }
        if self.fault == Fault::LiesOnceAboutASync && self.syncs == 2 {
            self.since.clear();
        }
        for op in self.since.drain(..) {
            apply(&mut disk.written, &op, self.fault);
        }
        Ok(())
    }

    fn blobs(&self) -> Box<dyn Blobs> {
        Box::new(MemoryBlobs::new(MemoryDisk::new(self.id())))
    }
}

impl Drop for Toy {
    /// The crash: half of what was not synced reaches the disk, a compaction as a whole.
    fn drop(&mut self) {
        let Ok(mut disk) = self.disk.lock() else { return };
        if self.fault == Fault::ForgetsOldLives && self.life > 1 {
            disk.written.clear();
        }
        let mut half = self.since.len() / 2;
        let steps = self.fault == Fault::CompactsInTwoSteps;
        if !steps && matches!(self.since.get(half), Some(Op::PutBase(..))) {
            half += 1;
        }
        for (n, op) in self.since.iter().enumerate() {
            let survives = match self.fault {
                Fault::LosesFromTheMiddle => n != half,
                Fault::KeepsOneScopeMore => {
                    n < half || matches!(op, Op::Append(scope, _) if scope.0 % 2 == 1)
                }
                _ => n < half,
            };
            if survives {
                apply(&mut disk.written, op, self.fault);
            }
        }
    }
}

fn run(fault: Fault) -> Result<(), Broken> {
    let mut disks = 0;
    let mut disk = Arc::default();
    conformance::journal(|medium| {
        if medium == Medium::Fresh {
            disks += 1;
            disk = Arc::new(Mutex::new(Disk { name: disks, ..Disk::default() }));
        }
        Toy::open(&disk, fault)
    })
}

fn run_failing(fault: Fault) -> Result<(), Broken> {
    let disk = Arc::new(Mutex::new(Disk::default()));
    conformance::failed_sync(Toy::open(&disk, fault), || disk.lock().unwrap().failing = true)
}

#[test]
fn an_honest_journal_passes() {
    run(Fault::None).unwrap();
    run_failing(Fault::None).unwrap();
}

#[test]
fn every_broken_journal_is_caught_by_the_law_it_breaks() {
    use Fault::*;
    let expected = [
        (ForgetsSync, Law::Durable),
        (LiesOnceAboutASync, Law::Durable),
        (ForgetsOldLives, Law::Durable),
        (LosesTheBase, Law::Order),
        (Reorders, Law::Order),
        (BaseBehindTheRest, Law::Order),
        (MixesScopes, Law::Durable),
        (RenumbersMarks, Law::Marks),
        (KeepsMarksOverLives, Law::Marks),
        (ReusesIncarnation, Law::Incarnation),
        (CountsLivesAtTheNextSync, Law::Identity),
        (NewNameEachLife, Law::Identity),
        (OneNameForAll, Law::Identity),
        (CompactsInTwoSteps, Law::Atomic),
        (LosesFromTheMiddle, Law::Prefix),
        (KeepsOneScopeMore, Law::Prefix),
        (ChangesAByte, Law::Sizes),
        (DropsEmptyRecords, Law::Sizes),
        (CutsLargeRecords, Law::Sizes),
        (HoldsFewScopes, Law::Scopes),
        (CompactsAnything, Law::Refusal),
        (CompactsBackwards, Law::Refusal),
        (LoadGoesOnAfterARefusal, Law::Refusal),
    ];
    let mut wrong = Vec::new();
    for (fault, law) in expected {
        let found = run(fault).err().map(|broken| broken.law);
        if found != Some(law) {
            wrong.push(format!("{fault:?}: {:?} instead of {law:?}", run(fault)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_journal_that_forgives_a_failed_sync_is_caught() {
    assert_eq!(run_failing(Fault::ForgivesAFailedSync).unwrap_err().law, Law::FailedSync);
}
