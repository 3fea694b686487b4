//! Objects in memory, in the pieces in which they came: one that grows is never copied.

use super::MemoryDisk;
use bytes::Bytes;
use quorate_core::{BlobError, BlobId, Blobs, ScopeId};
use std::collections::BTreeMap;

/// The objects on a [`MemoryDisk`]. Every handle sees the same ones; they survive as the disk does.
#[derive(Clone, Debug)]
pub struct MemoryBlobs(MemoryDisk);

/// The bytes of one object: each piece with the place where it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pieces: Vec<(u64, Bytes)>,
}

impl Object {
    fn len(&self) -> u64 {
        self.pieces.last().map_or(0, |(end, _)| *end)
    }

    fn truncate(&mut self, len: u64) {
        while self.len() > len {
            let Some((end, bytes)) = self.pieces.pop() else { return };
            let begins = end - bytes.len() as u64;
            if begins < len {
                self.pieces.push((len, bytes.slice(..(len - begins) as usize)));
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.pieces.push((self.len() + bytes.len() as u64, Bytes::copy_from_slice(bytes)));
        }
    }

    fn read(&self, offset: u64, max: usize) -> Vec<u8> {
        let start = offset.min(self.len());
        let end = start.saturating_add(max as u64).min(self.len());
        let mut out = Vec::with_capacity((end - start) as usize);
        let first = self.pieces.partition_point(|(ends, _)| *ends <= start);
        for (ends, bytes) in self.pieces.iter().skip(first) {
            let begins = ends - bytes.len() as u64;
            if begins >= end {
                break;
            }
            let from = start.saturating_sub(begins) as usize;
            let upto = (end - begins).min(bytes.len() as u64) as usize;
            out.extend_from_slice(&bytes[from..upto]);
        }
        out
    }
}

impl MemoryBlobs {
    /// The objects of this disk.
    pub fn new(disk: MemoryDisk) -> MemoryBlobs {
        MemoryBlobs(disk)
    }
}

fn numbers(of: &BTreeMap<BlobId, Object>, scope: ScopeId) -> Vec<u64> {
    let all = BlobId { scope, number: 0 }..=BlobId { scope, number: u64::MAX };
    of.range(all).map(|(id, _)| id.number).collect()
}

impl Blobs for MemoryBlobs {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        let mut object = Object::default();
        object.push(bytes);
        self.0.platter().blobs.insert(id, object);
        Ok(())
    }

    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        let mut platter = self.0.platter();
        if platter.blobs.contains_key(&id) {
            return Err(BlobError::Sealed(id));
        }
        if at > platter.unfinished.get(&id).map_or(0, Object::len) {
            return Err(BlobError::Gap(id));
        }
        let object = platter.unfinished.entry(id).or_default();
        object.truncate(at);
        object.push(piece);
        Ok(())
    }

    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.0.platter().unfinished.get(&id).map(Object::len))
    }

    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        let mut platter = self.0.platter();
        match platter.unfinished.remove(&id) {
            Some(object) => drop(platter.blobs.insert(id, object)),
            None if platter.blobs.contains_key(&id) => {}
            None => return Err(BlobError::Missing(id)),
        }
        Ok(())
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.0.platter().blobs.get(&id).map(Object::len))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let platter = self.0.platter();
        platter.blobs.get(&id).map(|object| object.read(offset, max)).ok_or(BlobError::Missing(id))
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        let mut platter = self.0.platter();
        platter.blobs.remove(&id);
        platter.unfinished.remove(&id);
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        Ok(numbers(&self.0.platter().blobs, scope))
    }

    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        Ok(numbers(&self.0.platter().unfinished, scope))
    }
}
