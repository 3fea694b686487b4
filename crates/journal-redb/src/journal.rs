//! The journal itself.

use crate::backend::Shared;
use crate::batch::{self, Op, Scope};
use crate::files::Files;
use crate::format::JournalRow;
use crate::guard::guard;
use crate::open::{Ground, open};
use crate::verify::{Rows, Stop};
use crate::witness::{Said, Witness};
use crate::{Config, OpenError};
use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, JournalId, Mark, ScopeId};
use quorate_journal::{Journal, JournalError};
use redb::{Database, ReadableDatabase, StorageBackend};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A journal in a directory.
///
/// An append stays in memory until [`Journal::sync`], which writes all that waits, of every scope, in one
/// transaction and syncs one file once. A record is limited by redb to 3 GiB, and should stay far below; what is
/// large belongs to [`Journal::blobs`].
pub struct RedbJournal {
    /// `None` only while it is being dropped.
    database: Option<Database>,
    witness: Witness,
    row: JournalRow,
    scopes: BTreeMap<ScopeId, Scope>,
    since: Vec<Op>,
    poisoned: bool,
    blobs: Box<dyn Fn() -> Box<dyn Blobs> + Send>,
    opened: Opened,
    /// Released when all of the above is closed.
    _lock: Option<File>,
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// There was no journal yet; it has a new name.
    pub created: bool,
    /// It was not closed cleanly, by a crash or a power loss, and was brought back to its last sync.
    pub recovered: bool,
    /// Records of a sync that was begun and is not there: never reported, so nothing was promised. A power loss may
    /// lose the count as well; it is then 0.
    pub cut: u64,
    /// Whether the witness was there to confirm that no reported sync is missing. After a power loss it may not be.
    pub witnessed: bool,
    /// How many scopes have records, or had.
    pub scopes: u64,
    /// How many records there are; each was read and checked.
    pub records: u64,
}

impl RedbJournal {
    /// Opens the journal in this directory, or makes one. Reads and checks every record: about the time that
    /// reading the file twice takes.
    pub fn open(dir: impl AsRef<Path>) -> Result<RedbJournal, OpenError> {
        RedbJournal::open_with(&Config::default(), dir)
    }

    /// The same with settings.
    pub fn open_with(config: &Config, dir: impl AsRef<Path>) -> Result<RedbJournal, OpenError> {
        config.validate()?;
        let files = Files::open(dir.as_ref())?;
        let ground = Ground {
            database: files.database,
            database_path: files.database_path,
            witness: files.witness,
            witness_path: files.witness_path,
        };
        let blobs = files.blobs;
        RedbJournal::on(config, ground, Box::new(move || Box::new(blobs.clone())), Some(files.lock))
    }

    /// The same on other media than files: for simulated disks. `witness` holds 1 KiB beside the database;
    /// `blobs` gives a handle to where objects are kept.
    pub fn open_on(
        config: &Config,
        database: impl StorageBackend,
        witness: impl StorageBackend,
        blobs: impl Fn() -> Box<dyn Blobs> + Send + 'static,
    ) -> Result<RedbJournal, OpenError> {
        config.validate()?;
        let ground = Ground {
            database: Shared::new(database),
            database_path: PathBuf::from("journal.redb"),
            witness: Shared::new(witness),
            witness_path: PathBuf::from("witness"),
        };
        RedbJournal::on(config, ground, Box::new(blobs), None)
    }

    fn on(
        config: &Config,
        ground: Ground,
        blobs: Box<dyn Fn() -> Box<dyn Blobs> + Send>,
        lock: Option<File>,
    ) -> Result<RedbJournal, OpenError> {
        let found = open(config, ground)?;
        let Rows { journal, scopes } = found.rows;
        let opened = Opened {
            created: found.created,
            recovered: found.recovered,
            cut: found.cut,
            witnessed: found.witnessed,
            scopes: scopes.len() as u64,
            records: found.records,
        };
        let scopes = scopes.into_iter().map(|(id, row)| (id, Scope::found(row, journal.id, id))).collect();
        Ok(RedbJournal {
            database: Some(found.database),
            witness: found.witness,
            row: journal,
            scopes,
            since: Vec::new(),
            poisoned: false,
            blobs,
            opened,
            _lock: lock,
        })
    }

