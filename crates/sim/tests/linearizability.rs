//! The checker against histories known good and known bad, and against a twin that tries every order.

#![allow(clippy::unwrap_used, clippy::panic)] // A test, its helpers too.

use quorate_core::Rng;
use quorate_sim::linearizability::{
    Counter, CounterAnswer, CounterOp, Ended, History, Kv, Model, Op, OpId, Register, RegisterAnswer,
    RegisterOp, Verdict, check,
};
use std::time::Duration;

const STEPS: u64 = 1_000_000;

/// A history of a register as text: one line a client, one column an instant. `w5` begins to write 5, `r5` to read
/// what turns out to be 5 (`r-`: nothing), `c56` to swap 5 for 6 with success, `x56` without; `|` answers what the
/// client asked last, `?` gives it up (nobody knows).
fn register(lines: &[&str]) -> History<RegisterOp<u64>, RegisterAnswer<u64>> {
    let columns = lines.iter().map(|line| line.split_whitespace().count()).max().unwrap_or(0);
    let cells: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    let mut history = History::new();
    let mut open: Vec<Option<(OpId, RegisterAnswer<u64>)>> = vec![None; lines.len()];
    for column in 0..columns {
        let at = Duration::from_millis(column as u64);
        for (client, line) in cells.iter().enumerate() {
            let cell = line.get(column).copied().unwrap_or(".");
            let digit = |i: usize| cell[i..=i].parse::<u64>().ok();
            let (op, answer) = match cell.as_bytes()[0] {
                b'w' => (RegisterOp::Write(digit(1).unwrap()), RegisterAnswer::Done),
                b'd' => (RegisterOp::Delete, RegisterAnswer::Done),
                b'r' => (RegisterOp::Read, RegisterAnswer::Value(digit(1))),
                b'c' => {
                    (RegisterOp::Cas { from: digit(1), to: digit(2).unwrap() }, RegisterAnswer::Swapped(true))
                }
                b'x' => (
                    RegisterOp::Cas { from: digit(1), to: digit(2).unwrap() },
                    RegisterAnswer::Swapped(false),
                ),
                b'|' => {
                    let (op, answer) = open[client].take().unwrap();
                    history.returned(op, answer, at);
                    continue;
                }
                b'?' => {
                    open[client] = None;
                    continue;
                }
                b'!' => {
                    let (op, _) = open[client].take().unwrap();
                    history.failed(op, at);
                    continue;
                }
                _ => continue,
            };
            assert!(open[client].is_none(), "a client does one thing at a time");
            open[client] = Some((history.invoke(client as u64, op, at), answer));
        }
    }
    history
}

fn is_good(lines: &[&str]) -> bool {
    match check(&Register::default(), &register(lines), STEPS) {
        Verdict::Linearizable => true,
        Verdict::Illegal(_) => false,
        Verdict::Unknown => panic!("a handful of operations is judged"),
    }
}

#[test]
fn histories_known_good() {
    let good: &[&[&str]] = &[
        &[],
        &["r- |"],
        &["w1 | r1 |"],
        // A read beside a write sees the old or the new.
        &["w1 | w2 .  .  |", ".  . .  r1 |"],
        &["w1 | w2 .  .  |", ".  . .  r2 |"],
        // New, then new again, both beside the write.
        &["w1 .  . .  . |", ".  r1 | r1 |"],
        // Two writes beside each other end in either order.
        &["w1 .  | r1 |", ".  w2 |"],
        &["w1 .  | r2 |", ".  w2 |"],
        // Two readers may learn of a write at different times, as long as nobody goes back.
        &["w1 .  .  .  .  |", ".  r- .  |", ".  .  r1 .  |"],
        // An unknown write happened ...
        &["w1 ? r1 |"],
        // ... or did not ...
        &["w1 ? r- |"],
        // ... or happens much later, when others have read and written.
        &["w1 ?", ".  . w2 | r2 | r1 |"],
        &["w1 ?", ".  . r- | r- | r1 | r1 |"],
        // Of two unknown writes one happened twice as late.
        &["w1 ?", "w2 ?", ".  . r2 | r1 | r1 |"],
        // Swaps.
        &["w1 | c12 | r2 | x19 |"],
        &["w1 | c12 |", ".  . x13 |", ".  . .  . r2 |"],
        &["c-1 | d |  r- |"],
        // An unknown swap explains a value that nobody else wrote.
        &["w1 | c12 ?", ".  . .  . . r2 |"],
        // What failed did not happen.
        &["w1 !  r- |"],
        // A write that came back before it was read by three in turn.
        &["w1 | . . . .", ".  . r1 | . .", ".  . . r1 |", ".  . . . r1 |"],
        // The write of an unknown swap that did not match.
        &["w1 | c29 ? r1 |"],
        // The values of four concurrent writes read in an order that fits.
        &["w1 . . . . |", "w2 . . . . |", "w3 . . . . |", "r1 | r3 | r2 |"],
    ];
    for history in good {
        assert!(is_good(history), "{history:?}");
    }
}

