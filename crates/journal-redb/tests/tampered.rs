//! Damage that redb itself cannot see, because its own structure is whole: rows that are missing, old, or in
//! each other's place. The chains find it.

#![allow(clippy::unwrap_used, clippy::panic)] // what helps a test may fail as a test does

mod common;

use common::{Machine, begin};
use quorate_journal::{Journal, Mark, ScopeId};
use quorate_journal_redb::{Damage, OpenError};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

const JOURNAL: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("journal");
const SCOPES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("scopes");
const LOG: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("log");
const BASE: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("base");

type Records<'txn> = Table<'txn, (u64, u64), &'static [u8]>;
type Rows<'txn> = Table<'txn, u64, &'static [u8]>;

/// Scope 1: a base of 3, and records 5 to 9. Scope 2: records 1 to 4. Scope 3: a base of 1 and nothing else.
fn journal() -> Machine {
    let machine = Machine::default();
    let mut journal = machine.open().unwrap();
    journal.begin_life().unwrap();
    for n in 1..=9 {
        journal.append(ScopeId(1), format!("one {n}").into()).unwrap();
    }
    journal.sync().unwrap();
    for n in 1..=4 {
        journal.append(ScopeId(2), format!("two {n}").into()).unwrap();
    }
    journal.append(ScopeId(3), "three".into()).unwrap();
    journal.compact(ScopeId(1), Mark(4), ["a", "b", "c"].map(Into::into).into()).unwrap();
    journal.compact(ScopeId(3), Mark(1), vec!["only".into()]).unwrap();
    journal.sync().unwrap();
    drop(journal);
    machine
}

fn damage(tamper: impl FnOnce(&WriteTransaction)) -> OpenError {
    damage_of(&journal(), tamper)
}

fn damage_of(machine: &Machine, tamper: impl FnOnce(&WriteTransaction)) -> OpenError {
    let database = machine.raw();
    let txn = database.begin_write().unwrap();
    tamper(&txn);
    txn.commit().unwrap();
    drop(database);
    let before = machine.files();
    let error = machine.open().unwrap_err();
    assert!(machine.files() == before, "a refused journal was changed");
    error
}

fn found(tamper: impl FnOnce(&WriteTransaction)) -> Damage {
    damaged(damage(tamper))
}

fn damaged(error: OpenError) -> Damage {
    match error {
        OpenError::Damaged { found, .. } => found,
        error => panic!("{error}"),
    }
}

