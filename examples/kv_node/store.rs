//! What the nodes replicate: values that were put, and how often each was; and a few registers.

use quorate::{Applied, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    /// How often each value was applied.
    pub(crate) values: BTreeMap<u64, u32>,
    pub(crate) registers: BTreeMap<u8, u64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Put(u64),
    Set(u8, u64),
}

impl StateMachine for Store {
    type Command = Change;
    /// How often a value was put by now; nothing for a register.
    type Reply = u32;
    quorate::freeze_by_clone!();

    fn apply(&mut self, change: Change, _: Applied) -> u32 {
        match change {
            Change::Put(value) => {
                let times = self.values.entry(value).or_default();
                *times += 1;
                *times
            }
            Change::Set(register, value) => {
                self.registers.insert(register, value);
                0
            }
        }
    }
}
