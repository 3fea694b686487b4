//! The suites of quorate-journal, over real files.

use quorate_journal::conformance::{self, Medium};
use quorate_journal_redb::{FileBlobs, RedbJournal};

#[test]
fn it_conforms() {
    let mut dir = tempfile::tempdir().unwrap();
    conformance::journal(|medium| {
        if medium == Medium::Fresh {
            dir = tempfile::tempdir().unwrap();
        }
        RedbJournal::open(dir.path()).unwrap()
    })
    .unwrap();
}

#[test]
fn its_objects_conform() {
    let mut dir = tempfile::tempdir().unwrap();
    conformance::blobs(|medium| {
        if medium == Medium::Fresh {
            dir = tempfile::tempdir().unwrap();
        }
        FileBlobs::open(dir.path()).unwrap()
    })
    .unwrap();
}
