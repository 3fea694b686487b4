//! The large objects of a simulated disk. The simulator runs a job in one instant, either when it begins or when it
//! ends; what a job sealed is on disk, and of what it left unfinished a loss of power keeps a beginning.

use bytes::Bytes;
use quorate_core::{BlobError, BlobId, Blobs, Rng, ScopeId};
use std::collections::BTreeMap;

/// One object, and whether its medium decays.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    bytes: Bytes,
    rotten: bool,
}

/// All objects of a node.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    objects: BTreeMap<BlobId, Object>,
    unfinished: BTreeMap<BlobId, Vec<u8>>,
    /// Nothing can be put there.
    full: bool,
    rng: Rng,
    /// The chance that a call fails, and how many did since they were counted last.
    fails: f64,
    failed: u64,
}

impl Shelf {
    pub(super) fn new(rng: Rng) -> Shelf {
        let (objects, unfinished) = (BTreeMap::new(), BTreeMap::new());
        Shelf { objects, unfinished, full: false, rng, fails: 0.0, failed: 0 }
    }

    pub(super) fn fill(&mut self, full: bool) {
        self.full = full;
    }

    /// Every object decays; reading one finds it out. How many there were.
    pub(super) fn rot(&mut self) -> usize {
        self.objects.values_mut().for_each(|object| object.rotten = true);
        self.objects.len()
    }

    /// The same, with this chance that a call fails.
    pub(crate) fn failing(&mut self, chance: f64) -> &mut Shelf {
        self.fails = chance;
        self
    }

    /// How many calls failed since this was asked last.
    pub(crate) fn failed(&mut self) -> u64 {
        std::mem::take(&mut self.failed)
    }

    /// The power goes: some beginning is left of what was unfinished. How many objects lost something.
    pub(crate) fn tear(&mut self) -> usize {
        let mut torn = 0;
        for bytes in self.unfinished.values_mut() {
            let kept = self.rng.index(bytes.len() + 1);
            torn += usize::from(kept < bytes.len());
            bytes.truncate(kept);
        }
        torn
    }

    fn object(&self, id: BlobId) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// Whether the medium does as it is told.
    fn obeys(&mut self) -> Result<(), BlobError> {
        if self.fails > 0.0 && self.rng.chance(self.fails) {
            self.failed += 1;
            return Err(BlobError::Io("the disk said no".into()));
        }
        Ok(())
    }

    fn has_room(&mut self) -> Result<(), BlobError> {
        self.obeys()?;
        if self.full { Err(BlobError::Io("no space left".into())) } else { Ok(()) }
    }
}

