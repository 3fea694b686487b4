//! Entries, many at a time. A batch is one immutable piece of memory, made once by whoever gathers commands and
//! the same in the log, in the journal and in every message; entries are lent out of it.

use super::{Commands, Configuration, Index, LogId, Term, payload::Payload};
use bytes::{Bytes, BytesMut};
use quorate_core::{Decoder, Encoder, WireError};
use serde::{Deserialize, Serialize};

/// Consecutive entries of one term and of one kind. Each entry stands in the bytes as its length (LEB128) and its
/// data.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    first: Index,
    term: Term,
    count: u32,
    kind: EntryKind,
    bytes: Payload,
}

/// What the entries of a batch are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    /// Nothing: a leader's first, so that its term has something to commit (Raft §8).
    Noop,
    /// The application's.
    Command,
    /// Who decides from here on (Raft §6). Always alone in its batch.
    Configuration,
}

/// One entry, lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its index.
    pub index: Index,
    /// The port's bytes; empty in a batch of [`EntryKind::Noop`].
    pub data: &'a [u8],
}

/// What stands before a batch's entries in its encoding.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct BatchHead {
    first: Index,
    term: Term,
    count: u32,
    kind: EntryKind,
}

/// Commands that have their places and are not yet sealed. Those of a single proposal stay the bytes that they
/// came as.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OpenBatch {
    count: u32,
    whole: Payload,
    joined: BytesMut,
}

impl OpenBatch {
    pub fn push(&mut self, commands: Commands) {
        let count = commands.count();
        if self.count == 0 {
            self.whole = commands.into_bytes();
        } else {
            make_room(&mut self.joined, self.whole.len() + commands.bytes());
            if !self.whole.is_empty() {
                self.joined.extend_from_slice(&std::mem::take(&mut self.whole));
            }
            self.joined.extend_from_slice(commands.as_bytes());
        }
        self.count += count;
    }

    pub fn count(&self) -> u64 {
        u64::from(self.count)
    }

    pub fn bytes(&self) -> usize {
        self.whole.len() + self.joined.len()
    }

    /// Closes the batch; what remains is empty and keeps spare memory.
    pub fn seal(&mut self, first: Index, term: Term) -> Batch {
        let bytes = match self.whole.is_empty() {
            true => Payload::take(&mut self.joined),
            false => std::mem::take(&mut self.whole),
        };
        Batch { first, term, count: std::mem::take(&mut self.count), kind: EntryKind::Command, bytes }
    }
}

impl Batch {
    /// What its encoding needs beside its entries: four numbers of at most ten bytes, and the kind.
    pub(super) const HEAD_BYTES_MAX: usize = 41;

    /// A leader's first: one entry without data.
    pub(super) fn noop(first: Index, term: Term) -> Batch {
        Batch { first, term, count: 1, kind: EntryKind::Noop, bytes: Payload::of_one(0) }
    }

    /// One entry that says who decides.
    pub(super) fn configuration(first: Index, term: Term, configuration: &Configuration) -> Batch {
        let mut bytes = BytesMut::new();
        // Plain data without maps: there is nothing in it that could not be written.
        write_entry(&mut bytes, &postcard::to_stdvec(configuration).unwrap_or_default());
        Batch { first, term, count: 1, kind: EntryKind::Configuration, bytes: Payload::take(&mut bytes) }
    }

    /// Who decides from this batch on, if it says so.
    pub fn as_configuration(&self) -> Option<Configuration> {
        if self.kind != EntryKind::Configuration || self.count != 1 {
            return None;
        }
        let (configuration, rest) = postcard::take_from_bytes(split_entry(&self.bytes)?.0).ok()?;
        rest.is_empty().then_some(configuration)
    }

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

    /// What its entries are for.
    pub fn kind(&self) -> EntryKind {
        self.kind
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
        let (first, count) = (self.first.max(index), self.count - skipped as u32);
        Some(Batch { first, count, bytes: self.bytes.slice(cut..self.len()), ..*self })
    }

    /// The entries up to and with `index`; `None` if there are none.
    pub fn upto(&self, index: Index) -> Option<Batch> {
        if index < self.first {
            return None;
        }
        let cut = self.offset(index + 1);
        let kept = (index - self.first + 1).min(u64::from(self.count)) as u32;
        Some(Batch { count: kept, bytes: self.bytes.slice(0..cut), ..*self })
    }

    fn offset(&self, index: Index) -> usize {
        let mut entries = self.entries();
        while entries.next < index && entries.next().is_some() {}
        self.bytes.len() - entries.rest.len()
    }

