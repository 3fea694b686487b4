//! What was reported, kept outside the database: two small slots, written in turn.
//!
//! A damaged header makes redb go back one commit, exactly as a crash in the middle of a commit does. The two differ
//! in one thing only: whether that commit had been reported as synced. The witness says so. It is written after
//! each sync but not synced itself, so that a sync of the journal stays one sync of one file: it may lag behind
//! after a power loss and then finds less, but it never says what is not so.

use crate::backend::Shared;
use crate::format::{Fields, checksum, exactly};
use quorate_core::JournalId;
use redb::StorageBackend;
use std::io;

const MAGIC: u64 = u64::from_le_bytes(*b"qrmwit01");
const SLOT_BYTES: usize = 60;
/// Apart by a sector, so that writing one never tears the other.
const SLOT_STEP: u64 = 512;
const FILE_BYTES: u64 = 2 * SLOT_STEP;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Said {
    /// The last sync that was reported.
    pub(crate) reported: u64,
    /// The last sync that was begun, and how many records it brought.
    pub(crate) begun: u64,
    pub(crate) begun_records: u64,
}

#[derive(Debug)]
pub(crate) struct Witness {
    storage: Shared,
    journal: JournalId,
    ordinal: u64,
}

/// What an earlier life left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Testimony {
    pub(crate) journal: JournalId,
    pub(crate) said: Said,
    ordinal: u64,
}

impl Testimony {
    /// The newest slot that is whole; `None` where there is none, which proves nothing.
    pub(crate) fn read(storage: &Shared) -> io::Result<Option<Testimony>> {
        let len = storage.len()?;
        let mut newest: Option<Testimony> = None;
        for slot in 0..2 {
            if len < slot * SLOT_STEP + SLOT_BYTES as u64 {
                continue;
            }
            let mut bytes = [0; SLOT_BYTES];
            storage.read(slot * SLOT_STEP, &mut bytes)?;
            let found = Testimony::decode(&bytes).filter(|found| found.ordinal % 2 == slot);
            if found.is_some_and(|found| newest.is_none_or(|newest| newest.ordinal < found.ordinal)) {
                newest = found;
            }
        }
        Ok(newest)
    }

    fn encode(&self) -> Vec<u8> {
        let mut slot = Vec::with_capacity(SLOT_BYTES);
        slot.extend(MAGIC.to_le_bytes());
        slot.extend(self.journal.0.to_le_bytes());
        slot.extend(self.ordinal.to_le_bytes());
        slot.extend(self.said.reported.to_le_bytes());
        slot.extend(self.said.begun.to_le_bytes());
        slot.extend(self.said.begun_records.to_le_bytes());
        let crc = checksum(b'W', 0, &[&slot]);
        slot.extend(crc.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8]) -> Option<Testimony> {
        let mut fields = Fields(slot);
        let magic = fields.u64()?;
        let decoded = || {
            let journal = JournalId(fields.u128()?);
            let ordinal = fields.u64()?;
            let said = Said { reported: fields.u64()?, begun: fields.u64()?, begun_records: fields.u64()? };
            Some(Testimony { journal, said, ordinal })
        };
        exactly(slot, SLOT_BYTES, b'W', 0, decoded).filter(|_| magic == MAGIC)
    }
}

impl Witness {
    /// Goes on where an earlier life left off.
    pub(crate) fn new(storage: Shared, journal: JournalId, before: Option<Testimony>) -> io::Result<Witness> {
        if storage.len()? < FILE_BYTES {
            storage.set_len(FILE_BYTES)?;
        }
        Ok(Witness { storage, journal, ordinal: before.map_or(0, |before| before.ordinal) })
    }

    pub(crate) fn say(&mut self, said: Said) -> io::Result<()> {
        self.ordinal = self.ordinal.saturating_add(1);
        let slot = Testimony { journal: self.journal, said, ordinal: self.ordinal }.encode();
        self.storage.write(self.ordinal % 2 * SLOT_STEP, &slot)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.storage.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    #[test]
    fn a_slot_keeps_its_bytes() {
        let said = Said { reported: 19, begun: 20, begun_records: 5 };
        let journal = JournalId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let slot = Testimony { journal, said, ordinal: 40 }.encode();
        assert_eq!(slot.len(), SLOT_BYTES);
        crate::golden::check("witness", &[("slot", slot)]);
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let storage = Shared::new(InMemoryBackend::new());
        assert_eq!(Testimony::read(&storage).unwrap(), None);
        let journal = JournalId(7);
        let mut witness = Witness::new(storage.clone(), journal, None).unwrap();
        assert_eq!(Testimony::read(&storage).unwrap(), None);
        let said = |reported| Said { reported, begun: reported + 1, begun_records: 3 };
        for n in 1..5 {
            witness.say(said(n)).unwrap();
            let read = Testimony::read(&storage).unwrap().unwrap();
            assert_eq!((read.journal, read.said), (journal, said(n)));
        }
        // Slot 0 holds the fourth, slot 1 the third.
        for bit in 0..SLOT_BYTES * 8 {
            let mut slot = [0; SLOT_BYTES];
            storage.read(0, &mut slot).unwrap();
            let whole = slot;
            slot[bit / 8] ^= 1 << (bit % 8);
            storage.write(0, &slot).unwrap();
            assert_eq!(Testimony::read(&storage).unwrap().unwrap().said, said(3), "bit {bit}");
            storage.write(0, &whole).unwrap();
        }
        let before = Testimony::read(&storage).unwrap();
        let mut witness = Witness::new(storage.clone(), journal, before).unwrap();
        witness.say(said(5)).unwrap();
        assert_eq!(Testimony::read(&storage).unwrap().unwrap().said, said(5));
    }
}
