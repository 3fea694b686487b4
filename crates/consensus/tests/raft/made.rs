//! Messages made by hand, as a peer could have sent them.

use bytes::Bytes;
use quorate_consensus::raft::{Append, Batch, Batches, Index, LogId, Msg, Record, Term};
use quorate_core::wire;

/// Entries of one term, each with its data; a single one without data is a leader's first.
pub fn batch(first: Index, term: Term, entries: &[&[u8]]) -> Batch {
    let mut body = Vec::new();
    for data in entries {
        assert!(data.len() < 0x80);
        body.push(data.len() as u8);
        body.extend_from_slice(data);
    }
    // The fifth kind of record: its head, and its body behind a length.
    let kind = u32::from(entries != [b""]);
    let head = (4u32, first, term, entries.len() as u32, kind, body.len() as u64);
    let bytes = [&[1u8][..], &postcard::to_stdvec(&head).unwrap(), &body].concat();
    match wire::decode(Bytes::from(bytes)).unwrap() {
        Record::Entries(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// So many entries with one byte of data each.
pub fn entries(first: Index, term: Term, count: usize) -> Batch {
    batch(first, term, &vec![&b"x"[..]; count])
}

/// An append of the leader of `term` whose entries go behind `prev`.
pub fn append(group: u64, term: Term, prev: LogId, commit: Index, batches: Vec<Batch>) -> Msg {
    Msg::Append(Append { group, term, prev, commit, round: 1, batches: Batches::from(batches) })
}
