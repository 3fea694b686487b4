//! Sizes and numbers.

use super::life::Life;
use super::{Open, Seen, scope};
use crate::Journal;
use bytes::Bytes;
use quorate_core::Rng;

const MIB: usize = 1 << 20;

pub(super) fn records_of_every_size<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut rng = Rng::from_seed(1);
    let mut life = Life::first(open)?;
    let sizes = [0, 1, 3, 4, 5, 255, 256, 4095, 4096, 4097, 65_535, 65_536, 65_537, MIB, 0, MIB + 1, 1, 0];
    for size in sizes {
        life.append(scope(1), noise(size, &mut rng))?;
    }
    life.sync()?;
    // The same as a base, where an implementation may keep them elsewhere.
    let mut life = life.next(open)?;
    life.compact(scope(1), sizes.len() as u64, sizes.map(|size| noise(size, &mut rng)).into())?;
    life.append(scope(1), Bytes::new())?;
    life.sync()?;
    life.next(open)?;
    Ok(())
}

pub(super) fn thousands_of_scopes<J: Journal>(open: Open<'_, J>) -> Seen {
    const SCOPES: u64 = 3000;
    let mut life = Life::first(open)?;
    for round in 0..2 {
        for n in 0..SCOPES {
            life.append(scope(n), format!("{round} of {n}"))?;
        }
    }
    life.sync()?;
    for n in (0..SCOPES).step_by(3) {
        life.compact(scope(n), 1 + n % 2, vec![format!("base of {n}").into()])?;
    }
    life.sync()?;
    life.append(scope(5), "not synced")?;
    life.next(open)?;
    Ok(())
}

pub(super) fn many_compactions<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    let mut appended = 0;
    for round in 0..100u64 {
        for n in 0..5 {
            life.append(scope(n % 2), format!("{round} {n}"))?;
        }
        appended += 3;
        let base = (0..round % 4).map(|n| format!("base {round} {n}").into()).collect();
        life.compact(scope(0), appended - round % 3, base)?;
        life.sync()?;
        if round % 25 == 24 {
            life = life.next(open)?;
            appended = life.lengths().find(|(id, _)| *id == 0).map_or(0, |(_, n)| n);
        }
    }
    life.next(open)?;
    Ok(())
}

fn noise(size: usize, rng: &mut Rng) -> Bytes {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&rng.bits().to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
