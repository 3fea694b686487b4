//! What clients saw, and whether it may be so.

use crate::registers::Registers;
use std::collections::{BTreeMap, BTreeSet};

/// What clients saw.
#[derive(Default)]
pub struct Seen {
    pub registers: Registers,
    /// Values that were put, and how often each was there then.
    pub put: Vec<(u64, u32)>,
    /// Values that may have been put.
    pub put_in_doubt: Vec<u64>,
    /// Who added one, and the sum that he was told.
    pub sums: Vec<(u64, u64)>,
}

/// What the nodes hold at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub values: BTreeMap<u64, u32>,
    pub sum: u64,
}

impl Held {
    /// As the nodes say it.
    pub fn parse(values: &str, sum: &str) -> Held {
        let pair = |text: &str| {
            text.split_once(':').map(|(value, times)| (value.parse().unwrap(), times.parse().unwrap()))
        };
        let values = values.split_whitespace().map(|text| pair(text).unwrap()).collect();
        Held { values, sum: sum.parse().unwrap() }
    }
}

/// What was acknowledged is there, and everything that is there happened once.
pub fn nothing_lost_or_doubled(seen: &Seen, held: &Held) -> Result<(), String> {
    let doubted: BTreeSet<u64> = seen.put_in_doubt.iter().copied().collect();
    for (value, times) in &seen.put {
        match (times, held.values.get(value)) {
            (1, Some(1)) => {}
            (_, None) => return Err(format!("{value} was acknowledged and is lost")),
            (told, Some(there)) => {
                return Err(format!("{value} was put {told} times and is there {there} times"));
            }
        }
    }
    let acknowledged: BTreeSet<u64> = seen.put.iter().map(|(value, _)| *value).collect();
    for (value, times) in held.values.iter().filter(|(value, _)| !acknowledged.contains(value)) {
        if !doubted.contains(value) {
            return Err(format!("{value} is there, and whoever put it was told that it never will"));
        }
        if *times != 1 {
            return Err(format!("{value} was put once and is there {times} times"));
        }
    }
    let mut last = BTreeMap::new();
    let mut sums = BTreeSet::new();
    for (client, sum) in &seen.sums {
        if !sums.insert(sum) || last.insert(client, sum).is_some_and(|before| before >= sum) {
            return Err(format!(
                "client {client} was told the sum {sum} after a higher one, or a second time"
            ));
        }
    }
    match seen.sums.len() as u64 == held.sum {
        true => Ok(()),
        false => Err(format!("{} times one was added, and the sum is {}", seen.sums.len(), held.sum)),
    }
}
