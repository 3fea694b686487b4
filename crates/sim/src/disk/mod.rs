//! A simulated disk: records and objects that survive a crash, and what was written but not yet synced.
//!
//! What a journal promises is kept here (what is there is a prefix of what was written, no record is other than
//! it was written, rot is found at the open), since journals prove it by their own conformance suite. So torn
//! and misdirected writes show here as what an honest journal makes of them: a shorter prefix, or a refusal.

mod blobs;
mod journal;
mod log;
mod weather;

pub(crate) use blobs::Shelf;
pub use journal::SimJournal;
pub use weather::DiskWeather;

use bytes::Bytes;
use log::Log;
use quorate_core::{Boot, HostRecord, JournalId, Mark, Rng, ScopeId};
use std::collections::{BTreeMap, VecDeque};

/// What a record costs in memory beside its bytes, as the driver counts it.
const RECORD_OVERHEAD: usize = 48;

/// One node's disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    journal: JournalId,
    lives: u64,
    /// What is on disk.
    logs: BTreeMap<ScopeId, Log>,
    /// What was written and would be lost.
    pending: VecDeque<Write>,
    /// How many of the pending writes the sync under way covers.
    covered: usize,
    shelf: Shelf,
    rotten: bool,
    full: bool,
    /// A write was refused: the node must stop.
    refused: bool,
    sync_fails: bool,
}

#[derive(Clone, Debug)]
enum Write {
    Append(ScopeId, Bytes),
    Compact(ScopeId, Mark, Vec<Bytes>),
}

impl Disk {
    /// An empty disk, whose journal gets a name that was never there.
    pub(crate) fn new(rng: &mut Rng) -> Disk {
        let journal = JournalId((u128::from(rng.bits()) << 64) | u128::from(rng.bits()));
        Disk {
            journal,
            lives: 0,
            logs: BTreeMap::new(),
            pending: VecDeque::new(),
            covered: 0,
            shelf: Shelf::new(Rng::from_seed(journal.0 as u64)),
            rotten: false,
            full: false,
            refused: false,
            sync_fails: false,
        }
    }

    pub(crate) fn journal(&self) -> JournalId {
        self.journal
    }

    /// Begins a life, durably.
    pub(crate) fn begin_life(&mut self) -> Boot {
        assert!(self.pending.is_empty(), "a life begins on a disk that still has something to lose");
        self.lives += 1;
        self.refused = false;
        self.sync_fails = false;
        self.logs.values_mut().for_each(Log::renumber);
        Boot { incarnation: self.lives, journal: self.journal }
    }

