//! Entries, many at a time. A batch is one immutable piece of memory, made once by the leader and the same in
//! the log, in the journal and in every message; entries are lent out of it.

use super::{Commands, Index, LogId, Term};
use bytes::{BufMut, Bytes, BytesMut};
use quorate_core::{Decoder, Encoder, WireError};

/// Consecutive entries of one term. Each entry stands in the bytes as its length (LEB128), its kind, its data.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    first: Index,
    term: Term,
    count: u32,
    bytes: Bytes,
}

/// What an entry is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// Nothing: a leader's first, so that its term has something to commit (Raft §8).
    Noop,
    /// The application's.
    Command,
}

/// One entry, lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its index.
    pub index: Index,
    /// What it is for.
    pub kind: EntryKind,
    /// The port's bytes; empty for a [`EntryKind::Noop`].
    pub data: &'a [u8],
}

/// A batch that still grows. One that grew by a single proposal is the bytes of that proposal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OpenBatch {
    count: u32,
    whole: Bytes,
    bytes: BytesMut,
}

impl OpenBatch {
    /// Opens a leader's first batch (Raft §8).
    pub fn push_noop(&mut self) {
        self.join();
        write_entry(&mut self.bytes, EntryKind::Noop, &[]);
        self.count += 1;
    }

    pub fn push(&mut self, commands: Commands) {
        if self.count == 0 {
            self.whole = commands.as_bytes().clone();
        } else {
            self.join();
            self.bytes.extend_from_slice(commands.as_bytes());
        }
        self.count += commands.count();
    }

    fn join(&mut self) {
        if !self.whole.is_empty() {
            self.bytes.extend_from_slice(&std::mem::take(&mut self.whole));
        }
    }

    pub fn count(&self) -> u64 {
        u64::from(self.count)
    }

    pub fn bytes(&self) -> usize {
        self.whole.len() + self.bytes.len()
    }

    /// Closes the batch; what remains is empty and keeps spare memory.
    pub fn seal(&mut self, first: Index, term: Term) -> Batch {
        let bytes = match self.whole.is_empty() {
            true => self.bytes.split().freeze(),
            false => std::mem::take(&mut self.whole),
        };
        Batch { first, term, count: std::mem::take(&mut self.count), bytes }
    }
}

impl Batch {
    /// What its encoding needs beside its entries: four numbers of at most ten bytes.
    pub(super) const HEAD_BYTES_MAX: usize = 40;

    /// The first entry's index.
    pub fn first(&self) -> Index {
        self.first
    }

    /// The last entry's index.
    pub fn last(&self) -> Index {
        self.first + u64::from(self.count) - 1
    }

    /// The term that all of them have.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The last entry's name.
    pub fn last_id(&self) -> LogId {
        LogId::new(self.term, self.last())
    }

    /// Bytes of the entries, lengths included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a batch has at least one entry.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The entries, in order.
    pub fn entries(&self) -> Entries<'_> {
        Entries { next: self.first, rest: &self.bytes }
    }

    /// The entries from `index` on; `None` if there are none.
    pub fn from(&self, index: Index) -> Option<Batch> {
        if index > self.last() {
            return None;
        }
        let cut = self.offset(index);
        let skipped = index.saturating_sub(self.first);
        Some(Batch {
            first: self.first.max(index),
            term: self.term,
            count: self.count - skipped as u32,
            bytes: self.bytes.slice(cut..),
        })
    }

    /// The entries up to and with `index`; `None` if there are none.
    pub fn upto(&self, index: Index) -> Option<Batch> {
        if index < self.first {
            return None;
        }
        let cut = self.offset(index + 1);
        let kept = (index - self.first + 1).min(u64::from(self.count)) as u32;
        Some(Batch { first: self.first, term: self.term, count: kept, bytes: self.bytes.slice(..cut) })
    }

    fn offset(&self, index: Index) -> usize {
        let mut entries = self.entries();
        while entries.next < index && entries.next().is_some() {}
        self.bytes.len() - entries.rest.len()
    }

    /// The part of the encoding that is not a payload.
    pub(super) fn head(&self) -> (Index, Term, u32) {
        (self.first, self.term, self.count)
    }

    pub(super) fn encode_body(&self, to: &mut Encoder<'_>) {
        to.payload(&self.bytes);
    }

    /// Checks that the bytes are just as many whole entries as the head says: later readers rely on it.
    pub(super) fn decode_body(head: (Index, Term, u32), from: &mut Decoder) -> Result<Batch, WireError> {
        let (first, term, count) = head;
        let bytes = from.payload()?;
        if first == 0 || count == 0 || first.checked_add(u64::from(count)).is_none() {
            return Err(WireError::Malformed("batch"));
        }
        let mut rest = &bytes[..];
        for _ in 0..count {
            rest = split_entry(rest).ok_or(WireError::Malformed("entry"))?.2;
        }
        if !rest.is_empty() {
            return Err(WireError::Malformed("batch with a rest"));
        }
        Ok(Batch { first, term, count, bytes })
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..={}@{}", self.first, self.last(), self.term)
    }
}

