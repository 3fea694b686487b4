//! The replicated state of the workload: registers that can be written and compared, and a memory of which
//! operations were applied.

use quorate::{Applied, Corrupt, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Registers by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    values: BTreeMap<u8, u64>,
    /// How often each operation was applied. The workload gives every operation a number and runs all of them
    /// under sessions, so nothing but 1 is right.
    applied: BTreeMap<u64, u32>,
    /// No part of the state.
    #[serde(skip)]
    fuse: Fuse,
}

/// Lit from outside, it makes the next command that is applied here panic, once: a bug of the application that hits one
/// node and not the others. What a snapshot restores has none.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<AtomicBool>);

impl Fuse {
    /// The next command panics.
    pub fn light(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two states are equal whatever becomes of them.
impl PartialEq for Fuse {
    fn eq(&self, _: &Fuse) -> bool {
        true
    }
}

impl Eq for Fuse {}

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
    /// Empty ones with this fuse.
    pub fn with_fuse(fuse: Fuse) -> Registers {
        Registers { fuse, ..Registers::default() }
    }

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
        if self.fuse.0.swap(false, Ordering::Relaxed) {
            // A panic in all but the words that it would print for each of thousands of runs.
            std::panic::resume_unwind(Box::new("the fuse blew".to_owned()));
        }
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
