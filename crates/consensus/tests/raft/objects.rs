//! The half of a port that keeps objects, for replicas that a test steps without one: done at once, on a medium that a crash
//! does not touch.

use bytes::Bytes;
use quorate_consensus::raft::{Cmd, Event, LogId, NotRead, Snapshot};
use std::collections::BTreeMap;

/// The objects of one node.
#[derive(Default, Clone)]
pub struct Objects {
    /// Bytes, and whether that is all.
    kept: BTreeMap<u64, (Vec<u8>, bool)>,
    made: u64,
}

impl Objects {
    /// An object with the state after an entry, and what the port says of it.
    pub fn taken(&mut self, at: LogId, data: &[u8]) -> Cmd {
        self.made += 2;
        let blob = (1 << 60) + self.made;
        self.kept.insert(blob, (data.to_vec(), true));
        Cmd::Snapshot { at, blob, total: data.len() as u64, crc: crc32fast::hash(data) }
    }

    /// The bytes of a snapshot, if they are all there and its own.
    pub fn data(&self, snapshot: &Snapshot) -> Option<&[u8]> {
        let (data, whole) = self.kept.get(&snapshot.blob)?;
        (*whole && snapshot.has(data.len() as u64, crc32fast::hash(data))).then_some(data)
    }

    /// Numbers of those that are there.
    pub fn numbers(&self) -> Vec<u64> {
        self.kept.keys().copied().collect()
    }

    /// Bytes of one that may be unfinished.
    pub fn bytes(&mut self, blob: u64) -> Option<&mut Vec<u8>> {
        self.kept.get_mut(&blob).map(|(data, _)| data)
    }

    /// How many bytes of one are there, and whether they are all.
    pub fn there(&self, blob: u64) -> Option<(u64, bool)> {
        self.kept.get(&blob).map(|(data, whole)| (data.len() as u64, *whole))
    }

    /// Does what the port is told to do with objects; `Err` gives back what is none of that.
    pub fn on(&mut self, event: Event) -> Result<Option<Cmd>, Event> {
        Ok(match event {
            Event::Keep { blobs } => {
                self.kept.retain(|blob, _| blobs.contains(blob));
                None
            }
            Event::Discard { blob } => {
                self.kept.remove(&blob);
                None
            }
            Event::ReadPiece { to, blob, offset, bytes } => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let whole = self.kept.get(&blob).filter(|(_, whole)| *whole);
                let data = whole.and_then(|(data, _)| data.get(from..from.checked_add(bytes)?));
                let piece = data.map(|data| (Bytes::copy_from_slice(data), crc32fast::hash(data)));
                Some(Cmd::Piece { to, blob, offset, piece: piece.ok_or(NotRead::Damaged) })
            }
            Event::StorePiece { blob, offset, total, data } => {
                let (kept, whole) = self.kept.entry(blob).or_default();
                assert!(!*whole, "{blob} is written again");
                assert!(offset <= kept.len() as u64, "a piece behind a gap");
                kept.truncate(offset as usize);
                kept.extend_from_slice(&data);
                *whole = kept.len() as u64 == total;
                Some(Cmd::Stored { blob, upto: Ok(kept.len() as u64) })
            }
            Event::Resume { blob, total } => {
                let there = self.kept.get_mut(&blob).map_or(0, |(data, whole)| {
                    *whole |= data.len() as u64 == total;
                    data.len() as u64
                });
                Some(Cmd::Stored { blob, upto: Ok(there) })
            }
            other => return Err(other),
        })
    }
}