#[test]
fn histories_known_bad() {
    let bad: &[&[&str]] = &[
        &["r1 |"],
        // Stale.
        &["w1 | w2 | r1 |"],
        &["w1 | r- |"],
        // New, then old, both beside the write.
        &["w1 .  . .  . |", ".  r1 | r- |"],
        &["w1 .  .  .  .  .  |", ".  r1 |", ".  .  .  r- |"],
        // Two readers see two writes in two orders.
        &["w1 .  .  .  .  . |", "w2 .  .  .  .  . |", "r1 | r2 |", "r2 | r1 |"],
        // An unknown write was seen and then not.
        &["w1 ? r1 | r- |"],
        // It happens once, not twice.
        &["w1 ?", ".  . r1 | w2 | r1 |"],
        // It cannot happen before it was asked.
        &[".  . w1 ?", "r1 |"],
        // Two swaps of one value.
        &["w1 | c12 |", ".  . c13 |"],
        &["w1 | c12 | c12 |"],
        // A swap that should have failed, one that should not.
        &["w1 | c23 |"],
        &["w1 | x12 |"],
        // A swap whose value is gone again without anybody who wrote.
        &["w1 | c12 | r1 |"],
        // What failed did not happen.
        &["w1 ! r1 |"],
        // A lost write: acknowledged, then the old value after a crash.
        &["w1 | w2 | . .  r2 | . .", ".  . . .  . .  . r1 |"],
        // A deleted value.
        &["w1 | d | r1 |"],
        // Four concurrent writes: what was overwritten comes back.
        &["w1 . . . . . . . |", "w2 . . . . . . . |", "r1 | r2 | r1 |"],
        // An unknown swap cannot explain what it would not have written.
        &["w1 | c29 ? r9 |"],
    ];
    for history in bad {
        assert!(!is_good(history), "{history:?}");
    }
}

#[test]
fn keys_have_nothing_to_do_with_each_other() {
    let mut history = History::new();
    let ms = Duration::from_millis;
    for key in ["a", "b"] {
        let write = history.invoke(1, (key, RegisterOp::Write(1)), ms(1));
        history.returned(write, RegisterAnswer::Done, ms(1));
    }
    for (key, seen) in [("a", Some(1)), ("b", None)] {
        let read = history.invoke(1, (key, RegisterOp::Read), ms(2));
        history.returned(read, RegisterAnswer::Value(seen), ms(2));
    }
    let Verdict::Illegal(example) = check(&Kv::default(), &history, STEPS) else { panic!("b is stale") };
    assert_eq!((&example.key[..], example.ops), ("\"b\"", 1), "{example}");
}

#[test]
fn a_counter_that_loses_one_of_two_adds_is_caught() {
    let history = |last: i64| {
        let mut history = History::new();
        let a = history.invoke(1, CounterOp::Add(1), Duration::ZERO);
        let b = history.invoke(2, CounterOp::AddAndRead(1), Duration::ZERO);
        history.returned(b, CounterAnswer::Value(1), Duration::ZERO);
        history.returned(a, CounterAnswer::Added, Duration::ZERO);
        let c = history.invoke(1, CounterOp::Read, Duration::ZERO);
        history.returned(c, CounterAnswer::Value(last), Duration::ZERO);
        history
    };
    assert!(check(&Counter, &history(2), STEPS).is_linearizable());
    assert!(!check(&Counter, &history(1), STEPS).is_linearizable());
}

