//! Objects that come in pieces: unfinished until they are sealed.

use super::blobs::{Open, same};
use super::{Medium, Seen, ensure, object, scope};
use crate::Blobs;
use quorate_core::{BlobError, BlobId, Rng};

pub(super) fn objects<B: Blobs>(open: Open<'_, B>) -> Seen {
    in_pieces_of_every_size(open)?;
    unfinished_ones_are_not_read(open)?;
    written_again_from_a_place_before(open)?;
    gaps_are_refused(open)?;
    whole_ones_are_not_written_to(open)?;
    removed_ones(open)?;
    gone_on_with_after_a_restart(open)
}

fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::from_seed(seed);
    (0..len).map(|_| rng.bits() as u8).collect()
}

fn append_all<B: Blobs>(store: &mut B, id: BlobId, from: u64, bytes: &[u8], piece: usize) -> Seen {
    let mut at = from;
    for part in bytes[from as usize..].chunks(piece) {
        same("append", store.append(id, at, part), Ok(()))?;
        at += part.len() as u64;
        same("what is there of it", store.unfinished(id), Ok(Some(at)))?;
    }
    Ok(())
}

fn in_pieces_of_every_size<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let mut kept = Vec::new();
    let sizes = [(1, 1), (100, 7), (65_536, 65_536), (65_537, 4096), (300_000, 65_535), (300_000, 65_537)];
    for (number, (len, piece)) in (0..).zip(sizes) {
        let (id, bytes) = (object(1, number), random(len, number));
        append_all(&mut store, id, 0, &bytes, piece)?;
        same("seal", store.seal(id), Ok(()))?;
        same("seal again", store.seal(id), Ok(()))?;
        kept.push((id, bytes));
    }
    let empty = object(1, 99);
    same("append nothing", store.append(empty, 0, b""), Ok(()))?;
    same("seal", store.seal(empty), Ok(()))?;
    kept.push((empty, Vec::new()));
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = open(Medium::Same);
        }
        for (id, bytes) in &kept {
            same("len", store.len(*id), Ok(Some(bytes.len() as u64)))?;
            same("what is unfinished of it", store.unfinished(*id), Ok(None))?;
            let found = store.read(*id, 0, usize::MAX);
            ensure(found.as_deref() == Ok(bytes), || format!("{id:?} is not what was written"))?;
            let part = store.read(*id, 65_530, 12);
            let start = bytes.len().min(65_530);
            same("read", part, Ok(bytes[start..bytes.len().min(65_542)].to_vec()))?;
        }
        same("list", store.list(scope(1)).map(|list| list.len()), Ok(kept.len()))?;
    }
    Ok(())
}

fn unfinished_ones_are_not_read<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let (id, other) = (object(1, 7), object(1, 3));
    same("append", store.append(id, 0, b"part"), Ok(()))?;
    same("append", store.append(other, 0, b"part"), Ok(()))?;
    same("append", store.append(object(2, 5), 0, b"part"), Ok(()))?;
    same("put", store.put(object(1, 5), b"whole"), Ok(()))?;
    same("len of an unfinished one", store.len(id), Ok(None))?;
    same("read of an unfinished one", store.read(id, 0, 9), Err(BlobError::Missing(id)))?;
    same("list", store.list(scope(1)), Ok(vec![5]))?;
    same("list of unfinished ones", store.list_unfinished(scope(1)), Ok(vec![3, 7]))?;
    same("list of unfinished ones", store.list_unfinished(scope(3)), Ok(Vec::new()))?;
    same("seal", store.seal(id), Ok(()))?;
    same("list", store.list(scope(1)), Ok(vec![5, 7]))?;
    same("list of unfinished ones", store.list_unfinished(scope(1)), Ok(vec![3]))
}

fn written_again_from_a_place_before<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let bytes = random(200_000, 5);
    for (number, at) in (0..).zip([0, 1, 65_535, 65_536, 65_537, 150_000, 199_999, 200_000]) {
        let id = object(1, number);
        same("append", store.append(id, 0, &bytes), Ok(()))?;
        same("append at a place before", store.append(id, at, b"new"), Ok(()))?;
        same("what is there", store.unfinished(id), Ok(Some(at + 3)))?;
        same("seal", store.seal(id), Ok(()))?;
        let expected = [&bytes[..at as usize], b"new"].concat();
        let found = store.read(id, 0, usize::MAX);
        ensure(found.as_deref() == Ok(&expected), || {
            format!("written again from {at} on, {:?} bytes are there", found.map(|bytes| bytes.len()))
        })?;
    }
    Ok(())
}

fn gaps_are_refused<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let id = object(1, 1);
    same("append to nothing", store.append(id, 1, b"x"), Err(BlobError::Gap(id)))?;
    same("append", store.append(id, 0, b"abc"), Ok(()))?;
    for at in [4, 65_536, u64::MAX] {
        same("append behind a gap", store.append(id, at, b"x"), Err(BlobError::Gap(id)))?;
    }
    same("what is there", store.unfinished(id), Ok(Some(3)))
}

fn whole_ones_are_not_written_to<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let (put, sealed) = (object(1, 1), object(1, 2));
    same("put", store.put(put, b"abc"), Ok(()))?;
    same("append", store.append(sealed, 0, b"abc"), Ok(()))?;
    same("seal", store.seal(sealed), Ok(()))?;
    for id in [put, sealed] {
        for at in [0, 3] {
            same("append to a whole one", store.append(id, at, b"x"), Err(BlobError::Sealed(id)))?;
        }
        same("read", store.read(id, 0, 9), Ok(b"abc".to_vec()))?;
        same("what is unfinished of it", store.unfinished(id), Ok(None))?;
    }
    Ok(())
}

fn removed_ones<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let id = object(1, 1);
    same("append", store.append(id, 0, b"abc"), Ok(()))?;
    same("delete", store.delete(id), Ok(()))?;
    same("what is there of a removed one", store.unfinished(id), Ok(None))?;
    same("seal of a removed one", store.seal(id), Err(BlobError::Missing(id)))?;
    drop(store);
    let mut store = open(Medium::Same);
    same("what is there of a removed one", store.unfinished(id), Ok(None))?;
    same("list of unfinished ones", store.list_unfinished(scope(1)), Ok(Vec::new()))
}

/// What a restart leaves of an unfinished object is a beginning of it, and it can be gone on with.
fn gone_on_with_after_a_restart<B: Blobs>(open: Open<'_, B>) -> Seen {
    let bytes = random(250_000, 9);
    for there in [1, 65_536, 100_000] {
        let mut store = open(Medium::Fresh);
        let id = object(1, 1);
        append_all(&mut store, id, 0, &bytes[..there], 40_000)?;
        drop(store);
        let mut store = open(Medium::Same);
        same("len", store.len(id), Ok(None))?;
        let found = store.unfinished(id);
        let left = found.clone().ok().flatten().unwrap_or(0);
        ensure(found.is_ok() && left <= there as u64, || {
            format!("of {there} bytes {found:?} are there after a restart")
        })?;
        append_all(&mut store, id, left, &bytes, 40_000)?;
        same("seal", store.seal(id), Ok(()))?;
        drop(store);
        let mut store = open(Medium::Same);
        let found = store.read(id, 0, usize::MAX);
        ensure(found.as_deref() == Ok(&bytes), || {
            format!("gone on with from {left}, {:?} bytes are there", found.map(|bytes| bytes.len()))
        })?;
    }
    Ok(())
}
