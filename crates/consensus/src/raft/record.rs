//! What a replica must not forget.

use super::{Batch, Configuration, LogId, Pin, Term, batch::BatchHead};
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
    /// A snapshot that a leader sends is written into this object: one that was interrupted is gone on with.
    Receiving(Snapshot),
    /// All founders have written down the same pins: they are the first configuration.
    AllMet,
    /// A voter's journal, or this one, was put back to an earlier copy: what is promised under it does not count.
    RolledBack {
        /// Its name.
        journal: JournalId,
    },
    /// This replica is a witness: nothing here says what the state was. The first record of its journal.
    Witness,
}

/// The state machine and the sessions after an entry. Their bytes are an object beside the journal (docs/adr/0010); this is
/// all that a journal and a replica hold of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The entry.
    pub last: LogId,
    /// Who decides as of this entry, both halves of a change included.
    pub configuration: Arc<Configuration>,
    /// The number of the object with the port's bytes, on this node. 0 on a witness, which has none.
    pub blob: u64,
    /// How many bytes it has.
    pub total: u64,
    /// CRC-32 of the configuration's encoding and the bytes behind it.
    pub checksum: u32,
}

impl Snapshot {
    /// One whose object has so many bytes, and this CRC-32 of them.
    pub fn of(last: LogId, configuration: Arc<Configuration>, blob: u64, total: u64, crc: u32) -> Snapshot {
        let checksum = checksum(&configuration, total, crc);
        Snapshot { last, configuration, blob, total, checksum }
    }

    /// Whether an object of so many bytes with this CRC-32 is its.
    pub fn has(&self, total: u64, crc: u32) -> bool {
        self.total == total && self.checksum == checksum(&self.configuration, total, crc)
    }

    /// Whether both stand for the same in the same bytes, wherever they are kept.
    pub fn is_same(&self, other: &Snapshot) -> bool {
        let name = |of: &Snapshot| (of.last, of.total, of.checksum);
        name(self) == name(other) && self.configuration == other.configuration
    }
}

/// CRC-32 of the configuration's encoding and so many bytes behind it, of which only the CRC-32 is known.
fn checksum(configuration: &Configuration, total: u64, crc: u32) -> u32 {
    let mut whole = crc32fast::Hasher::new();
    // Plain data without maps: there is nothing in it that could not be written.
    whole.update(&postcard::to_stdvec(configuration).unwrap_or_default());
    whole.combine(&crc32fast::Hasher::new_with_initial_len(crc, total));
    whole.finalize()
}

#[derive(Serialize, Deserialize)]
enum Part {
    Founded(Vec<NodeId>),
    Joined(u64),
    Pinned(Pin),
    Hard(Term, Option<NodeId>),
    Entries(BatchHead),
    Snapshot(SnapshotHead),
    Begins(LogId),
    AllMet,
    RolledBack(JournalId),
    Receiving(SnapshotHead),
    Witness,
}

type SnapshotHead = (LogId, Arc<Configuration>, u64, u64, u32);

impl From<&Snapshot> for SnapshotHead {
    fn from(of: &Snapshot) -> SnapshotHead {
        (of.last, of.configuration.clone(), of.blob, of.total, of.checksum)
    }
}

impl From<SnapshotHead> for Snapshot {
    fn from((last, configuration, blob, total, checksum): SnapshotHead) -> Snapshot {
        Snapshot { last, configuration, blob, total, checksum }
    }
}

impl Wire for Record {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Record::Founded { voters } => to.part(&Part::Founded(voters.clone())),
            Record::Joined { group } => to.part(&Part::Joined(*group)),
            Record::AllMet => to.part(&Part::AllMet),
            Record::Witness => to.part(&Part::Witness),
            Record::RolledBack { journal } => to.part(&Part::RolledBack(*journal)),
            Record::Begins(id) => to.part(&Part::Begins(*id)),
            Record::Pinned(pin) => to.part(&Part::Pinned(*pin)),
            Record::Hard { term, vote } => to.part(&Part::Hard(*term, *vote)),
            Record::Entries(batch) => {
                to.part(&Part::Entries(batch.head()));
                batch.encode_body(to);
            }
            Record::Snapshot(snapshot) => to.part(&Part::Snapshot(snapshot.into())),
            Record::Receiving(snapshot) => to.part(&Part::Receiving(snapshot.into())),
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Record, WireError> {
        Ok(match from.part()? {
            Part::Founded(voters) => Record::Founded { voters },
            Part::Joined(group) => Record::Joined { group },
            Part::AllMet => Record::AllMet,
            Part::Witness => Record::Witness,
            Part::RolledBack(journal) => Record::RolledBack { journal },
            Part::Begins(id) => Record::Begins(id),
            Part::Pinned(pin) => Record::Pinned(pin),
            Part::Hard(term, vote) => Record::Hard { term, vote },
            Part::Entries(head) => Record::Entries(Batch::decode_body(head, from)?),
            Part::Snapshot(head) => Record::Snapshot(head.into()),
            Part::Receiving(head) => Record::Receiving(head.into()),
        })
    }
}
