//! The journal in memory against the conformance suites, and what is its own: crashes, fencing, copies.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use bytes::Bytes;
use quorate_core::Rng;
use quorate_journal::conformance::{self, Medium};
use quorate_journal::{Journal, JournalError, JournalId, Mark, MemoryBlobs, MemoryDisk, ScopeId};

const SCOPE: ScopeId = ScopeId(1);

/// Opens as the suites ask, losing as much of what was not synced as `keep` says.
fn conforms(mut keep: impl FnMut(usize) -> usize) {
    let mut disks = 0;
    let mut disk = MemoryDisk::new(JournalId(0));
    conformance::journal(|medium| {
        match medium {
            Medium::Fresh => {
                disks += 1;
                disk = MemoryDisk::new(JournalId(disks));
            }
            Medium::Same => disk.crash(keep(disk.unsynced())),
        }
        disk.open()
    })
    .unwrap();
}

#[test]
fn it_conforms_when_a_crash_loses_all_that_was_not_synced() {
    conforms(|_| 0);
}

#[test]
fn it_conforms_when_a_crash_loses_nothing() {
    conforms(|unsynced| unsynced);
}

#[test]
fn it_conforms_when_a_crash_keeps_any_prefix() {
    let mut rng = Rng::from_seed(3);
    conforms(|unsynced| rng.index(unsynced + 1));
}

#[test]
fn it_takes_nothing_after_a_failed_sync() {
    let disk = MemoryDisk::new(JournalId(1));
    conformance::failed_sync(disk.open(), || disk.fail_next_sync()).unwrap();
}

#[test]
fn its_objects_conform() {
    let mut disk = MemoryDisk::new(JournalId(1));
    conformance::blobs(|medium| {
        if medium == Medium::Fresh {
            disk = MemoryDisk::new(JournalId(1));
        }
        MemoryBlobs::new(disk.clone())
    })
    .unwrap();
}

fn records(journal: &mut impl Journal) -> Vec<Bytes> {
    let mut found = Vec::new();
    journal
        .load(&mut |_, record| {
            found.push(record);
            Ok(())
        })
        .unwrap();
    found
}

#[test]
fn a_journal_whose_disk_is_opened_again_is_fenced() {
    let disk = MemoryDisk::new(JournalId(1));
    let mut old = disk.open();
    old.append(SCOPE, "synced".into()).unwrap();
    old.sync().unwrap();
    old.append(SCOPE, "of the old life".into()).unwrap();
    let mut new = disk.open();
    assert!(matches!(old.sync(), Err(JournalError::Poisoned)));
    assert!(matches!(old.append(SCOPE, Bytes::new()), Err(JournalError::Poisoned)));
    drop(old);
    assert_eq!(records(&mut new), ["synced"]);
}

#[test]
fn a_copy_is_a_disk_of_its_own() {
    let disk = MemoryDisk::new(JournalId(1));
    let mut journal = disk.open();
    journal.append(SCOPE, "both".into()).unwrap();
    journal.sync().unwrap();
    let old = disk.copy();
    journal.append(SCOPE, "only here".into()).unwrap();
    journal.sync().unwrap();
    assert_eq!(records(&mut old.open()), ["both"]);
    assert_eq!(records(&mut disk.open()), ["both", "only here"]);
    assert_eq!(old.open().id(), disk.open().id());
}

#[test]
#[should_panic(expected = "beyond what was appended")]
fn compaction_beyond_what_was_appended_is_a_bug() {
    let mut journal = MemoryDisk::new(JournalId(1)).open();
    journal.append(SCOPE, "one".into()).unwrap();
    let _ = journal.compact(SCOPE, Mark(2), Vec::new());
}

#[test]
#[should_panic(expected = "below its last one")]
fn compaction_never_goes_back() {
    let mut journal = MemoryDisk::new(JournalId(1)).open();
    journal.append(SCOPE, "one".into()).unwrap();
    journal.append(SCOPE, "two".into()).unwrap();
    journal.compact(SCOPE, Mark(2), Vec::new()).unwrap();
    let _ = journal.compact(SCOPE, Mark(1), Vec::new());
}

#[test]
fn objects_are_reached_through_the_journal() {
    let disk = MemoryDisk::new(JournalId(1));
    let id = quorate_journal::BlobId { scope: SCOPE, number: 1 };
    disk.open().blobs().put(id, b"snapshot").unwrap();
    assert_eq!(disk.open().blobs().read(id, 4, 100).unwrap(), b"shot");
}
