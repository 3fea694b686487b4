//! Order and numbers.

use super::life::Life;
use super::{Open, Seen, scope};
use crate::Journal;
use bytes::Bytes;

pub(super) fn what_was_synced_is_there<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    for n in 0..3 {
        life.append(scope(n), format!("first {n}"))?;
    }
    life.sync()?;
    life.append(scope(0), "between two syncs")?;
    life.sync()?;
    // A sync with nothing to do is a sync.
    life.sync()?;
    life = life.next(open)?;
    life = life.next(open)?;
    life.append(scope(1), "second")?;
    life.sync()?;
    life.next(open)?;
    Ok(())
}

pub(super) fn scopes_keep_their_order<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    // Scopes take turns in an order that is not that of their ids.
    for n in 0..30 {
        life.append(scope(n * 7 % 3), format!("record {n}"))?;
        if n % 11 == 10 {
            life.sync()?;
        }
    }
    life.sync()?;
    life = life.next(open)?;
    // Base first, in its order, then what was behind the mark.
    life.compact(scope(1), 6, base("base", 3))?;
    life.append(scope(1), "behind the base")?;
    life.append(scope(2), "elsewhere")?;
    life.sync()?;
    life = life.next(open)?;
    // A scope whose records are all replaced, one whose base is empty, and one that begins anew after that.
    life.compact(scope(0), 10, base("all", 1))?;
    life.compact(scope(2), 11, Vec::new())?;
    life.sync()?;
    life = life.next(open)?;
    life.append(scope(2), "after nothing")?;
    life.sync()?;
    life.next(open)?;
    Ok(())
}

pub(super) fn marks_keep_their_numbers<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    for n in 1..=10 {
        life.append(scope(1), format!("record {n}"))?;
    }
    life.sync()?;
    life.compact(scope(1), 8, base("base", 2))?;
    life.sync()?;
    // This one has mark 11, whatever the base holds; mark 9 and 10 are still there.
    life.append(scope(1), "record 11")?;
    life.append(scope(1), "record 12")?;
    life.sync()?;
    life.compact(scope(1), 9, base("second base", 4))?;
    life.compact(scope(1), 11, base("third base", 5))?;
    life.sync()?;
    // The next life counts from 1: five of the base, then record 12 as the sixth.
    life = life.next(open)?;
    life.append(scope(1), "seventh")?;
    life.append(scope(1), "eighth")?;
    life.compact(scope(1), 7, base("up to the seventh", 3))?;
    life.sync()?;
    // Marks 1 to 3 are the base, 4 is the eighth. A compaction may end inside the old base.
    life = life.next(open)?;
    life.compact(scope(1), 2, base("inside the base", 1))?;
    life.sync()?;
    life.append(scope(1), "fifth")?;
    life.compact(scope(1), 3, base("the rest of the base", 2))?;
    life.sync()?;
    life = life.next(open)?;
    life.compact(scope(1), 1, base("inside again", 2))?;
    // The same mark once more: the base is replaced.
    life.compact(scope(1), 1, base("once more", 3))?;
    life.compact(scope(1), 4, base("up to the last", 1))?;
    life.append(scope(1), "the very last")?;
    life.sync()?;
    life.next(open)?;
    Ok(())
}

fn base(name: &str, n: usize) -> Vec<Bytes> {
    (0..n).map(|i| format!("{name} {i}").into()).collect()
}
