//! What survives where the last operations were not synced. The suite only ends lives without a sync; how much
//! is lost then is up to whoever opens the medium again.

use super::life::Life;
use super::{Open, Seen, scope};
use crate::Journal;
use bytes::Bytes;
use quorate_core::Rng;
use std::collections::BTreeMap;

pub(super) fn what_survives_is_a_prefix<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    for round in 0..12 {
        for n in 0..5 {
            life.append(scope(n % 2), format!("synced {round} {n}"))?;
        }
        life.sync()?;
        for n in 0..9 {
            life.append(scope(n % 3), format!("unsynced {round} {n}"))?;
        }
        life = life.next(open)?;
    }
    Ok(())
}

pub(super) fn compaction_is_atomic<J: Journal>(open: Open<'_, J>) -> Seen {
    for unsynced_before in 0..4 {
        let mut life = Life::first(open)?;
        for n in 0..6 {
            life.append(scope(1), format!("old {n}"))?;
            life.append(scope(2), format!("other {n}"))?;
        }
        life.sync()?;
        for n in 0..unsynced_before {
            life.append(scope(2), format!("before {n}"))?;
        }
        life.compact(scope(1), 4, (0..3).map(|n| format!("new {n}").into()).collect())?;
        if unsynced_before % 2 == 1 {
            life.append(scope(1), "after")?;
        }
        life = life.next(open)?;
        life.append(scope(2), "and on")?;
        life.sync()?;
        life.next(open)?;
    }
    Ok(())
}

pub(super) fn random_use<J: Journal>(open: Open<'_, J>, seed: u64) -> Seen {
    let mut rng = Rng::from_seed(seed);
    let mut life = Life::first(open)?;
    let mut marks: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for step in 0..240 {
        let n = rng.within(0..5);
        let (appended, compacted) = marks.entry(n).or_default();
        match rng.within(0..100) {
            0..70 => {
                *appended += 1;
                let length = rng.index(40);
                life.append(scope(n), Bytes::from(format!("{step} {}", "x".repeat(length))))?;
            }
            70..80 => {
                *compacted = rng.within(*compacted..*appended + 1);
                let base = (0..rng.within(0..4)).map(|i| Bytes::from(format!("base {step} {i}"))).collect();
                life.compact(scope(n), *compacted, base)?;
            }
            80..94 => life.sync()?,
            _ => {
                life = life.next(open).map_err(|what| format!("seed {seed}, step {step}: {what}"))?;
                marks = life.lengths().map(|(id, n)| (id, (n, 0))).collect();
            }
        }
    }
    life.next(open).map_err(|what| format!("seed {seed}, at the end: {what}"))?;
    Ok(())
}
