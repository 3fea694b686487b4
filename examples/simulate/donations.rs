//! The state machine under test, as a user would write it; and one mistake in it.

use quorate::{Applied, Corrupt, StateMachine};

/// A donation box: knows how much is in it.
#[derive(Clone, Debug)]
pub(crate) struct Donations {
    pub(crate) sum: i64,
    /// The mistake, when it is planted: a number that only this node has.
    pub(crate) own_mind: Option<u64>,
}

impl StateMachine for Donations {
    type Command = i64;
    type Reply = i64;
    type Frozen = i64;

    fn apply(&mut self, amount: i64, at: Applied) -> i64 {
        self.sum += amount;
        if let Some(mine) = self.own_mind {
            // It could be the hostname, a clock, the order of a HashMap: other replicas decide otherwise.
            self.sum += i64::from((at.index + mine).is_multiple_of(5));
        }
        self.sum
    }
    fn freeze(&self) -> i64 {
        self.sum
    }
    fn restore(sum: i64) -> Result<Self, Corrupt> {
        Ok(Donations { sum, own_mind: None })
    }
}
