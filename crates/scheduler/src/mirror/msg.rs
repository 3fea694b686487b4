//! What publishers and receivers tell each other. Part of the wire: see `tests/golden`.

use bytes::Bytes;
use quorate_core::{Class, Decoder, Encoder, Wire, WireError};

/// Bytes that a change costs beside its value, at most: key, mark, length.
pub(super) const CHANGE_BYTES: usize = 16;

/// See the variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorMsg {
    /// Publisher to receiver.
    Delta(Delta),
    /// Receiver to publisher.
    Ack(Ack),
}

/// The latest value of every key whose latest version is above `base` and at most `upto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The receiver's life that is meant; 0 if it is not known: then nothing is carried, and it is asked.
    pub to_life: u64,
    /// The publisher's life.
    pub life: u64,
    /// Which of its streams to this receiver; a higher one starts from nothing.
    pub stream: u64,
    /// Counts the deltas of this stream, with those that repeat others.
    pub number: u64,
    /// What the receiver must have.
    pub base: u64,
    /// What it has then.
    pub upto: u64,
    /// The version of the level when this was sent: what has changed up to it may be left out here.
    pub latest: u64,
    /// Keys, each once, with their values; `None` where the key was cleared.
    pub changes: Vec<(u64, Option<Bytes>)>,
}

/// What a receiver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The publisher's life.
    pub life: u64,
    /// Its stream.
    pub stream: u64,
    /// The receiver's own life.
    pub my_life: u64,
    /// The highest number of a delta that came. So an older acknowledgement is known for one.
    pub echo: u64,
    /// Everything up to this version.
    pub have: u64,
    /// Whether a delta came that could not be used: send again from `have`.
    pub gap: bool,
}

const DELTA: u8 = 0;
const ACK: u8 = 1;

impl Wire for MirrorMsg {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            MirrorMsg::Delta(delta) => {
                let Delta { to_life, life, stream, number, base, upto, latest, changes } = delta;
                to.part(&(DELTA, to_life, life, stream, number, base, upto, latest, changes.len() as u64));
                for (key, value) in changes {
                    to.part(&(key, value.is_some()));
                    if let Some(value) = value {
                        to.payload(value);
                    }
                }
            }
            MirrorMsg::Ack(Ack { life, stream, my_life, echo, have, gap }) => {
                to.part(&(ACK, life, stream, my_life, echo, have, gap));
            }
        }
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Self, WireError> {
        match from.part()? {
            DELTA => {
                let (to_life, life, stream, number, base, upto, latest) = from.part()?;
                let count: u64 = from.part()?;
                // Grows with what is really there: a count that lies ends at the end of the frame.
                let mut changes = Vec::new();
                for _ in 0..count {
                    let (key, is_set) = from.part()?;
                    changes.push((key, if is_set { Some(from.payload()?) } else { None }));
                }
                Ok(MirrorMsg::Delta(Delta { to_life, life, stream, number, base, upto, latest, changes }))
            }
            ACK => {
                let (life, stream, my_life, echo, have, gap) = from.part()?;
                Ok(MirrorMsg::Ack(Ack { life, stream, my_life, echo, have, gap }))
            }
            _ => Err(WireError::Malformed("kind of mirror message")),
        }
    }

    fn class(&self) -> Class {
        match self {
            MirrorMsg::Delta(_) => Class::Data,
            MirrorMsg::Ack(_) => Class::Control,
        }
    }
}