#[test]
fn a_budget_that_runs_out_means_unknown() {
    let mut history = History::new();
    let open: Vec<OpId> = (0..30)
        .map(|client| history.invoke(client, CounterOp::AddAndRead(1 << client), Duration::ZERO))
        .collect();
    for op in open {
        // No order gives all of them the same, and there are 30! to try.
        history.returned(op, CounterAnswer::Value(i64::MAX), Duration::ZERO);
    }
    let hard = history.invoke(0, CounterOp::Add(1), Duration::ZERO);
    history.returned(hard, CounterAnswer::Added, Duration::ZERO);
    assert!(matches!(check(&Counter, &history, 10), Verdict::Unknown));
    assert!(matches!(check(&Counter, &history, 1_000_000), Verdict::Illegal(_)));
}

#[test]
fn a_counter_example_is_small_and_drawn() {
    let mut lines = [String::new(), String::new()];
    for i in 0..40 {
        lines[0].push_str(&format!("w{} | . . ", i % 10));
        lines[1].push_str(&format!(". . r{} | ", i % 10));
    }
    lines[1].push_str(". . r3 | r9 |"); // Between 9s a 3.
    let history = register(&[&lines[0], &lines[1]]);
    let Verdict::Illegal(example) = check(&Register::default(), &history, STEPS) else {
        panic!("3 is stale")
    };
    assert_eq!(example.ops, 1, "{example}");
    let text = example.to_string();
    assert!(text.contains("from Some(9)") && text.contains("Read -> Value(Some(3))"), "{text}");

    let history = register(&["w1 .  . .  . |", ".  r1 | r- |", "w7 ? . r- ?"]);
    let Verdict::Illegal(example) = check(&Register::default(), &history, STEPS) else { panic!("goes back") };
    assert_eq!(example.picture, PICTURE, "\n{}", example.picture);
}

