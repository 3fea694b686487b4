//! Values into objects and out of them, a piece at a time: never the whole in memory.

use super::NotTaken;
use postcard::{Deserializer, de_flavors, ser_flavors};
use quorate_core::{BlobError, BlobId, Blobs};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are written or read at once (guess: a few chunks of a store).
const PIECE_BYTES: usize = 256 << 10;

/// Writes an object from its beginning.
pub(super) struct Writer<'b> {
    blobs: &'b mut dyn Blobs,
    id: BlobId,
    piece: Vec<u8>,
    written: u64,
    crc: crc32fast::Hasher,
    bytes_max: u64,
    error: Option<NotTaken>,
}

impl<'b> Writer<'b> {
    /// Of an object that may have so many bytes: no piece beyond them is written.
    pub fn new(blobs: &'b mut dyn Blobs, id: BlobId, bytes_max: u64) -> Writer<'b> {
        let (piece, crc) = (Vec::with_capacity(PIECE_BYTES), crc32fast::Hasher::new());
        Writer { blobs, id, piece, written: 0, crc, bytes_max, error: None }
    }

    /// Puts a value behind what is there.
    pub fn write<T: Serialize>(&mut self, value: &T) -> Result<(), NotTaken> {
        let written = postcard::serialize_with_flavor(value, Behind(self));
        written.map_err(|error| self.error.take().unwrap_or_else(|| NotTaken::Unwritten(error.to_string())))
    }

    fn flush(&mut self) -> postcard::Result<()> {
        if self.written + self.piece.len() as u64 > self.bytes_max {
            return self.stop(NotTaken::TooLarge { bytes_max: self.bytes_max });
        }
        self.crc.update(&self.piece);
        if let Err(error) = self.blobs.append(self.id, self.written, &self.piece) {
            return self.stop(NotTaken::Unwritten(error.to_string()));
        }
        self.written += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn stop(&mut self, why: NotTaken) -> postcard::Result<()> {
        self.error = Some(why);
        Err(postcard::Error::SerializeBufferFull)
    }

    /// How many bytes it has, and their CRC-32. With `seal` it is whole and on disk by then.
    pub fn finish(mut self, seal: bool) -> Result<(u64, u32), NotTaken> {
        if let Err(error) = self.flush() {
            return Err(self.error.take().unwrap_or_else(|| NotTaken::Unwritten(error.to_string())));
        }
        if seal {
            self.blobs.seal(self.id).map_err(|error| NotTaken::Unwritten(error.to_string()))?;
        }
        Ok((self.written, self.crc.finalize()))
    }
}

struct Behind<'w, 'b>(&'w mut Writer<'b>);

impl ser_flavors::Flavor for Behind<'_, '_> {
    type Output = ();

    fn try_extend(&mut self, mut data: &[u8]) -> postcard::Result<()> {
        while !data.is_empty() {
            let room = PIECE_BYTES - self.0.piece.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.0.piece.extend_from_slice(now);
            data = later;
            if self.0.piece.len() == PIECE_BYTES {
                self.0.flush()?;
            }
        }
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.piece.push(byte);
        if self.0.piece.len() == PIECE_BYTES { self.0.flush() } else { Ok(()) }
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads an object from its beginning.
pub(super) struct Reader<'b> {
    blobs: &'b mut dyn Blobs,
    id: BlobId,
    total: u64,
    /// Bytes that were read, and how many of the last piece are used.
    read: u64,
    piece: Vec<u8>,
    used: usize,
    crc: crc32fast::Hasher,
    error: Option<BlobError>,
    temporary: Vec<u8>,
    /// A value wanted to borrow more than there was room for.
    lacks_room: bool,
}

impl<'b> Reader<'b> {
    /// Of an object that should have so many bytes.
    pub fn new(blobs: &'b mut dyn Blobs, id: BlobId, total: u64) -> Reader<'b> {
        Reader {
            blobs,
            id,
            total,
            read: 0,
            piece: Vec::new(),
            used: 0,
            crc: crc32fast::Hasher::new(),
            error: None,
            temporary: Vec::new(),
            lacks_room: false,
        }
    }

    /// The next value. Some types want to borrow what they are made of while they are made; they are lent `room`.
    pub fn value<'r, T: DeserializeOwned>(&'r mut self, room: &'r mut [u8]) -> postcard::Result<T> {
        T::deserialize(&mut Deserializer::from_flavor(OutOf { reader: self, room }))
    }

    /// Whether the last value failed for want of room.
    pub fn lacks_room(&self) -> bool {
        self.lacks_room
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.left() == 0
    }

    /// How many bytes there are and their CRC-32, those that no value took as well.
    pub fn finish(mut self) -> Result<(u64, u32), BlobError> {
        while self.error.is_none() && self.next_piece().is_ok() {}
        match self.error.filter(|_| self.read < self.total) {
            Some(error) => Err(error),
            None => {
                let len = self.blobs.len(self.id)?.ok_or(BlobError::Missing(self.id))?;
                Ok((len, self.crc.finalize()))
            }
        }
    }

    fn left(&self) -> u64 {
        self.total.saturating_sub(self.read) + (self.piece.len() - self.used) as u64
    }

    fn next_piece(&mut self) -> postcard::Result<()> {
        let ended = Err(postcard::Error::DeserializeUnexpectedEnd);
        let max =
            usize::try_from(self.total.saturating_sub(self.read)).unwrap_or(usize::MAX).min(PIECE_BYTES);
        if max == 0 || self.error.is_some() {
            return ended;
        }
        match self.blobs.read(self.id, self.read, max) {
            Ok(piece) if !piece.is_empty() => {
                self.crc.update(&piece);
                self.read += piece.len() as u64;
                (self.piece, self.used) = (piece, 0);
                Ok(())
            }
            // It is shorter than it should be.
            Ok(_) => {
                self.error = Some(BlobError::Corrupt(self.id));
                ended
            }
            Err(error) => {
                self.error = Some(error);
                ended
            }
        }
    }

    fn copy(&mut self, mut to: &mut [u8]) -> postcard::Result<()> {
        while !to.is_empty() {
            if self.used == self.piece.len() {
                self.next_piece()?;
            }
            let here = to.len().min(self.piece.len() - self.used);
            let (now, later) = to.split_at_mut(here);
            now.copy_from_slice(&self.piece[self.used..self.used + here]);
            self.used += here;
            to = later;
        }
        Ok(())
    }

    /// No length that the bytes claim is believed beyond what is left of them.
    fn has(&self, count: usize) -> postcard::Result<()> {
        if count as u64 > self.left() { Err(postcard::Error::DeserializeUnexpectedEnd) } else { Ok(()) }
    }
}

struct OutOf<'r, 'b> {
    reader: &'r mut Reader<'b>,
    room: &'r mut [u8],
}

impl<'r, 'b: 'r> de_flavors::Flavor<'r> for OutOf<'r, 'b> {
    type Remainder = ();
    type Source = ();

    fn pop(&mut self) -> postcard::Result<u8> {
        let mut byte = [0];
        self.reader.copy(&mut byte)?;
        Ok(byte[0])
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.reader.left()).ok()
    }

    fn try_take_n(&mut self, count: usize) -> postcard::Result<&'r [u8]> {
        self.reader.has(count)?;
        if count > self.room.len() {
            self.reader.lacks_room = true;
            return Err(postcard::Error::DeserializeUnexpectedEnd);
        }
        let (lent, rest) = std::mem::take(&mut self.room).split_at_mut(count);
        self.room = rest;
        self.reader.copy(lent)?;
        Ok(lent)
    }

    fn try_take_n_temp<'t>(&'t mut self, count: usize) -> postcard::Result<&'t [u8]>
    where
        'r: 't,
    {
        self.reader.has(count)?;
        let mut temporary = std::mem::take(&mut self.reader.temporary);
        temporary.clear();
        temporary.resize(count, 0);
        let copied = self.reader.copy(&mut temporary);
        self.reader.temporary = temporary;
        copied?;
        Ok(&self.reader.temporary)
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
