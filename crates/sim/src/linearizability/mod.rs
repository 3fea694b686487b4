//! Whether what clients saw could have come from one copy of the state that does one thing at a time, each
//! between its invocation and its response (Herlihy and Wing, 1990).
//!
//! Record what was asked and answered in a [`History`], say in a [`Model`] what a single copy would have answered,
//! and [`check`]. The search is that of Wing and Gong (1993) with Lowe's memory of configurations (2017), one key
//! at a time, since a history is linearizable if that of each key is (locality).
//!
//! ```
//! use quorate_sim::linearizability::{History, Register, RegisterAnswer, RegisterOp, Verdict, check};
//! use std::time::Duration;
//!
//! let ms = Duration::from_millis;
//! let mut history = History::new();
//! let write = history.invoke(1, RegisterOp::Write(5), ms(1));
//! history.returned(write, RegisterAnswer::Done, ms(2));
//! let read = history.invoke(2, RegisterOp::Read, ms(3));
//! history.returned(read, RegisterAnswer::Value(None), ms(4)); // stale
//! let Verdict::Illegal(example) = check(&Register::default(), &history, 1_000_000) else { panic!() };
//! println!("{example}");
//! ```

mod draw;
mod history;
mod model;
mod search;
mod shrink;

pub use draw::CounterExample;
pub use history::{Ended, History, Op, OpId};
pub use model::{Counter, CounterAnswer, CounterOp, Kv, Model, Register, RegisterAnswer, RegisterOp};

use search::{Found, search};
use std::collections::BTreeMap;

/// What became of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains everything.
    Linearizable,
    /// There is none. The example is cut down to what shows it.
    Illegal(Box<CounterExample>),
    /// The budget ran out first: nothing is known.
    Unknown,
}

impl Verdict {
    /// Whether there is an order that explains everything.
    pub fn is_linearizable(&self) -> bool {
        *self == Verdict::Linearizable
    }
}

type Refs<'a, M> = Vec<&'a Op<<M as Model>::Input, <M as Model>::Output>>;

/// Steps of the first round; each further one may take ten times as many.
const FIRST_ROUND: u64 = 10_000;

/// Judges a history with at most `steps_max` tries of an operation on each of its keys. Budgets grow in rounds, so
/// that one hard key does not hide a violation of an easy one.
pub fn check<M: Model>(model: &M, history: &History<M::Input, M::Output>, steps_max: u64) -> Verdict {
    let mut open: BTreeMap<M::Key, Refs<'_, M>> = BTreeMap::new();
    for op in history.ops() {
        if op.ended != Ended::Failed {
            open.entry(model.key(&op.input)).or_default().push(op);
        }
    }
    let mut steps = FIRST_ROUND.min(steps_max);
    loop {
        let mut undecided = BTreeMap::new();
        for (key, ops) in open {
            match search(model, model.start(&key), &ops, steps) {
                Found::Order => {}
                Found::Nothing { .. } => {
                    return Verdict::Illegal(Box::new(shrink::shrink(model, &key, &ops, steps)));
                }
                Found::OutOfSteps => {
                    undecided.insert(key, ops);
                }
            }
        }
        if undecided.is_empty() {
            return Verdict::Linearizable;
        }
        if steps >= steps_max {
            return Verdict::Unknown;
        }
        steps = steps.saturating_mul(10).min(steps_max);
        open = undecided;
    }
}
