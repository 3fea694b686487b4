//! The bytes of one object's file, as FORMAT.md gives them: a header, chunks, each closed by a checksum, and for one that
//! is whole an end, which says how long it is. So it is written as it comes, and its length need not be known before.

use crate::format::{Fields, checksum, exactly};
use quorate_core::{BlobError, BlobId};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

const MAGIC: u64 = u64::from_le_bytes(*b"qrblob02");
const HEADER_BYTES: usize = 28;
const CHUNK_BYTES: u64 = 1 << 16;
const CRC_BYTES: u64 = 4;
const END_BYTES: usize = 12;

fn header(id: BlobId) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC.to_le_bytes());
    header.extend(id.scope.0.to_le_bytes());
    header.extend(id.number.to_le_bytes());
    let crc = checksum(b'H', 0, &[&header]);
    header.extend(crc.to_le_bytes());
    header
}

fn end(header_crc: u32, len: u64) -> Vec<u8> {
    let mut end = len.to_le_bytes().to_vec();
    let crc = checksum(b'E', header_crc, &[&end]);
    end.extend(crc.to_le_bytes());
    end
}

/// Tied to its place, and through the header's checksum to its object.
fn chunk_crc(header_crc: u32, index: u64, chunk: &[u8]) -> u32 {
    checksum(b'C', header_crc, &[&index.to_le_bytes(), chunk])
}

