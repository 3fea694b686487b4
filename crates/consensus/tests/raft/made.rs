//! Messages made by hand, as a peer could have sent them.

use bytes::Bytes;
use quorate_consensus::raft::{
    Append, Batch, Batches, Configuration, Electors, Index, LogId, Msg, Quorums, Record, Snapshot,
    SnapshotChunk, Term, Voter,
};
use quorate_core::{JournalId, NodeId, quorum::Electorate, wire};
use std::sync::Arc;

/// Entries of one term, each with its data; a single one without data is a leader's first.
pub fn batch(first: Index, term: Term, entries: &[&[u8]]) -> Batch {
    // No-op, command.
    batch_of(u32::from(entries != [b""]), first, term, entries)
}

/// An entry that says who decides.
pub fn configured(first: Index, term: Term, configuration: &Configuration) -> Batch {
    batch_of(2, first, term, &[&postcard::to_stdvec(configuration).unwrap()])
}

fn batch_of(kind: u32, first: Index, term: Term, entries: &[&[u8]]) -> Batch {
    let mut body = Vec::new();
    for data in entries {
        assert!(data.len() < 0x80);
        body.push(data.len() as u8);
        body.extend_from_slice(data);
    }
    // The fifth kind of record: its head, and its body behind a length.
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

/// One vote each, on the disks that a [`crate::cluster::Cluster`] gives these nodes.
pub fn electors(epoch: u64, nodes: impl IntoIterator<Item = u64>) -> Electors {
    let voters = nodes.into_iter().map(|id| Voter { node: NodeId(id), journal: JournalId(u128::from(id)) });
    Electors::new(Electorate::equal(epoch, voters).unwrap(), Quorums::default()).unwrap()
}

/// What three founders begin with.
pub fn founders() -> Arc<Configuration> {
    Arc::new(Configuration::simple(electors(0, 1..=3)))
}

/// A snapshot of three founders, in some object.
pub fn snapshot(last: LogId, data: &[u8]) -> Snapshot {
    Snapshot::of(last, founders(), 1, data.len() as u64, crc32fast::hash(data))
}

/// The piece of a snapshot that begins at a byte and ends before another.
pub fn piece(
    group: u64,
    term: Term,
    round: u64,
    last: LogId,
    whole: &'static [u8],
    from: usize,
    upto: usize,
) -> SnapshotChunk {
    let Snapshot { configuration, total, checksum, .. } = snapshot(last, whole);
    let (offset, data) = (from as u64, Bytes::from_static(&whole[from..upto]));
    let crc = crc32fast::hash(&data);
    SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, crc, data }
}
