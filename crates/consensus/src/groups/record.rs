//! What a node must not forget of its groups: one sequence of records for all of them.

use super::GroupId;
use crate::raft::{self, Founding};
use quorate_core::{Decoder, Encoder, NodeId, Wire, WireError};
use serde::{Deserialize, Serialize};

/// Records of a scope of groups.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A group came to be here.
    Created {
        /// Which.
        group: GroupId,
        /// How.
        founding: Founding,
    },
    /// A record of its replica.
    Of {
        /// Whose.
        group: GroupId,
        /// What.
        record: raft::Record,
    },
    /// These stand for all that was written of this group before.
    Instead {
        /// Which.
        group: GroupId,
        /// How it came to be.
        founding: Founding,
        /// Its replica's records.
        records: Vec<raft::Record>,
    },
    /// A group was removed for good.
    Removed {
        /// Which.
        group: GroupId,
    },
    /// These were removed for good. The first record of every journal that was rewritten.
    Gone {
        /// In order.
        groups: Vec<GroupId>,
    },
}

#[derive(Serialize, Deserialize)]
enum Part {
    Created(GroupId, How),
    Of(GroupId),
    Instead(GroupId, How, u32),
    Removed(GroupId),
    Gone(Vec<GroupId>),
}

/// A [`Founding`], in bytes.
#[derive(Serialize, Deserialize)]
enum How {
    Found(Vec<NodeId>),
    Join(Vec<NodeId>),
}

impl From<&Founding> for How {
    fn from(founding: &Founding) -> How {
        match founding {
            Founding::Found(voters) => How::Found(voters.clone()),
            Founding::Join(seeds) => How::Join(seeds.clone()),
        }
    }
}

impl From<How> for Founding {
    fn from(how: How) -> Founding {
        match how {
            How::Found(voters) => Founding::Found(voters),
            How::Join(seeds) => Founding::Join(seeds),
        }
    }
}

impl Record {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        const HEAD: usize = 32;
        let of = |record: &raft::Record| match record {
            raft::Record::Entries(batch) => HEAD + batch.len(),
            raft::Record::Snapshot(snapshot) => HEAD + snapshot.configuration.bytes(),
            _ => HEAD,
        };
        match self {
            Record::Created { .. } | Record::Removed { .. } => HEAD,
            Record::Of { record, .. } => of(record),
            Record::Instead { records, .. } => HEAD + records.iter().map(of).sum::<usize>(),
            Record::Gone { groups } => HEAD + 8 * groups.len(),
        }
    }
}

impl Wire for Record {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Record::Created { group, founding } => to.part(&Part::Created(*group, founding.into())),
            Record::Of { group, record } => {
                to.part(&Part::Of(*group));
                record.encode(to);
            }
            Record::Instead { group, founding, records } => {
                to.part(&Part::Instead(*group, founding.into(), records.len() as u32));
                records.iter().for_each(|record| record.encode(to));
            }
            Record::Removed { group } => to.part(&Part::Removed(*group)),
            Record::Gone { groups } => to.part(&Part::Gone(groups.clone())),
        }
    }

    fn decode(version: u8, from: &mut Decoder) -> Result<Record, WireError> {
        Ok(match from.part()? {
            Part::Created(group, how) => Record::Created { group, founding: how.into() },
            Part::Of(group) => Record::Of { group, record: raft::Record::decode(version, from)? },
            Part::Instead(group, how, count) => {
                // Each takes a byte at least, so what there is bounds what is made.
                let mut records = Vec::new();
                for _ in 0..count {
                    records.push(raft::Record::decode(version, from)?);
                }
                Record::Instead { group, founding: how.into(), records }
            }
            Part::Removed(group) => Record::Removed { group },
            Part::Gone(groups) => Record::Gone { groups },
        })
    }
}