fn in_log(tamper: impl FnOnce(&mut Records<'_>)) -> Damage {
    found(|txn| tamper(&mut txn.open_table(LOG).unwrap()))
}

fn in_base(tamper: impl FnOnce(&mut Records<'_>)) -> Damage {
    found(|txn| tamper(&mut txn.open_table(BASE).unwrap()))
}

fn value(table: &Records<'_>, key: (u64, u64)) -> Vec<u8> {
    table.get(key).unwrap().unwrap().value().to_vec()
}

fn swap(table: &mut Records<'_>, one: (u64, u64), other: (u64, u64)) {
    let (a, b) = (value(table, one), value(table, other));
    table.insert(one, b.as_slice()).unwrap();
    table.insert(other, a.as_slice()).unwrap();
}

const fn record(scope: u64, record: u64) -> Damage {
    Damage::Record { scope: ScopeId(scope), record }
}

const fn base(scope: u64, record: u64) -> Damage {
    Damage::Base { scope: ScopeId(scope), record }
}

const fn hole(scope: u64, expected: u64, found: Option<u64>) -> Damage {
    Damage::Hole { scope: ScopeId(scope), expected, found }
}

const fn stray(scope: u64, record: u64) -> Damage {
    Damage::Stray { scope: ScopeId(scope), record }
}

#[test]
fn left_alone_it_opens() {
    let machine = journal();
    drop(machine.raw());
    let (_, found) = begin(&mut machine.open().unwrap()).unwrap();
    assert_eq!(found[&ScopeId(1)], ["a", "b", "c", "one 5", "one 6", "one 7", "one 8", "one 9"]);
    assert_eq!(found[&ScopeId(3)], ["only"]);
}

#[test]
fn a_changed_record_is_found() {
    for byte in 0..9 {
        let changed = in_log(|log| {
            let mut bytes = value(log, (1, 7));
            bytes[byte] ^= 1;
            log.insert((1, 7), bytes.as_slice()).unwrap();
        });
        assert_eq!(changed, record(1, 7), "byte {byte}");
    }
    let cut = in_log(|log| drop(log.insert((1, 7), &b"abc"[..]).unwrap()));
    assert_eq!(cut, record(1, 7));
}

#[test]
fn records_in_each_others_place_are_found() {
    assert_eq!(in_log(|log| swap(log, (1, 6), (1, 7))), record(1, 6));
    assert_eq!(in_log(|log| swap(log, (1, 6), (2, 2))), record(1, 6));
    assert_eq!(in_base(|table| swap(table, (1, 0), (1, 1))), base(1, 0));
    assert_eq!(in_base(|table| swap(table, (1, 2), (3, 0))), base(1, 2));
}

#[test]
fn a_hole_is_found_wherever_it_is() {
    assert_eq!(in_log(|log| drop(log.remove((1, 7)).unwrap())), hole(1, 7, Some(8)));
    assert_eq!(in_log(|log| drop(log.remove((1, 5)).unwrap())), hole(1, 5, Some(6)));
    assert_eq!(in_log(|log| drop(log.remove((1, 9)).unwrap())), hole(1, 9, None));
    assert_eq!(in_log(|log| drop(log.remove((2, 4)).unwrap())), hole(2, 4, None));
    assert_eq!(in_log(|log| log.retain_in((2, 0)..(3, 0), |_, _| false).unwrap()), hole(2, 1, None));
    assert_eq!(in_base(|table| drop(table.remove((1, 1)).unwrap())), base(1, 1));
    assert_eq!(in_base(|table| drop(table.remove((1, 2)).unwrap())), base(1, 2));
    assert_eq!(in_base(|table| drop(table.remove((3, 0)).unwrap())), base(3, 0));
}

#[test]
fn what_should_not_be_there_is_found() {
    let copy = |from, to| {
        move |table: &mut Records<'_>| {
            let bytes = value(table, from);
            table.insert(to, bytes.as_slice()).unwrap();
        }
    };
    assert_eq!(in_log(copy((1, 9), (1, 10))), stray(1, 10));
    assert_eq!(in_log(copy((1, 5), (1, 4))), stray(1, 4));
    assert_eq!(in_log(copy((1, 5), (0, 1))), stray(0, 1));
    assert_eq!(in_log(copy((1, 5), (3, 1))), stray(3, 1));
    assert_eq!(in_log(copy((1, 5), (4, 1))), stray(4, 1));
    assert_eq!(in_base(copy((1, 2), (1, 3))), stray(1, 3));
    assert_eq!(in_base(copy((1, 2), (2, 0))), stray(2, 0));
    assert_eq!(in_base(copy((1, 2), (9, 0))), stray(9, 0));
}

#[test]
fn a_record_of_another_journal_fits_nowhere() {
    let mut other = Vec::new();
    let _ = damage_of(&journal(), |txn| {
        let mut log = txn.open_table(LOG).unwrap();
        other = value(&log, (2, 1));
        log.remove((2, 1)).unwrap();
    });
    // The same record in the same place, but of a journal with another name.
    assert_eq!(in_log(|log| drop(log.insert((2, 1), other.as_slice()).unwrap())), record(2, 1));
}

#[test]
fn the_base_of_an_earlier_compaction_is_found() {
    let machine = journal();
    let database = machine.raw();
    let txn = database.begin_write().unwrap();
    let old = {
        let table = txn.open_table(BASE).unwrap();
        [0, 1, 2].map(|index| value(&table, (1, index)))
    };
    txn.abort().unwrap();
    drop(database);
    let mut journal = machine.open().unwrap();
    journal.begin_life().unwrap();
    // Up to the first record behind the base, with a base of the same words.
    journal.compact(ScopeId(1), Mark(4), ["a", "b", "c"].map(Into::into).into()).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let error = damage_of(&machine, |txn| {
        let mut table = txn.open_table(BASE).unwrap();
        for (index, row) in (0..).zip(&old) {
            table.insert((1, index), row.as_slice()).unwrap();
        }
    });
    assert_eq!(damaged(error), base(1, 0));
}

#[test]
fn rows_of_scopes_are_counted_summed_and_checked() {
    let rows = |tamper: &dyn Fn(&mut Rows<'_>)| found(|txn| tamper(&mut txn.open_table(SCOPES).unwrap()));
    let gone = rows(&|rows| drop(rows.remove(2).unwrap()));
    assert_eq!(gone, Damage::Scopes("their number differs"));
    let cut = rows(&|rows| drop(rows.insert(2, &[0; 39][..]).unwrap()));
    assert_eq!(cut, Damage::Scope(ScopeId(2)));
    let changed = rows(&|rows| {
        let mut row = rows.get(1).unwrap().unwrap().value().to_vec();
        row[12] ^= 1;
        rows.insert(1, row.as_slice()).unwrap();
    });
    assert_eq!(changed, Damage::Scope(ScopeId(1)));
    let moved = rows(&|rows| {
        let row = rows.get(1).unwrap().unwrap().value().to_vec();
        rows.insert(2, row.as_slice()).unwrap();
    });
    assert_eq!(moved, Damage::Scope(ScopeId(2)));
}

#[test]
fn an_old_row_of_a_scope_is_found() {
    let machine = journal();
    let read = || {
        let database = machine.raw();
        let txn = database.begin_write().unwrap();
        let row = txn.open_table(SCOPES).unwrap().get(2).unwrap().unwrap().value().to_vec();
        txn.abort().unwrap();
        row
    };
    let old = read();
    let mut journal = machine.open().unwrap();
    journal.begin_life().unwrap();
    journal.append(ScopeId(2), "five".into()).unwrap();
    journal.sync().unwrap();
    drop(journal);
    // Row and record go back together, as if that part of the sync had never been written.
    let error = damage_of(&machine, |txn| {
        txn.open_table(SCOPES).unwrap().insert(2, old.as_slice()).unwrap();
        txn.open_table(LOG).unwrap().remove((2, 5)).unwrap();
    });
    assert_eq!(damaged(error), Damage::Scopes("their digest differs"));
}

#[test]
fn the_row_of_the_journal_is_checked_and_its_version_told() {
    let row = |tamper: &dyn Fn(&mut Vec<u8>)| {
        damage(|txn| {
            let mut table = txn.open_table(JOURNAL).unwrap();
            let mut row = table.get(0).unwrap().unwrap().value().to_vec();
            tamper(&mut row);
            table.insert(0, row.as_slice()).unwrap();
        })
    };
    for byte in 4..56 {
        assert_eq!(damaged(row(&|row| row[byte] ^= 0x40)), Damage::Journal, "byte {byte}");
    }
    assert_eq!(damaged(row(&Vec::clear)), Damage::Journal);
    assert_eq!(damaged(row(&|row| row.push(0))), Damage::Journal);
    let newer = row(&|row| row[0] = 2);
    assert!(matches!(newer, OpenError::Version { found: 2, known: 1, .. }), "{newer}");
    assert_eq!(found(|txn| drop(txn.open_table(JOURNAL).unwrap().remove(0).unwrap())), Damage::Journal);
}

#[test]
fn a_missing_table_is_found() {
    assert!(matches!(found(|txn| assert!(txn.delete_table(LOG).unwrap())), Damage::Structure(_)));
    assert!(matches!(found(|txn| assert!(txn.delete_table(BASE).unwrap())), Damage::Structure(_)));
    assert!(matches!(found(|txn| assert!(txn.delete_table(SCOPES).unwrap())), Damage::Structure(_)));
    assert!(matches!(found(|txn| assert!(txn.delete_table(JOURNAL).unwrap())), Damage::Structure(_)));
    let all = found(|txn| {
        for table in [LOG, BASE] {
            txn.delete_table(table).unwrap();
        }
        txn.delete_table(SCOPES).unwrap();
        txn.delete_table(JOURNAL).unwrap();
    });
    assert!(matches!(all, Damage::Gone { .. }), "{all}");
}