const PICTURE: &str = "\
from None:
  1  client 0    Write(1)                [===========?
  3  client 2    Write(7)                  [=========?
  2  client 1    Read -> Value(Some(1))      [=]
  -  client 1    Read -> Value(None)             [=]
";

/// Tries every order of every choice of the unknown ones.
fn twin<M: Model>(model: &M, ops: &[Op<M::Input, M::Output>], state: &M::State, taken: u32) -> bool {
    let answered = |op: &Op<M::Input, M::Output>| match op.ended {
        Ended::Answered(_, at) => Some(at),
        _ => None,
    };
    let left: Vec<usize> = (0..ops.len()).filter(|i| taken & (1 << i) == 0).collect();
    if left.iter().all(|i| answered(&ops[*i]).is_none()) {
        return true;
    }
    left.iter().any(|&i| {
        let first = left.iter().all(|&j| answered(&ops[j]).is_none_or(|end| end > ops[i].invoked));
        let (next, output) = model.apply(state, &ops[i].input);
        let fits = !matches!(&ops[i].ended, Ended::Answered(seen, _) if *seen != output);
        first && fits && twin(model, ops, &next, taken | (1 << i))
    })
}

fn random_register(rng: &mut Rng) -> History<RegisterOp<u64>, RegisterAnswer<u64>> {
    let clients = 1 + rng.index(4);
    let mut history = History::new();
    let mut open: Vec<Option<(OpId, RegisterOp<u64>)>> = vec![None; clients];
    // A copy that answers honestly, mostly.
    let mut real: Option<u64> = None;
    for _ in 0..4 + rng.index(12) {
        let client = rng.index(clients);
        match open[client].take() {
            None => {
                let value = rng.within(0..3);
                let op = match rng.index(5) {
                    0 | 1 => RegisterOp::Read,
                    2 => RegisterOp::Write(value),
                    3 => RegisterOp::Cas { from: Some(rng.within(0..3)), to: value },
                    _ => RegisterOp::Delete,
                };
                open[client] = Some((history.invoke(client as u64, op, Duration::ZERO), op));
            }
            Some((id, op)) => {
                let (next, answer) = Register::default().apply(&real, &op);
                match rng.index(12) {
                    0 => {
                        // Unknown: it happened, or not.
                        if rng.chance(0.5) {
                            real = next;
                        }
                    }
                    1 if op == RegisterOp::Read => {
                        // Perhaps a lie.
                        let value = Some(rng.within(0..3));
                        history.returned(id, RegisterAnswer::Value(value), Duration::ZERO);
                    }
                    2 => history.failed(id, Duration::ZERO),
                    _ => {
                        real = next;
                        history.returned(id, answer, Duration::ZERO);
                    }
                }
            }
        }
    }
    history
}

#[test]
fn thousands_of_random_histories_are_judged_as_a_twin_judges_them_that_tries_every_order() {
    let mut rng = Rng::from_seed(11);
    let mut verdicts = [0; 2];
    for round in 0..6000 {
        let history = random_register(&mut rng);
        let ops: Vec<_> = history.ops().iter().filter(|op| op.ended != Ended::Failed).cloned().collect();
        let model = Register::default();
        let expected = twin(&model, &ops, &None, 0);
        let found = check(&model, &history, STEPS);
        assert_ne!(found, Verdict::Unknown);
        assert_eq!(found.is_linearizable(), expected, "round {round}: {ops:#?}");
        verdicts[usize::from(expected)] += 1;
    }
    assert!(verdicts[0] > 500 && verdicts[1] > 500, "{verdicts:?}");
}

fn random_counter(rng: &mut Rng) -> History<CounterOp, CounterAnswer> {
    let mut history = History::new();
    let mut open = [None; 3];
    let mut real = 0;
    for _ in 0..4 + rng.index(12) {
        let client = rng.index(3);
        match open[client].take() {
            None => {
                let op = match rng.index(3) {
                    0 => CounterOp::Read,
                    1 => CounterOp::Add(1 + rng.within(0..2) as i64),
                    _ => CounterOp::AddAndRead(1),
                };
                open[client] = Some((history.invoke(client as u64, op, Duration::ZERO), op));
            }
            Some((id, op)) => {
                let (next, answer) = Counter.apply(&real, &op);
                if rng.chance(0.1) {
                    real = if rng.chance(0.5) { next } else { real };
                    continue;
                }
                real = next;
                let lie = rng.chance(0.1) && matches!(answer, CounterAnswer::Value(_));
                let answer = if lie { CounterAnswer::Value(rng.within(0..6) as i64) } else { answer };
                history.returned(id, answer, Duration::ZERO);
            }
        }
    }
    history
}

#[test]
fn so_are_thousands_of_histories_of_a_counter() {
    let mut rng = Rng::from_seed(12);
    let mut verdicts = [0; 2];
    for _ in 0..4000 {
        let history = random_counter(&mut rng);
        let expected = twin(&Counter, history.ops(), &0, 0);
        assert_eq!(check(&Counter, &history, STEPS).is_linearizable(), expected, "{:#?}", history.ops());
        verdicts[usize::from(expected)] += 1;
    }
    assert!(verdicts[0] > 300 && verdicts[1] > 300, "{verdicts:?}");
}

#[test]
fn a_long_history_of_many_clients_is_judged_in_few_steps() {
    let mut rng = Rng::from_seed(13);
    let mut history = History::new();
    let mut open: Vec<Option<(OpId, RegisterOp<u64>)>> = vec![None; 8];
    let mut real = None;
    for _ in 0..4000 {
        let client = rng.index(8);
        match open[client].take() {
            None => {
                let op =
                    if rng.chance(0.5) { RegisterOp::Read } else { RegisterOp::Write(rng.within(0..100)) };
                open[client] = Some((history.invoke(client as u64, op, Duration::ZERO), op));
            }
            Some((id, op)) => {
                let (next, answer) = Register::default().apply(&real, &op);
                real = next;
                history.returned(id, answer, Duration::ZERO);
            }
        }
    }
    assert_eq!(check(&Register::default(), &history, 100_000), Verdict::Linearizable);
    // One lie at the very end of a client that was silent so far.
    let last = history.invoke(99, RegisterOp::Read, Duration::ZERO);
    history.returned(last, RegisterAnswer::Value(Some(1000)), Duration::ZERO);
    let Verdict::Illegal(example) = check(&Register::default(), &history, 10_000_000) else {
        panic!("a lie")
    };
    assert!(example.picture.lines().count() < 30, "{example}");
    assert!(example.picture.contains("others that fit"), "{example}");
}
