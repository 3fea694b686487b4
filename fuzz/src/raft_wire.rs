//! Bytes as Raft messages and records: what decodes re-encodes equal.

use crate::wire::decodes_to_itself;
use quorate_consensus::raft::{Msg, Record};

/// The body.
pub fn run(bytes: &[u8]) {
    decodes_to_itself::<Msg>(bytes);
    decodes_to_itself::<Record>(bytes);
}
