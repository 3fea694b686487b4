//! Results by task, so that a snapshot shares them: in blocks of neighbours, each behind a count of those who hold
//! it. A copy of all of it copies a reference a block; what comes later makes its block its own.
//!
//! Written as one map of all results, whatever the blocks.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Tasks of a block, as a power of two: small enough to be copied in microseconds.
const BLOCK_BITS: u32 = 9;

type Block = BTreeMap<u32, Arc<[u8]>>;

#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Results {
    blocks: BTreeMap<u32, Arc<Block>>,
    len: usize,
}

impl Results {
    pub fn get(&self, task: u32) -> Option<&[u8]> {
        self.blocks.get(&(task >> BLOCK_BITS))?.get(&task).map(AsRef::as_ref)
    }

    /// All of them, by task.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.blocks.values().flat_map(|block| block.iter().map(|(task, bytes)| (*task, bytes.as_ref())))
    }

    /// Keeps a result in place of the one before, whose length is the answer.
    pub fn insert(&mut self, task: u32, bytes: Vec<u8>) -> Option<usize> {
        let block = Arc::make_mut(self.blocks.entry(task >> BLOCK_BITS).or_default());
        let before = block.insert(task, bytes.into());
        self.len += usize::from(before.is_none());
        before.map(|before| before.len())
    }

    /// Bytes of all results.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

impl Serialize for Results {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len))?;
        for (task, bytes) in self.iter() {
            map.serialize_entry(&task, bytes)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Results {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Results, D::Error> {
        let mut results = Results::default();
        for (task, bytes) in BTreeMap::<u32, Vec<u8>>::deserialize(deserializer)? {
            results.insert(task, bytes);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_comes_after_a_copy_is_not_in_it_and_copies_its_own_block_alone() {
        let mut results = Results::default();
        (0..5000).for_each(|task| assert_eq!(results.insert(task, vec![1; 3]), None));
        let frozen = results.clone();
        assert_eq!(results.insert(700, vec![2; 9]), Some(3));
        results.insert(9000, vec![4]);
        assert_eq!((frozen.get(700), frozen.get(9000)), (Some(&[1; 3][..]), None));
        assert_eq!((results.get(700), results.get(9000)), (Some(&[2; 9][..]), Some(&[4][..])));
        let shared = |(at, block)| frozen.blocks.get(at).is_some_and(|other| Arc::ptr_eq(block, other));
        assert_eq!(results.blocks.iter().filter(|(at, block)| !shared((at, block))).count(), 2);
    }

    proptest! {
        #[test]
        fn results_are_written_and_read_as_a_map_is(
            all in prop::collection::vec((0u32..3000, prop::collection::vec(prop::num::u8::ANY, 1..5)), 0..200),
        ) {
            let mut results = Results::default();
            let mut twin = BTreeMap::new();
            for (task, bytes) in all {
                let before = twin.insert(task, bytes.clone());
                prop_assert_eq!(results.insert(task, bytes), before.map(|bytes: Vec<u8>| bytes.len()));
            }
            let written = postcard::to_stdvec(&results).unwrap();
            prop_assert_eq!(&written, &postcard::to_stdvec(&twin).unwrap());
            prop_assert_eq!(postcard::from_bytes::<Results>(&written), Ok(results.clone()));
            prop_assert_eq!(results.bytes(), twin.values().map(|bytes| bytes.len() as u64).sum::<u64>());
        }
    }
}
