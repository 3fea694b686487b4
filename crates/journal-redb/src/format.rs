//! The bytes of every row, as FORMAT.md gives them. Decoding checks and never panics; what is decoded was written
//! by [`VERSION`] of this crate in exactly this place.

use quorate_core::{JournalId, ScopeId};
use redb::TableDefinition;

/// The version of everything below.
pub(crate) const VERSION: u32 = 1;

/// One row, under [`JOURNAL_KEY`].
pub(crate) const JOURNAL: TableDefinition<'static, u8, &[u8]> = TableDefinition::new("journal");
pub(crate) const JOURNAL_KEY: u8 = 0;
/// A row a scope.
pub(crate) const SCOPES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("scopes");
/// What was appended: (scope, number).
pub(crate) const LOG: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("log");
/// What stands in the place of what was compacted: (scope, index).
pub(crate) const BASE: TableDefinition<'static, (u64, u64), &[u8]> = TableDefinition::new("base");

/// The row about the whole journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalRow {
    pub(crate) id: JournalId,
    pub(crate) incarnation: u64,
    /// Commits so far. The witness speaks of these.
    pub(crate) syncs: u64,
    pub(crate) scopes: u64,
    /// The wrapping sum of the scope rows' checksums.
    pub(crate) digest: u64,
}

const JOURNAL_ROW_BYTES: usize = 56;

/// What the row of a journal is not.
pub(crate) enum BadJournalRow {
    Version(u32),
    Damaged,
}

impl JournalRow {
    pub(crate) fn new(id: JournalId) -> JournalRow {
        JournalRow { id, incarnation: 0, syncs: 0, scopes: 0, digest: 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(JOURNAL_ROW_BYTES);
        row.extend(VERSION.to_le_bytes());
        row.extend(self.id.0.to_le_bytes());
        row.extend(self.incarnation.to_le_bytes());
        row.extend(self.syncs.to_le_bytes());
        row.extend(self.scopes.to_le_bytes());
        row.extend(self.digest.to_le_bytes());
        let crc = checksum(b'J', 0, &[&row]);
        row.extend(crc.to_le_bytes());
        row
    }

    pub(crate) fn decode(row: &[u8]) -> Result<JournalRow, BadJournalRow> {
        let mut fields = Fields(row);
        let version = fields.u32().ok_or(BadJournalRow::Damaged)?;
        if version != VERSION {
            return Err(BadJournalRow::Version(version));
        }
        let decoded = || {
            Some(JournalRow {
                id: JournalId(fields.u128()?),
                incarnation: fields.u64()?,
                syncs: fields.u64()?,
                scopes: fields.u64()?,
                digest: fields.u64()?,
            })
        };
        exactly(row, JOURNAL_ROW_BYTES, b'J', 0, decoded).ok_or(BadJournalRow::Damaged)
    }
}

/// The row about one scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopeRow {
    /// The last number that was compacted away; the log begins behind it.
    pub(crate) upto: u64,
    /// The checksum of that record, which the chain goes on from.
    pub(crate) upto_crc: u32,
    /// The last number in the log; `upto` when the log is empty.
    pub(crate) last: u64,
    pub(crate) last_crc: u32,
    /// How many records the base has.
    pub(crate) base: u64,
    /// The checksum of its last one.
    pub(crate) base_crc: u32,
}

const SCOPE_ROW_BYTES: usize = 40;

impl ScopeRow {
    /// A scope without records.
    pub(crate) fn new(journal: JournalId) -> ScopeRow {
        let seed = seed(journal);
        ScopeRow { upto: 0, upto_crc: seed, last: 0, last_crc: seed, base: 0, base_crc: seed }
    }

    pub(crate) fn encode(&self, journal: JournalId, scope: ScopeId) -> [u8; SCOPE_ROW_BYTES] {
        let mut row = [0; SCOPE_ROW_BYTES];
        row[..8].copy_from_slice(&self.upto.to_le_bytes());
        row[8..12].copy_from_slice(&self.upto_crc.to_le_bytes());
        row[12..20].copy_from_slice(&self.last.to_le_bytes());
        row[20..24].copy_from_slice(&self.last_crc.to_le_bytes());
        row[24..32].copy_from_slice(&self.base.to_le_bytes());
        row[32..36].copy_from_slice(&self.base_crc.to_le_bytes());
        let crc = checksum(b'S', seed(journal), &[&scope.0.to_le_bytes(), &row[..36]]);
        row[36..].copy_from_slice(&crc.to_le_bytes());
        row
    }

    pub(crate) fn decode(row: &[u8], journal: JournalId, scope: ScopeId) -> Option<ScopeRow> {
        let mut fields = Fields(row);
        let decoded = ScopeRow {
            upto: fields.u64()?,
            upto_crc: fields.u32()?,
            last: fields.u64()?,
            last_crc: fields.u32()?,
            base: fields.u64()?,
            base_crc: fields.u32()?,
        };
        // A row is right if it is what encoding its content gives: the checksum, and nothing behind it.
        (decoded.encode(journal, scope) == row && decoded.upto <= decoded.last).then_some(decoded)
    }
}

/// The checksum that closes a row, for the digest.
pub(crate) fn row_crc(row: &[u8]) -> u64 {
    row.last_chunk().map_or(0, |crc| u64::from(u32::from_le_bytes(*crc)))
}

