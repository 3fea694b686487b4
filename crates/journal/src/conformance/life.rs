//! Lives of a journal: names, counts, refusals; and the helper that runs one life beside its model.

use super::{Contents, Medium, Model, Open, Seen, ensure, no, scope};
use crate::{Journal, JournalError};
use bytes::Bytes;
use quorate_core::{Boot, Corrupt, Mark, ScopeId};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A journal that lives, and what it must contain.
pub(super) struct Life<J> {
    pub(super) journal: J,
    pub(super) boot: Boot,
    model: Model,
}

impl<J: Journal> Life<J> {
    /// The first life on an empty medium.
    pub(super) fn first(open: Open<'_, J>) -> Result<Life<J>, String> {
        let life = Life::begin(open(Medium::Fresh), Model::new())?;
        let name = life.boot.incarnation;
        ensure(name == 1, || format!("the first life on a fresh medium is number {name}"))?;
        Ok(life)
    }

    /// Ends this life and begins the next one on the same medium.
    pub(super) fn next(self, open: Open<'_, J>) -> Result<Life<J>, String> {
        let Life { journal, boot, model } = self;
        drop(journal);
        let next = Life::begin(open(Medium::Same), model)?;
        ensure(next.boot.journal == boot.journal, || "the journal has another name now".into())?;
        ensure(next.boot.incarnation == boot.incarnation + 1, || {
            format!("life {} is followed by life {}", boot.incarnation, next.boot.incarnation)
        })?;
        Ok(next)
    }

    fn begin(mut journal: J, mut model: Model) -> Result<Life<J>, String> {
        let boot = journal.begin_life().map_err(no("begin_life"))?;
        model.reopened(&load(&mut journal)?)?;
        Ok(Life { journal, boot, model })
    }

    /// How many records each scope of the script has, synced at the last reopen.
    pub(super) fn lengths(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let number = |id: ScopeId| (0..).find(|n| scope(*n) == id).unwrap_or(0);
        self.model.lengths().map(move |(id, n)| (number(id), n))
    }

    pub(super) fn append(&mut self, scope: ScopeId, record: impl Into<Bytes>) -> Seen {
        let record = record.into();
        self.model.append(scope, record.clone());
        self.journal.append(scope, record).map_err(no("append"))
    }

    pub(super) fn compact(&mut self, scope: ScopeId, upto: u64, base: Vec<Bytes>) -> Seen {
        self.model.compact(scope, Mark(upto), base.clone());
        self.journal.compact(scope, Mark(upto), base).map_err(no("compact"))
    }

    pub(super) fn sync(&mut self) -> Seen {
        self.journal.sync().map_err(no("sync"))?;
        self.model.synced();
        Ok(())
    }
}

pub(super) fn load<J: Journal>(journal: &mut J) -> Result<Contents, String> {
    let mut found = Contents::new();
    let each = &mut |scope, record| {
        found.entry(scope).or_default().push(record);
        Ok(())
    };
    journal.load(each).map_err(no("load"))?;
    Ok(found)
}

pub(super) fn names_are_kept<J: Journal>(open: Open<'_, J>) -> Seen {
    let first = Life::first(open)?;
    let name = first.journal.id();
    ensure(first.boot.journal == name, || "begin_life and id() tell different names".into())?;
    let second = first.next(open)?;
    ensure(second.journal.id() == name, || "the name changed at a restart".into())?;
    drop(second);
    let other = Life::first(open)?;
    ensure(other.journal.id() != name, || "two journals have the same name".into())
}

pub(super) fn every_life_counts<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    for n in 0..6 {
        // Not a single sync here: begin_life itself is durable. Lives with records count the same.
        if n >= 3 {
            life.append(scope(1), "record")?;
        }
        life = life.next(open)?;
    }
    Ok(())
}

pub(super) fn misuse_changes_nothing<J: Journal>(open: Open<'_, J>) -> Seen {
    let mut life = Life::first(open)?;
    for n in 0..4 {
        life.append(scope(1), format!("record {n}"))?;
    }
    life.sync()?;
    life = refused(life, open, scope(1), 5, "beyond what was appended")?;
    life = refused(life, open, scope(2), 1, "of a scope without records")?;
    life.append(scope(1), "record 4")?;
    life.compact(scope(1), 3, vec!["base".into()])?;
    life.sync()?;
    life = refused(life, open, scope(1), 2, "below the last one")?;

    let mut calls = 0;
    let refusal = life.journal.load(&mut |_, _| {
        calls += 1;
        Err(Corrupt::new("not mine"))
    });
    ensure(matches!(&refusal, Err(JournalError::Corrupt(why)) if why.0 == "not mine"), || {
        format!("load returned {refusal:?} where the reader refused")
    })?;
    ensure(calls == 1, || format!("{calls} records were handed out after the first was refused"))
}

/// A compaction that must not be asked for: an assertion or an error, and no trace of it afterwards.
fn refused<J: Journal>(
    mut life: Life<J>,
    open: Open<'_, J>,
    scope: ScopeId,
    upto: u64,
    what: &str,
) -> Result<Life<J>, String> {
    let base = vec![Bytes::from_static(b"misuse")];
    let asked = catch_unwind(AssertUnwindSafe(|| life.journal.compact(scope, Mark(upto), base)));
    ensure(!matches!(asked, Ok(Ok(()))), || format!("a compaction {what} was taken"))?;
    // Whether it still syncs is its own affair; what is on disk afterwards is not.
    let _ = catch_unwind(AssertUnwindSafe(|| life.journal.sync()));
    life.next(open)
}

pub(super) fn a_failed_sync_poisons<J: Journal>(mut journal: J, fail: impl FnOnce()) -> Seen {
    journal.begin_life().map_err(no("begin_life"))?;
    journal.append(scope(1), Bytes::from_static(b"kept")).map_err(no("append"))?;
    journal.sync().map_err(no("sync"))?;
    journal.append(scope(1), Bytes::from_static(b"lost, perhaps")).map_err(no("append"))?;
    fail();
    ensure(journal.sync().is_err(), || "the sync that was made to fail returned Ok".into())?;
    let poisoned = |asked: Result<(), JournalError>, what| {
        ensure(matches!(asked, Err(JournalError::Poisoned)), || {
            format!("{what} after a failed sync answered {asked:?}")
        })
    };
    poisoned(journal.sync(), "sync")?;
    poisoned(journal.append(scope(1), Bytes::new()), "append")?;
    poisoned(journal.compact(scope(1), Mark(1), Vec::new()), "compact")?;
    poisoned(journal.sync(), "a second sync")?;
    poisoned(journal.begin_life().map(drop), "begin_life")
}
