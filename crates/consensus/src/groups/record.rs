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
    /// Some of what the next `Instead` of this group stands for, where that would be one long record. Nothing before that one is
    /// there.
    Part {
        /// Which.
        group: GroupId,
        /// Whether it is the first of them.
        begins: bool,
        /// Its replica's records.
        records: Vec<raft::Record>,
    },
    /// These, behind those of the parts before, stand for all that was written of this group before.
    Instead {
        /// Which.
        group: GroupId,
        /// How it came to be.
        founding: Founding,
        /// How many parts are right before it. What else there is of parts a crash cut short, and stands for nothing.
        parts: u32,
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
    Piece(GroupId, bool, u32),
    Behind(GroupId, How, u32, u32),
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

const HEAD: usize = 32;

fn of(record: &raft::Record) -> usize {
    match record {
        raft::Record::Entries(batch) => HEAD + batch.len(),
        raft::Record::Snapshot(snapshot) => HEAD + snapshot.configuration.bytes(),
        _ => HEAD,
    }
}

/// No record that stands for others has more bytes than this, unless one of them has.
const PART_BYTES_MAX: usize = 64 << 10;

impl Record {
    /// Those that stand for all that was written of a group before.
    pub(super) fn instead(group: GroupId, founding: Founding, mut records: Vec<raft::Record>) -> Vec<Record> {
        let mut told = Vec::new();
        let mut bytes = 0;
        let (mut from, mut ends) = (0, Vec::new());
        for (at, record) in records.iter().enumerate() {
            if at > from && bytes + of(record) > PART_BYTES_MAX {
                ends.push(at);
                (from, bytes) = (at, 0);
            }
            bytes += of(record);
        }
        let mut cut = 0;
        for end in ends {
            let rest = records.split_off(end - cut);
            let records = std::mem::replace(&mut records, rest);
            told.push(Record::Part { group, begins: cut == 0, records });
            cut = end;
        }
        told.push(Record::Instead { group, founding, parts: told.len() as u32, records });
        told
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Record::Created { .. } | Record::Removed { .. } => HEAD,
            Record::Of { record, .. } => of(record),
            Record::Part { records, .. } | Record::Instead { records, .. } => {
                HEAD + records.iter().map(of).sum::<usize>()
            }
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
            Record::Instead { group, founding, parts, records } => {
                let count = records.len() as u32;
                match *parts {
                    0 => to.part(&Part::Instead(*group, founding.into(), count)),
                    parts => to.part(&Part::Behind(*group, founding.into(), parts, count)),
                }
                records.iter().for_each(|record| record.encode(to));
            }
            Record::Part { group, begins, records } => {
                to.part(&Part::Piece(*group, *begins, records.len() as u32));
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
                let records = decode_all(version, count, from)?;
                Record::Instead { group, founding: how.into(), parts: 0, records }
            }
            Part::Behind(_, _, 0, _) => return Err(WireError::Malformed("behind no parts")),
            Part::Behind(group, how, parts, count) => {
                let records = decode_all(version, count, from)?;
                Record::Instead { group, founding: how.into(), parts, records }
            }
            Part::Piece(group, begins, count) => {
                Record::Part { group, begins, records: decode_all(version, count, from)? }
            }
            Part::Removed(group) => Record::Removed { group },
            Part::Gone(groups) => Record::Gone { groups },
        })
    }
}

/// Each takes a byte at least, so what there is bounds what is made.
fn decode_all(version: u8, count: u32, from: &mut Decoder) -> Result<Vec<raft::Record>, WireError> {
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(raft::Record::decode(version, from)?);
    }
    Ok(records)
}
