//! Lists of neighbours in one array, eight bytes a task beside the neighbours themselves. A whole graph is laid
//! out back to back; a list that grows later moves to the end with room to double.

use super::load::grow;
use serde::{Deserialize, Serialize};

/// A place of the array that belongs to nobody, or is kept free for the list before it.
const HOLE: u32 = u32::MAX;

#[derive(Clone, Default, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lists {
    /// Start and length of each list.
    spans: Vec<(u32, u32)>,
    flat: Vec<u32>,
}

impl Lists {
    pub fn of(&self, task: u32) -> &[u32] {
        let (start, len) = self.spans[task as usize];
        &self.flat[start as usize..(start + len) as usize]
    }

    /// Whether so many neighbours more can be numbered, moves included.
    pub fn has_room(&self, neighbours: usize) -> bool {
        self.flat.len() + 2 * neighbours < (u32::MAX / 4) as usize
    }

    /// New lists behind the others: where each starts in `neighbours`, and where the last ends. `base` is added to
    /// every neighbour.
    pub fn append(&mut self, starts: &[u32], mut neighbours: Vec<u32>, base: u32) {
        let offset = self.flat.len() as u32;
        grow(&mut self.spans, starts.len().saturating_sub(1));
        self.spans.extend(starts.windows(2).map(|ends| (offset + ends[0], ends[1] - ends[0])));
        if base > 0 {
            neighbours.iter_mut().for_each(|neighbour| *neighbour += base);
        }
        if self.flat.is_empty() {
            self.flat = neighbours;
        } else {
            grow(&mut self.flat, neighbours.len());
            self.flat.extend(neighbours);
        }
    }

    pub fn push(&mut self, task: u32, neighbour: u32) {
        let (start, len) = self.spans[task as usize];
        let end = (start + len) as usize;
        if len > 0 && self.flat.get(end) == Some(&HOLE) {
            self.flat[end] = neighbour;
        } else if len > 0 && end == self.flat.len() {
            self.flat.push(neighbour);
        } else {
            let moved = self.flat.len();
            self.flat.extend_from_within(start as usize..end);
            self.flat.push(neighbour);
            self.flat.resize(moved + (2 * len as usize + 2).max(4), HOLE);
            self.flat[start as usize..end].fill(HOLE);
            self.spans[task as usize].0 = moved as u32;
        }
        self.spans[task as usize].1 += 1;
    }

    /// Takes a neighbour out; the order of the others stays.
    pub fn remove(&mut self, task: u32, neighbour: u32) -> bool {
        let (start, len) = self.spans[task as usize];
        let list = &mut self.flat[start as usize..(start + len) as usize];
        let Some(at) = list.iter().position(|n| *n == neighbour) else { return false };
        list[at..].rotate_left(1);
        list[len as usize - 1] = HOLE;
        self.spans[task as usize].1 -= 1;
        true
    }

    /// Whether every list lies in the array and names only tasks below `tasks`.
    pub fn is_sound(&self, tasks: usize) -> bool {
        self.spans.len() == tasks
            && self.spans.iter().all(|(start, len)| {
                (*start as usize).checked_add(*len as usize).is_some_and(|end| {
                    self.flat
                        .get(*start as usize..end)
                        .is_some_and(|list| list.iter().all(|neighbour| (*neighbour as usize) < tasks))
                })
            })
    }

    pub fn bytes(&self) -> usize {
        self.spans.capacity() * 8 + self.flat.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_say_what_a_vector_of_vectors_says(
            first in prop::collection::vec(prop::collection::vec(0u32..50, 0..4), 1..8),
            acts in prop::collection::vec((0usize..8, 0u32..50, prop::bool::weighted(0.7)), 0..200),
        ) {
            let mut lists = Lists::default();
            let mut twin = first.clone();
            for list in first {
                lists.append(&[0, list.len() as u32], list, 0);
            }
            for (task, neighbour, add) in acts {
                let task = task % twin.len();
                if add {
                    lists.push(task as u32, neighbour);
                    twin[task].push(neighbour);
                } else {
                    let at = twin[task].iter().position(|n| *n == neighbour);
                    prop_assert_eq!(lists.remove(task as u32, neighbour), at.is_some());
                    at.map(|at| twin[task].remove(at));
                }
                for (task, list) in twin.iter().enumerate() {
                    prop_assert_eq!(lists.of(task as u32), &list[..]);
                }
            }
        }
    }
}
