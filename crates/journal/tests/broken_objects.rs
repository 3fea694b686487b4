//! The suite for objects must be able to fail: a small honest store passes it, and each broken one is caught.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use quorate_journal::conformance::{self, Broken, Medium};
use quorate_journal::{BlobError, BlobId, Blobs, ScopeId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    IgnoresTheOffset,
    ReadsOneByteLess,
    ErrsBehindTheEnd,
    ListsInOrderOfArrival,
    ListsOtherScopes,
    KeepsDeleted,
    KeepsTheOldOne,
    EmptyIsAbsent,
    ForgetsAtRestart,
    ChangesAByte,
    AppendsBehindTheEnd,
    WritesOverAndKeepsTheRest,
    FillsGaps,
    WritesToWholeOnes,
    ReadsUnfinishedOnes,
    ListsUnfinishedOnes,
    SealsNothing,
    SealsAWholeOneNoMore,
    KeepsDeletedPieces,
    ForgetsWhatItSealed,
    ClaimsPiecesThatARestartLost,
    GoesOnBehindRot,
}

/// Whole ones, and unfinished ones.
#[derive(Default)]
struct Kept {
    whole: Vec<(BlobId, Vec<u8>)>,
    unfinished: BTreeMap<BlobId, Vec<u8>>,
}

type Shelf = Arc<Mutex<Kept>>;

struct Objects {
    shelf: Shelf,
    fault: Fault,
    /// What this handle sealed and a restart is to forget.
    sealed: Vec<BlobId>,
}

impl Objects {
    fn find(&self, id: BlobId) -> Option<Vec<u8>> {
        let shelf = self.shelf.lock().unwrap();
        let found = shelf.whole.iter().find(|(at, _)| *at == id).map(|(_, bytes)| bytes.clone());
        let found = found.or_else(|| {
            shelf.unfinished.get(&id).filter(|_| self.fault == Fault::ReadsUnfinishedOnes).cloned()
        });
        found.filter(|bytes| !bytes.is_empty() || self.fault != Fault::EmptyIsAbsent)
    }
}

impl Blobs for Objects {
    fn put(&mut self, id: BlobId, bytes: &[u8]) -> Result<(), BlobError> {
        let mut shelf = self.shelf.lock().unwrap();
        let mut bytes = bytes.to_vec();
        if self.fault == Fault::ChangesAByte && bytes.len() > 65_536 {
            bytes[65_536] ^= 1;
        }
        match shelf.whole.iter_mut().find(|(at, _)| *at == id) {
            Some(_) if self.fault == Fault::KeepsTheOldOne => {}
            Some(old) => old.1 = bytes,
            None => shelf.whole.push((id, bytes)),
        }
        Ok(())
    }

    fn append(&mut self, id: BlobId, at: u64, piece: &[u8]) -> Result<(), BlobError> {
        let mut shelf = self.shelf.lock().unwrap();
        if shelf.whole.iter().any(|(whole, _)| *whole == id) && self.fault != Fault::WritesToWholeOnes {
            return Err(BlobError::Sealed(id));
        }
        let there = shelf.unfinished.get(&id).map_or(0, Vec::len);
        let mut at = usize::try_from(at).unwrap_or(usize::MAX);
        if at > there && self.fault == Fault::FillsGaps {
            at = there;
        }
        if at > there {
            return Err(BlobError::Gap(id));
        }
        let bytes = shelf.unfinished.entry(id).or_default();
        match self.fault {
            Fault::AppendsBehindTheEnd => {}
            Fault::WritesOverAndKeepsTheRest => drop(bytes.drain(at..bytes.len().min(at + piece.len()))),
            _ => bytes.truncate(at),
        }
        let at = if self.fault == Fault::AppendsBehindTheEnd { bytes.len() } else { at };
        bytes.splice(at..at, piece.iter().copied());
        Ok(())
    }

    fn unfinished(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        let shelf = self.shelf.lock().unwrap();
        Ok(shelf.unfinished.get(&id).map(|bytes| bytes.len() as u64))
    }

