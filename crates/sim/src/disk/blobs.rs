//! The large objects of a simulated disk. An object is on disk once `put` returned: the simulator runs a job in
//! one instant, either when it begins or when it ends.

use bytes::Bytes;
use quorate_core::{BlobError, BlobId, Blobs, ScopeId};
use std::collections::BTreeMap;

/// One object, and whether its medium decays.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    bytes: Bytes,
    rotten: bool,
}

/// All objects of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shelf {
    objects: BTreeMap<BlobId, Object>,
    /// Nothing can be put there.
    full: bool,
}

impl Shelf {
    pub(super) fn fill(&mut self, full: bool) {
        self.full = full;
    }

    /// Every object decays; reading one finds it out. How many there were.
    pub(super) fn rot(&mut self) -> usize {
        self.objects.values_mut().for_each(|object| object.rotten = true);
        self.objects.len()
    }

    fn object(&self, id: BlobId) -> Option<&Object> {
        self.objects.get(&id)
    }
}

impl Blobs for Shelf {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        if self.full {
            return Err(BlobError::Io("no space left".into()));
        }
        self.objects.insert(id, Object { bytes: Bytes::copy_from_slice(bytes), rotten: false });
        Ok(())
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.object(id).map(|object| object.bytes.len() as u64))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let object = self.object(id).ok_or(BlobError::Missing(id))?;
        if object.rotten {
            return Err(BlobError::Corrupt(id));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(object.bytes.len());
        let to = from.saturating_add(max).min(object.bytes.len());
        Ok(object.bytes[from..to].to_vec())
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.objects.remove(&id);
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        let from = BlobId { scope, number: 0 };
        let to = BlobId { scope, number: u64::MAX };
        Ok(self.objects.range(from..=to).map(|(id, _)| id.number).collect())
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
        let mut shelf = Shelf::default();
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
        let mut shelf = Shelf::default();
        shelf.put(id(1, 1), b"abc").unwrap();
        assert_eq!(shelf.rot(), 1);
        assert_eq!(shelf.read(id(1, 1), 0, 1), Err(BlobError::Corrupt(id(1, 1))));
        shelf.fill(true);
        assert!(matches!(shelf.put(id(1, 1), b"abc"), Err(BlobError::Io(_))));
        shelf.fill(false);
        shelf.put(id(1, 1), b"abc").unwrap();
        assert_eq!(shelf.read(id(1, 1), 0, 9).unwrap(), b"abc");
    }
}
