//! A violation as a picture.

use super::history::{Ended, Op};
use std::fmt::{self, Debug, Write};

/// Where nothing was ever quiet, what is needed may be long; so much of its end is drawn.
const DRAWN_MAX: usize = 16;

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterExample {
    /// The key.
    pub key: String,
    /// How many operations are left that together cannot be.
    pub ops: usize,
    /// The operations, or the last of them, one a line, with time going to the right.
    pub picture: String,
}

impl CounterExample {
    pub(super) fn draw<I: Debug, O: Debug>(
        key: String,
        start: String,
        ops: &[&Op<I, O>],
        furthest: &[usize],
    ) -> CounterExample {
        let (all, needed) = (ops, ops.len());
        let ops: Vec<(usize, &Op<I, O>)> = all.iter().copied().enumerate().collect();
        let ops = last_of(ops, furthest);
        let mut events: Vec<usize> = ops.iter().map(|(_, op)| op.invoked).collect();
        events.extend(ops.iter().filter_map(|(_, op)| end(op)));
        events.sort_unstable();
        let column = |event: usize| 2 * events.partition_point(|other| *other < event);
        let width = 2 * events.len();
        let texts: Vec<String> = ops.iter().map(|(_, op)| text(op)).collect();
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);

        let mut picture = match needed - ops.len() {
            0 => format!("from {start}:\n"),
            more => format!("from {start}, after {more} others that fit:\n"),
        };
        for ((i, op), text) in ops.iter().zip(&texts) {
            let from = column(op.invoked);
            let (to, close) = end(op).map_or((width, '?'), |at| (column(at), ']'));
            let place = furthest.iter().position(|taken| taken == i);
            let place = place.map_or("  -".into(), |place| format!("{:>3}", place + 1));
            // Writing into a string does not fail.
            let _ = writeln!(
                picture,
                "{place}  client {:<4} {text:<longest$}  {:from$}[{:=<bar$}{close}",
                op.client,
                "",
                "",
                bar = (to - from).saturating_sub(1),
            );
        }
        CounterExample { key, ops: needed, picture }
    }
}

/// The last ones, and before them those that find no place.
fn last_of<'a, I, O>(ops: Vec<(usize, &'a Op<I, O>)>, furthest: &[usize]) -> Vec<(usize, &'a Op<I, O>)> {
    let first = ops.len().saturating_sub(DRAWN_MAX);
    let misfit = |i: usize, op: &Op<I, O>| end(op).is_some() && !furthest.contains(&i);
    ops.into_iter().filter(|(i, op)| *i >= first || misfit(*i, op)).collect()
}

fn end<I, O>(op: &Op<I, O>) -> Option<usize> {
    match op.ended {
        Ended::Answered(_, at) => Some(at),
        _ => None,
    }
}

fn text<I: Debug, O: Debug>(op: &Op<I, O>) -> String {
    match &op.ended {
        Ended::Answered(output, _) => format!("{:?} -> {output:?}", op.input),
        _ => format!("{:?}", op.input),
    }
}

impl fmt::Display for CounterExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "not linearizable, key {}: these {} operations have no order", self.key, self.ops)?;
        writeln!(f, "(the numbers are the longest one that fits; `-` finds no place in it)")?;
        f.write_str(&self.picture)
    }
}
