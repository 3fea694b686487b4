//! A state machine that remembers everything, and a decider that tells what it is asked.

use quorate_core::{Applied, Corrupt, Decider, Rng, StateMachine, Time};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Serialize, Deserialize, Debug, PartialEq, Eq)]
pub enum Do {
    Add(u64),
    /// Panics where the state machine is fragile.
    Break,
}

/// The numbers added, in order.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    pub added: Vec<u64>,
    pub fragile: bool,
    /// Grows by the index of each command: goes back if the state does.
    pub reached: u64,
}

impl StateMachine for Tally {
    type Command = Do;
    /// How many there are.
    type Reply = u64;
    type Frozen = (Vec<u64>, u64);

    fn apply(&mut self, command: Do, at: Applied) -> u64 {
        match command {
            Do::Add(number) => self.added.push(number),
            Do::Break if self.fragile => panic!("it broke"),
            Do::Break => {}
        }
        self.reached = at.index;
        self.added.len() as u64
    }
    fn freeze(&self) -> (Vec<u64>, u64) {
        (self.added.clone(), self.reached)
    }
    fn restore((added, reached): (Vec<u64>, u64)) -> Result<Tally, Corrupt> {
        Ok(Tally { added, fragile: false, reached })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Lead { term: u64, reached: u64 },
    Decide { reached: u64 },
    Retire,
}

/// Adds numbers up to a goal; writes down what it was asked.
#[derive(Clone, Default)]
pub struct Goal {
    pub upto: u64,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl Decider<Tally> for Goal {
    type Hint = u64;
    fn lead(&mut self, term: u64, state: &Tally, _: Time) {
        self.asked.lock().unwrap().push(Asked::Lead { term, reached: state.reached });
    }
    fn retire(&mut self) {
        self.asked.lock().unwrap().push(Asked::Retire);
    }
    fn hint(&mut self, upto: u64, _: Time) {
        self.upto = upto;
    }
    fn decide(&mut self, state: &Tally, _: Time, _: &mut Rng, proposals: &mut Vec<Do>) {
        self.asked.lock().unwrap().push(Asked::Decide { reached: state.reached });
        let count = state.added.len() as u64;
        if count < self.upto {
            proposals.extend((count..self.upto.min(count + 3)).map(Do::Add));
        }
    }
}
