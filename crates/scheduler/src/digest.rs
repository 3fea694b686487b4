//! Digests of results: portable 64-bit numbers by which two runs of one workflow are compared. They find
//! differences, not forgers: nothing here is a signature.
//!
//! * `mix` is the finaliser of splitmix64 (Steele, Lea, Flood 2014).
//! * The digest of a task is `mix(fnv1a64(name) + sum of mix(d))` over the digests `d` of its inputs. A sum, so
//!   that the order in which edges were added says nothing.
//! * The digest of a workflow is the sum of `mix(d)` over its succeeded tasks.

/// The digest of a task of this name over the digests of its inputs, in any order.
pub fn task_digest(name: &str, inputs: impl IntoIterator<Item = u64>) -> u64 {
    let inputs = inputs.into_iter().map(mix).fold(0, u64::wrapping_add);
    mix(fnv1a64(name.as_bytes()).wrapping_add(inputs))
}

/// What a task adds to the digest of its workflow.
pub(crate) fn share(digest: u64) -> u64 {
    mix(digest)
}

/// Spreads every bit over the whole number.
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_on_every_machine_and_in_any_order_of_inputs() {
        // Part of what workers and coordinators agree on: a change here is a new version of the work protocol.
        assert_eq!(task_digest("a", []), 0x5f29_c2aa_dd9b_8527);
        assert_eq!(task_digest("b", [1, 2]), task_digest("b", [2, 1]));
        assert_ne!(task_digest("b", [1, 2]), task_digest("b", [1, 3]));
        assert_ne!(task_digest("b", []), task_digest("b", [0]));
    }
}
