//! The directory of a journal: which files it has, who may use them, and that their names are on disk.

use crate::backend::Shared;
use crate::{FileBlobs, OpenError};
use redb::backends::FileBackend;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// An opened directory.
pub(crate) struct Files {
    pub(crate) database: Shared,
    pub(crate) database_path: PathBuf,
    pub(crate) witness: Shared,
    pub(crate) witness_path: PathBuf,
    pub(crate) blobs: FileBlobs,
    /// Held for as long as the journal is open.
    pub(crate) lock: File,
}

impl Files {
    pub(crate) fn open(dir: &Path) -> Result<Files, OpenError> {
        fs::create_dir_all(dir).map_err(|error| io_error(dir, error))?;
        let lock_path = dir.join("lock");
        let lock = open_file(&lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { file: lock_path }),
            Err(TryLockError::Error(error)) => return Err(io_error(&lock_path, error)),
        }
        let (database_path, witness_path) = (dir.join("journal.redb"), dir.join("witness"));
        let database = backend(&database_path)?;
        let witness = backend(&witness_path)?;
        let blobs_path = dir.join("blobs");
        let blobs = FileBlobs::open(&blobs_path).map_err(|error| io_error(&blobs_path, error))?;
        // Names first, content later: a synced file whose name is lost is lost.
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            sync_dir(dir).map_err(|error| io_error(dir, error))?;
        }
        Ok(Files { database, database_path, witness, witness_path, blobs, lock })
    }
}

fn open_file(path: &Path) -> Result<File, OpenError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    options.map_err(|error| io_error(path, error))
}

fn backend(path: &Path) -> Result<Shared, OpenError> {
    let backend = FileBackend::new(open_file(path)?);
    backend.map(Shared::new).map_err(|error| OpenError::Io { file: path.into(), what: error.to_string() })
}

pub(crate) fn io_error(file: &Path, error: io::Error) -> OpenError {
    OpenError::Io { file: file.into(), what: error.to_string() }
}

/// Puts the names in a directory on disk. Where directories cannot be opened as files, the system does it itself.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}
