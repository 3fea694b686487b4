//! A history of registers, and whether one copy of them could have answered like that.

use quorate::sim::linearizability::{Ended, History, Kv, OpId, RegisterAnswer, RegisterOp, Verdict, check};
use std::collections::BTreeMap;

pub type Registers = History<(u64, RegisterOp<u64>), RegisterAnswer<u64>>;

/// Steps for each register.
const STEPS_MAX: u64 = 50_000_000;

/// Whether one copy of the registers could have answered like this.
pub fn linearizable(registers: &Registers) -> Result<(), String> {
    match check(&Kv::<u64, u64>::default(), registers, STEPS_MAX) {
        Verdict::Linearizable => Ok(()),
        Verdict::Illegal(example) => Err(format!("no single copy could have answered like this,\n{example}")),
        Verdict::Unknown => Err(format!("too hard to judge: {} operations", registers.len())),
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