fn crc_of(header: &[u8]) -> u32 {
    header.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

/// Where a chunk begins in the file.
fn place_of(index: u64) -> u64 {
    HEADER_BYTES as u64 + index * (CHUNK_BYTES + CRC_BYTES)
}

/// Bytes of a file with so much of an object, without its end. `None`: no file is so long.
fn file_bytes(len: u64) -> Option<u64> {
    let crcs = len.div_ceil(CHUNK_BYTES).checked_mul(CRC_BYTES)?;
    crcs.checked_add(len)?.checked_add(HEADER_BYTES as u64)
}

pub(super) fn write(file: &mut (impl Write + ?Sized), id: BlobId, bytes: &[u8]) -> io::Result<()> {
    let header = header(id);
    file.write_all(&header)?;
    write_chunks(file, crc_of(&header), 0, bytes)?;
    file.write_all(&end(crc_of(&header), bytes.len() as u64))
}

fn write_chunks(
    file: &mut (impl Write + ?Sized),
    header_crc: u32,
    first: u64,
    bytes: &[u8],
) -> io::Result<()> {
    for (index, chunk) in (first..).zip(bytes.chunks(CHUNK_BYTES as usize)) {
        file.write_all(chunk)?;
        file.write_all(&chunk_crc(header_crc, index, chunk).to_le_bytes())?;
    }
    Ok(())
}

/// An object that is being written, piece by piece; its header is right.
pub(super) struct Writing {
    file: File,
    id: BlobId,
    /// Bytes of the object that the file has room for. They may be torn, after a loss of power.
    len: u64,
    header_crc: u32,
}

impl Writing {
    /// Nothing is in the file yet.
    pub(super) fn create(mut file: File, id: BlobId) -> io::Result<Writing> {
        let header = header(id);
        file.write_all(&header)?;
        Ok(Writing { file, id, len: 0, header_crc: crc_of(&header) })
    }

    /// Goes on with a file. `None`: not even its header is right.
    pub(super) fn open(mut file: File, id: BlobId) -> io::Result<Option<Writing>> {
        let header = header(id);
        let mut found = [0; HEADER_BYTES];
        match file.read_exact(&mut found) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if found[..] != header[..] {
            return Ok(None);
        }
        let header_crc = crc_of(&header);
        let bytes = file.metadata()?.len();
        // An end may be there: it was about to become whole when a crash came, or could not be renamed.
        let len = match ended(&mut file, bytes, header_crc)? {
            Some(len) => len,
            None => {
                let body = bytes.saturating_sub(HEADER_BYTES as u64);
                let (whole, rest) = (body / (CHUNK_BYTES + CRC_BYTES), body % (CHUNK_BYTES + CRC_BYTES));
                whole * CHUNK_BYTES + rest.saturating_sub(CRC_BYTES)
            }
        };
        Ok(Some(Writing { file, id, len, header_crc }))
    }

    /// How much of it is as it was written: up to the first chunk that is not.
    pub(super) fn sound(&mut self) -> Result<u64, BlobError> {
        let mut chunk = Vec::new();
        for index in 0..self.len.div_ceil(CHUNK_BYTES) {
            match self.read_chunk(index, &mut chunk) {
                Ok(()) => {}
                Err(BlobError::Corrupt(_)) => {
                    self.len = index * CHUNK_BYTES;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.len)
    }

    /// Puts a piece behind the first `at` bytes.
    pub(super) fn append(mut self, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        if at > self.len {
            return Err(BlobError::Gap(self.id));
        }
        let index = at / CHUNK_BYTES;
        // The chunk that it begins in is written again, with what it holds before.
        let mut front = Vec::new();
        if !at.is_multiple_of(CHUNK_BYTES) {
            self.read_chunk(index, &mut front)?;
            front.truncate((at % CHUNK_BYTES) as usize);
        }
        let (first, rest) = piece.split_at(piece.len().min(CHUNK_BYTES as usize - front.len()));
        front.extend_from_slice(first);
        let written = (|| {
            // What is cut off first is gone even if what comes behind it is not written.
            self.file.set_len(place_of(index))?;
            self.file.seek(SeekFrom::Start(place_of(index)))?;
            write_chunks(&mut self.file, self.header_crc, index, &front)?;
            write_chunks(&mut self.file, self.header_crc, index + 1, rest)
        })();
        written.map_err(|error: io::Error| BlobError::Io(error.to_string()))
    }

    /// Writes its end, which is to be synced.
    pub(super) fn end(mut self) -> io::Result<File> {
        let end = end(self.header_crc, self.len);
        self.file.set_len(file_bytes(self.len).unwrap_or(u64::MAX))?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(&end)?;
        Ok(self.file)
    }

    fn read_chunk(&mut self, index: u64, into: &mut Vec<u8>) -> Result<(), BlobError> {
        read_chunk(&mut self.file, self.id, self.header_crc, self.len, index, into)
    }
}

/// An object that is being read; its header and its end are right, and its file has the length that follows.
pub(super) struct Reading {
    file: File,
    id: BlobId,
    len: u64,
    header_crc: u32,
}

impl Reading {
    pub(super) fn begin(mut file: File, id: BlobId) -> Result<Reading, BlobError> {
        let bytes = file.metadata().map_err(|error| BlobError::Io(error.to_string()))?.len();
        let mut found = [0; HEADER_BYTES];
        file.read_exact(&mut found).map_err(|error| read_failed(id, error))?;
        if found[..] != header(id)[..] {
            return Err(BlobError::Corrupt(id));
        }
        let header_crc = crc_of(&found);
        let ended = ended(&mut file, bytes, header_crc).map_err(|error| read_failed(id, error))?;
        let len = ended.ok_or(BlobError::Corrupt(id))?;
        Ok(Reading { file, id, len, header_crc })
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(mut self, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let start = offset.min(self.len);
        let end = start.saturating_add(max as u64).min(self.len);
        // Bounded by the file's own length, which was compared with its end.
        let mut out = Vec::with_capacity((end - start) as usize);
        let mut chunk = Vec::new();
        let mut at = start;
        while at < end {
            let index = at / CHUNK_BYTES;
            let begins = index * CHUNK_BYTES;
            read_chunk(&mut self.file, self.id, self.header_crc, self.len, index, &mut chunk)?;
            let upto = end.min(begins + CHUNK_BYTES);
            out.extend_from_slice(&chunk[(at - begins) as usize..(upto - begins) as usize]);
            at = upto;
        }
        Ok(out)
    }
}

/// The length of the object, as the end of its file of so many bytes says. `None`: there is no end that fits it.
fn ended(file: &mut File, bytes: u64, header_crc: u32) -> io::Result<Option<u64>> {
    let Some(at) = bytes.checked_sub(END_BYTES as u64) else { return Ok(None) };
    let mut found = [0; END_BYTES];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut found)?;
    let len = exactly(&found, END_BYTES, b'E', header_crc, || Fields(&found).u64());
    Ok(len.filter(|len| file_bytes(*len) == Some(at)))
}

/// A chunk of an object of `len` bytes, checked.
fn read_chunk(
    file: &mut File,
    id: BlobId,
    header_crc: u32,
    len: u64,
    index: u64,
    into: &mut Vec<u8>,
) -> Result<(), BlobError> {
    let bytes = CHUNK_BYTES.min(len - index * CHUNK_BYTES) as usize;
    into.resize(bytes + CRC_BYTES as usize, 0);
    let read = file.seek(SeekFrom::Start(place_of(index))).and_then(|_| file.read_exact(into));
    read.map_err(|error| read_failed(id, error))?;
    let crc = crc_of(into);
    into.truncate(bytes);
    if crc != chunk_crc(header_crc, index, into) {
        return Err(BlobError::Corrupt(id));
    }
    Ok(())
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
        let chunks = CHUNK_BYTES as usize + 1 + 2 * CRC_BYTES as usize;
        assert_eq!(long.len(), HEADER_BYTES + chunks + END_BYTES);
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
