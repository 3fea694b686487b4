//! What clients asked and were answered, in the order in which it happened.

use quorate_core::Failure;
use std::time::Duration;

/// Names an operation of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(usize);

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<O> {
    /// With this answer, as the so-manieth event of the history.
    Answered(O, usize),
    /// Nobody knows: it may have happened at any time after its invocation, may still happen, or never.
    Unknown,
    /// It did not happen.
    Failed,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op<I, O> {
    /// Who asked.
    pub client: u64,
    /// What.
    pub input: I,
    /// The so-manieth event of the history is its invocation.
    pub invoked: usize,
    /// How it ended.
    pub ended: Ended<O>,
    /// When it was asked, for people who read.
    pub invoked_at: Duration,
    /// When it was answered, for people who read.
    pub ended_at: Option<Duration>,
}

/// What happened, as the clients saw it. The order of the calls made here is the order of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<I, O> {
    ops: Vec<Op<I, O>>,
    events: usize,
}

impl<I, O> Default for History<I, O> {
    fn default() -> Self {
        History { ops: Vec::new(), events: 0 }
    }
}

impl<I, O> History<I, O> {
    /// Nothing happened yet.
    pub fn new() -> History<I, O> {
        History::default()
    }

    /// A client asks. Until something else is said its end is unknown.
    pub fn invoke(&mut self, client: u64, input: I, at: Duration) -> OpId {
        let op =
            Op { client, input, invoked: self.next(), ended: Ended::Unknown, invoked_at: at, ended_at: None };
        self.ops.push(op);
        OpId(self.ops.len() - 1)
    }

    /// It is answered.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn returned(&mut self, op: OpId, output: O, at: Duration) {
        let event = self.next();
        self.end(op, Ended::Answered(output, event), at);
    }

    /// It did not happen and never will.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn failed(&mut self, op: OpId, at: Duration) {
        self.end(op, Ended::Failed, at);
    }

    /// It ended as its ticket did: answered, failed if it was rejected, else unknown.
    ///
    /// # Panics
    /// If it has ended before.
    pub fn settled(&mut self, op: OpId, outcome: Result<O, Failure>, at: Duration) {
        match outcome {
            Ok(output) => self.returned(op, output, at),
            Err(Failure::Rejected(_)) => self.failed(op, at),
            Err(Failure::Unknown(_)) => {}
        }
    }

    /// The operations, in the order of their invocations.
    pub fn ops(&self) -> &[Op<I, O>] {
        &self.ops
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    fn next(&mut self) -> usize {
        self.events += 1;
        self.events
    }

    fn end(&mut self, op: OpId, ended: Ended<O>, at: Duration) {
        let op = &mut self.ops[op.0];
        assert!(matches!(op.ended, Ended::Unknown), "an operation ends once");
        op.ended = ended;
        op.ended_at = Some(at);
    }
}
