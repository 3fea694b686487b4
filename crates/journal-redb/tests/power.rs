//! What a sync promises: after it returned, the power may fail. `kill -9` cannot show this, because the system
//! keeps what was written; here unsynced writes are lost, in pieces, at every point.

#![allow(clippy::unwrap_used, clippy::panic)] // what helps a test may fail as a test does

mod common;

use bytes::Bytes;
use common::{Loss, Machine, begin};
use quorate_core::{Mark, Rng};
use quorate_journal::conformance::Model;
use quorate_journal::{Journal, JournalError, ScopeId};
use std::collections::BTreeMap;

/// What is known of a journal from outside, over all its lives.
#[derive(Default)]
struct Known {
    model: Model,
    /// The last life that was reported to have begun.
    life: u64,
    lives: u64,
    survived: usize,
    recovered: u64,
    cut: u64,
}

/// Random use of one machine whose power fails at random points, again and again.
fn run(machine: &Machine, seed: u64) -> Result<Known, String> {
    let mut rng = Rng::from_seed(seed);
    let mut known = Known::default();
    for _ in 0..6 {
        let operations = [20, 60, 200][rng.index(3)];
        machine.fail_after(rng.within(0..operations));
        // A journal that cannot be opened because the power fails is no news; it must be after that.
        if let Ok(mut journal) = machine.open() {
            let _ = live(&mut journal, &mut known, &mut rng)?;
        }
        machine.fail(Loss::any(&mut rng), &mut rng);
        let mut journal = machine.open().map_err(|error| format!("seed {seed}: {error}"))?;
        known.recovered += u64::from(journal.opened().recovered);
        known.cut += u64::from(journal.opened().cut > 0);
        let checked = check(&mut journal, &mut known).map_err(|what| format!("seed {seed}: {what}"))?;
        checked.map_err(|error| format!("seed {seed}: it opens with power on, and then: {error}"))?;
    }
    Ok(known)
}

/// Begins a life and compares what is there. Outer error: a promise was broken; inner: the power failed.
fn check(journal: &mut impl Journal, known: &mut Known) -> Result<Result<(), JournalError>, String> {
    let (boot, found) = match begin(journal) {
        Ok(begun) => begun,
        Err(error) => return Ok(Err(error)),
    };
    if boot.incarnation <= known.life {
        return Err(format!("life {} comes after life {}", boot.incarnation, known.life));
    }
    known.life = boot.incarnation;
    known.lives += 1;
    known.survived += known.model.reopened(&found)?;
    Ok(Ok(()))
}

