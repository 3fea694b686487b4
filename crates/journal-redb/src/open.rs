//! How a journal is opened: looked at first, on a view that nothing can be written through; compared with the
//! witness; and only then opened.

use crate::backend::Shared;
use crate::files::io_error;
use crate::format::{BASE, JOURNAL, JOURNAL_KEY, JournalRow, LOG, SCOPES};
use crate::guard::guard;
use crate::verify::{Rows, Stop};
use crate::view::View;
use crate::witness::{Testimony, Witness};
use crate::{Config, Damage, OpenError};
use quorate_core::JournalId;
use redb::{Builder, Database, ReadableDatabase, StorageBackend};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a journal stands on, with the names that errors give.
pub(crate) struct Ground {
    pub(crate) database: Shared,
    pub(crate) database_path: PathBuf,
    pub(crate) witness: Shared,
    pub(crate) witness_path: PathBuf,
}

/// What was found, and is open now.
pub(crate) struct Found {
    pub(crate) database: Database,
    pub(crate) witness: Witness,
    pub(crate) rows: Rows,
    pub(crate) records: u64,
    pub(crate) created: bool,
    pub(crate) recovered: bool,
    pub(crate) cut: u64,
    pub(crate) witnessed: bool,
}

/// What looking at it told.
struct Looked {
    /// `None` if there is no journal in it yet.
    rows: Option<Rows>,
    records: u64,
    recovered: bool,
}

pub(crate) fn open(config: &Config, ground: Ground) -> Result<Found, OpenError> {
    let (file, below) = (ground.database_path.as_path(), &ground.database);
    let testimony =
        Testimony::read(&ground.witness).map_err(|error| io_error(&ground.witness_path, error))?;
    let unmade = is_unmade(below).map_err(|error| io_error(file, error))?;
    let looked =
        if unmade { Looked { rows: None, records: 0, recovered: false } } else { look(config, below, file)? };
    let reported = testimony.map_or(0, |testimony| testimony.said.reported);
    let damaged = |found| OpenError::Damaged { file: file.into(), found };
    match (&looked.rows, &testimony) {
        (None, Some(_)) if reported > 0 => return Err(damaged(Damage::Gone { syncs: reported })),
        (Some(rows), Some(testimony)) if testimony.journal != rows.journal.id => {
            return Err(damaged(Damage::Mixed));
        }
        (Some(rows), Some(_)) if rows.journal.syncs < reported => {
            return Err(damaged(Damage::RolledBack { reported, found: rows.journal.syncs }));
        }
        _ => {}
    }
    if unmade {
        // What a crash left of an earlier beginning.
        below.set_len(0).map_err(|error| io_error(file, error))?;
    }
    let created = looked.rows.is_none();
    let (database, rows) = match looked.rows {
        Some(rows) => (reopen(config, below, file, &rows)?, rows),
        None => create(config, below, file)?,
    };
    let cut = match &testimony {
        Some(testimony) if testimony.said.begun > rows.journal.syncs => testimony.said.begun_records,
        _ => 0,
    };
    let witness = Witness::new(ground.witness.clone(), rows.journal.id, testimony)
        .map_err(|error| io_error(&ground.witness_path, error))?;
    Ok(Found {
        database,
        witness,
        rows,
        records: looked.records,
        created,
        recovered: looked.recovered,
        cut,
        witnessed: testimony.is_some(),
    })
}

/// Whether redb never finished making this file: empty, or zeros but for the header, whose first bytes it writes
/// last.
fn is_unmade(below: &Shared) -> io::Result<bool> {
    const HEADER: u64 = 4096;
    const MAGIC: u64 = 9;
    let len = below.len()?;
    let mut buffer = vec![0; 1 << 16];
    for range in [0..MAGIC.min(len), HEADER.min(len)..len] {
        let mut at = range.start;
        while at < range.end {
            let take = (range.end - at).min(buffer.len() as u64) as usize;
            below.read(at, &mut buffer[..take])?;
            if buffer[..take].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += take as u64;
        }
    }
    Ok(true)
}

