//! Names in one arena, and an index from name to number. Kept apart from what the names mean.

use super::load::grow;
use crate::index::{Index, Keyed, hash};
use serde::{Deserialize, Serialize};

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;

/// Names numbered in the order in which they came. Four bytes a name beside its text, and 10 to 21 of index.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct Names {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<u32>,
    #[serde(skip)]
    index: Index<Box<str>>,
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
        self.index.find(hash(name.as_bytes()), name, |number| self.get(number) == name)
    }

    /// Many at once. A table of a million names is in no cache: a look-up waits for memory three times over (the
    /// slot, where the text is, the text). So each step is made for all of them before the next, and they wait together.
    ///
    /// May answer `None` for a name that is there, if others share half of its hash.
    pub fn find_each(&self, names: &[&str], found: &mut Vec<Option<u32>>) {
        let hashes: Vec<u64> = names.iter().map(|name| hash(name.as_bytes())).collect();
        found.clear();
        found.extend(hashes.into_iter().map(|hash| self.index.guess(hash)));
        let starts: Vec<&str> =
            found.iter().map(|guess| guess.map_or("", |number| self.get(number))).collect();
        for ((guess, text), name) in found.iter_mut().zip(starts).zip(names) {
            if text != *name {
                *guess = None;
            }
        }
    }

    /// The name's number and whether it is new; `None` when there is no number left for it.
    pub fn intern(&mut self, name: &str) -> Option<(u32, bool)> {
        let hash = hash(name.as_bytes());
        if let Some(number) = self.index.find(hash, name, |number| self.get(number) == name) {
            return Some((number, false));
        }
        let number = u32::try_from(self.ends.len()).ok().filter(|number| *number < u32::MAX / 2)?;
        let end = u32::try_from(self.text.len() + name.len()).ok()?;
        self.text.push_str(name);
        self.ends.push(end);
        self.index.insert(hash, number, &Texts { text: &self.text, ends: &self.ends });
        Some((number, true))
    }

    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4 + self.index.bytes()
    }

    pub fn reserve(&mut self, names: usize, bytes: usize) {
        if bytes > self.text.len() / 4 {
            self.text.reserve_exact(bytes)
        } else {
            self.text.reserve(bytes)
        }
        grow(&mut self.ends, names);
        let texts = Texts { text: &self.text, ends: &self.ends };
        self.index.reserve(self.ends.len() + names, &texts);
    }
}

/// Texts by number, for the index.
struct Texts<'a> {
    text: &'a str,
    ends: &'a [u32],
}

impl Keyed for Texts<'_> {
    type Key = Box<str>;
    fn hash_at(&self, number: u32) -> u64 {
        hash(text_of(self.text, self.ends, number).as_bytes())
    }
    fn key_at(&self, number: u32) -> Box<str> {
        text_of(self.text, self.ends, number).into()
    }
}

fn text_of<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] as usize };
    &text[start..ends[number] as usize]
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
}
