use super::MemoryDisk;
use bytes::Bytes;
use quorate_core::{BlobError, BlobId, Blobs, ScopeId};

/// The objects on a [`MemoryDisk`]. Every handle sees the same ones; they survive as the disk does.
#[derive(Clone, Debug)]
pub struct MemoryBlobs(MemoryDisk);

impl MemoryBlobs {
    /// The objects of this disk.
    pub fn new(disk: MemoryDisk) -> MemoryBlobs {
        MemoryBlobs(disk)
    }

    fn find(&self, id: BlobId) -> Option<Bytes> {
        self.0.platter().blobs.get(&id).cloned()
    }
}

impl Blobs for MemoryBlobs {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.0.platter().blobs.insert(id, bytes);
        Ok(())
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.find(id).map(|bytes| bytes.len() as u64))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let bytes = self.find(id).ok_or(BlobError::Missing(id))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(max).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        self.0.platter().blobs.remove(&id);
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        let all = BlobId { scope, number: 0 }..=BlobId { scope, number: u64::MAX };
        Ok(self.0.platter().blobs.range(all).map(|(id, _)| id.number).collect())
    }
}
