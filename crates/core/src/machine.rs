//! The application's replicated state, and what its leader decides.

use crate::{Notice, Rng, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is replicated. Every replica applies the same commands in the same order, so `apply` reads nothing
/// but its arguments: no clock, no chance, no HashMap order, no float that another machine rounds otherwise.
pub trait StateMachine: Sized + Send + 'static {
    /// What is proposed and agreed.
    type Command: Serialize + DeserializeOwned + Send + 'static;
    /// What the proposer is answered; kept in sessions, so small.
    type Reply: Serialize + DeserializeOwned + Clone + Send + 'static;
    /// A view of the state that later applies do not change. For a state that is cheap to clone:
    /// [`freeze_by_clone!`](crate::freeze_by_clone).
    type Frozen: Serialize + DeserializeOwned + Send + 'static;

    /// One command. A panic here is caught, poisons the scope on this node, and is reported.
    fn apply(&mut self, command: Self::Command, at: Applied) -> Self::Reply;
    /// A view for a snapshot. Should be fast: it is serialised elsewhere, while applies go on.
    fn freeze(&self) -> Self::Frozen;
    /// The state of a view. An error refuses the snapshot; the state before stays.
    fn restore(frozen: Self::Frozen) -> Result<Self, crate::Corrupt>;
}

/// The half of a [`StateMachine`] that a state which is cheap to clone, and which serde knows, need not write: its
/// view is a copy of it. To stand in the `impl`, in place of `Frozen`, `freeze` and `restore`.
#[macro_export]
macro_rules! freeze_by_clone {
    () => {
        type Frozen = Self;
        fn freeze(&self) -> Self {
            self.clone()
        }
        fn restore(frozen: Self) -> ::std::result::Result<Self, $crate::Corrupt> {
            ::std::result::Result::Ok(frozen)
        }
    };
}

/// Where in the log a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its index, from 1, without gaps.
    pub index: u64,
    /// The term it was proposed in.
    pub term: u64,
}

/// What only the leader decides and the log then records: assignments, expiries, retry times, random draws.
/// Lives beside the state machine on every replica and is asked on the leader alone. Its own memory is soft:
/// a new leader starts with a fresh one.
pub trait Decider<S: StateMachine>: Send + 'static {
    /// What it is told that is not in the log: heartbeats, load, reports.
    type Hint: Send + 'static;

    /// This node began to lead in `term`; everything committed before is applied.
    fn lead(&mut self, term: u64, state: &S, now: Time);
    /// This node leads no more.
    fn retire(&mut self);
    /// Something became known. Told on every replica, so that a new leader knows too.
    fn hint(&mut self, hint: Self::Hint, now: Time);
    /// What to propose now. Called while leading, after applies and hints and when `wake_at` is due, with at
    /// most one undecided batch of its own in flight.
    fn decide(&mut self, state: &S, now: Time, rng: &mut Rng, proposals: &mut Vec<S::Command>);
    /// What other scopes and observers should know of the state now: levels, told again after every change and
    /// every start, on every replica (and so idempotent).
    fn publish(&mut self, _state: &S) -> Vec<Box<dyn Notice>> {
        Vec::new()
    }
    /// When it wants to decide again though nothing happened.
    fn wake_at(&self) -> Time {
        Time::NEVER
    }
}

/// For state machines whose leader decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoDecider;

impl<S: StateMachine> Decider<S> for NoDecider {
    type Hint = std::convert::Infallible;
    fn lead(&mut self, _: u64, _: &S, _: Time) {}
    fn retire(&mut self) {}
    fn hint(&mut self, hint: Self::Hint, _: Time) {
        match hint {}
    }
    fn decide(&mut self, _: &S, _: Time, _: &mut Rng, _: &mut Vec<S::Command>) {}
}
