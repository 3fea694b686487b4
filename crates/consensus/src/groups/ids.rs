//! Names of groups, and which of them a key belongs to.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One of many groups. Chosen by the application, the same on every member, and never used again once it was removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct GroupId(pub u64);

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl From<u64> for GroupId {
    fn from(id: u64) -> GroupId {
        GroupId(id)
    }
}

/// The group, numbered from 0 and below `groups`, that a key belongs to: FNV-1a 64 over the key, scrambled, and then jump
/// consistent hashing (Lamping and Veach, 2014). The same everywhere and in every later version. Keys spread evenly, and when
/// a group is added only one key in `groups` + 1 moves, always to the new one. 0 if there are no groups.
///
/// Its dozen lines are here because which key belongs where is part of what is stored: it must not change with a
/// crate's version, nor with a platform's `usize`.
///
/// ```
/// use quorate_consensus::groups::group_of_key;
/// assert_eq!(group_of_key(b"agent-17", 10_000), group_of_key(b"agent-17", 10_000));
/// ```
pub fn group_of_key(key: &[u8], groups: u64) -> GroupId {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    GroupId(jump(scramble(hash), groups))
}

/// Jump consistent hashing in integers: the paper's division of two doubles, exactly enough for any number of groups
/// below 2^32, rounded down alike on every machine.
fn jump(mut key: u64, groups: u64) -> u64 {
    let (mut bucket, mut next) = (0u64, 0u64);
    while next < groups {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let scaled = (u128::from(bucket) + 1) << 31;
        next = u64::try_from(scaled / (u128::from(key >> 33) + 1)).unwrap_or(u64::MAX);
    }
    bucket
}

/// The finaliser of splitmix64: each bit of the result depends on each bit of the value.
pub(super) fn scramble(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_evenly_and_a_new_group_takes_its_share_only() {
        let (keys, groups) = (100_000u64, 100u64);
        let place = |key: u64, groups| group_of_key(&key.to_le_bytes(), groups).0;
        let mut counts = vec![0u32; groups as usize];
        let mut moved = 0u32;
        for key in 0..keys {
            let (before, after) = (place(key, groups), place(key, groups + 1));
            counts[before as usize] += 1;
            assert!(after == before || after == groups, "a key went from one old group to another");
            moved += u32::from(after != before);
        }
        // A thousand each; five standard deviations are 160.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 160), "{counts:?}");
        assert!(moved.abs_diff(990) < 160, "{moved} moved");
    }

    #[test]
    fn a_key_belongs_to_the_same_group_for_ever() {
        let places: Vec<u64> = ["", "a", "agent-17", "x".repeat(100).as_str()]
            .iter()
            .map(|key| group_of_key(key.as_bytes(), 10_000).0)
            .collect();
        assert_eq!(places, [6005, 572, 360, 8693]);
        assert_eq!(group_of_key(b"a", 0), GroupId(0));
        assert_eq!(group_of_key(b"a", 1), GroupId(0));
    }
}