    fn seal(&mut self, id: BlobId) -> Result<(), BlobError> {
        let mut shelf = self.shelf.lock().unwrap();
        let whole = shelf.whole.iter().any(|(at, _)| *at == id) && self.fault != Fault::SealsAWholeOneNoMore;
        match shelf.unfinished.remove(&id) {
            Some(bytes) => shelf.whole.push((id, bytes)),
            None if whole || self.fault == Fault::SealsNothing => {}
            None => return Err(BlobError::Missing(id)),
        }
        if self.fault == Fault::ForgetsWhatItSealed {
            self.sealed.push(id);
        }
        Ok(())
    }

    fn len(&mut self, id: BlobId) -> Result<Option<u64>, BlobError> {
        Ok(self.find(id).map(|bytes| bytes.len() as u64))
    }

    fn read(&mut self, id: BlobId, offset: u64, max: usize) -> Result<Vec<u8>, BlobError> {
        let bytes = self.find(id).ok_or(BlobError::Missing(id))?;
        if self.fault == Fault::ErrsBehindTheEnd && offset > bytes.len() as u64 {
            return Err(BlobError::Io("behind the end".into()));
        }
        let offset = if self.fault == Fault::IgnoresTheOffset { 0 } else { offset };
        let max = if self.fault == Fault::ReadsOneByteLess { max.saturating_sub(1) } else { max };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[start..start.saturating_add(max).min(bytes.len())].to_vec())
    }

    fn delete(&mut self, id: BlobId) -> Result<(), BlobError> {
        if self.fault != Fault::KeepsDeleted {
            self.shelf.lock().unwrap().whole.retain(|(at, _)| *at != id);
        }
        if self.fault != Fault::KeepsDeletedPieces {
            self.shelf.lock().unwrap().unfinished.remove(&id);
        }
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        let all = self.fault == Fault::ListsOtherScopes;
        let shelf = self.shelf.lock().unwrap();
        let mut numbers: Vec<u64> =
            shelf.whole.iter().filter(|(id, _)| all || id.scope == scope).map(|(id, _)| id.number).collect();
        if self.fault == Fault::ListsUnfinishedOnes {
            numbers.extend(shelf.unfinished.keys().filter(|id| id.scope == scope).map(|id| id.number));
        }
        if self.fault != Fault::ListsInOrderOfArrival {
            numbers.sort_unstable();
        }
        Ok(numbers)
    }

    fn list_unfinished(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        let shelf = self.shelf.lock().unwrap();
        Ok(shelf.unfinished.keys().filter(|id| id.scope == scope).map(|id| id.number).collect())
    }
}

/// The store is closed.
impl Drop for Objects {
    fn drop(&mut self) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.whole.retain(|(id, _)| !self.sealed.contains(id));
        for bytes in shelf.unfinished.values_mut() {
            match self.fault {
                // Says that as much is there as before, and it is something else.
                Fault::ClaimsPiecesThatARestartLost => bytes.fill(0),
                Fault::GoesOnBehindRot => bytes[0] ^= 1,
                _ => bytes.truncate(bytes.len() / 2),
            }
        }
    }
}

fn run(fault: Fault) -> Result<(), Broken> {
    let mut shelf = Shelf::default();
    conformance::blobs(|medium| {
        if medium == Medium::Fresh || fault == Fault::ForgetsAtRestart {
            shelf = Shelf::default();
        }
        Objects { shelf: shelf.clone(), fault, sealed: Vec::new() }
    })
}

#[test]
fn every_broken_store_of_objects_is_caught() {
    use Fault::*;
    run(None).unwrap();
    for fault in [
        IgnoresTheOffset,
        ReadsOneByteLess,
        ErrsBehindTheEnd,
        ListsInOrderOfArrival,
        ListsOtherScopes,
        KeepsDeleted,
        KeepsTheOldOne,
        EmptyIsAbsent,
        ForgetsAtRestart,
        ChangesAByte,
        AppendsBehindTheEnd,
        WritesOverAndKeepsTheRest,
        FillsGaps,
        WritesToWholeOnes,
        ReadsUnfinishedOnes,
        ListsUnfinishedOnes,
        SealsNothing,
        SealsAWholeOneNoMore,
        KeepsDeletedPieces,
        ForgetsWhatItSealed,
        ClaimsPiecesThatARestartLost,
        GoesOnBehindRot,
    ] {
        assert!(run(fault).is_err(), "{fault:?} was not caught");
    }
}
