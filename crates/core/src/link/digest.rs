//! A digest that finds accidents: bits flipped on a wire or in a buffer, bodies under another's head. Not
//! cryptography; who wants to can make any.
//!
//! Sixteen bytes a step are multiplied into 128 bits and folded back to 64, as the wyhash family does. Part of
//! the wire: the same on every platform, and in every build of one wire version.

const KEYS: [u64; 4] =
    // The fractional parts of the square roots of 2, 3, 5 and 7, as far as 64 bits go.
    [0x6a09_e667_f3bc_c908, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

/// The digest of a body, made once for all its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyDigest(u64);

impl BodyDigest {
    pub(super) fn of(body: &[u8]) -> BodyDigest {
        let (blocks, rest) = body.as_chunks::<16>();
        // The length keeps a body apart from itself with zeros behind it.
        let mut sum = KEYS[0] ^ (body.len() as u64);
        for block in blocks {
            sum = step(sum, block);
        }
        if !rest.is_empty() {
            sum = step(sum, &last(body, rest));
        }
        BodyDigest(sum)
    }

    /// The digest of a frame: this body behind these first sixteen bytes of a head.
    pub(super) fn under(self, head: &[u8; 16]) -> u64 {
        step(self.0 ^ KEYS[1], head)
    }
}

/// The block of the bytes that fill none. Overlaps what came before, or itself, rather than copying a length
/// that is not known: that would take as long as all the rest for a small body.
fn last(body: &[u8], rest: &[u8]) -> [u8; 16] {
    if let Some(last) = body.last_chunk::<16>() {
        return *last;
    }
    let (low, high) = match (rest.first_chunk(), rest.last_chunk(), rest.first_chunk(), rest.last_chunk()) {
        (Some(first), Some(last), ..) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        (.., Some(first), Some(last)) => {
            (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
        }
        _ => {
            let byte = |at: usize| u64::from(rest.get(at).copied().unwrap_or(0));
            (byte(0), byte(1) | byte(2) << 8)
        }
    };
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

fn step(sum: u64, block: &[u8; 16]) -> u64 {
    let both = u128::from_le_bytes(*block);
    let (low, high) = (both as u64, (both >> 64) as u64);
    let product = u128::from(low ^ KEYS[2] ^ sum) * u128::from(high ^ KEYS[3] ^ sum.rotate_left(32));
    // Folding forgets; what was there before is kept in the sum.
    (product as u64) ^ ((product >> 64) as u64) ^ sum.rotate_left(17)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn every_flipped_bit_and_every_cut_changes_it() {
        let mut rng = Rng::from_seed(1);
        for len in [0usize, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000] {
            for zero in [true, false] {
                let byte = |rng: &mut Rng| if zero { 0 } else { rng.bits() as u8 };
                let mut body: Vec<u8> = (0..len).map(|_| byte(&mut rng)).collect();
                let mut head: [u8; 16] = std::array::from_fn(|_| byte(&mut rng));
                let whole = BodyDigest::of(&body).under(&head);
                for bit in 0..len * 8 {
                    body[bit / 8] ^= 1 << (bit % 8);
                    assert_ne!(BodyDigest::of(&body).under(&head), whole, "bit {bit} of {len} bytes");
                    body[bit / 8] ^= 1 << (bit % 8);
                }
                for bit in 0..128 {
                    head[bit / 8] ^= 1 << (bit % 8);
                    assert_ne!(BodyDigest::of(&body).under(&head), whole, "bit {bit} of the head");
                    head[bit / 8] ^= 1 << (bit % 8);
                }
                for cut in 0..len {
                    assert_ne!(BodyDigest::of(&body[..cut]).under(&head), whole, "{len} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn it_is_the_same_for_ever() {
        // Part of the wire: a change here is a new wire version.
        let body: Vec<u8> = (0..100).collect();
        assert_eq!(BodyDigest::of(&body).under(&[9; 16]), GOLDEN);
    }

    #[test]
    fn bodies_that_differ_little_have_digests_that_share_half_of_their_bits() {
        let mut rng = Rng::from_seed(2);
        let (mut shared, mut rounds) = (0, 0);
        for _ in 0..2000 {
            let mut body: Vec<u8> = (0..rng.within(1..80)).map(|_| rng.bits() as u8).collect();
            let before = BodyDigest::of(&body).under(&[0; 16]);
            let at = rng.index(body.len());
            body[at] ^= 1 << rng.index(8);
            shared += (before ^ BodyDigest::of(&body).under(&[0; 16])).count_zeros();
            rounds += 1;
        }
        let mean = f64::from(shared) / f64::from(rounds);
        assert!((30.0..34.0).contains(&mean), "{mean} of 64");
    }

    const GOLDEN: u64 = 12768019208218481358;
}
