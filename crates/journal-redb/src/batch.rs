//! What one sync writes: everything that was asked since the last one, of all scopes, in one transaction.

use crate::format::{
    BASE, JOURNAL, JOURNAL_KEY, JournalRow, LOG, SCOPES, ScopeRow, base_crc, log_crc, row_crc, seed,
    split_record, write_record,
};
use bytes::Bytes;
use quorate_core::{JournalId, Mark, ScopeId};
use redb::{Database, Durability, Error, ReadableTable, Table, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) enum Op {
    Append(ScopeId, Bytes),
    Compact(ScopeId, Mark, Vec<Bytes>),
}

/// A scope as it is on disk and as it was asked to become.
///
/// Marks count anew in each life, numbers on disk never do: mark `m` of this life is a record of the base that was
/// found at the start while `m <= base_at_start`, and number `m - base_at_start + upto_at_start` of the log
/// behind that.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    row: ScopeRow,
    /// The checksum of the row as stored; 0 while it is not.
    row_crc: u64,
    base_at_start: u64,
    upto_at_start: u64,
    /// The last mark that was asked for, written or not.
    appended: u64,
    /// The mark of the last compaction that was asked for in this life.
    compacted: u64,
}

impl Scope {
    /// As found at the start of a life.
    pub(crate) fn found(row: ScopeRow, journal: JournalId, id: ScopeId) -> Scope {
        Scope {
            row_crc: row_crc(&row.encode(journal, id)),
            base_at_start: row.base,
            upto_at_start: row.upto,
            appended: row.base + (row.last - row.upto),
            compacted: 0,
            row,
        }
    }

    pub(crate) fn new(journal: JournalId) -> Scope {
        let row = ScopeRow::new(journal);
        Scope { row, row_crc: 0, base_at_start: 0, upto_at_start: 0, appended: 0, compacted: 0 }
    }

    pub(crate) fn ask_append(&mut self) {
        self.appended += 1;
    }

    /// # Panics
    /// If `upto` was never appended, or lies below the last compaction of this life.
    pub(crate) fn ask_compact(&mut self, id: ScopeId, upto: Mark) {
        assert!(upto.0 <= self.appended, "compaction of {id} beyond what was appended");
        assert!(upto.0 >= self.compacted, "compaction of {id} below its last one");
        self.compacted = upto.0;
    }
}

type Records<'txn> = Table<'txn, (u64, u64), &'static [u8]>;

struct Tables<'txn> {
    journal: JournalId,
    log: Records<'txn>,
    base: Records<'txn>,
    scratch: Vec<u8>,
}

/// Writes `ops` and counts the sync; the rows in memory follow. After an error memory and disk may differ, and the
/// caller must use neither.
pub(crate) fn write(
    database: &Database,
    journal: &mut JournalRow,
    scopes: &mut BTreeMap<ScopeId, Scope>,
    ops: &mut Vec<Op>,
) -> Result<(), Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    write_rows(&txn, journal, scopes, ops)?;
    txn.commit()?;
    Ok(())
}

fn write_rows(
    txn: &WriteTransaction,
    journal: &mut JournalRow,
    scopes: &mut BTreeMap<ScopeId, Scope>,
    ops: &mut Vec<Op>,
) -> Result<(), Error> {
    let mut tables = Tables {
        journal: journal.id,
        log: txn.open_table(LOG)?,
        base: txn.open_table(BASE)?,
        scratch: Vec::new(),
    };
    let mut touched = BTreeSet::new();
    for op in ops.drain(..) {
        let (Op::Append(id, _) | Op::Compact(id, _, _)) = op;
        touched.insert(id);
        let scope = scopes.entry(id).or_insert_with(|| Scope::new(journal.id));
        match op {
            Op::Append(_, record) => tables.append(id, &mut scope.row, &record)?,
            Op::Compact(_, upto, base) => tables.compact(id, scope, upto.0, base)?,
        }
    }
    let mut rows = txn.open_table(SCOPES)?;
    for id in touched {
        let Some(scope) = scopes.get_mut(&id) else { continue };
        let row = scope.row.encode(journal.id, id);
        if rows.insert(id.0, row.as_slice())?.is_none() {
            journal.scopes += 1;
        }
        let crc = row_crc(&row);
        journal.digest = journal.digest.wrapping_sub(scope.row_crc).wrapping_add(crc);
        scope.row_crc = crc;
    }
    journal.syncs += 1;
    txn.open_table(JOURNAL)?.insert(JOURNAL_KEY, journal.encode().as_slice())?;
    Ok(())
}

impl Tables<'_> {
    fn append(&mut self, id: ScopeId, row: &mut ScopeRow, record: &[u8]) -> Result<(), Error> {
        row.last += 1;
        row.last_crc = log_crc(row.last_crc, id, row.last, record);
        write_record(row.last_crc, record, &mut self.scratch);
        self.log.insert((id.0, row.last), self.scratch.as_slice())?;
        Ok(())
    }

    fn compact(&mut self, id: ScopeId, scope: &mut Scope, upto: u64, base: Vec<Bytes>) -> Result<(), Error> {
        let kept = self.kept_of_base(id, scope, upto)?;
        if upto > scope.base_at_start {
            let number = upto - scope.base_at_start + scope.upto_at_start;
            self.cut_log(id, &mut scope.row, number)?;
        }
        self.replace_base(id, &mut scope.row, base.into_iter().chain(kept))
    }

    /// What stays of the base that was found at the start, where the mark lies inside it: its last records.
    fn kept_of_base(&self, id: ScopeId, scope: &Scope, upto: u64) -> Result<Vec<Bytes>, Error> {
        let kept = scope.base_at_start.saturating_sub(upto);
        (scope.row.base - kept..scope.row.base)
            .map(|index| {
                let value = self.base.get((id.0, index))?;
                let record = value.as_ref().and_then(|value| split_record(value.value()));
                let (_, record) = record.ok_or_else(|| lost(id, "base", index))?;
                Ok(Bytes::copy_from_slice(record))
            })
            .collect()
    }

    fn cut_log(&mut self, id: ScopeId, row: &mut ScopeRow, number: u64) -> Result<(), Error> {
        if number == row.upto {
            return Ok(());
        }
        let crc = match self.log.get((id.0, number))?.and_then(|value| Some(split_record(value.value())?.0)) {
            Some(crc) => crc,
            None => return Err(lost(id, "log", number)),
        };
        self.log.retain_in((id.0, row.upto)..=(id.0, number), |_, _| false)?;
        (row.upto, row.upto_crc) = (number, crc);
        Ok(())
    }

    fn replace_base(
        &mut self,
        id: ScopeId,
        row: &mut ScopeRow,
        records: impl Iterator<Item = Bytes>,
    ) -> Result<(), Error> {
        if row.base > 0 {
            self.base.retain_in((id.0, 0)..=(id.0, u64::MAX), |_, _| false)?;
        }
        (row.base, row.base_crc) = (0, seed(self.journal));
        for record in records {
            row.base_crc = base_crc(row.base_crc, id, row.upto, row.base, &record);
            write_record(row.base_crc, &record, &mut self.scratch);
            self.base.insert((id.0, row.base), self.scratch.as_slice())?;
            row.base += 1;
        }
        Ok(())
    }
}

fn lost(id: ScopeId, table: &str, number: u64) -> Error {
    Error::Corrupted(format!("record {number} of the {table} of scope {id} is gone"))
}
