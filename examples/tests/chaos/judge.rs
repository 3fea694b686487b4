//! What clients saw, and whether it may be so.

use quorate::sim::linearizability::{Ended, History, Kv, OpId, RegisterAnswer, RegisterOp, Verdict, check};
use std::collections::{BTreeMap, BTreeSet};

pub type Registers = History<(u64, RegisterOp<u64>), RegisterAnswer<u64>>;

/// Steps for each register.
const STEPS_MAX: u64 = 50_000_000;

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

/// Whether one copy of the registers could have answered like this.
pub fn linearizable(registers: &Registers) -> Result<(), String> {
    match check(&Kv::<u64, u64>::default(), registers, STEPS_MAX) {
        Verdict::Linearizable => Ok(()),
        Verdict::Illegal(example) => Err(format!("no single copy could have answered like this,\n{example}")),
        Verdict::Unknown => Err(format!("too hard to judge: {} operations", registers.len())),
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

/// The same history, but one read has an answer that was overwritten before it was asked. `None` if nothing was ever
/// overwritten before somebody read.
pub fn with_a_stale_read(registers: &Registers) -> Option<Registers> {
    let ops = registers.ops();
    let mut writes: BTreeMap<u64, Vec<(u64, usize, usize)>> = BTreeMap::new();
    for op in ops {
        if let ((key, RegisterOp::Write(value)), Ended::Answered(_, end)) = (&op.input, &op.ended) {
            writes.entry(*key).or_default().push((*value, op.invoked, *end));
        }
    }
    let stale = |at: &usize| {
        let (key, RegisterOp::Read) = ops[*at].input else { return None };
        let Ended::Answered(..) = ops[*at].ended else { return None };
        let writes = writes.get(&key)?;
        let newer =
            writes.iter().filter(|(_, _, end)| *end < ops[*at].invoked).max_by_key(|write| write.1)?;
        let older = writes.iter().find(|(_, _, end)| *end < newer.1)?;
        Some((*at, older.0))
    };
    // One in the middle, where it is hardest to see.
    let all: Vec<(usize, u64)> = (0..ops.len()).filter_map(|at| stale(&at)).collect();
    let (tampered, value) = *all.get(all.len() / 2)?;
    let mut events: Vec<(usize, usize, bool)> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        events.push((op.invoked, at, true));
        if let Ended::Answered(_, end) = op.ended {
            events.push((end, at, false));
        }
    }
    events.sort_unstable();
    let (mut history, mut ids) = (Registers::new(), BTreeMap::<usize, OpId>::new());
    for (_, at, begins) in events {
        let op = &ops[at];
        if op.ended == Ended::Failed {
            continue;
        }
        match &op.ended {
            _ if begins => drop(ids.insert(at, history.invoke(op.client, op.input, op.invoked_at))),
            Ended::Answered(answer, _) => {
                let answer = if at == tampered { RegisterAnswer::Value(Some(value)) } else { *answer };
                history.returned(ids[&at], answer, op.ended_at.unwrap_or_default());
            }
            Ended::Unknown | Ended::Failed => {}
        }
    }
    Some(history)
}