/// Reads and checks everything, and changes nothing.
fn look(config: &Config, below: &Shared, file: &Path) -> Result<Looked, OpenError> {
    let view = View::new(below.clone()).map_err(|error| io_error(file, error))?;
    let looked = guard(|| {
        let recovered = Arc::new(AtomicBool::new(false));
        let seen = recovered.clone();
        let mut builder = builder(config);
        builder.set_repair_callback(move |_| seen.store(true, Ordering::Relaxed));
        let mut database = builder.create_with_backend(view)?;
        let recovered = recovered.load(Ordering::Relaxed);
        // To recover is to check every page. After a clean end redb trusts the file, and so has to be asked.
        if !recovered && !database.check_integrity()? {
            let what = "pages or the list of free ones are not what was written".into();
            return Err(Stop::Damaged(Damage::Structure(what)));
        }
        let read = database.begin_read()?;
        let rows = Rows::read(&read)?;
        let records = match &rows {
            Some(rows) => rows.records(&read, &mut |_, _| Ok(()))?,
            None => 0,
        };
        Ok(Looked { rows, records, recovered })
    });
    flat(looked).map_err(|stop| stopped(stop, file))
}

/// Opens what was looked at.
fn reopen(config: &Config, below: &Shared, file: &Path, rows: &Rows) -> Result<Database, OpenError> {
    let opened = guard(|| {
        let database = builder(config).create_with_backend(below.clone())?;
        let found = Rows::read(&database.begin_read()?)?;
        if found.as_ref() != Some(rows) {
            let what = "it was changed while it was being opened".into();
            return Err(Stop::Damaged(Damage::Structure(what)));
        }
        Ok(database)
    });
    flat(opened).map_err(|stop| stopped(stop, file))
}

fn create(config: &Config, below: &Shared, file: &Path) -> Result<(Database, Rows), OpenError> {
    let mut id = [0; 16];
    let drawn = getrandom::fill(&mut id);
    drawn.map_err(|error| OpenError::Io { file: file.into(), what: format!("no random name: {error}") })?;
    let journal = JournalRow::new(JournalId(u128::from_le_bytes(id)));
    let created = guard(|| {
        let database = builder(config).create_with_backend(below.clone())?;
        let txn = database.begin_write()?;
        txn.open_table(JOURNAL)?.insert(JOURNAL_KEY, journal.encode().as_slice())?;
        txn.open_table(SCOPES)?;
        txn.open_table(LOG)?;
        txn.open_table(BASE)?;
        txn.commit()?;
        Ok((database, Rows { journal, scopes: BTreeMap::new() }))
    });
    flat(created).map_err(|stop| stopped(stop, file))
}

fn builder(config: &Config) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(config.cache_bytes);
    builder
}

fn flat<T>(guarded: Result<Result<T, Stop>, String>) -> Result<T, Stop> {
    guarded.unwrap_or_else(|panic| Err(Stop::Damaged(Damage::Panicked(panic))))
}

fn stopped(stop: Stop, file: &Path) -> OpenError {
    let file = file.to_path_buf();
    match stop {
        Stop::Version(found) => OpenError::Version { file, found, known: crate::format::VERSION },
        Stop::Damaged(found) => OpenError::Damaged { file, found },
        Stop::Storage(redb::Error::DatabaseAlreadyOpen) => OpenError::InUse { file },
        Stop::Storage(redb::Error::Io(error)) if is_of_the_medium(&error) => io_error(&file, error),
        Stop::Storage(error) => OpenError::Damaged { file, found: Damage::Structure(error.to_string()) },
        Stop::Refused(why) => OpenError::Damaged { file, found: Damage::Structure(why.to_string()) },
    }
}

/// Reading behind the end, and what is not a redb file, come as errors of the medium too; they are damage.
fn is_of_the_medium(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}
