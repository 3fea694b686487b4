//! From keys to the numbers under which a table holds them: open addressing with linear probing, eight bytes a
//! slot. Its order is never read, so it is no part of a state.
//!
//! Keys come from outside, and below the driver nothing is random, so no secret could keep an adversary from
//! choosing keys whose hashes collide. Instead a walk through the slots is bounded: a key that finds no place
//! within [`WALK_MAX`] slots, or [`TWINS_MAX`] keys of its own half of a hash on the way, goes into an ordered
//! map. So whatever the keys, a look-up costs at most a short walk and a logarithm; keys that nobody chose
//! with care hardly ever leave the slots.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Slots that are looked at for one key.
const WALK_MAX: usize = 128;

/// Keys with the same half of a hash that are compared for one key.
const TWINS_MAX: usize = 8;

/// The table whose places an index tells.
pub(crate) trait Keyed {
    /// Its keys.
    type Key: Ord;
    /// The hash of the key in this place.
    fn hash_at(&self, number: u32) -> u64;
    /// The key in this place.
    fn key_at(&self, number: u32) -> Self::Key;
}

#[derive(Clone, Debug)]
pub(crate) struct Index<K> {
    /// High half of the hash, and the number plus one; 0 is free.
    slots: Vec<u64>,
    /// Keys that found no slot.
    crowded: BTreeMap<K, u32>,
    /// Slots in use.
    len: usize,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Index { slots: Vec::new(), crowded: BTreeMap::new(), len: 0 }
    }
}

impl<K: Ord> Index<K> {
    /// The number of a key whose hash this is. `is_it` compares with the key in a place of the table.
    pub fn find<Q>(&self, hash: u64, key: &Q, is_it: impl Fn(u32) -> bool) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        let mut twins = 0;
        for _ in 0..WALK_MAX {
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            if slot >> 32 == hash >> 32 {
                let number = slot as u32 - 1;
                if is_it(number) {
                    return Some(number);
                }
                twins += 1;
                if twins == TWINS_MAX {
                    break;
                }
            }
            at = (at + 1) & mask;
        }
        if self.crowded.is_empty() { None } else { self.crowded.get(key).copied() }
    }

    /// The first number that this hash could stand for. It may be another key's, and a key may be there without it.
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        for _ in 0..WALK_MAX {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash >> 32 {
                return Some(slot as u32 - 1);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds the key in this place of the table, which is not there yet.
    pub fn insert(&mut self, hash: u64, number: u32, table: &impl Keyed<Key = K>) {
        self.reserve(self.len + 1, table);
        self.put(hash, number, table);
    }

    /// Takes out the key in this place of the table; those behind it close up, so that no gravestones are needed.
    pub fn remove(&mut self, number: u32, table: &impl Keyed<Key = K>) {
        if !self.crowded.is_empty() && self.crowded.remove(&table.key_at(number)).is_some() {
            return;
        }
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let mut at = table.hash_at(number) as usize & mask;
        while self.slots[at] as u32 != number + 1 {
            if self.slots[at] == 0 {
                return;
            }
            at = (at + 1) & mask;
        }
        self.len -= 1;
        let mut next = (at + 1) & mask;
        while self.slots[next] != 0 {
            let home = table.hash_at(self.slots[next] as u32 - 1) as usize & mask;
            // It may move back only as far as its home. So no walk grows longer, nor meets more twins.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(at) & mask) {
                self.slots[at] = self.slots[next];
                at = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[at] = 0;
    }

    /// Room for so many keys.
    pub fn reserve(&mut self, len: usize, table: &impl Keyed<Key = K>) {
        // At most 3/4 full: fuller, keys that nobody chose with care would walk too far, too.
        if len * 4 <= self.slots.len() * 3 {
            return;
        }
        let slots = (len * 4 / 3 + 1).next_power_of_two().max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        self.len = 0;
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            let number = slot as u32 - 1;
            self.put(table.hash_at(number), number, table);
        }
    }

    /// Bytes that its slots hold.
    pub fn bytes(&self) -> usize {
        self.slots.capacity() * 8
    }

    fn put(&mut self, hash: u64, number: u32, table: &impl Keyed<Key = K>) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        let mut twins = 0;
        for _ in 0..WALK_MAX.min(self.slots.len()) {
            let slot = self.slots[at];
            if slot == 0 {
                self.slots[at] = (hash >> 32) << 32 | (u64::from(number) + 1);
                self.len += 1;
                return;
            }
            twins += usize::from(slot >> 32 == hash >> 32);
            if twins == TWINS_MAX {
                break;
            }
            at = (at + 1) & mask;
        }
        self.crowded.insert(table.key_at(number), number);
    }
}

