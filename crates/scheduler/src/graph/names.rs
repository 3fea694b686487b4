//! Names in one arena, and an index from name to number. Kept apart from what the names mean.

use super::load::grow;
use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// Names numbered in the order in which they came. Four bytes a name beside its text, and 8 to 19 of index.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
    #[serde(skip)]
    index: Index,
}

#[derive(Deserialize)]
struct Raw {
    text: String,
    ends: Vec<u32>,
}

impl TryFrom<Raw> for Names {
    type Error = &'static str;
    fn try_from(raw: Raw) -> Result<Names, Self::Error> {
        let mut names = Names::default();
        names.reserve(raw.ends.len(), raw.text.len());
        let mut start = 0;
        for end in raw.ends {
            let name = raw.text.get(start..end as usize).ok_or("names that are not in their text")?;
            let (_, new) = names.intern(name).ok_or("too many names")?;
            if !new {
                return Err("a name twice");
            }
            start = end as usize;
        }
        Ok(names)
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Names) -> bool {
        // The index says the same in another form.
        self.text == other.text && self.ends == other.ends
    }
}

impl Names {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    pub fn get(&self, number: u32) -> &str {
        text_of(&self.text, &self.ends, number)
    }

    pub fn find(&self, name: &str) -> Option<u32> {
        self.index.find(hash(name.as_bytes()), |number| self.get(number) == name)
    }

    /// The name's number and whether it is new; `None` when there is no number left for it.
    pub fn intern(&mut self, name: &str) -> Option<(u32, bool)> {
        let hash = hash(name.as_bytes());
        if let Some(number) = self.index.find(hash, |number| self.get(number) == name) {
            return Some((number, false));
        }
        let number = u32::try_from(self.ends.len()).ok().filter(|number| *number < u32::MAX / 2)?;
        let end = u32::try_from(self.text.len() + name.len()).ok()?;
        self.text.push_str(name);
        self.ends.push(end);
        let (text, ends) = (&self.text, &self.ends);
        self.index.insert(hash, number, |number| hash_of(text, ends, number));
        Some((number, true))
    }

    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.index.slots.capacity() * 8
    }

    pub fn reserve(&mut self, names: usize, bytes: usize) {
        if bytes > self.text.len() / 4 {
            self.text.reserve_exact(bytes)
        } else {
            self.text.reserve(bytes)
        }
        grow(&mut self.ends, names);
        let (text, ends) = (&self.text, &self.ends);
        self.index.reserve(ends.len() + names, |number| hash_of(text, ends, number));
    }
}

fn text_of<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] as usize };
    &text[start..ends[number] as usize]
}

fn hash_of(text: &str, ends: &[u32], number: u32) -> u64 {
    hash(text_of(text, ends, number).as_bytes())
}

/// Numbers by the hash of what they stand for: open addressing with linear probing. Its order is never read.
#[derive(Clone, Default, Debug)]
pub(crate) struct Index {
    /// High half of the hash, and the number plus one; 0 is free.
    slots: Vec<u64>,
    len: usize,
}

impl Index {
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            let number = slot as u32 - 1;
            if slot >> 32 == hash >> 32 && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds one that is not there yet.
    pub fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        self.reserve(self.len + 1, hash_of);
        self.put(hash, number);
        self.len += 1;
    }

    /// Takes one out; those behind it close up, so that no gravestones are needed.
    pub fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let mut at = hash as usize & mask;
        while self.slots[at] as u32 != number + 1 {
            if self.slots[at] == 0 {
                return;
            }
            at = (at + 1) & mask;
        }
        self.len -= 1;
        let mut next = (at + 1) & mask;
        while self.slots[next] != 0 {
            let home = hash_of(self.slots[next] as u32 - 1) as usize & mask;
            // It may move back only as far as its home.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(at) & mask) {
                self.slots[at] = self.slots[next];
                at = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[at] = 0;
    }

    fn reserve(&mut self, len: usize, hash_of: impl Fn(u32) -> u64) {
        // At most 7/8 full.
        if len * 8 <= self.slots.len() * 7 {
            return;
        }
        let slots = (len * 8 / 7 + 1).next_power_of_two().max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        for slot in old.into_iter().filter(|slot| *slot != 0) {
            let number = slot as u32 - 1;
            self.put(hash_of(number), number);
        }
    }

    fn put(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = (hash >> 32) << 32 | (u64::from(number) + 1);
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
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    fold(fold(hash ^ u64::from_le_bytes(word), 0xa076_1d64_78bd_642f), 0xe703_7ed1_a0b4_28db)
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide >> 64) as u64 ^ wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_is_found_again() {
        let mut names = Names::default();
        for i in 0..2000 {
            assert_eq!(names.intern(&format!("task-{i}")), Some((i, true)));
        }
        for i in 0..2000 {
            assert_eq!(names.intern(&format!("task-{i}")), Some((i, false)));
            assert_eq!(names.get(i), format!("task-{i}"));
        }
        assert_eq!(names.find("task-2000"), None);
        let bytes = postcard::to_stdvec(&names).unwrap();
        let back: Names = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back.find("task-77"), Some(77));
    }

    #[test]
    fn removed_numbers_leave_the_others_findable() {
        let keys: Vec<u64> = (0..500).map(|i| hash(&[i as u8, (i >> 8) as u8])).collect();
        let mut index = Index::default();
        let hash_of = |n: u32| keys[n as usize];
        for n in 0..500 {
            index.insert(hash_of(n), n, hash_of);
        }
        for n in (0..500).step_by(2) {
            index.remove(hash_of(n), n, hash_of);
        }
        for n in 0..500 {
            assert_eq!(index.find(hash_of(n), |m| m == n).is_some(), n % 2 == 1, "{n}");
        }
    }
}