impl Blobs for Shelf {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        self.has_room()?;
        self.objects.insert(id, Object { bytes: Bytes::copy_from_slice(bytes), rotten: false });
        Ok(())
    }

    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        if self.objects.contains_key(&id) {
            return Err(BlobError::Sealed(id));
        }
        let there = self.unfinished.get(&id).map_or(0, Vec::len);
        let at = usize::try_from(at).ok().filter(|at| *at <= there).ok_or(BlobError::Gap(id))?;
        if let Err(error) = self.has_room() {
            // Some of it may have been written over what was there.
            let kept = at.saturating_sub(self.rng.index(8));
            self.unfinished.entry(id).or_default().truncate(kept);
            return Err(error);
        }
        let bytes = self.unfinished.entry(id).or_default();
        bytes.truncate(at);
        bytes.extend_from_slice(piece);
        Ok(())
    }

    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.obeys()?;
        Ok(self.unfinished.get(&id).map(|bytes| bytes.len() as u64))
    }

    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.has_room()?;
        match self.unfinished.remove(&id) {
            Some(bytes) => {
                self.objects.insert(id, Object { bytes: bytes.into(), rotten: false });
            }
            None if self.objects.contains_key(&id) => {}
            None => return Err(BlobError::Missing(id)),
        }
        Ok(())
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        self.obeys()?;
        Ok(self.object(id).map(|object| object.bytes.len() as u64))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        self.obeys()?;
        let object = self.object(id).ok_or(BlobError::Missing(id))?;
        if object.rotten {
            return Err(BlobError::Corrupt(id));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(object.bytes.len());
        let to = from.saturating_add(max).min(object.bytes.len());
        Ok(object.bytes[from..to].to_vec())
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.obeys()?;
        self.objects.remove(&id);
        self.unfinished.remove(&id);
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.obeys()?;
        let from = BlobId { scope, number: 0 };
        let to = BlobId { scope, number: u64::MAX };
        Ok(self.objects.range(from..=to).map(|(id, _)| id.number).collect())
    }

    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        self.obeys()?;
        let from = BlobId { scope, number: 0 };
        let to = BlobId { scope, number: u64::MAX };
        Ok(self.unfinished.range(from..=to).map(|(id, _)| id.number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(scope: u64, number: u64) -> BlobId {
        BlobId { scope: ScopeId(scope), number }
    }

    #[test]
    fn objects_are_read_in_parts_and_listed_by_scope() {
        let mut shelf = Shelf::new(Rng::from_seed(1));
        shelf.put(id(1, 2), b"abcdef").unwrap();
        shelf.put(id(1, 9), b"").unwrap();
        shelf.put(id(2, 1), b"x").unwrap();
        assert_eq!(shelf.read(id(1, 2), 4, 10).unwrap(), b"ef");
        assert_eq!(shelf.read(id(1, 2), 99, 10).unwrap(), b"");
        assert_eq!(shelf.read(id(3, 3), 0, 1), Err(BlobError::Missing(id(3, 3))));
        assert_eq!(shelf.list(ScopeId(1)).unwrap(), [2, 9]);
        shelf.delete(id(1, 2)).unwrap();
        assert_eq!(shelf.len(id(1, 2)).unwrap(), None);
    }

    #[test]
    fn rot_is_found_at_the_read_and_a_full_disk_takes_nothing() {
        let mut shelf = Shelf::new(Rng::from_seed(1));
        shelf.put(id(1, 1), b"abc").unwrap();
        assert_eq!(shelf.rot(), 1);
        assert_eq!(shelf.read(id(1, 1), 0, 1), Err(BlobError::Corrupt(id(1, 1))));
        shelf.fill(true);
        assert!(matches!(shelf.put(id(1, 1), b"abc"), Err(BlobError::Io(_))));
        shelf.fill(false);
        shelf.put(id(1, 1), b"abc").unwrap();
        assert_eq!(shelf.read(id(1, 1), 0, 9).unwrap(), b"abc");
    }
    #[test]
    fn a_loss_of_power_leaves_a_beginning_of_what_was_unfinished() {
        let mut left = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut shelf = Shelf::new(Rng::from_seed(seed));
            shelf.append(id(1, 1), 0, b"abcd").unwrap();
            shelf.append(id(1, 2), 0, b"sealed").unwrap();
            shelf.seal(id(1, 2)).unwrap();
            shelf.tear();
            assert_eq!(shelf.read(id(1, 2), 0, 9).unwrap(), b"sealed");
            let there = shelf.unfinished(id(1, 1)).unwrap().unwrap();
            shelf.append(id(1, 1), there, b"").unwrap();
            shelf.seal(id(1, 1)).unwrap();
            assert_eq!(shelf.read(id(1, 1), 0, 9).unwrap(), b"abcd"[..there as usize]);
            left.insert(there);
        }
        assert_eq!(left.len(), 5);
    }

    #[test]
    fn a_medium_that_says_no_changes_nothing_that_is_whole() {
        let mut shelf = Shelf::new(Rng::from_seed(1));
        shelf.put(id(1, 1), b"abc").unwrap();
        shelf.append(id(1, 2), 0, b"abcdef").unwrap();
        let failing = shelf.failing(1.0);
        assert!(failing.put(id(1, 1), b"new").is_err() && failing.delete(id(1, 1)).is_err());
        assert!(failing.append(id(1, 2), 6, b"g").is_err() && failing.seal(id(1, 2)).is_err());
        assert!(failing.list(ScopeId(1)).is_err() && failing.read(id(1, 1), 0, 9).is_err());
        assert_eq!(shelf.failed(), 6);
        assert_eq!(shelf.failing(0.0).read(id(1, 1), 0, 9).unwrap(), b"abc");
        assert!(shelf.unfinished(id(1, 2)).unwrap().is_some_and(|there| there <= 6));
    }
}
