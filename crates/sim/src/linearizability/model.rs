//! What a single copy that does one thing at a time would answer.

use std::fmt::Debug;
use std::marker::PhantomData;

/// A state machine in its plainest form. Must be deterministic.
pub trait Model {
    /// What splits a history into parts that have nothing to do with each other; `()` if nothing does.
    type Key: Clone + Ord + Debug;
    /// The state of one key.
    type State: Clone + Ord + Debug;
    /// What is asked.
    type Input: Clone + Debug + PartialEq;
    /// What is answered.
    type Output: Clone + Debug + PartialEq;

    /// The key that an operation is about.
    fn key(&self, input: &Self::Input) -> Self::Key;
    /// What is there before the first operation.
    fn start(&self, key: &Self::Key) -> Self::State;
    /// The state after an operation, and its answer.
    fn apply(&self, state: &Self::State, input: &Self::Input) -> (Self::State, Self::Output);
    /// Whether an operation never changes the state. Makes counter-examples smaller, nothing else.
    fn is_read(&self, _input: &Self::Input) -> bool {
        false
    }
}

/// What is asked of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterOp<V> {
    /// What is there?
    Read,
    /// Put this there.
    Write(V),
    /// Put nothing there.
    Delete,
    /// Put `to` there if `from` is there.
    Cas {
        /// What must be there.
        from: Option<V>,
        /// What will be.
        to: V,
    },
}

/// What a register answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterAnswer<V> {
    /// To a read.
    Value(Option<V>),
    /// To a write or a delete.
    Done,
    /// To a compare-and-swap: whether it did.
    Swapped(bool),
}

fn register<V: Clone + PartialEq>(state: &Option<V>, op: &RegisterOp<V>) -> (Option<V>, RegisterAnswer<V>) {
    match op {
        RegisterOp::Read => (state.clone(), RegisterAnswer::Value(state.clone())),
        RegisterOp::Write(value) => (Some(value.clone()), RegisterAnswer::Done),
        RegisterOp::Delete => (None, RegisterAnswer::Done),
        RegisterOp::Cas { from, to } if from == state => (Some(to.clone()), RegisterAnswer::Swapped(true)),
        RegisterOp::Cas { .. } => (state.clone(), RegisterAnswer::Swapped(false)),
    }
}

/// One place for one value; nothing is there at first.
#[derive(Clone, Copy, Debug)]
pub struct Register<V>(PhantomData<V>);

impl<V> Default for Register<V> {
    fn default() -> Self {
        Register(PhantomData)
    }
}

impl<V: Clone + Ord + Debug> Model for Register<V> {
    type Key = ();
    type State = Option<V>;
    type Input = RegisterOp<V>;
    type Output = RegisterAnswer<V>;

    fn key(&self, _: &RegisterOp<V>) {}
    fn start(&self, (): &()) -> Option<V> {
        None
    }
    fn apply(&self, state: &Option<V>, op: &RegisterOp<V>) -> (Option<V>, RegisterAnswer<V>) {
        register(state, op)
    }
    fn is_read(&self, op: &RegisterOp<V>) -> bool {
        matches!(op, RegisterOp::Read)
    }
}

/// Many registers, by key: a map.
#[derive(Clone, Copy, Debug)]
pub struct Kv<K, V>(PhantomData<(K, V)>);

impl<K, V> Default for Kv<K, V> {
    fn default() -> Self {
        Kv(PhantomData)
    }
}

impl<K: Clone + Ord + Debug, V: Clone + Ord + Debug> Model for Kv<K, V> {
    type Key = K;
    type State = Option<V>;
    type Input = (K, RegisterOp<V>);
    type Output = RegisterAnswer<V>;

    fn key(&self, (key, _): &(K, RegisterOp<V>)) -> K {
        key.clone()
    }
    fn start(&self, _: &K) -> Option<V> {
        None
    }
    fn apply(&self, state: &Option<V>, (_, op): &(K, RegisterOp<V>)) -> (Option<V>, RegisterAnswer<V>) {
        register(state, op)
    }
    fn is_read(&self, (_, op): &(K, RegisterOp<V>)) -> bool {
        matches!(op, RegisterOp::Read)
    }
}

/// What is asked of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterOp {
    /// How much is it?
    Read,
    /// Add this.
    Add(i64),
    /// Add this and say how much it is then.
    AddAndRead(i64),
}

/// What a counter answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterAnswer {
    /// How much it is.
    Value(i64),
    /// It was added.
    Added,
}

/// A number, 0 at first; wraps at the ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

impl Model for Counter {
    type Key = ();
    type State = i64;
    type Input = CounterOp;
    type Output = CounterAnswer;

    fn key(&self, _: &CounterOp) {}
    fn start(&self, (): &()) -> i64 {
        0
    }
    fn apply(&self, state: &i64, op: &CounterOp) -> (i64, CounterAnswer) {
        match op {
            CounterOp::Read => (*state, CounterAnswer::Value(*state)),
            CounterOp::Add(n) => (state.wrapping_add(*n), CounterAnswer::Added),
            CounterOp::AddAndRead(n) => {
                let sum = state.wrapping_add(*n);
                (sum, CounterAnswer::Value(sum))
            }
        }
    }
    fn is_read(&self, op: &CounterOp) -> bool {
        matches!(op, CounterOp::Read)
    }
}
