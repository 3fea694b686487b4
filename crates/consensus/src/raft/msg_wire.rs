//! Messages as bytes: a part that says what is told, and behind it the entries or the piece as they are.

use super::{
    Append, AppendReply, Batch, Batches, Candidacy, Commands, Configuration, Forward, ForwardReply, Index,
    LogId, Msg, NotPlaced, Pulled, SnapshotChunk, SnapshotReply, Term, VoteReply,
};
use quorate_core::{Class, Decoder, Encoder, JournalId, NodeId, Wire, WireError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
enum Part {
    PreVote(Candidacy),
    PreVoteReply(VoteReply),
    Vote(Candidacy),
    VoteReply(VoteReply),
    Append { group: u64, term: Term, prev: LogId, commit: Index, round: u64, batches: u32 },
    AppendReply(AppendReply),
    Snapshot(Box<ChunkHead>),
    SnapshotReply(SnapshotReply),
    Forward { group: u64, first: u64, count: u32 },
    ForwardReply(ForwardReply),
    Join,
    Pins { founders: u64, digest: Option<u64>, ask: bool },
    TakeOver { group: u64, term: Term },
    ReadIndex { group: u64, request: u64 },
    ReadIndexReply { request: u64, index: Result<Index, NotPlaced> },
    Pull { group: u64, after: LogId },
    Pulled { group: u64, after: LogId, last: LogId, batches: u32 },
    Resigned { group: u64, term: Term },
    LedBy { group: u64, leader: NodeId },
    RolledBack { group: u64, journal: JournalId },
    Held { group: u64, term: Term, upto: Index },
}

/// A [`SnapshotChunk`] without its piece.
#[derive(Serialize, Deserialize)]
struct ChunkHead {
    group: u64,
    term: Term,
    round: u64,
    last: LogId,
    configuration: Arc<Configuration>,
    total: u64,
    checksum: u32,
    offset: u64,
    crc: u32,
}

impl Wire for Msg {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Msg::PreVote(m) => to.part(&Part::PreVote(*m)),
            Msg::PreVoteReply(m) => to.part(&Part::PreVoteReply(*m)),
            Msg::Vote(m) => to.part(&Part::Vote(*m)),
            Msg::VoteReply(m) => to.part(&Part::VoteReply(*m)),
            Msg::AppendReply(m) => to.part(&Part::AppendReply(*m)),
            Msg::SnapshotReply(m) => to.part(&Part::SnapshotReply(*m)),
            Msg::ForwardReply(m) => to.part(&Part::ForwardReply(*m)),
            Msg::Join => to.part(&Part::Join),
            Msg::LedBy { group, leader } => to.part(&Part::LedBy { group: *group, leader: *leader }),
            Msg::Pins { founders, digest, ask } => {
                to.part(&Part::Pins { founders: *founders, digest: *digest, ask: *ask })
            }
            Msg::ReadIndex { group, request } => {
                to.part(&Part::ReadIndex { group: *group, request: *request })
            }
            Msg::ReadIndexReply { request, index } => {
                to.part(&Part::ReadIndexReply { request: *request, index: *index })
            }
            Msg::RolledBack { group, journal } => {
                to.part(&Part::RolledBack { group: *group, journal: **journal })
            }
            Msg::TakeOver { group, term } => to.part(&Part::TakeOver { group: *group, term: *term }),
            Msg::Held { group, term, upto } => {
                to.part(&Part::Held { group: *group, term: *term, upto: *upto })
            }
            Msg::Append(Append { group, term, prev, commit, round, batches }) => {
                let batches = batches.as_slice();
                let count = batches.len() as u32;
                let (group, term, prev, commit, round) = (*group, *term, *prev, *commit, *round);
                to.part(&Part::Append { group, term, prev, commit, round, batches: count });
                for batch in batches {
                    batch.encode(to);
                }
            }
            Msg::Resigned { group, term } => to.part(&Part::Resigned { group: *group, term: *term }),
            Msg::Pull { group, after } => to.part(&Part::Pull { group: *group, after: *after }),
            Msg::Pulled(Pulled { group, after, last, batches }) => {
                let (batches, group, after, last) = (batches.as_slice(), *group, *after, *last);
                to.part(&Part::Pulled { group, after, last, batches: batches.len() as u32 });
                batches.iter().for_each(|batch| batch.encode(to));
            }
            Msg::Snapshot(chunk) => {
                let SnapshotChunk { group, term, round, last, total, checksum, offset, crc, .. } = **chunk;
                let configuration = chunk.configuration.clone();
                let head =
                    ChunkHead { group, term, round, last, configuration, total, checksum, offset, crc };
                to.part(&Part::Snapshot(Box::new(head)));
                to.payload(&chunk.data);
            }
            Msg::Forward(Forward { group, first, commands }) => {
                to.part(&Part::Forward { group: *group, first: *first, count: commands.count() });
                to.payload(commands.as_bytes());
            }
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Msg, WireError> {
        Ok(match from.part()? {
            Part::PreVote(m) => Msg::PreVote(m),
            Part::PreVoteReply(m) => Msg::PreVoteReply(m),
            Part::Vote(m) => Msg::Vote(m),
            Part::VoteReply(m) => Msg::VoteReply(m),
            Part::AppendReply(m) => Msg::AppendReply(m),
            Part::SnapshotReply(m) => Msg::SnapshotReply(m),
            Part::ForwardReply(m) => Msg::ForwardReply(m),
            Part::Join => Msg::Join,
            Part::LedBy { group, leader } => Msg::LedBy { group, leader },
            Part::Pins { founders, digest, ask } => Msg::Pins { founders, digest, ask },
            Part::RolledBack { group, journal } => Msg::RolledBack { group, journal: journal.into() },
            Part::Resigned { group, term } => Msg::Resigned { group, term },
            Part::Pull { group, after } => Msg::Pull { group, after },
            Part::Pulled { group, after, last, batches } => {
                Msg::Pulled(Pulled { group, after, last, batches: decode_batches(after, batches, from)? })
            }
            Part::ReadIndex { group, request } => Msg::ReadIndex { group, request },
            Part::ReadIndexReply { request, index } => Msg::ReadIndexReply { request, index },
            Part::TakeOver { group, term } => Msg::TakeOver { group, term },
            Part::Held { group, term, upto } => Msg::Held { group, term, upto },
            Part::Append { group, term, prev, commit, round, batches } => {
                let batches = decode_batches(prev, batches, from)?;
                Msg::Append(Append { group, term, prev, commit, round, batches })
            }
            Part::Snapshot(head) => {
                let ChunkHead { group, term, round, last, configuration, total, checksum, offset, crc } =
                    *head;
                let data = from.payload()?;
                Msg::Snapshot(Box::new(SnapshotChunk {
                    group,
                    term,
                    round,
                    last,
                    configuration,
                    total,
                    checksum,
                    offset,
                    crc,
                    data,
                }))
            }
            Part::Forward { group, first, count } => {
                let commands = Commands::checked(count, from.payload()?)?;
                Msg::Forward(Forward { group, first, commands })
            }
        })
    }

    fn class(&self) -> Class {
        match self {
            Msg::Append(append) if !matches!(append.batches, Batches::None) => Class::Data,
            Msg::Snapshot(_) | Msg::Forward(_) | Msg::Pulled(_) => Class::Data,
            _ => Class::Control,
        }
    }
}

/// Batches must follow one another without gaps and their terms must not fall: what is refused here never
/// reaches the log.
fn decode_batches(prev: LogId, count: u32, from: &mut Decoder) -> Result<Batches, WireError> {
    let mut found = Vec::new();
    let mut before = prev;
    for _ in 0..count {
        let batch = Batch::decode(from)?;
        if before.index.checked_add(1) != Some(batch.first()) || batch.term() < before.term {
            return Err(WireError::Malformed("batches"));
        }
        before = batch.last_id();
        found.push(batch);
    }
    Ok(found.into())
}
