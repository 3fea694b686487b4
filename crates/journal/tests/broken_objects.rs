//! The suite for objects must be able to fail: a small honest store passes it, and each broken one is caught.

#![allow(clippy::unwrap_used)] // what helps a test may fail as a test does

use quorate_journal::conformance::{self, Broken, Medium};
use quorate_journal::{BlobError, BlobId, Blobs, ScopeId};
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
}

type Shelf = Arc<Mutex<Vec<(BlobId, Vec<u8>)>>>;

struct Objects {
    shelf: Shelf,
    fault: Fault,
}

impl Objects {
    fn find(&self, id: BlobId) -> Option<Vec<u8>> {
        let shelf = self.shelf.lock().unwrap();
        let found = shelf.iter().find(|(at, _)| *at == id).map(|(_, bytes)| bytes.clone());
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
        match shelf.iter_mut().find(|(at, _)| *at == id) {
            Some(_) if self.fault == Fault::KeepsTheOldOne => {}
            Some(old) => old.1 = bytes,
            None => shelf.push((id, bytes)),
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
            self.shelf.lock().unwrap().retain(|(at, _)| *at != id);
        }
        Ok(())
    }

    fn list(&mut self, scope: ScopeId) -> Result<Vec<u64>, BlobError> {
        let all = self.fault == Fault::ListsOtherScopes;
        let shelf = self.shelf.lock().unwrap();
        let mut numbers: Vec<u64> =
            shelf.iter().filter(|(id, _)| all || id.scope == scope).map(|(id, _)| id.number).collect();
        if self.fault != Fault::ListsInOrderOfArrival {
            numbers.sort_unstable();
        }
        Ok(numbers)
    }
}

fn run(fault: Fault) -> Result<(), Broken> {
    let mut shelf = Shelf::default();
    conformance::blobs(|medium| {
        if medium == Medium::Fresh || fault == Fault::ForgetsAtRestart {
            shelf = Shelf::default();
        }
        Objects { shelf: shelf.clone(), fault }
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
    ] {
        assert!(run(fault).is_err(), "{fault:?} was not caught");
    }
}
