//! What nodes tell each other about their groups.

use super::{GroupId, post::BUNDLE_MAX};
use crate::raft::{self, Index, LogId, Term};
use quorate_core::{Class, Decoder, Encoder, Wire, WireError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Messages between two nodes that share groups.
#[derive(Clone, PartialEq, Debug)]
pub enum Msg {
    /// Of one group.
    One {
        /// Which.
        group: GroupId,
        /// What its replica says.
        msg: raft::Msg,
    },
    /// Of many groups, none of which carries data: heartbeats that fell on one time, and their answers.
    Many(Arc<[(GroupId, raft::Msg)]>),
    /// This node is there, and stands for the heartbeats of groups that sleep.
    Beat(Beat),
    /// A leader has nothing more to say: whoever is equal may sleep.
    Doze(Arc<[Doze]>),
    /// The sender is equal, and sleeps: groups, and the numbers of the questions.
    Dozed(Arc<[(GroupId, u64)]>),
    /// The receiver sleeps in these groups as if the sender led them, or followed it in them, and that is not so, or not
    /// up to there.
    NotSo(Arc<[GroupId]>),
    /// What is committed in groups that the sender leads: of each an append without entries, told in short.
    Committed(Arc<[Committed]>),
}

/// Sleeping groups that two nodes share, as the sender sees them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Beat {
    /// Those that the sender leads and the receiver agreed to.
    pub leads: Digest,
    /// Those in which the sender sleeps under the receiver's lead.
    pub under: Digest,
    /// Some of the first, named while the two nodes do not see them alike.
    pub led: Vec<Claim>,
    /// Some of the second, likewise.
    pub followed: Vec<Claim>,
}

/// A set of sleeping groups, with their terms and last entries, as two numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Digest {
    /// How many.
    pub count: u64,
    /// A hash of each, all added up.
    pub sum: u64,
}

/// A leader would sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Doze {
    /// The group.
    pub group: GroupId,
    /// The leader's term.
    pub term: Term,
    /// Its last entry, which is committed.
    pub last: LogId,
    /// Names the question.
    pub nonce: u64,
}

/// A replica sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// In this group,
    pub group: GroupId,
    /// in this term,
    pub term: Term,
    /// behind this entry, which is committed.
    pub last: LogId,
}

/// A leader tells how far its group is committed, up to an entry of its own term.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// The group.
    pub group: GroupId,
    /// The name of its cluster.
    pub cluster: u64,
    /// The leader's term, and the entry's.
    pub term: Term,
    /// The entry.
    pub index: Index,
}

#[derive(Serialize, Deserialize)]
enum Part {
    One(GroupId),
    Many(u32),
    Beat(Beat),
    Doze(Vec<Doze>),
    Dozed(Vec<(GroupId, u64)>),
    NotSo(Vec<GroupId>),
    Committed(Vec<Committed>),
}

/// No more than is ever put together: each takes a step, and a frame has room for many more.
fn bounded(count: usize) -> Result<usize, WireError> {
    if count > BUNDLE_MAX { Err(WireError::Malformed("a bundle")) } else { Ok(count) }
}

impl Wire for Msg {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Msg::One { group, msg } => {
                to.part(&Part::One(*group));
                msg.encode(to);
            }
            Msg::Many(all) => {
                to.part(&Part::Many(all.len() as u32));
                for (group, msg) in all.iter() {
                    to.part(group);
                    msg.encode(to);
                }
            }
            Msg::Beat(beat) => to.part(&Part::Beat(beat.clone())),
            Msg::Doze(all) => to.part(&Part::Doze(all.to_vec())),
            Msg::Dozed(all) => to.part(&Part::Dozed(all.to_vec())),
            Msg::NotSo(groups) => to.part(&Part::NotSo(groups.to_vec())),
            Msg::Committed(all) => to.part(&Part::Committed(all.to_vec())),
        }
    }

    fn decode(version: u8, from: &mut Decoder) -> Result<Msg, WireError> {
        Ok(match from.part()? {
            Part::One(group) => Msg::One { group, msg: raft::Msg::decode(version, from)? },
            Part::Many(count) => {
                let mut all = Vec::new();
                for _ in 0..bounded(count as usize)? {
                    let (group, msg) = (from.part()?, raft::Msg::decode(version, from)?);
                    // What carries data has a class that says so, and is dropped where there is no room for it.
                    if msg.class() != Class::Control {
                        return Err(WireError::Malformed("data in a bundle"));
                    }
                    all.push((group, msg));
                }
                Msg::Many(all.into())
            }
            Part::Beat(beat) => {
                bounded(beat.led.len().saturating_add(beat.followed.len()))?;
                Msg::Beat(beat)
            }
            Part::Doze(all) => {
                bounded(all.len())?;
                Msg::Doze(all.into())
            }
            Part::Dozed(all) => {
                bounded(all.len())?;
                Msg::Dozed(all.into())
            }
            Part::NotSo(groups) => {
                bounded(groups.len())?;
                Msg::NotSo(groups.into())
            }
            Part::Committed(all) => {
                bounded(all.len())?;
                Msg::Committed(all.into())
            }
        })
    }

    fn class(&self) -> Class {
        match self {
            Msg::One { msg, .. } => msg.class(),
            _ => Class::Control,
        }
    }
}
