//! What nodes tell each other about their groups.

use super::{GroupId, loads::APPENDS_MAX, post::BUNDLE_MAX};
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
    /// Of many groups, each a short append with entries.
    Appends(Arc<[(GroupId, raft::Msg)]>),
    /// The sender was spoken to in these groups, and is a member of none of them.
    NotHere(Arc<[GroupId]>),
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
    Appends(u32),
    NotHere(Vec<GroupId>),
}

/// No more than is ever put together: each takes a step, and a frame has room for many more.
fn bounded(count: usize) -> Result<usize, WireError> {
    at_most(BUNDLE_MAX, count)
}

fn at_most(most: usize, count: usize) -> Result<usize, WireError> {
    if count > most { Err(WireError::Malformed("a bundle")) } else { Ok(count) }
}

fn few<T>(all: Vec<T>) -> Result<Arc<[T]>, WireError> {
    bounded(all.len())?;
    Ok(all.into())
}

fn encode_all(all: &[(GroupId, raft::Msg)], to: &mut Encoder<'_>) {
    for (group, msg) in all {
        to.part(group);
        msg.encode(to);
    }
}

/// So many messages, all of them of this kind.
fn decode_all(
    version: u8,
    count: usize,
    is_kind: impl Fn(&raft::Msg) -> bool,
    from: &mut Decoder,
) -> Result<Arc<[(GroupId, raft::Msg)]>, WireError> {
    let mut all = Vec::new();
    for _ in 0..count {
        let (group, msg) = (from.part()?, raft::Msg::decode(version, from)?);
        if !is_kind(&msg) {
            return Err(WireError::Malformed("a message of another kind in a bundle"));
        }
        all.push((group, msg));
    }
    Ok(all.into())
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
                encode_all(all, to);
            }
            Msg::Appends(all) => {
                to.part(&Part::Appends(all.len() as u32));
                encode_all(all, to);
            }
            Msg::Beat(beat) => to.part(&Part::Beat(beat.clone())),
            Msg::Doze(all) => to.part(&Part::Doze(all.to_vec())),
            Msg::Dozed(all) => to.part(&Part::Dozed(all.to_vec())),
            Msg::NotSo(groups) => to.part(&Part::NotSo(groups.to_vec())),
            Msg::NotHere(groups) => to.part(&Part::NotHere(groups.to_vec())),
            Msg::Committed(all) => to.part(&Part::Committed(all.to_vec())),
        }
    }

    fn decode(version: u8, from: &mut Decoder) -> Result<Msg, WireError> {
        Ok(match from.part()? {
            Part::One(group) => Msg::One { group, msg: raft::Msg::decode(version, from)? },
            Part::Many(count) => {
                // What carries data has a class that says so, and is dropped where there is no room for it.
                let small = |msg: &raft::Msg| msg.class() == Class::Control;
                Msg::Many(decode_all(version, bounded(count as usize)?, small, from)?)
            }
            Part::Appends(count) => {
                let carries =
                    |msg: &raft::Msg| matches!(msg, raft::Msg::Append(_)) && msg.class() == Class::Data;
                Msg::Appends(decode_all(version, at_most(APPENDS_MAX, count as usize)?, carries, from)?)
            }
            Part::Beat(beat) => {
                bounded(beat.led.len().saturating_add(beat.followed.len()))?;
                Msg::Beat(beat)
            }
            Part::Doze(all) => Msg::Doze(few(all)?),
            Part::Dozed(all) => Msg::Dozed(few(all)?),
            Part::NotSo(groups) => Msg::NotSo(few(groups)?),
            Part::NotHere(groups) => Msg::NotHere(few(groups)?),
            Part::Committed(all) => Msg::Committed(few(all)?),
        })
    }

    fn class(&self) -> Class {
        match self {
            Msg::One { msg, .. } => msg.class(),
            Msg::Appends(_) => Class::Data,
            _ => Class::Control,
        }
    }
}
