//! Objects that are written at once.

use super::{Medium, Seen, ensure, object, pieces, scope};
use crate::Blobs;
use quorate_core::{BlobError, BlobId, Rng};

pub(super) type Open<'a, B> = &'a mut dyn FnMut(Medium) -> B;

pub(super) fn objects<B: Blobs>(open: Open<'_, B>) -> Seen {
    absent_ones(open)?;
    every_size_and_every_part(open)?;
    names_and_lists(open)?;
    replaced_ones(open)?;
    pieces::objects(open)
}

fn absent_ones<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let id = object(1, 1);
    same("the length of nothing", store.len(id), Ok(None))?;
    same("reading nothing", store.read(id, 0, 10), Err(BlobError::Missing(id)))?;
    same("deleting nothing", store.delete(id), Ok(()))?;
    same("sealing nothing", store.seal(id), Err(BlobError::Missing(id)))?;
    same("what is there of nothing", store.unfinished(id), Ok(None))?;
    same("the list of nothing", store.list(id.scope), Ok(Vec::new()))
}

fn every_size_and_every_part<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut rng = Rng::from_seed(2);
    let sizes = [0, 1, 100, 4096, 65_535, 65_536, 65_537, 131_072, 1_000_000, 3 << 20];
    let mut store = open(Medium::Fresh);
    let mut kept = Vec::new();
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|_| rng.bits() as u8).collect();
        let id = object(1, number as u64);
        same("put", store.put(id, &bytes), Ok(()))?;
        kept.push((id, bytes));
    }
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = open(Medium::Same);
        }
        for (id, bytes) in &kept {
            every_part(&mut store, *id, bytes, &mut rng)?;
        }
    }
    Ok(())
}

fn every_part<B: Blobs>(store: &mut B, id: BlobId, bytes: &[u8], rng: &mut Rng) -> Seen {
    let size = bytes.len();
    same("len", store.len(id), Ok(Some(size as u64)))?;
    let edges = [0, 1, 4095, 65_535, 65_536, 65_537, size.saturating_sub(1), size, size + 1];
    let random = std::iter::repeat_with(|| (rng.index(size + 1), rng.index(200_000))).take(10);
    let edges = edges.into_iter().flat_map(|at| [0, 1, 65_536, usize::MAX].map(|max| (at, max)));
    for (at, max) in edges.chain(random.collect::<Vec<_>>()) {
        let start = at.min(size);
        let expected = &bytes[start..start.saturating_add(max).min(size)];
        let found = store.read(id, at as u64, max);
        ensure(found.as_deref() == Ok(expected), || {
            let found = found.map(|bytes| bytes.len());
            format!("reading {max} bytes of {size} from {at} gave {found:?} instead of {}", expected.len())
        })?;
    }
    same("reading far behind the end", store.read(id, u64::MAX, 10), Ok(Vec::new()))
}

fn names_and_lists<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let numbers = [u64::MAX, 7, 0, 1 << 40, 10, 9];
    for number in numbers {
        same("put", store.put(object(1, number), &number.to_le_bytes()), Ok(()))?;
        same("put", store.put(object(2, number ^ 1), b"of another scope"), Ok(()))?;
    }
    same("delete", store.delete(object(1, 10)), Ok(()))?;
    same("delete twice", store.delete(object(1, 10)), Ok(()))?;
    for reopened in [false, true] {
        if reopened {
            drop(store);
            store = open(Medium::Same);
        }
        same("list", store.list(scope(1)), Ok(vec![0, 7, 9, 1 << 40, u64::MAX]))?;
        same("a deleted object", store.len(object(1, 10)), Ok(None))?;
        same("read", store.read(object(1, 7), 0, 9), Ok(7u64.to_le_bytes().to_vec()))?;
        same("list", store.list(scope(2)).map(|list| list.len()), Ok(numbers.len()))?;
        same("list", store.list(scope(3)), Ok(Vec::new()))?;
    }
    Ok(())
}

fn replaced_ones<B: Blobs>(open: Open<'_, B>) -> Seen {
    let mut store = open(Medium::Fresh);
    let id = object(1, 1);
    let versions: [&[u8]; 4] = [b"first", b"a longer second", b"", b"4th"];
    for bytes in versions {
        same("put over an older one", store.put(id, bytes), Ok(()))?;
        same("read", store.read(id, 0, 100), Ok(bytes.to_vec()))?;
    }
    drop(store);
    let mut store = open(Medium::Same);
    same("read", store.read(id, 0, 100), Ok(b"4th".to_vec()))?;
    same("list", store.list(id.scope), Ok(vec![1]))
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Seen {
    ensure(found == expected, || format!("{what}: {found:?} instead of {expected:?}"))
}