/// For tables only, never for digests: eight bytes at a time, folded by a wide multiplication.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0x243f_6a88_85a3_08d3 ^ bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = fold(hash ^ u64::from_le_bytes(word), 0x9e37_79b9_7f4a_7c15);
    }
    fold(fold(hash ^ rest(chunks.remainder()), 0xa076_1d64_78bd_642f), 0xe703_7ed1_a0b4_28db)
}

/// At most seven bytes as one number, the first lowest: without a copy of a length that is not known.
fn rest(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide >> 64) as u64 ^ wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers under hashes of our choice.
    struct Table(Vec<u64>);

    impl Keyed for Table {
        type Key = u32;
        fn hash_at(&self, number: u32) -> u64 {
            self.0[number as usize]
        }
        fn key_at(&self, number: u32) -> u32 {
            number
        }
    }

    impl Table {
        fn find(&self, index: &Index<u32>, number: u32) -> Option<u32> {
            index.find(self.0[number as usize], &number, |other| other == number)
        }
    }

    #[test]
    fn keys_chosen_to_collide_cost_a_bounded_walk_and_are_all_found() {
        // All of one hash; all of one place, which differ in what a slot keeps.
        for table in [Table(vec![7; 5000]), Table((0..5000).map(|n| n << 32 | 7).collect())] {
            let mut index = Index::default();
            for number in 0..5000 {
                index.insert(table.0[number as usize], number, &table);
            }
            let compared = std::cell::Cell::new(0);
            for number in 0..5000 {
                let is_it = |other| {
                    compared.set(compared.get() + 1);
                    other == number
                };
                assert_eq!(index.find(table.0[number as usize], &number, is_it), Some(number));
            }
            assert!(compared.get() <= 5000 * TWINS_MAX, "{} comparisons", compared.get());
            assert!(index.crowded.len() >= 5000 - WALK_MAX, "the walk was not bounded");
        }
    }

    #[test]
    fn keys_that_nobody_chose_stay_in_the_slots() {
        let table = Table((0..200_000u64).map(|n| hash(format!("task-{n}").as_bytes())).collect());
        let mut index = Index::default();
        for number in 0..200_000 {
            index.insert(table.0[number as usize], number, &table);
        }
        assert!(index.crowded.len() < 100, "{} of 200000 left the slots", index.crowded.len());
    }

    proptest! {
        #[test]
        fn an_index_says_what_a_map_says(
            few in prop::bool::ANY,
            hashes in prop::collection::vec(0u64..64, 1..200),
            acts in prop::collection::vec((prop::num::usize::ANY, prop::bool::weighted(0.6)), 0..600),
        ) {
            // Few hashes collide in every way: in place, in half, in both.
            let spread = |n: &u64| if few { (n & 3) << 32 | (n >> 3) } else { hash(&n.to_le_bytes()) };
            let table = Table(hashes.iter().map(spread).collect());
            let mut index = Index::default();
            let mut there = vec![false; table.0.len()];
            for (number, add) in acts {
                let number = number % there.len();
                match (add, there[number]) {
                    (true, false) => index.insert(table.0[number], number as u32, &table),
                    (false, true) => index.remove(number as u32, &table),
                    _ => continue,
                }
                there[number] = add;
            }
            for (number, there) in there.iter().enumerate() {
                let number = number as u32;
                prop_assert_eq!(table.find(&index, number), there.then_some(number));
            }
        }
    }
}