/// Where every chain of a journal begins: a record of another journal fits nowhere.
pub(crate) fn seed(journal: JournalId) -> u32 {
    checksum(b'Q', VERSION, &[&journal.0.to_le_bytes()])
}

/// The checksum of a record of the log: over its place and, through `before`, over all records before it.
pub(crate) fn log_crc(before: u32, scope: ScopeId, number: u64, record: &[u8]) -> u32 {
    checksum(b'L', before, &[&scope.0.to_le_bytes(), &number.to_le_bytes(), record])
}

/// The checksum of a record of a base, which belongs to one compaction: `upto` tells which.
pub(crate) fn base_crc(before: u32, scope: ScopeId, upto: u64, index: u64, record: &[u8]) -> u32 {
    checksum(b'B', before, &[&scope.0.to_le_bytes(), &upto.to_le_bytes(), &index.to_le_bytes(), record])
}

/// The value of a record's row.
pub(crate) fn write_record(crc: u32, record: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend(crc.to_le_bytes());
    into.extend_from_slice(record);
}

/// The checksum and the record in a row, unchecked.
pub(crate) fn split_record(value: &[u8]) -> Option<(u32, &[u8])> {
    let (crc, record) = value.split_first_chunk()?;
    Some((u32::from_le_bytes(*crc), record))
}

/// CRC-32 (IEEE) over a kind, the checksum before, the total length, and the parts.
pub(crate) fn checksum(kind: u8, before: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let bytes: u64 = parts.iter().map(|part| part.len() as u64).sum();
    hasher.update(&[kind]);
    hasher.update(&before.to_le_bytes());
    hasher.update(&bytes.to_le_bytes());
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// What `decode` makes of a row of this length, whose last four bytes are the checksum of those before.
pub(crate) fn exactly<T>(
    row: &[u8],
    bytes: usize,
    kind: u8,
    before: u32,
    mut decode: impl FnMut() -> Option<T>,
) -> Option<T> {
    let (content, crc) = row.split_last_chunk()?;
    let right = row.len() == bytes && checksum(kind, before, &[content]) == u32::from_le_bytes(*crc);
    if right { decode() } else { None }
}

/// Reads fixed-width integers from the front.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.take().map(u128::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    const ID: JournalId = JournalId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
    const SCOPE: ScopeId = ScopeId(0xd932_d8a5_16a7_715b);

    #[test]
    fn rows_keep_their_bytes() {
        let journal = JournalRow { id: ID, incarnation: 3, syncs: 20, scopes: 2, digest: 0x1_2345_6789 };
        let scope = ScopeRow { upto: 5, upto_crc: 1, last: 7, last_crc: 2, base: 1, base_crc: 3 };
        let record = |crc, bytes: &[u8]| {
            let mut value = Vec::new();
            write_record(crc, bytes, &mut value);
            value
        };
        let first = log_crc(seed(ID), SCOPE, 1, b"first");
        let second = log_crc(first, SCOPE, 2, b"");
        let base = base_crc(seed(ID), SCOPE, 5, 0, b"base");
        golden::check(
            "rows",
            &[
                ("journal", journal.encode()),
                ("scope", scope.encode(ID, SCOPE).into()),
                ("seed", seed(ID).to_le_bytes().into()),
                ("record 1, first", record(first, b"first")),
                ("record 2, empty", record(second, b"")),
                ("base 0 upto 5", record(base, b"base")),
            ],
        );
    }

    #[test]
    fn rows_are_what_was_encoded_or_nothing() {
        let journal = JournalRow { id: ID, incarnation: 3, syncs: 20, scopes: 2, digest: 9 };
        let row = journal.encode();
        assert_eq!(JournalRow::decode(&row).ok(), Some(journal));
        let scope = ScopeRow { upto: 5, upto_crc: 1, last: 7, last_crc: 2, base: 1, base_crc: 3 };
        let scope_row = scope.encode(ID, SCOPE).to_vec();
        assert_eq!(ScopeRow::decode(&scope_row, ID, SCOPE), Some(scope));
        assert_eq!(ScopeRow::decode(&scope_row, JournalId(1), SCOPE), None);
        assert_eq!(ScopeRow::decode(&scope_row, ID, ScopeId(1)), None);
        for (row, is_row) in [
            (row, (|row| JournalRow::decode(row).is_ok()) as fn(&[u8]) -> bool),
            (scope_row, |row| ScopeRow::decode(row, ID, SCOPE).is_some()),
        ] {
            for bit in 0..row.len() * 8 {
                let mut flipped = row.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(!is_row(&flipped), "bit {bit}");
            }
            for len in 0..row.len() + 9 {
                let mut cut = row.clone();
                cut.resize(len, 0);
                assert_eq!(is_row(&cut), len == row.len(), "{len} bytes");
            }
        }
    }

    #[test]
    fn a_row_that_ends_before_it_begins_is_none() {
        let row = ScopeRow { upto: 8, upto_crc: 1, last: 7, last_crc: 2, base: 0, base_crc: 3 };
        assert_eq!(ScopeRow::decode(&row.encode(ID, SCOPE), ID, SCOPE), None);
    }
}
