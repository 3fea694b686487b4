//! What the nodes replicate: values that were put, and how often each was; registers; and counters.

use quorate::{Applied, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    /// How often each value was applied.
    pub(crate) values: BTreeMap<u64, u32>,
    pub(crate) registers: BTreeMap<u64, u64>,
    pub(crate) counters: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Put(u64),
    Set(u64, u64),
    /// A register, what must be there, and what is to be.
    Cas(u64, Option<u64>, u64),
    /// A counter, and how much more it is to hold.
    Add(u64, u64),
}

impl StateMachine for Store {
    type Command = Change;
    /// How often a value was put by now; 1 for a register that was set or compared and found equal, else 0; a counter's sum.
    type Reply = u64;
    quorate::freeze_by_clone!();

    fn apply(&mut self, change: Change, _: Applied) -> u64 {
        match change {
            Change::Put(value) => {
                let times = self.values.entry(value).or_default();
                *times = times.saturating_add(1);
                u64::from(*times)
            }
            Change::Set(register, value) => {
                self.registers.insert(register, value);
                1
            }
            Change::Cas(register, from, to) => {
                let holds = self.registers.get(&register).copied() == from;
                if holds {
                    self.registers.insert(register, to);
                }
                u64::from(holds)
            }
            Change::Add(counter, amount) => {
                let sum = self.counters.entry(counter).or_default();
                *sum = sum.wrapping_add(amount);
                *sum
            }
        }
    }
}
