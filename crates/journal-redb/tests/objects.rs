//! Rot in the files of objects: every read gives what was written, or says that it is damaged.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use quorate_core::Rng;
use quorate_journal::{BlobError, BlobId, Blobs, ScopeId};
use quorate_journal_redb::FileBlobs;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const ID: BlobId = BlobId { scope: ScopeId(0xabc), number: 0xdef };
const OTHER: BlobId = BlobId { scope: ScopeId(0xabc), number: 0xdf0 };

struct Shelf {
    _dir: TempDir,
    store: FileBlobs,
    path: PathBuf,
    bytes: Vec<u8>,
    file: Vec<u8>,
}

/// An object of three chunks.
fn shelf() -> Shelf {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FileBlobs::open(dir.path()).unwrap();
    let mut rng = Rng::from_seed(6);
    let bytes: Vec<u8> = (0..150_000).map(|_| rng.bits() as u8).collect();
    store.put(ID, &bytes).unwrap();
    let path = dir.path().join("0000000000000abc-0000000000000def");
    let file = fs::read(&path).unwrap();
    Shelf { _dir: dir, store, path, bytes, file }
}

impl Shelf {
    /// Whether a read of this part is right; it panics if it is wrong.
    fn is_right(&mut self, offset: usize, max: usize, what: &str) -> bool {
        match self.store.read(ID, offset as u64, max) {
            Ok(found) => {
                let start = offset.min(self.bytes.len());
                let end = start.saturating_add(max).min(self.bytes.len());
                assert!(found == self.bytes[start..end], "{what}: wrong bytes");
                true
            }
            Err(error) => {
                assert_eq!(error, BlobError::Corrupt(ID), "{what}");
                false
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_found_and_the_rest_is_read() {
    let mut shelf = shelf();
    let mut rng = Rng::from_seed(7);
    let header = (0..28 * 8).collect::<Vec<_>>();
    let anywhere = (0..1500).map(|_| rng.index(shelf.file.len() * 8)).collect::<Vec<_>>();
    let mut parts_read = 0;
    for bit in header.into_iter().chain(anywhere) {
        let mut file = shelf.file.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        fs::write(&shelf.path, &file).unwrap();
        let what = format!("bit {bit}");
        assert!(!shelf.is_right(0, usize::MAX, &what), "{what} was not seen");
        let parts = [0, 65_536, 131_072].map(|offset| shelf.is_right(offset, 65_536, &what));
        let right = parts.iter().filter(|right| **right).count();
        // Header and end are looked at by every read.
        let of_all = bit < 28 * 8 || bit >= (shelf.file.len() - 12) * 8;
        assert_eq!(right, if of_all { 0 } else { 2 }, "{what}");
        parts_read += right;
    }
    assert!(parts_read > 0);
}

#[test]
fn a_cut_or_longer_file_is_found() {
    let mut shelf = shelf();
    let len = shelf.file.len();
    for cut in [0, 1, 27, 28, 29, 65_568, len - 65_540, len - 12, len - 4, len - 1, len + 1, len + 4096] {
        let mut file = shelf.file.clone();
        file.resize(cut, 0);
        fs::write(&shelf.path, &file).unwrap();
        assert!(!shelf.is_right(0, 10, &format!("{cut} bytes of {len}")));
        assert_eq!(shelf.store.len(ID), Err(BlobError::Corrupt(ID)));
    }
}

#[test]
fn chunks_and_files_in_each_others_place_are_found() {
    let mut shelf = shelf();
    let mut file = shelf.file.clone();
    let (first, second) = (28..28 + 65_540, 28 + 65_540..28 + 2 * 65_540);
    file[first.clone()].copy_from_slice(&shelf.file[second.clone()]);
    file[second].copy_from_slice(&shelf.file[first]);
    fs::write(&shelf.path, &file).unwrap();
    assert!(!shelf.is_right(0, 10, "the second chunk in the place of the first"));
    assert!(shelf.is_right(131_072, 10, "the third"));

    shelf.store.put(OTHER, &shelf.bytes.clone()).unwrap();
    fs::rename(shelf.path.with_file_name("0000000000000abc-0000000000000df0"), &shelf.path).unwrap();
    assert!(!shelf.is_right(0, 10, "another object under this name"));
}

// A loss of power leaves any of it, in any order; what follows is gone on with.
#[test]
fn a_torn_piece_costs_what_is_behind_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FileBlobs::open(dir.path()).unwrap();
    let mut rng = Rng::from_seed(8);
    let bytes: Vec<u8> = (0..150_000).map(|_| rng.bits() as u8).collect();
    let path = dir.path().join("part-0000000000000abc-0000000000000def");
    store.append(ID, 0, &bytes[..140_000]).unwrap();
    let file = fs::read(&path).unwrap();
    let mut left = Vec::new();
    for round in 0..400 {
        let mut torn = file.clone();
        match round % 2 {
            0 => torn.truncate(rng.index(file.len() + 1)),
            _ => {
                let from = rng.index(file.len());
                let upto = file.len().min(from + 1 + rng.index(5_000));
                torn[from..upto].fill(0);
            }
        }
        fs::write(&path, &torn).unwrap();
        let there = store.unfinished(ID).unwrap().unwrap_or(0) as usize;
        assert!(there <= 140_000);
        store.append(ID, there as u64, &bytes[there..]).unwrap();
        store.seal(ID).unwrap();
        assert_eq!(store.read(ID, 0, usize::MAX).unwrap(), bytes, "round {round}");
        store.delete(ID).unwrap();
        left.push(there);
    }
    assert!([0, 65_536, 131_072].iter().all(|some| left.contains(some)), "{left:?}");
}

#[test]
fn a_put_that_fails_leaves_what_was_there() {
    let mut shelf = shelf();
    // Nothing can be made in a folder that is gone; the open handle does not panic.
    let folder = shelf.path.parent().unwrap().to_path_buf();
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    assert!(matches!(shelf.store.put(ID, b"new"), Err(BlobError::Io(_))));
    fs::rename(&away, &folder).unwrap();
    assert!(shelf.is_right(0, usize::MAX, "the old object"));
}

#[test]
fn many_threads_write_through_handles_of_one_store() {
    let shelf = shelf();
    std::thread::scope(|threads| {
        for thread in 0..8u64 {
            let mut store = shelf.store.clone();
            threads.spawn(move || {
                for n in 0..5 {
                    let bytes = thread.to_le_bytes().repeat(1000);
                    store.put(BlobId { scope: ScopeId(1), number: thread * 5 + n }, &bytes).unwrap();
                    store.put(BlobId { scope: ScopeId(2), number: n }, &bytes).unwrap();
                }
            });
        }
    });
    let mut store = shelf.store.clone();
    assert_eq!(store.list(ScopeId(1)).unwrap(), (0..40).collect::<Vec<u64>>());
    for number in 0..40 {
        let found = store.read(BlobId { scope: ScopeId(1), number }, 0, usize::MAX).unwrap();
        assert_eq!(found, (number / 5).to_le_bytes().repeat(1000));
    }
    // Replaced by many at once: whole, whosever it is.
    for number in 0..5 {
        let found = store.read(BlobId { scope: ScopeId(2), number }, 0, usize::MAX).unwrap();
        assert_eq!(found, found[..8].repeat(1000));
    }
}

// Its end is on disk, and the crash came before its name was.
#[test]
fn an_object_that_was_all_there_when_a_crash_came_is_made_whole_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FileBlobs::open(dir.path()).unwrap();
    let [name, part] =
        ["", "part-"].map(|before| dir.path().join(format!("{before}0000000000000abc-0000000000000def")));
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072] {
        let bytes = vec![7; len];
        store.put(ID, &bytes).unwrap();
        fs::rename(&name, &part).unwrap();
        assert_eq!(store.unfinished(ID), Ok(Some(len as u64)));
        store.seal(ID).unwrap();
        assert_eq!(store.len(ID), Ok(Some(len as u64)), "of {len} bytes");
        assert!(store.read(ID, 0, usize::MAX).unwrap() == bytes);
        store.delete(ID).unwrap();
    }
}

// Each of many groups asks at its start which objects are its own.
#[test]
fn the_objects_of_a_scope_are_found_without_a_look_at_those_of_all_others() {
    let dir = tempfile::tempdir().unwrap();
    for scope in 0..1_000 {
        fs::write(dir.path().join(format!("{scope:016x}-{:016x}", 2)), b"").unwrap();
        fs::write(dir.path().join(format!("part-{scope:016x}-{:016x}", 3)), b"").unwrap();
    }
    let mut store = FileBlobs::open(dir.path()).unwrap();
    let took = |store: &mut FileBlobs, scopes: u64| {
        let begun = std::time::Instant::now();
        for scope in (0..scopes).map(ScopeId) {
            assert_eq!((store.list(scope), store.list_unfinished(scope)), (Ok(vec![2]), Ok(vec![3])));
        }
        begun.elapsed()
    };
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2_000);
    }
    // Two looks at all of them for each would take as long as twenty of these.
    let hundred_looks = begun.elapsed();
    let all = took(&mut store, 1_000);
    assert!(all < hundred_looks * 4, "{all:?}, and a hundred looks at all {hundred_looks:?}");
}
