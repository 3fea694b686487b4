//! Objects as files in a folder, one a file. Each is written aside, synced, and renamed to its name, so that a name
//! stands for a whole object or for none; each is cut into chunks with a checksum, so that a part is checked
//! without reading the rest. One that comes in pieces has a name of its own until it is whole; handles keep no file
//! open, so whoever has the next piece may write it.

mod file;

use crate::files::sync_dir;
use file::{Reading, Writing};
use quorate_core::{BlobError, BlobId, Blobs, ScopeId};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const ASIDE: &str = "aside-";
const UNFINISHED: &str = "part-";

/// A store of objects in a folder. Clones are handles to the same one, for as many threads.
#[derive(Clone, Debug)]
pub struct FileBlobs {
    dir: PathBuf,
    /// Numbers what is being written, so that two handles never write to one file.
    aside: Arc<AtomicU64>,
    /// Whatever may be there, whole or unfinished: those of one scope are found without a look at those of all others.
    known: Arc<Mutex<BTreeSet<BlobId>>>,
    /// How the file of an object that came in pieces is brought to disk.
    sync: fn(&File) -> io::Result<()>,
}

impl FileBlobs {
    /// Opens the folder, or makes it, and removes what a crash left half written. Opened once a process; further
    /// handles are clones.
    pub fn open(dir: impl AsRef<Path>) -> io::Result<FileBlobs> {
        let dir = dir.as_ref().to_path_buf();
        fs::create_dir_all(&dir)?;
        let mut known = BTreeSet::new();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(ASIDE) {
                fs::remove_file(entry.path())?;
            }
            known.extend(id_of(name.strip_prefix(UNFINISHED).unwrap_or(name)));
        }
        sync_dir(&dir)?;
        let (aside, known) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(known)));
        Ok(FileBlobs { dir, aside, known, sync: File::sync_all })
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.dir.join(format!("{:016x}-{:016x}", id.scope.0, id.number))
    }

    fn unfinished_path(&self, id: BlobId) -> PathBuf {
        self.dir.join(format!("{UNFINISHED}{:016x}-{:016x}", id.scope.0, id.number))
    }

    /// The file of an unfinished object. `None`: there is none, or nothing of it survived.
    fn writing(&self, id: BlobId) -> io::Result<Option<Writing>> {
        match OpenOptions::new().read(true).write(true).open(self.unfinished_path(id)) {
            Ok(file) => Writing::open(file, id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        // Nothing panics while it is held, and it would be whole if something did.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a scope, in the order of their numbers, of which there is a file of this name.
    fn numbers(&self, scope: ScopeId, path_of: impl Fn(BlobId) -> PathBuf) -> Result<Vec<u64>, BlobError> {
        let all = BlobId { scope, number: 0 }..=BlobId { scope, number: u64::MAX };
        let known: Vec<BlobId> = self.known().range(all).copied().collect();
        let mut numbers = Vec::new();
        for id in known {
            if fs::exists(path_of(id)).map_err(failed)? {
                numbers.push(id.number);
            }
        }
        Ok(numbers)
    }

    fn find(&self, id: BlobId) -> Result<Option<Reading>, BlobError> {
        match File::open(self.path(id)) {
            Ok(file) => Reading::begin(file, id).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn write(&self, aside: &Path, id: BlobId, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(aside)?;
        file::write(&mut file, id, bytes)?;
        file.sync_all()?;
        fs::rename(aside, self.path(id))?;
        sync_dir(&self.dir)
    }
}

impl Blobs for FileBlobs {
    /// Where only the last step fails, the sync of the folder, the object may be there after a crash or not.
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.known().insert(id);
        let number = self.aside.fetch_add(1, Ordering::Relaxed);
        let aside = self.dir.join(format!("{ASIDE}{number}"));
        self.write(&aside, id, bytes).map_err(|error| {
            // Perhaps it was renamed already, perhaps it was never made.
            let _ = fs::remove_file(&aside);
            failed(error)
        })
    }

    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        if fs::exists(self.path(id)).map_err(failed)? {
            return Err(BlobError::Sealed(id));
        }
        let writing = match at {
            0 => {
                self.known().insert(id);
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .open(self.unfinished_path(id));
                file.and_then(|file| Writing::create(file, id)).map_err(failed)?
            }
            _ => self.writing(id).map_err(failed)?.ok_or(BlobError::Gap(id))?,
        };
        writing.append(at, piece)
    }

    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        match self.writing(id).map_err(failed)? {
            Some(mut writing) => writing.sound().map(Some),
            None => Ok(None),
        }
    }

    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        let Some(writing) = self.writing(id).map_err(failed)? else {
            let whole = fs::exists(self.path(id)).map_err(failed)?;
            return if whole { Ok(()) } else { Err(BlobError::Missing(id)) };
        };
        let file = writing.end().map_err(failed)?;
        let named = (self.sync)(&file).and_then(|()| fs::rename(self.unfinished_path(id), self.path(id)));
        named.and_then(|()| sync_dir(&self.dir)).map_err(|error| {
            // What a failed sync did not write the system may have given up, and the next one says that all is well. So it begins
            // anew.
            let _ = fs::remove_file(self.path(id));
            let _ = fs::remove_file(self.unfinished_path(id));
            failed(error)
        })
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.find(id)?.map(|reading| reading.len()))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        self.find(id)?.ok_or(BlobError::Missing(id))?.read(offset, max)
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        let mut gone = false;
        for path in [self.path(id), self.unfinished_path(id)] {
            match fs::remove_file(path) {
                Ok(()) => gone = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        self.known().remove(&id);
        if gone { sync_dir(&self.dir).map_err(failed) } else { Ok(()) }
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.numbers(scope, |id| self.path(id))
    }

    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.numbers(scope, |id| self.unfinished_path(id))
    }
}

/// The object of this file name; `None` for files that are none of ours.
fn id_of(name: &str) -> Option<BlobId> {
    let (scope, number) = name.split_once('-')?;
    let hex = |text: &str| {
        let ours = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| ours)
    };
    Some(BlobId { scope: ScopeId(hex(scope)?), number: hex(number)? })
}

fn failed(error: io::Error) -> BlobError {
    BlobError::Io(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sync_failed_on_is_not_made_whole_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = FileBlobs::open(dir.path()).unwrap();
        let id = BlobId { scope: ScopeId(1), number: 10 };
        store.append(id, 0, b"object").unwrap();
        store.sync = |_| Err(io::Error::other("it is not on disk"));
        assert!(matches!(store.seal(id), Err(BlobError::Io(_))));
        store.sync = File::sync_all;
        assert_eq!((store.unfinished(id), store.len(id)), (Ok(None), Ok(None)));
        assert_eq!(store.seal(id), Err(BlobError::Missing(id)));
        store.append(id, 0, b"object").unwrap();
        store.seal(id).unwrap();
        assert_eq!(store.read(id, 0, 9).unwrap(), b"object");
    }

    #[test]
    fn only_our_own_names_are_objects() {
        let id = BlobId { scope: ScopeId(u64::MAX), number: 10 };
        assert_eq!(id_of("ffffffffffffffff-000000000000000a"), Some(id));
        for name in [
            "",
            "-",
            "aside-1",
            "ffffffffffffffff-a",
            "FFFFFFFFFFFFFFFF-000000000000000a",
            "+fffffffffffffff-000000000000000a",
        ] {
            assert_eq!(id_of(name), None, "{name}");
        }
    }
}