fn live(
    journal: &mut impl Journal,
    known: &mut Known,
    rng: &mut Rng,
) -> Result<Result<(), JournalError>, String> {
    if let Err(error) = check(journal, known)? {
        return Ok(Err(error));
    }
    let mut marks: BTreeMap<ScopeId, (u64, u64)> =
        known.model.lengths().map(|(scope, n)| (scope, (n, 0))).collect();
    for step in 0..60 {
        let scope = ScopeId(rng.within(0..4));
        let (appended, compacted) = marks.entry(scope).or_default();
        let done = match rng.within(0..20) {
            0..12 => {
                *appended += 1;
                let bytes = if rng.chance(0.1) { rng.index(9000) } else { rng.index(60) };
                let record = Bytes::from(format!("{step} {}", "r".repeat(bytes)));
                known.model.append(scope, record.clone());
                journal.append(scope, record)
            }
            12..14 => {
                *compacted = rng.within(*compacted..*appended + 1);
                let base: Vec<Bytes> =
                    (0..rng.within(0..4)).map(|n| format!("base {step} {n}").into()).collect();
                known.model.compact(scope, Mark(*compacted), base.clone());
                journal.compact(scope, Mark(*compacted), base)
            }
            _ => journal.sync().inspect(|()| known.model.synced()),
        };
        if let Err(error) = done {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

const SEEDS: u64 = 1000;

#[test]
fn what_was_synced_survives_every_loss_of_power() {
    let (mut lives, mut survived, mut recovered, mut cut) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let known = run(&Machine::default(), seed).unwrap();
        lives += known.lives;
        survived += usize::from(known.survived > 0);
        recovered += known.recovered;
        cut += known.cut;
    }
    // The runs were not idle: most rounds had two lives, crashes were recovered from, and syncs that the power
    // interrupted were found whole in some and cut in others.
    assert!(lives > SEEDS * 8, "{lives} lives");
    assert!(recovered > SEEDS * 3, "{recovered} recoveries");
    assert!(survived > 20, "{survived} runs found an unreported sync");
    assert!(cut > 20, "{cut} openings cut an unreported sync");
}

#[test]
fn a_journal_that_never_syncs_is_caught() {
    let caught = (0..50).filter(|seed| run(&Machine::lying(), *seed).is_err()).count();
    assert!(caught > 25, "only {caught} of 50 runs saw that nothing is ever synced");
}

#[test]
fn one_sync_of_the_journal_is_one_sync_of_the_file() {
    let machine = Machine::default();
    let mut journal = machine.open().unwrap();
    journal.begin_life().unwrap();
    let before = machine.syncs();
    for scope in 0..100 {
        journal.append(ScopeId(scope), "record".into()).unwrap();
    }
    journal.compact(ScopeId(7), Mark(1), Vec::new()).unwrap();
    journal.sync().unwrap();
    assert_eq!(machine.syncs() - before, 1);
    journal.sync().unwrap();
    assert_eq!(machine.syncs() - before, 1, "a sync with nothing to do");
}

#[test]
fn it_takes_nothing_after_a_failed_sync() {
    let machine = Machine::default();
    let journal = machine.open().unwrap();
    quorate_journal::conformance::failed_sync(journal, || machine.fail_after(0)).unwrap();
    let mut rng = Rng::from_seed(1);
    machine.fail(Loss::All, &mut rng);
    let mut journal = machine.open().unwrap();
    assert_eq!(begin(&mut journal).unwrap().1[&scope_of_the_suite()], ["kept"]);
}

#[test]
fn a_fault_of_the_medium_at_any_operation_loses_nothing_that_was_synced() {
    let mut faults = 0;
    for operations in 0..150 {
        let machine = Machine::default();
        let mut rng = Rng::from_seed(operations);
        let mut known = Known::default();
        check(&mut machine.open().unwrap(), &mut known).unwrap().unwrap();
        machine.fault_after(operations);
        if let Ok(mut journal) = machine.open() {
            let ended = live(&mut journal, &mut known, &mut rng).unwrap();
            if machine.had_its_fault() {
                assert!(ended.is_err(), "fault {operations} went unnoticed");
                assert!(matches!(journal.sync(), Err(JournalError::Poisoned)));
                faults += 1;
            }
        }
        // Closed in whatever way it still could be, and then the power fails too.
        machine.fail(Loss::any(&mut rng), &mut rng);
        let mut journal = machine.open().unwrap_or_else(|error| panic!("fault {operations}: {error}"));
        check(&mut journal, &mut known).unwrap().unwrap();
    }
    assert!(faults > 50, "{faults}");
}

/// The scope that the suite uses.
fn scope_of_the_suite() -> ScopeId {
    ScopeId(0x9e37_79b9_7f4a_7c15)
}

#[test]
fn it_conforms_on_a_machine_whose_power_fails_between_lives() {
    let mut machine = Machine::default();
    let mut rng = Rng::from_seed(9);
    quorate_journal::conformance::journal(|medium| {
        match medium {
            quorate_journal::conformance::Medium::Fresh => machine = Machine::default(),
            quorate_journal::conformance::Medium::Same => machine.fail(Loss::any(&mut rng), &mut rng),
        }
        machine.open().unwrap()
    })
    .unwrap();
}

#[test]
fn a_sync_that_was_begun_and_is_not_there_is_reported() {
    let mut rng = Rng::from_seed(5);
    let mut cut = 0;
    for operations in 0..12 {
        let machine = Machine::default();
        let mut journal = machine.open().unwrap();
        journal.begin_life().unwrap();
        journal.append(ScopeId(1), "synced".into()).unwrap();
        journal.sync().unwrap();
        for n in 0..5 {
            journal.append(ScopeId(1), format!("unsynced {n}").into()).unwrap();
        }
        machine.fail_after(operations);
        let reported = journal.sync().is_ok();
        // The database loses what it did not sync; the witness happens to reach the disk.
        let [_, witness] = machine.files();
        machine.fail(Loss::All, &mut rng);
        let [database, _] = machine.files();
        let machine = Machine::with([database, witness]);
        let mut journal = machine.open().unwrap();
        assert!(journal.opened().recovered && journal.opened().witnessed);
        let (_, found) = begin(&mut journal).unwrap();
        match found[&ScopeId(1)].len() {
            6 => assert_eq!(journal.opened().cut, 0),
            1 => {
                assert!(!reported);
                cut = cut.max(journal.opened().cut);
            }
            n => panic!("{n} records"),
        }
    }
    assert_eq!(cut, 5);
}
