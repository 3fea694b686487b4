//! The replicated state of the workload: registers that can be written and compared, and a memory of which
//! operations were applied.

use quorate::{Applied, Corrupt, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Registers by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    values: BTreeMap<u8, u64>,
    /// How often each operation was applied. The workload gives every operation a number and runs all of them
    /// under sessions, so nothing but 1 is right.
    applied: BTreeMap<u64, u32>,
}

/// An operation that changes a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number, never used again by another.
    pub number: u64,
    /// The register.
    pub key: u8,
    /// What to do.
    pub change: Change,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Sets the register.
    Write(u64),
    /// Sets the register if it holds the first value.
    Cas(Option<u64>, u64),
}

impl Registers {
    /// A register's value, if it was ever written.
    pub fn get(&self, key: u8) -> Option<u64> {
        self.values.get(&key).copied()
    }

    /// An operation that was applied more than once.
    pub fn applied_twice(&self) -> Option<u64> {
        self.applied.iter().find(|(_, times)| **times > 1).map(|(number, _)| *number)
    }
}

impl StateMachine for Registers {
    type Command = Operation;
    type Reply = bool;
    type Frozen = Registers;

    fn apply(&mut self, op: Operation, _: Applied) -> bool {
        *self.applied.entry(op.number).or_default() += 1;
        match op.change {
            Change::Write(value) => {
                self.values.insert(op.key, value);
                true
            }
            Change::Cas(expected, value) => {
                let holds = self.get(op.key) == expected;
                if holds {
                    self.values.insert(op.key, value);
                }
                holds
            }
        }
    }

    fn freeze(&self) -> Registers {
        self.clone()
    }

    fn restore(frozen: Registers) -> Result<Registers, Corrupt> {
        Ok(frozen)
    }
}
