//! Cuts a violation down to what shows it. What is left is illegal only if the whole is:
//!
//! * a history of which a beginning is not linearizable is not linearizable, so the shortest such beginning is
//!   found by halving;
//! * an operation that only reads changes nothing for the others, so one without which the rest is still illegal
//!   is left out (one that writes and whose end is unknown is not: it may be what the others saw);
//! * where nothing was open and only one state was possible, what came before is that state.

use super::draw::CounterExample;
use super::history::{Ended, Op};
use super::model::Model;
use super::search::{Found, final_states, search};

/// Steps for each try; a try that needs more changes nothing.
const TRY_STEPS_MAX: u64 = 20_000;
/// Cuts at which a beginning is replaced by its state, tried from the end.
const QUIET_TRIES_MAX: usize = 20;

/// The operations of one key, none of which failed, and for which there is no order.
pub(super) fn shrink<M: Model>(
    model: &M,
    key: &M::Key,
    ops: &[&Op<M::Input, M::Output>],
    steps: u64,
) -> CounterExample {
    let start = model.start(key);
    let mut ops = shortest_beginning(model, &start, ops, steps);
    let mut from = start;
    if let Some((state, rest)) = after_quiet(model, &from, &ops) {
        from = state;
        ops = rest;
    }
    without_needless(model, &from, &mut ops);
    let refs: Vec<&Op<M::Input, M::Output>> = ops.iter().collect();
    let furthest = match search(model, from.clone(), &refs, steps) {
        Found::Nothing { furthest } => furthest,
        _ => Vec::new(),
    };
    CounterExample::draw(format!("{key:?}"), format!("{from:?}"), &refs, &furthest)
}

fn is_illegal<M: Model>(model: &M, start: &M::State, ops: &[Op<M::Input, M::Output>], steps: u64) -> bool {
    let refs: Vec<&Op<M::Input, M::Output>> = ops.iter().collect();
    matches!(search(model, start.clone(), &refs, steps), Found::Nothing { .. })
}

/// What had happened up to this event: what was answered later has no answer yet.
fn beginning<I: Clone, O: Clone>(ops: &[&Op<I, O>], until: usize) -> Vec<Op<I, O>> {
    let begun = ops.iter().filter(|op| op.invoked <= until);
    begun
        .map(|op| {
            let mut op = (*op).clone();
            if matches!(op.ended, Ended::Answered(_, at) if at > until) {
                op.ended = Ended::Unknown;
            }
            op
        })
        .collect()
}

fn shortest_beginning<M: Model>(
    model: &M,
    start: &M::State,
    ops: &[&Op<M::Input, M::Output>],
    steps: u64,
) -> Vec<Op<M::Input, M::Output>> {
    let answers = ops.iter().filter_map(|op| match op.ended {
        Ended::Answered(_, at) => Some(at),
        _ => None,
    });
    let mut answers: Vec<usize> = answers.collect();
    answers.sort_unstable();
    // Illegal with all answers up to and with `bad`; not known to be with those before `good`.
    let (mut good, mut bad) = (0, answers.len().saturating_sub(1));
    while good < bad {
        let middle = good + (bad - good) / 2;
        if is_illegal(model, start, &beginning(ops, answers[middle]), steps) {
            bad = middle;
        } else {
            good = middle + 1;
        }
    }
    beginning(ops, answers.get(bad).copied().unwrap_or(usize::MAX))
}

type Rest<M> = Vec<Op<<M as Model>::Input, <M as Model>::Output>>;

/// The last moment at which nothing was open and one state was possible, if what follows is illegal from there.
fn after_quiet<M: Model>(
    model: &M,
    start: &M::State,
    ops: &[Op<M::Input, M::Output>],
) -> Option<(M::State, Rest<M>)> {
    // In the order of invocations, a moment is quiet if everything before was answered before.
    let mut quiet = Vec::new();
    let mut last_end = 0;
    for (i, op) in ops.iter().enumerate() {
        if i > 0 && last_end < op.invoked {
            quiet.push(i);
        }
        last_end = last_end.max(match op.ended {
            Ended::Answered(_, at) => at,
            _ => usize::MAX,
        });
    }
    for at in quiet.into_iter().rev().take(QUIET_TRIES_MAX) {
        let before: Vec<&Op<M::Input, M::Output>> = ops[..at].iter().collect();
        let states = final_states(model, start.clone(), &before, TRY_STEPS_MAX)?;
        let mut states = states.into_iter();
        if let (Some(state), None) = (states.next(), states.next())
            && is_illegal(model, &state, &ops[at..], TRY_STEPS_MAX)
        {
            return Some((state, ops[at..].to_vec()));
        }
    }
    None
}

/// Leaves out what is not needed, one by one.
fn without_needless<M: Model>(model: &M, start: &M::State, ops: &mut Rest<M>) {
    if !is_illegal(model, start, ops, TRY_STEPS_MAX) {
        return; // It takes more steps to see than a try may take.
    }
    let mut i = 0;
    while i < ops.len() {
        if model.is_read(&ops[i].input) {
            let op = ops.remove(i);
            if is_illegal(model, start, ops, TRY_STEPS_MAX) {
                continue;
            }
            ops.insert(i, op);
        }
        i += 1;
    }
}
