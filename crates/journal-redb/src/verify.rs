//! Reads everything and believes nothing: every row, every chain, and that nothing is missing or left over.

use crate::Damage;
use crate::format::{
    BASE, BadJournalRow, JOURNAL, JOURNAL_KEY, JournalRow, LOG, SCOPES, ScopeRow, base_crc, log_crc, row_crc,
    seed, split_record,
};
use quorate_core::{Corrupt, ScopeId};
use redb::{AccessGuard, Range, ReadTransaction, ReadableTable, TableError};
use std::collections::BTreeMap;

/// Takes a record, or refuses it and thereby all.
pub(crate) type Each<'a> = dyn FnMut(ScopeId, &[u8]) -> Result<(), Corrupt> + 'a;

/// Why a pass over the records ended.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Another version wrote it.
    Version(u32),
    /// It is not what was written.
    Damaged(Damage),
    /// redb says so itself.
    Storage(redb::Error),
    /// The reader does not want it.
    Refused(Corrupt),
}

impl<E: Into<redb::Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Storage(error.into())
    }
}

/// The rows about the journal and its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) journal: JournalRow,
    pub(crate) scopes: BTreeMap<ScopeId, ScopeRow>,
}

impl Rows {
    /// Reads and checks them; `None` if there is no journal yet.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Option<Rows>, Stop> {
        let journal = match read.open_table(JOURNAL) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) if read.list_tables()?.next().is_none() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let row = journal.get(JOURNAL_KEY)?.ok_or(Stop::Damaged(Damage::Journal))?;
        let journal = JournalRow::decode(row.value()).map_err(|bad| match bad {
            BadJournalRow::Version(found) => Stop::Version(found),
            BadJournalRow::Damaged => Stop::Damaged(Damage::Journal),
        })?;
        let (mut scopes, mut digest) = (BTreeMap::new(), 0u64);
        for row in read.open_table(SCOPES)?.iter()? {
            let (id, row) = row?;
            let (id, row) = (ScopeId(id.value()), row.value());
            let decoded = ScopeRow::decode(row, journal.id, id).ok_or(Stop::Damaged(Damage::Scope(id)))?;
            digest = digest.wrapping_add(row_crc(row));
            scopes.insert(id, decoded);
        }
        if scopes.len() as u64 != journal.scopes {
            return Err(Stop::Damaged(Damage::Scopes("their number differs")));
        }
        if digest != journal.digest {
            return Err(Stop::Damaged(Damage::Scopes("their digest differs")));
        }
        Ok(Some(Rows { journal, scopes }))
    }

    /// Hands out every record, checked, scope by scope, base first; answers how many there are.
    pub(crate) fn records(&self, read: &ReadTransaction, each: &mut Each<'_>) -> Result<u64, Stop> {
        let (base, log) = (read.open_table(BASE)?, read.open_table(LOG)?);
        let mut base = Cursor::new(base.range::<(u64, u64)>(..)?)?;
        let mut log = Cursor::new(log.range::<(u64, u64)>(..)?)?;
        let mut records = 0;
        for (&scope, row) in &self.scopes {
            let whole_base = Run {
                scope,
                first: 0,
                end: row.base,
                before: seed(self.journal.id),
                last: row.base_crc,
                crc: &|before, index, record| base_crc(before, scope, row.upto, index, record),
                damaged: &|record, _| Damage::Base { scope, record },
            };
            records += whole_base.walk(&mut base, each)?;
            let whole_log = Run {
                scope,
                first: row.upto.saturating_add(1),
                end: row.last.saturating_add(1),
                before: row.upto_crc,
                last: row.last_crc,
                crc: &|before, number, record| log_crc(before, scope, number, record),
                damaged: &|expected, found| match found {
                    Some(record) if record == expected => Damage::Record { scope, record },
                    found => Damage::Hole { scope, expected, found },
                },
            };
            records += whole_log.walk(&mut log, each)?;
        }
        match base.head.as_ref().or(log.head.as_ref()) {
            None => Ok(records),
            Some((scope, record, _)) => Err(stray(*scope, *record)),
        }
    }
}

fn stray(scope: ScopeId, record: u64) -> Stop {
    Stop::Damaged(Damage::Stray { scope, record })
}

type Value<'a> = AccessGuard<'a, &'static [u8]>;

/// A table, read once from its start.
struct Cursor<'a> {
    rest: Range<'a, (u64, u64), &'static [u8]>,
    head: Option<(ScopeId, u64, Value<'a>)>,
}

impl<'a> Cursor<'a> {
    fn new(rest: Range<'a, (u64, u64), &'static [u8]>) -> Result<Cursor<'a>, Stop> {
        let mut cursor = Cursor { rest, head: None };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> Result<(), Stop> {
        self.head = match self.rest.next().transpose()? {
            None => None,
            Some((key, value)) => {
                let (scope, number) = key.value();
                Some((ScopeId(scope), number, value))
            }
        };
        Ok(())
    }
}

/// The records that one table must hold for one scope: `first..end`, chained.
struct Run<'a> {
    scope: ScopeId,
    first: u64,
    end: u64,
    before: u32,
    /// The checksum at the end of the chain; that of the start, where the run is empty.
    last: u32,
    crc: &'a dyn Fn(u32, u64, &[u8]) -> u32,
    damaged: &'a dyn Fn(u64, Option<u64>) -> Damage,
}

impl Run<'_> {
    fn walk(&self, cursor: &mut Cursor<'_>, each: &mut Each<'_>) -> Result<u64, Stop> {
        let (mut expected, mut before) = (self.first, self.before);
        while let Some((scope, number, value)) = &cursor.head {
            if *scope > self.scope {
                break;
            }
            let damaged = || Stop::Damaged((self.damaged)(expected, Some(*number)));
            if *scope < self.scope || expected >= self.end || *number < expected {
                return Err(stray(*scope, *number));
            }
            if *number != expected {
                return Err(damaged());
            }
            let (crc, record) = split_record(value.value()).ok_or_else(damaged)?;
            if crc != (self.crc)(before, expected, record) {
                return Err(damaged());
            }
            each(self.scope, record).map_err(Stop::Refused)?;
            before = crc;
            expected += 1;
            cursor.advance()?;
        }
        if expected != self.end {
            return Err(Stop::Damaged((self.damaged)(expected, None)));
        }
        if before != self.last {
            return Err(Stop::Damaged(Damage::Scope(self.scope)));
        }
        Ok(self.end - self.first)
    }
}
