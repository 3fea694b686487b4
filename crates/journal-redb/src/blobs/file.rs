//! The bytes of one object's file, as FORMAT.md gives them: a header, then chunks, each closed by a checksum.

use crate::format::{Fields, checksum, exactly};
use quorate_core::{BlobError, BlobId};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

const MAGIC: u64 = u64::from_le_bytes(*b"qrblob01");
const HEADER_BYTES: usize = 36;
const CHUNK_BYTES: u64 = 1 << 16;
const CRC_BYTES: u64 = 4;

fn header(id: BlobId, len: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC.to_le_bytes());
    header.extend(id.scope.0.to_le_bytes());
    header.extend(id.number.to_le_bytes());
    header.extend(len.to_le_bytes());
    let crc = checksum(b'H', 0, &[&header]);
    header.extend(crc.to_le_bytes());
    header
}

/// Tied to its place, and through the header's checksum to its object and that one's length.
fn chunk_crc(header_crc: u32, index: u64, chunk: &[u8]) -> u32 {
    checksum(b'C', header_crc, &[&index.to_le_bytes(), chunk])
}

fn crc_of(header: &[u8]) -> u32 {
    header.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

pub(super) fn write(file: &mut impl Write, id: BlobId, bytes: &[u8]) -> io::Result<()> {
    let header = header(id, bytes.len() as u64);
    file.write_all(&header)?;
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK_BYTES as usize)) {
        file.write_all(chunk)?;
        file.write_all(&chunk_crc(crc_of(&header), index, chunk).to_le_bytes())?;
    }
    Ok(())
}

/// An object that is being read; its header is right, and its file has the length that follows from it.
pub(super) struct Reading {
    file: File,
    id: BlobId,
    len: u64,
    header_crc: u32,
}

impl Reading {
    pub(super) fn begin(mut file: File, id: BlobId) -> Result<Reading, BlobError> {
        let file_bytes = file.metadata().map_err(|error| BlobError::Io(error.to_string()))?.len();
        let mut found = [0; HEADER_BYTES];
        file.read_exact(&mut found).map_err(|error| read_failed(id, error))?;
        let mut fields = Fields(&found);
        let decoded = || Some((fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?));
        let (magic, scope, number, len) =
            exactly(&found, HEADER_BYTES, b'H', 0, decoded).ok_or(BlobError::Corrupt(id))?;
        let expected = len
            .div_ceil(CHUNK_BYTES)
            .checked_mul(CRC_BYTES)
            .and_then(|crcs| crcs.checked_add(len)?.checked_add(HEADER_BYTES as u64));
        let right = (magic, scope, number) == (MAGIC, id.scope.0, id.number) && expected == Some(file_bytes);
        if !right {
            return Err(BlobError::Corrupt(id));
        }
        Ok(Reading { file, id, len, header_crc: crc_of(&found) })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(mut self, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let start = offset.min(self.len);
        let end = start.saturating_add(max as u64).min(self.len);
        // Bounded by the file's own length, which was compared with the header.
        let mut out = Vec::with_capacity((end - start) as usize);
        let mut chunk = Vec::new();
        let mut at = start;
        while at < end {
            let index = at / CHUNK_BYTES;
            let begins = index * CHUNK_BYTES;
            self.read_chunk(index, &mut chunk)?;
            let upto = end.min(begins + CHUNK_BYTES);
            out.extend_from_slice(&chunk[(at - begins) as usize..(upto - begins) as usize]);
            at = upto;
        }
        Ok(out)
    }

    fn read_chunk(&mut self, index: u64, into: &mut Vec<u8>) -> Result<(), BlobError> {
        let begins = index * CHUNK_BYTES;
        let bytes = CHUNK_BYTES.min(self.len - begins) as usize;
        into.resize(bytes + CRC_BYTES as usize, 0);
        let place = HEADER_BYTES as u64 + index * (CHUNK_BYTES + CRC_BYTES);
        let read = self.file.seek(SeekFrom::Start(place)).and_then(|_| self.file.read_exact(into));
        read.map_err(|error| read_failed(self.id, error))?;
        let crc = crc_of(into);
        into.truncate(bytes);
        if crc != chunk_crc(self.header_crc, index, into) {
            return Err(BlobError::Corrupt(self.id));
        }
        Ok(())
    }
}

fn read_failed(id: BlobId, error: io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BlobError::Corrupt(id),
        _ => BlobError::Io(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::ScopeId;

    #[test]
    fn files_keep_their_bytes() {
        let id = BlobId { scope: ScopeId(0x0102_0304_0506_0708), number: 9 };
        let file = |bytes: &[u8]| {
            let mut file = Vec::new();
            write(&mut file, id, bytes).unwrap();
            file
        };
        let mut long = file(&[7; CHUNK_BYTES as usize + 1]);
        assert_eq!(long.len(), HEADER_BYTES + CHUNK_BYTES as usize + 1 + 2 * CRC_BYTES as usize);
        let behind_the_first_chunk = long.split_off(HEADER_BYTES + CHUNK_BYTES as usize);
        long.truncate(HEADER_BYTES);
        crate::golden::check(
            "object",
            &[
                ("empty", file(b"")),
                ("short", file(b"object")),
                ("header of two chunks", long),
                ("end of two chunks", behind_the_first_chunk),
            ],
        );
    }
}
