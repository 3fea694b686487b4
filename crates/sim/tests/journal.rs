//! The simulated disk keeps what a journal promises: the suite that judges real ones judges it.

use quorate_core::Rng;
use quorate_journal::conformance::{self, Medium};
use quorate_journal::{Corrupt, Journal, JournalError};
use quorate_sim::SimJournal;

#[test]
fn it_passes_the_conformance_suite_losing_a_random_suffix_at_each_reopen() {
    let mut rng = Rng::from_seed(1);
    let mut current = SimJournal::new(0);
    let passed = conformance::journal(|medium| {
        if medium == Medium::Fresh {
            current = SimJournal::new(rng.bits());
        }
        current.lose_power(rng.index(5));
        current.open()
    });
    assert_eq!(passed, Ok(()));
}

#[test]
fn its_objects_pass_theirs_losing_some_of_what_is_unfinished() {
    let mut seed = 0;
    let mut current = SimJournal::new(0);
    let passed = conformance::blobs(|medium| {
        if medium == Medium::Fresh {
            seed += 1;
            current = SimJournal::new(seed);
        }
        current.lose_power(0);
        current.open()
    });
    assert_eq!(passed, Ok(()));
}

#[test]
fn after_a_failed_sync_it_takes_nothing() {
    let journal = SimJournal::new(1);
    let handle = journal.open();
    assert_eq!(conformance::failed_sync(journal, || handle.fail_sync()), Ok(()));
}

#[test]
fn rot_refuses_the_load() {
    let mut journal = SimJournal::new(1);
    journal.rot();
    assert!(matches!(journal.load(&mut |_, _| Ok(())), Err(JournalError::Corrupt(Corrupt(_)))));
}
