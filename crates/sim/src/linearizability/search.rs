//! The search for an order, for the operations of one key.
//!
//! Invocations and responses stand in a list in the order of their events. The search takes an operation whose
//! invocation stands before the first response that is left, applies it, and lifts it out; where the list begins
//! with the response of an operation that was not taken, it has gone wrong and steps back. A configuration (which
//! operations were taken, and the state) that was there before is not tried again (Lowe 2017). An operation whose
//! end is unknown has no response: it may be taken at any time after its invocation, or left.

use super::history::{Ended, Op};
use super::model::Model;
use std::collections::BTreeSet;

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is an order.
    Order,
    /// There is none. The operations that went furthest, in their order.
    Nothing { furthest: Vec<usize> },
    /// The budget ran out.
    OutOfSteps,
}

/// Whether there is an order.
pub(super) fn search<M: Model>(
    model: &M,
    start: M::State,
    ops: &[&Op<M::Input, M::Output>],
    steps_max: u64,
) -> Found {
    Search::new(model, start, ops).run(steps_max, None)
}

/// All states that the orders of these operations end in; `None` if the budget ran out.
pub(super) fn final_states<M: Model>(
    model: &M,
    start: M::State,
    ops: &[&Op<M::Input, M::Output>],
    steps_max: u64,
) -> Option<BTreeSet<M::State>> {
    let mut states = BTreeSet::new();
    match Search::new(model, start, ops).run(steps_max, Some(&mut states)) {
        Found::OutOfSteps => None,
        _ => Some(states),
    }
}

/// An entry of the list: an invocation or a response.
#[derive(Clone, Copy)]
struct Entry {
    op: usize,
    is_response: bool,
    before: usize,
    behind: usize,
}

/// Entry 0 is the head of the list, which is a ring.
const HEAD: usize = 0;

/// Which operations were taken, without what goes without saying: operations come by invocation, so nearly all of
/// the early ones were, and none of the late ones.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    /// Words of ones at the beginning.
    full: usize,
    /// What is between them and the words of zeros at the end.
    mixed: Box<[u64]>,
}

impl Taken {
    fn of(words: &[u64]) -> Taken {
        let full = words.iter().take_while(|word| **word == u64::MAX).count();
        let empty = words[full..].iter().rev().take_while(|word| **word == 0).count();
        Taken { full, mixed: words[full..words.len() - empty].into() }
    }
}

struct Search<'a, M: Model> {
    model: &'a M,
    ops: &'a [&'a Op<M::Input, M::Output>],
    entries: Vec<Entry>,
    /// The entries of each operation: its invocation, and its response if it has one.
    of_op: Vec<(usize, Option<usize>)>,
    taken: Vec<u64>,
    state: M::State,
    /// Operations taken, with the state before each.
    order: Vec<(usize, M::State)>,
    been: BTreeSet<(Taken, M::State)>,
    /// Operations with a response that were not taken.
    left: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, start: M::State, ops: &'a [&'a Op<M::Input, M::Output>]) -> Search<'a, M> {
        let mut events: Vec<(usize, usize, bool)> = Vec::with_capacity(ops.len() * 2);
        for (i, op) in ops.iter().enumerate() {
            events.push((op.invoked, i, false));
            if let Ended::Answered(_, at) = op.ended {
                events.push((at, i, true));
            }
        }
        events.sort_unstable();
        let count = events.len() + 1;
        let mut entries =
            vec![Entry { op: usize::MAX, is_response: false, before: count - 1, behind: 1 % count }];
        let mut of_op = vec![(0, None); ops.len()];
        for (at, (_, op, is_response)) in events.into_iter().enumerate() {
            let at = at + 1;
            entries.push(Entry { op, is_response, before: at - 1, behind: (at + 1) % count });
            if is_response {
                of_op[op].1 = Some(at);
            } else {
                of_op[op].0 = at;
            }
        }
        let left = of_op.iter().filter(|(_, response)| response.is_some()).count();
        let taken = vec![0; ops.len().div_ceil(64)];
        Search {
            model,
            ops,
            entries,
            of_op,
            taken,
            state: start,
            order: Vec::new(),
            been: BTreeSet::new(),
            left,
        }
    }

    fn run(&mut self, steps_max: u64, mut all: Option<&mut BTreeSet<M::State>>) -> Found {
        let mut furthest: Vec<usize> = Vec::new();
        let mut steps = 0;
        let mut at = self.entries[HEAD].behind;
        loop {
            if self.left == 0 {
                match &mut all {
                    None => return Found::Order,
                    Some(states) => {
                        states.insert(self.state.clone());
                        // On: what is left are operations without an end, which may change the state still.
                    }
                }
            }
            if at == HEAD || self.entries[at].is_response {
                if self.order.len() > furthest.len() {
                    furthest = self.order.iter().map(|(op, _)| *op).collect();
                }
                match self.step_back() {
                    Some(next) => at = next,
                    None => return Found::Nothing { furthest },
                }
                continue;
            }
            steps += 1;
            if steps > steps_max {
                return Found::OutOfSteps;
            }
            let op = self.entries[at].op;
            at = if self.take(op) { self.entries[HEAD].behind } else { self.entries[at].behind };
        }
    }

    /// Applies an operation, if its answer fits and that leads somewhere new.
    fn take(&mut self, op: usize) -> bool {
        let (next, output) = self.model.apply(&self.state, &self.ops[op].input);
        if let Ended::Answered(seen, _) = &self.ops[op].ended
            && *seen != output
        {
            return false;
        }
        self.taken[op / 64] |= 1 << (op % 64);
        if !self.been.insert((Taken::of(&self.taken), next.clone())) {
            self.taken[op / 64] &= !(1 << (op % 64));
            return false;
        }
        self.order.push((op, std::mem::replace(&mut self.state, next)));
        let (invocation, response) = self.of_op[op];
        self.lift(invocation);
        if let Some(response) = response {
            self.lift(response);
            self.left -= 1;
        }
        true
    }

    /// Takes the last operation back; where to go on.
    fn step_back(&mut self) -> Option<usize> {
        let (op, before) = self.order.pop()?;
        self.state = before;
        self.taken[op / 64] &= !(1 << (op % 64));
        let (invocation, response) = self.of_op[op];
        if let Some(response) = response {
            self.put_back(response);
            self.left += 1;
        }
        self.put_back(invocation);
        Some(self.entries[invocation].behind)
    }

    fn lift(&mut self, at: usize) {
        let Entry { before, behind, .. } = self.entries[at];
        self.entries[before].behind = behind;
        self.entries[behind].before = before;
    }

    fn put_back(&mut self, at: usize) {
        let Entry { before, behind, .. } = self.entries[at];
        self.entries[before].behind = at;
        self.entries[behind].before = at;
    }
}