    /// Every record, scope by scope.
    pub(crate) fn records(&self) -> impl Iterator<Item = HostRecord> + '_ {
        self.logs.iter().flat_map(|(scope, log)| {
            log.records().map(|bytes| HostRecord { scope: *scope, bytes: bytes.clone() })
        })
    }

    /// Writes behind everything before; how many bytes wait because of it.
    pub(crate) fn append(&mut self, record: HostRecord) -> usize {
        let bytes = record.bytes.len() + RECORD_OVERHEAD;
        self.write(Write::Append(record.scope, record.bytes));
        bytes
    }

    /// Replaces what is up to and with `upto`. A mark that was never appended, or one below the last
    /// compaction, is a bug of whoever asks.
    pub(crate) fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) {
        if self.full || self.refused {
            // The append that it stands for may have been refused too.
            self.refused = true;
            return;
        }
        let (mut least, mut most) = self.logs.get(&scope).map_or((0, 0), Log::marks);
        for write in &self.pending {
            match write {
                Write::Append(of, _) if *of == scope => most += 1,
                Write::Compact(of, upto, _) if *of == scope => least = upto.0,
                _ => {}
            }
        }
        assert!(
            (least..=most).contains(&upto.0),
            "compaction of {scope} up to {} of {least}..={most}",
            upto.0
        );
        self.write(Write::Compact(scope, upto, base));
    }

    fn write(&mut self, write: Write) {
        if self.full || self.refused {
            // No hole: what comes behind a write that was refused is refused.
            self.refused = true;
        } else {
            self.pending.push_back(write);
        }
    }

    /// Whether there is something that a crash would lose.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether a write was refused in this life.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused
    }

    /// A sync begins: it covers what is written by now.
    pub(crate) fn begin_sync(&mut self) {
        self.covered = self.pending.len();
    }

    /// The sync that was begun is through.
    pub(crate) fn end_sync(&mut self) {
        let covered = std::mem::take(&mut self.covered);
        self.settle(covered);
    }

    /// The next [`Disk::ends_sync`] does not.
    fn fail_sync(&mut self) {
        self.sync_fails = true;
    }

    /// As [`Disk::end_sync`], unless it is to fail.
    fn ends_sync(&mut self) -> bool {
        if self.sync_fails {
            self.sync_fails = false;
            return false;
        }
        self.end_sync();
        true
    }

    /// The power goes. Of what was not synced the first `kept` writes happen to be on disk; how many were lost.
    pub(crate) fn lose(&mut self, kept: usize) -> usize {
        self.settle(kept.min(self.pending.len()));
        let lost = self.pending.len();
        self.pending.clear();
        self.covered = 0;
        lost
    }

    /// How many writes a crash may lose.
    pub(crate) fn unsynced(&self) -> usize {
        self.pending.len()
    }

    fn settle(&mut self, writes: usize) {
        for write in self.pending.drain(..writes) {
            match write {
                Write::Append(scope, record) => self.logs.entry(scope).or_default().append(record),
                Write::Compact(scope, upto, base) => self.logs.entry(scope).or_default().compact(upto, base),
            }
        }
    }

    pub(crate) fn shelf(&mut self) -> &mut Shelf {
        &mut self.shelf
    }

    /// Nothing can be written any more, or again.
    pub(crate) fn fill(&mut self, full: bool) {
        self.full = full;
        self.shelf.fill(full);
    }

    /// What is there decays. The next open finds it out.
    pub(crate) fn rot(&mut self) {
        self.rotten = true;
        self.shelf.rot();
    }

    pub(crate) fn is_rotten(&self) -> bool {
        self.rotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(records: &[&'static str]) -> Disk {
        let mut disk = Disk::new(&mut Rng::from_seed(1));
        for text in records {
            disk.append(HostRecord { scope: ScopeId(1), bytes: Bytes::from_static(text.as_bytes()) });
        }
        disk
    }

    fn on(disk: &Disk) -> Vec<Bytes> {
        disk.records().map(|record| record.bytes).collect()
    }

    #[test]
    fn a_crash_leaves_a_prefix_and_never_loses_what_was_synced() {
        for kept in 0..4 {
            let mut disk = disk_with(&["a", "b"]);
            disk.begin_sync();
            disk.append(HostRecord { scope: ScopeId(1), bytes: Bytes::from_static(b"c") });
            disk.end_sync();
            assert_eq!(on(&disk), ["a", "b"], "the sync covers what was written when it began");
            disk.append(HostRecord { scope: ScopeId(1), bytes: Bytes::from_static(b"d") });
            let lost = disk.lose(kept);
            assert_eq!(lost, 2usize.saturating_sub(kept));
            assert_eq!(on(&disk), ["a", "b", "c", "d"][..4 - lost]);
        }
    }

    #[test]
    fn compaction_is_all_or_nothing_and_lives_are_counted() {
        let mut disk = disk_with(&["a", "b"]);
        disk.compact(ScopeId(1), Mark(2), vec![Bytes::from_static(b"ab")]);
        let mut early = disk.clone();
        early.lose(2);
        assert_eq!(on(&early), ["a", "b"]);
        disk.lose(3);
        assert_eq!(on(&disk), ["ab"]);
        assert_eq!((disk.begin_life().incarnation, disk.begin_life().incarnation), (1, 2));
    }

    #[test]
    fn a_full_disk_refuses_and_remembers_it_until_the_next_life() {
        let mut disk = disk_with(&[]);
        disk.fill(true);
        disk.append(HostRecord { scope: ScopeId(1), bytes: Bytes::new() });
        assert!(disk.has_refused() && !disk.is_dirty());
        disk.fill(false);
        disk.begin_life();
        assert!(!disk.has_refused());
    }

    #[test]
    #[should_panic(expected = "up to 2 of 0..=1")]
    fn compaction_beyond_the_end_is_a_bug() {
        disk_with(&["a"]).compact(ScopeId(1), Mark(2), vec![Bytes::new()]);
    }

    #[test]
    #[should_panic(expected = "up to 1 of 2..=3")]
    fn compaction_below_an_earlier_one_is_a_bug() {
        let mut disk = disk_with(&["a", "b", "c"]);
        disk.compact(ScopeId(1), Mark(2), vec![Bytes::new()]);
        disk.compact(ScopeId(1), Mark(1), vec![Bytes::new()]);
    }
}