/// Iterates a batch.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    next: Index,
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;
    fn next(&mut self) -> Option<Entry<'a>> {
        let (kind, data, rest) = split_entry(self.rest)?;
        let index = self.next;
        self.next += 1;
        self.rest = rest;
        Some(Entry { index, kind, data })
    }
}

/// Memory is taken in pieces of at least this, as entries are often small and one piece serves many.
const PIECE_BYTES: usize = 4 << 10;

/// The layout of one entry: length (LEB128), kind, data.
pub(super) fn write_entry(to: &mut BytesMut, kind: EntryKind, data: &[u8]) {
    let needed = data.len() + 11;
    if to.capacity() - to.len() < needed {
        to.reserve(needed.max(PIECE_BYTES));
    }
    let mut len = data.len() as u64;
    while len >= 0x80 {
        to.put_u8(len as u8 | 0x80);
        len >>= 7;
    }
    to.put_u8(len as u8);
    to.put_u8(kind as u8);
    to.put_slice(data);
}

pub(super) fn split_entry(bytes: &[u8]) -> Option<(EntryKind, &[u8], &[u8])> {
    let mut len = 0u64;
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        // Nine groups of seven bits hold every length that memory can have.
        if at == 9 {
            return None;
        }
        len |= u64::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte < 0x80 {
            break;
        }
    }
    let kind = match *bytes.get(at)? {
        0 => EntryKind::Noop,
        1 => EntryKind::Command,
        _ => return None,
    };
    let rest = &bytes[at + 1..];
    let len = usize::try_from(len).ok()?;
    if len > rest.len() {
        return None;
    }
    Some((kind, &rest[..len], &rest[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: Index, sizes: &[usize]) -> Batch {
        let mut open = OpenBatch::default();
        for (i, size) in sizes.iter().enumerate() {
            match size {
                0 => open.push_noop(),
                _ => open.push(Commands::one(&vec![i as u8; *size])),
            }
        }
        open.seal(first, 3)
    }

    #[test]
    fn entries_come_out_as_they_went_in() {
        let b = batch(10, &[0, 5, 200, 40_000]);
        let sizes: Vec<_> = b.entries().map(|e| (e.index, e.data.len())).collect();
        assert_eq!(sizes, [(10, 0), (11, 5), (12, 200), (13, 40_000)]);
        assert_eq!(b.last_id(), LogId::new(3, 13));
    }

    #[test]
    fn cutting_at_every_index_keeps_every_entry_once() {
        let b = batch(10, &[1, 0, 300, 2]);
        for at in 8..16 {
            let left = b.upto(at).into_iter().flat_map(|b| b.entries().map(|e| e.index).collect::<Vec<_>>());
            let right =
                b.from(at + 1).into_iter().flat_map(|b| b.entries().map(|e| e.index).collect::<Vec<_>>());
            assert_eq!(left.chain(right).collect::<Vec<_>>(), [10, 11, 12, 13], "cut at {at}");
        }
    }
}
