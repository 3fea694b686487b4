//! What a replica must not forget.

use super::{Batch, Configuration, LogId, Pin, Term, batch::BatchHead};
use bytes::Bytes;
use quorate_core::{Decoder, Encoder, JournalId, NodeId, Wire, WireError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Records of one replica.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// Who founds. The first record of a founder's journal.
    Founded {
        /// The voters, ascending.
        voters: Vec<NodeId>,
    },
    /// The cluster that this replica is of. The first record of one that joins; a founder's that met all others needs none,
    /// until what they wrote down is compacted.
    Joined {
        /// The cluster's name.
        group: u64,
    },
    /// The journal under which a founder was met.
    Pinned(Pin),
    /// Term and vote: one record, so that neither is ever on disk without the other.
    Hard {
        /// The current term.
        term: Term,
        /// Who got this replica's vote in it.
        vote: Option<NodeId>,
    },
    /// Entries; whatever stood at or behind their first index is gone.
    Entries(Batch),
    /// The state to start from.
    Snapshot(Snapshot),
    /// The log begins behind this entry; what stood before it is gone.
    Begins(LogId),
    /// All founders have written down the same pins: they are the first configuration.
    AllMet,
    /// A voter's journal, or this one, was put back to an earlier copy: what is promised under it does not count.
    RolledBack {
        /// Its name.
        journal: JournalId,
    },
}

/// The state machine and the sessions after an entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// The entry.
    pub last: LogId,
    /// Who decides as of this entry, both halves of a change included.
    pub configuration: Arc<Configuration>,
    /// The port's bytes.
    pub data: Bytes,
}

impl Snapshot {
    /// CRC-32 of the configuration's encoding and the data behind it.
    pub fn checksum(&self) -> u32 {
        let mut crc = begin_checksum(&self.configuration);
        crc.update(&self.data);
        crc.finalize()
    }
}

/// The checksum of a snapshot with this configuration and no data so far.
pub(super) fn begin_checksum(configuration: &Configuration) -> crc32fast::Hasher {
    let mut crc = crc32fast::Hasher::new();
    // Plain data without maps: there is nothing in it that could not be written.
    crc.update(&postcard::to_stdvec(configuration).unwrap_or_default());
    crc
}

#[derive(Serialize, Deserialize)]
enum Part {
    Founded(Vec<NodeId>),
    Joined(u64),
    Pinned(Pin),
    Hard(Term, Option<NodeId>),
    Entries(BatchHead),
    Snapshot(LogId, Arc<Configuration>),
    Begins(LogId),
    AllMet,
    RolledBack(JournalId),
}

impl Wire for Record {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Record::Founded { voters } => to.part(&Part::Founded(voters.clone())),
            Record::Joined { group } => to.part(&Part::Joined(*group)),
            Record::AllMet => to.part(&Part::AllMet),
            Record::RolledBack { journal } => to.part(&Part::RolledBack(*journal)),
            Record::Begins(id) => to.part(&Part::Begins(*id)),
            Record::Pinned(pin) => to.part(&Part::Pinned(*pin)),
            Record::Hard { term, vote } => to.part(&Part::Hard(*term, *vote)),
            Record::Entries(batch) => {
                to.part(&Part::Entries(batch.head()));
                batch.encode_body(to);
            }
            Record::Snapshot(snapshot) => {
                to.part(&Part::Snapshot(snapshot.last, snapshot.configuration.clone()));
                to.payload(&snapshot.data);
            }
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Record, WireError> {
        Ok(match from.part()? {
            Part::Founded(voters) => Record::Founded { voters },
            Part::Joined(group) => Record::Joined { group },
            Part::AllMet => Record::AllMet,
            Part::RolledBack(journal) => Record::RolledBack { journal },
            Part::Begins(id) => Record::Begins(id),
            Part::Pinned(pin) => Record::Pinned(pin),
            Part::Hard(term, vote) => Record::Hard { term, vote },
            Part::Entries(head) => Record::Entries(Batch::decode_body(head, from)?),
            Part::Snapshot(last, configuration) => {
                Record::Snapshot(Snapshot { last, configuration, data: from.payload()? })
            }
        })
    }
}
