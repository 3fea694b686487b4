//! Bytes as messages of a mirror: what decodes re-encodes equal.

use crate::wire::decodes_to_itself;
use quorate_scheduler::mirror::msg::MirrorMsg;

/// The body.
pub fn run(bytes: &[u8]) {
    decodes_to_itself::<MirrorMsg>(bytes);
}
