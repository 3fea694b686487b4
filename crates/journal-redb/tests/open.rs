//! Opening a directory: locks, leftovers, foreign files, and what is reported.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use quorate_journal::{BlobId, Journal, ScopeId};
use quorate_journal_redb::{Config, ConfigError, Damage, OpenError, RedbJournal};
use std::fs;
use tempfile::TempDir;

fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_journal_is_open_once() {
    let dir = dir();
    let journal = RedbJournal::open(dir.path()).unwrap();
    let second = RedbJournal::open(dir.path()).unwrap_err();
    assert!(matches!(&second, OpenError::InUse { file } if file.starts_with(dir.path())), "{second}");
    drop(journal);
    RedbJournal::open(dir.path()).unwrap();
}

#[test]
fn a_file_that_redb_holds_is_in_use() {
    let dir = dir();
    drop(RedbJournal::open(dir.path()).unwrap());
    let held = redb::Database::open(dir.path().join("journal.redb")).unwrap();
    let second = RedbJournal::open(dir.path()).unwrap_err();
    assert!(matches!(&second, OpenError::InUse { .. }), "{second}");
    drop(held);
}

#[test]
fn it_says_what_it_found() {
    let dir = dir();
    let inside = dir.path().join("not/there/yet");
    let mut journal = RedbJournal::open(&inside).unwrap();
    assert!(journal.opened().created && !journal.opened().witnessed);
    journal.begin_life().unwrap();
    for n in 0..10 {
        journal.append(ScopeId(n % 2), "record".into()).unwrap();
    }
    journal.sync().unwrap();
    journal.append(ScopeId(7), "never synced".into()).unwrap();
    let id = journal.id();
    drop(journal);
    let journal = RedbJournal::open(&inside).unwrap();
    let opened = journal.opened();
    assert!(!opened.created && !opened.recovered && opened.witnessed);
    assert_eq!((opened.scopes, opened.records, opened.cut), (2, 10, 0));
    assert_eq!(journal.id(), id);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let dir = dir();
    let refused = RedbJournal::open_with(&Config { cache_bytes: 0 }, dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Config(ConfigError::CacheTooSmall(0))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let dir = dir();
    let file = dir.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let error = RedbJournal::open(&file).unwrap_err();
    assert!(matches!(&error, OpenError::Io { file: named, .. } if *named == file), "{error}");
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let dir = dir();
    let file = dir.path().join("journal.redb");
    let text = "notes of mine\n".repeat(1000);
    fs::write(&file, &text).unwrap();
    let error = RedbJournal::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { found: Damage::Structure(_), .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_database_of_somebody_else_is_refused_and_left_alone() {
    let dir = dir();
    let file = dir.path().join("journal.redb");
    let database = redb::Database::create(&file).unwrap();
    let txn = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, u64>::new("cats");
    txn.open_table(table).unwrap().insert("Tom", 9).unwrap();
    txn.commit().unwrap();
    drop(database);
    let before = fs::read(&file).unwrap();
    let error = RedbJournal::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { found: Damage::Structure(_), .. }), "{error}");
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn a_beginning_that_a_crash_interrupted_is_begun_again() {
    for zeros in [0, 1, 9, 4096, 1 << 20] {
        let dir = dir();
        let mut bytes = vec![0; zeros];
        // redb writes the rest of its header before its first nine bytes.
        bytes.iter_mut().skip(9).take(100).for_each(|byte| *byte = 7);
        fs::write(dir.path().join("journal.redb"), bytes).unwrap();
        let mut journal = RedbJournal::open(dir.path()).unwrap();
        assert!(journal.opened().created);
        assert_eq!(journal.begin_life().unwrap().incarnation, 1);
    }
}

#[test]
fn a_database_that_was_deleted_is_missed() {
    let dir = dir();
    RedbJournal::open(dir.path()).unwrap().begin_life().unwrap();
    fs::remove_file(dir.path().join("journal.redb")).unwrap();
    let error = RedbJournal::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { found: Damage::Gone { .. }, .. }), "{error}");
}

#[test]
fn leftovers_of_objects_are_removed_and_other_files_are_not() {
    let dir = dir();
    let id = BlobId { scope: ScopeId(1), number: 2 };
    RedbJournal::open(dir.path()).unwrap().blobs().put(id, b"object").unwrap();
    let blobs = dir.path().join("blobs");
    fs::write(blobs.join("aside-3"), b"half an obj").unwrap();
    fs::write(blobs.join("notes"), b"mine").unwrap();
    let journal = RedbJournal::open(dir.path()).unwrap();
    let mut names: Vec<_> = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["0000000000000001-0000000000000002", "notes"]);
    assert_eq!(journal.blobs().list(id.scope).unwrap(), [2]);
    assert_eq!(journal.blobs().read(id, 0, 10).unwrap(), b"object");
}