    /// The same entries in as few batches as there can be, in memory of their own. (Which record each came by is lost.)
    pub(super) fn joined<'a>(batches: impl Iterator<Item = &'a Batch>, bytes_max: usize) -> Vec<Batch> {
        let mut all: Vec<(Batch, BytesMut)> = Vec::new();
        for batch in batches {
            match all.last_mut() {
                Some((last, bytes))
                    if batch.kind == EntryKind::Command
                        && (last.kind, last.term) == (batch.kind, batch.term)
                        && bytes.len() + batch.len() <= bytes_max
                        && last.count.checked_add(batch.count).is_some() =>
                {
                    last.count += batch.count;
                    bytes.extend_from_slice(&batch.bytes);
                }
                _ => all.push((batch.clone(), BytesMut::from(&batch.bytes[..]))),
            }
        }
        // Written once more, so that none keeps room that it does not need.
        all.into_iter()
            .map(|(batch, bytes)| Batch { bytes: Bytes::copy_from_slice(&bytes).into(), ..batch })
            .collect()
    }

    pub(super) fn encode(&self, to: &mut Encoder<'_>) {
        to.part(&self.head());
        self.encode_body(to);
    }

    /// The part of the encoding that is not a payload.
    pub(super) fn head(&self) -> BatchHead {
        let Batch { first, term, count, kind, .. } = *self;
        BatchHead { first, term, count, kind }
    }

    pub(super) fn encode_body(&self, to: &mut Encoder<'_>) {
        to.payload(&self.bytes);
    }

    pub(super) fn decode(from: &mut Decoder) -> Result<Batch, WireError> {
        let head = from.part()?;
        Batch::decode_body(head, from)
    }

    /// Checks that the bytes are just as many whole entries as the head says: later readers rely on it.
    pub(super) fn decode_body(head: BatchHead, from: &mut Decoder) -> Result<Batch, WireError> {
        let BatchHead { first, term, count, kind } = head;
        let bytes = from.payload()?;
        let noop = kind == EntryKind::Noop;
        if first == 0
            || first.checked_add(u64::from(count)).is_none()
            || noop && (count, &bytes[..]) != (1, &[0])
        {
            return Err(WireError::Malformed("batch"));
        }
        check_entries(count, &bytes)?;
        let batch = Batch { first, term, count, kind, bytes: bytes.into() };
        match kind == EntryKind::Configuration && batch.as_configuration().is_none() {
            true => Err(WireError::Malformed("configuration")),
            false => Ok(batch),
        }
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
    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        let (data, rest) = split_entry(self.rest)?;
        let index = self.next;
        self.next += 1;
        self.rest = rest;
        Some(Entry { index, data })
    }
}

/// Memory is taken in pieces of at least this, as entries are often small and one piece serves many.
const PIECE_BYTES: usize = 4 << 10;

#[inline]
fn make_room(to: &mut BytesMut, needed: usize) {
    if to.capacity() - to.len() < needed {
        to.reserve(needed.max(PIECE_BYTES));
    }
}

/// The layout of one entry: its length (LEB128), its data.
#[inline]
pub(super) fn write_entry(to: &mut BytesMut, data: &[u8]) {
    make_room(to, data.len() + 10);
    let mut len = data.len() as u64;
    if (0x80..0x4000).contains(&len) {
        to.extend_from_slice(&[len as u8 | 0x80, (len >> 7) as u8]);
    } else {
        while len >= 0x80 {
            to.extend_from_slice(&[len as u8 | 0x80]);
            len >>= 7;
        }
        to.extend_from_slice(&[len as u8]);
    }
    to.extend_from_slice(data);
}

/// The first entry's data, and what stands behind it.
#[inline]
pub(super) fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        // Nearly all entries are shorter than 128 bytes, or than 16 KiB; the others make up for the longer way by their size.
        [len, rest @ ..] if *len < 0x80 => rest.split_at_checked(usize::from(*len)),
        [low, high, rest @ ..] if *high < 0x80 => {
            rest.split_at_checked(usize::from(*low & 0x7f) | usize::from(*high) << 7)
        }
        [] => None,
        _ => split_long_entry(bytes),
    }
}

fn split_long_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0u64;
    // Nine groups of seven bits hold every length that memory can have.
    for (at, byte) in bytes.iter().take(9).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return bytes[at + 1..].split_at_checked(usize::try_from(len).ok()?);
        }
    }
    None
}

/// Whether the bytes are just so many entries, and one at least.
pub(super) fn check_entries(count: u32, bytes: &[u8]) -> Result<(), WireError> {
    let mut rest = bytes;
    for _ in 0..count {
        rest = split_entry(rest).ok_or(WireError::Malformed("entry"))?.1;
    }
    match rest {
        [] if count > 0 => Ok(()),
        _ => Err(WireError::Malformed("entries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first: Index, sizes: &[usize]) -> Batch {
        let mut open = OpenBatch::default();
        for (i, size) in sizes.iter().enumerate() {
            open.push(Commands::one(&vec![i as u8; *size]));
        }
        open.seal(first, 3)
    }

    #[test]
    fn entries_come_out_as_they_went_in() {
        let b = batch(10, &[0, 127, 128, 200, 16_383, 16_384, 40_000]);
        let sizes: Vec<_> = b.entries().map(|e| (e.index, e.data.len())).collect();
        let expected = [0, 127, 128, 200, 16_383, 16_384, 40_000];
        assert!(sizes.iter().copied().eq((10..).zip(expected)));
        assert_eq!(b.last_id(), LogId::new(3, 16));
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