    /// What was found when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    fn usable(&self) -> Result<&Database, JournalError> {
        self.database.as_ref().filter(|_| !self.poisoned).ok_or(JournalError::Poisoned)
    }

    /// One transaction: what was asked since the last, and the row about the journal. Any failure is the last thing
    /// that this journal does.
    fn commit(&mut self) -> Result<(), JournalError> {
        self.usable()?;
        // Stays set if anything below returns early.
        self.poisoned = true;
        let records = self.since.iter().filter(|op| matches!(op, Op::Append(..))).count() as u64;
        let reported = self.row.syncs;
        self.say(Said { reported, begun: reported + 1, begun_records: records })?;
        let Some(database) = &self.database else { return Err(JournalError::Poisoned) };
        guard(|| batch::write(database, &mut self.row, &mut self.scopes, &mut self.since))
            .map_err(|panic| JournalError::Io(format!("redb panicked: {panic}")))?
            .map_err(|error| JournalError::Io(error.to_string()))?;
        self.say(Said { reported: self.row.syncs, begun: self.row.syncs, begun_records: 0 })?;
        self.poisoned = false;
        Ok(())
    }

    fn say(&mut self, said: Said) -> Result<(), JournalError> {
        self.witness.say(said).map_err(|error| JournalError::Io(format!("witness: {error}")))
    }
}

impl Journal for RedbJournal {
    fn id(&self) -> JournalId {
        self.row.id
    }

    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        let next = self.row.incarnation.checked_add(1);
        self.row.incarnation = next.ok_or_else(|| JournalError::Io("no incarnation is left".into()))?;
        self.commit()?;
        // Once a life the witness is made sure of, so that it lags by one life at most.
        self.witness.sync().map_err(|error| {
            self.poisoned = true;
            JournalError::Io(format!("witness: {error}"))
        })?;
        Ok(Boot { incarnation: self.row.incarnation, journal: self.row.id })
    }

    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        let database = self.usable()?;
        let mut refusal = None;
        // A panic of `each` is its owner's, and goes on; one of redb's ends here.
        let mut panic_of_each = None;
        let read = guard(|| {
            let read = database.begin_read()?;
            let rows = Rows::read(&read)?.ok_or(Stop::Damaged(crate::Damage::Journal))?;
            rows.records(&read, &mut |scope, record| {
                let record = Bytes::copy_from_slice(record);
                let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| each(scope, record)));
                called.unwrap_or_else(|panic| {
                    panic_of_each = Some(panic);
                    Err(Corrupt::new("the reader panicked"))
                })
            })
        });
        if let Some(panic) = panic_of_each {
            std::panic::resume_unwind(panic);
        }
        match read {
            Ok(Ok(_)) => {}
            Ok(Err(Stop::Refused(why))) => return Err(why.into()),
            Ok(Err(Stop::Storage(error))) => refusal = Some(error.to_string()),
            Ok(Err(Stop::Damaged(found))) => refusal = Some(found.to_string()),
            Ok(Err(Stop::Version(found))) => refusal = Some(format!("format {found}")),
            Err(panic) => refusal = Some(format!("redb panicked on it: {panic}")),
        }
        match refusal {
            None => Ok(()),
            Some(what) => {
                // It was whole at the open: it rots as we read.
                self.poisoned = true;
                Err(Corrupt::new(what).into())
            }
        }
    }

    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        self.usable()?;
        self.scopes.entry(scope).or_insert_with(|| Scope::new(self.row.id)).ask_append();
        self.since.push(Op::Append(scope, record));
        Ok(())
    }

    /// # Panics
    /// If `upto` was never appended, or lies below the last compaction of this life.
    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        self.usable()?;
        self.scopes.entry(scope).or_insert_with(|| Scope::new(self.row.id)).ask_compact(scope, upto);
        self.since.push(Op::Compact(scope, upto, base));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        self.usable()?;
        if self.since.is_empty() { Ok(()) } else { self.commit() }
    }

    fn blobs(&self) -> Box<dyn Blobs> {
        (self.blobs)()
    }
}

impl Drop for RedbJournal {
    fn drop(&mut self) {
        let database = self.database.take();
        // Closing writes, and on a failing medium may panic; an error here is one that the next open finds.
        let _ = guard(|| drop(database));
        if !self.poisoned {
            let _ = self.witness.sync();
        }
    }
}

impl fmt::Debug for RedbJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedbJournal({}, {} scopes, {} unsynced)", self.row.id, self.scopes.len(), self.since.len())
    }
}
