//! What a replica must not forget.

use super::{Batch, LogId, Pin, Term, batch::BatchHead};
use bytes::Bytes;
use quorate_core::{Decoder, Encoder, NodeId, Wire, WireError};
use serde::{Deserialize, Serialize};

/// Records of one replica.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// The electorate this replica was founded with. The first record of every journal.
    Founded {
        /// The voters, ascending.
        voters: Vec<NodeId>,
    },
    /// The group that this replica joined without a vote. The first record of a journal that was not founded.
    Joined {
        /// Its name.
        group: u64,
    },
    /// The journal under which a voter is known; its votes and acknowledgements under another do not count.
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
    /// All founders have written down the same pins.
    AllMet,
}

/// The state machine and the sessions after an entry.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// The entry.
    pub last: LogId,
    /// The port's bytes.
    pub data: Bytes,
}

#[derive(Serialize, Deserialize)]
enum Part {
    Founded(Vec<NodeId>),
    Joined(u64),
    Pinned(Pin),
    Hard(Term, Option<NodeId>),
    Entries(BatchHead),
    Snapshot(LogId),
    Begins(LogId),
    AllMet,
}

impl Wire for Record {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Record::Founded { voters } => to.part(&Part::Founded(voters.clone())),
            Record::Joined { group } => to.part(&Part::Joined(*group)),
            Record::AllMet => to.part(&Part::AllMet),
            Record::Begins(id) => to.part(&Part::Begins(*id)),
            Record::Pinned(pin) => to.part(&Part::Pinned(*pin)),
            Record::Hard { term, vote } => to.part(&Part::Hard(*term, *vote)),
            Record::Entries(batch) => {
                to.part(&Part::Entries(batch.head()));
                batch.encode_body(to);
            }
            Record::Snapshot(snapshot) => {
                to.part(&Part::Snapshot(snapshot.last));
                to.payload(&snapshot.data);
            }
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Record, WireError> {
        Ok(match from.part()? {
            Part::Founded(voters) => Record::Founded { voters },
            Part::Joined(group) => Record::Joined { group },
            Part::AllMet => Record::AllMet,
            Part::Begins(id) => Record::Begins(id),
            Part::Pinned(pin) => Record::Pinned(pin),
            Part::Hard(term, vote) => Record::Hard { term, vote },
            Part::Entries(head) => Record::Entries(Batch::decode_body(head, from)?),
            Part::Snapshot(last) => Record::Snapshot(Snapshot { last, data: from.payload()? }),
        })
    }
}
