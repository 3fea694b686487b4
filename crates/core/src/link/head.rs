//! The 32 bytes before every body. Little-endian, the same with and without a real seal:
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0 | version | 1 |
//! | 1 | kind | 1 hello, 2 data |
//! | 2..4 | flags | bit 0: the body is of the data class; every other bit is zero |
//! | 4..8 | scope | index into the sender's list of scopes, as its hello said it; 0 in a hello |
//! | 8..16 | sequence | from 1 in each session; 0 in a hello |
//! | 16..32 | seal | over everything before it and the body, see `seal.rs` |

use super::digest::BodyDigest;
use super::seal;
use crate::{Class, HEAD_BYTES};

/// The version of the layout above.
pub(super) const VERSION: u8 = 1;
const HELLO: u8 = 1;
const DATA: u8 = 2;
const FLAG_DATA_CLASS: u16 = 1;

/// A head, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Hello,
    Data { class: Class, scope: u32, sequence: u64 },
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    Malformed,
    Version,
}

impl Head {
    /// The head, sealed under `key`.
    pub(super) fn encode(&self, key: u128, body: BodyDigest) -> [u8; HEAD_BYTES] {
        let mut first = [0; 16];
        first[0] = VERSION;
        match *self {
            Head::Hello => first[1] = HELLO,
            Head::Data { class, scope, sequence } => {
                first[1] = DATA;
                let flags = if class == Class::Data { FLAG_DATA_CLASS } else { 0 };
                first[2..4].copy_from_slice(&flags.to_le_bytes());
                first[4..8].copy_from_slice(&scope.to_le_bytes());
                first[8..].copy_from_slice(&sequence.to_le_bytes());
            }
        }
        let mut head = [0; HEAD_BYTES];
        head[..16].copy_from_slice(&first);
        head[16..].copy_from_slice(&seal::seal(key, &first, body).to_le_bytes());
        head
    }

    /// Reads the head of a frame, and the key that it would be sealed under; that is judged by the caller.
    /// Strict: a bit that has no meaning yet refuses the frame.
    pub(super) fn decode(frame: &[u8]) -> Result<(Head, u128), BadHead> {
        let (head, body) = frame.split_first_chunk::<HEAD_BYTES>().ok_or(BadHead::Malformed)?;
        if head[0] != VERSION {
            return Err(BadHead::Version);
        }
        let (first, sealed): ([u8; 16], [u8; 16]) = (part(head, 0), part(head, 16));
        let flags = u16::from_le_bytes(part(head, 2));
        let scope = u32::from_le_bytes(part(head, 4));
        let sequence = u64::from_le_bytes(part(head, 8));
        let head = match first[1] {
            HELLO if first[2..].iter().all(|byte| *byte == 0) => Head::Hello,
            DATA if flags <= FLAG_DATA_CLASS && sequence > 0 => {
                let class = if flags == FLAG_DATA_CLASS { Class::Data } else { Class::Control };
                Head::Data { class, scope, sequence }
            }
            _ => return Err(BadHead::Malformed),
        };
        let key = seal::seal(u128::from_le_bytes(sealed), &first, BodyDigest::of(body));
        Ok((head, key))
    }
}

fn part<const N: usize>(head: &[u8; HEAD_BYTES], from: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[from..from + N]);
    bytes
}

/// The class of an arrived frame by its head alone: what queues before the link has judged it go by. A frame
/// too short to have a head is data, the first to be dropped; a hello is control.
pub fn class_of(frame: &[u8]) -> Class {
    match frame.first_chunk::<HEAD_BYTES>() {
        Some(head) if head[2] & FLAG_DATA_CLASS as u8 == 0 => Class::Control,
        _ => Class::Data,
    }
}
