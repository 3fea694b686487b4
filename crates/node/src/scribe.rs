//! Writes the journal, on the lane or on a thread of its own. It decides nothing: when to sync is the rule of
//! [`quorate_core::Turn`], and a failure ends the node.

use crate::bell::Bell;
use crate::shared::Worker;
use crate::{JournalMode, StartError};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use quorate_core::{Mark, NodeId, ScopeId};
use quorate_journal::{Journal, JournalError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Inline, one sync in so many is measured: two looks at the clock would cost as much as the rest of it.
const MEASURED_INLINE: u64 = 64;

/// The lane's side of the journal.
pub(crate) enum Scribe {
    Inline { journal: Box<dyn Journal>, syncs: u64 },
    Thread(Remote),
}

/// What a sync came to.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) mark: Mark,
    /// How long writing and syncing took, where it was measured.
    pub(crate) took: Option<Duration>,
}

/// What became of a commit.
pub(crate) enum Commit {
    /// Nothing to sync, or it is under way.
    Later,
    Done(Synced),
}

pub(crate) struct Remote {
    orders: Sender<Order>,
    answers: Receiver<Result<Answer, String>>,
    /// What was written since the last order, in order.
    writes: Vec<Write>,
    /// The vector that comes and goes, so that none is allocated.
    spare: Vec<Write>,
    /// An order is out. There is never a second one: what comes meanwhile shares the next sync.
    out: bool,
}

enum Write {
    Append(ScopeId, Bytes),
    Compact(ScopeId, Mark, Vec<Bytes>),
}

struct Order {
    writes: Vec<Write>,
    sync: Option<Mark>,
}

struct Answer {
    synced: Option<Synced>,
    spare: Vec<Write>,
}

impl Scribe {
    /// Takes the journal over. After `killed` is set nothing more is written or synced.
    pub(crate) fn new(
        mode: JournalMode,
        journal: Box<dyn Journal>,
        node: NodeId,
        bell: Bell,
        killed: Arc<AtomicBool>,
    ) -> Result<(Scribe, Option<Worker>), StartError> {
        if mode == JournalMode::Inline {
            return Ok((Scribe::Inline { journal, syncs: 0 }, None));
        }
        let (orders, taken) = bounded(1);
        let (answer, answers) = bounded(1);
        let worker =
            Worker::spawn(node, "journal", move || write_all(journal, &taken, &answer, &bell, &killed))?;
        let remote = Remote { orders, answers, writes: Vec::new(), spare: Vec::new(), out: false };
        Ok((Scribe::Thread(remote), Some(worker)))
    }

    pub(crate) fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), String> {
        match self {
            Scribe::Inline { journal, .. } => journal.append(scope, record).map_err(text),
            Scribe::Thread(remote) => {
                remote.writes.push(Write::Append(scope, record));
                Ok(())
            }
        }
    }

    pub(crate) fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), String> {
        match self {
            Scribe::Inline { journal, .. } => journal.compact(scope, upto, base).map_err(text),
            Scribe::Thread(remote) => {
                remote.writes.push(Write::Compact(scope, upto, base));
                Ok(())
            }
        }
    }

    /// Whether [`Scribe::commit`] may be called.
    pub(crate) fn is_free(&self) -> bool {
        match self {
            Scribe::Inline { .. } => true,
            Scribe::Thread(remote) => !remote.out,
        }
    }

    /// Whether nothing is under way and nothing waits to be written.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Scribe::Inline { .. } => true,
            Scribe::Thread(remote) => !remote.out && remote.writes.is_empty(),
        }
    }

    /// Writes out what waits, and syncs it if there is a mark to reach.
    pub(crate) fn commit(&mut self, sync: Option<Mark>) -> Result<Commit, String> {
        match self {
            Scribe::Inline { journal, syncs } => {
                let Some(mark) = sync else { return Ok(Commit::Later) };
                let began = (*syncs % MEASURED_INLINE == 0).then(Instant::now);
                *syncs += 1;
                journal.sync().map_err(text)?;
                Ok(Commit::Done(Synced { mark, took: began.map(|began| began.elapsed()) }))
            }
            Scribe::Thread(remote) => {
                assert!(!remote.out, "a second order to the journal");
                if remote.writes.is_empty() && sync.is_none() {
                    return Ok(Commit::Later);
                }
                let writes = std::mem::replace(&mut remote.writes, std::mem::take(&mut remote.spare));
                // There is room: the last order was answered.
                remote.orders.send(Order { writes, sync }).map_err(|_| gone())?;
                remote.out = true;
                Ok(Commit::Later)
            }
        }
    }

    /// What came back from the journal's thread.
    pub(crate) fn poll(&mut self) -> Result<Option<Synced>, String> {
        let Scribe::Thread(remote) = self else { return Ok(None) };
        if !remote.out {
            return Ok(None);
        }
        match remote.answers.try_recv() {
            Ok(answer) => {
                let answer = answer?;
                remote.out = false;
                remote.spare = answer.spare;
                Ok(answer.synced)
            }
            Err(crossbeam_channel::TryRecvError::Empty) => Ok(None),
            Err(crossbeam_channel::TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

fn text(error: JournalError) -> String {
    error.to_string()
}

fn gone() -> String {
    "its thread is gone".into()
}

/// The journal's thread: until the lane is gone or the journal fails.
fn write_all(
    mut journal: Box<dyn Journal>,
    orders: &Receiver<Order>,
    answers: &Sender<Result<Answer, String>>,
    bell: &Bell,
    killed: &AtomicBool,
) {
    while let Ok(order) = orders.recv() {
        // A journal of somebody else's may assert. That is a failure like any other: the node is told.
        let answer = catch_unwind(AssertUnwindSafe(|| carry_out(&mut *journal, order, killed)));
        let answer = answer.unwrap_or_else(|panic| Err(crate::panic_text(&*panic)));
        let failed = answer.is_err();
        if answers.send(answer).is_err() {
            return;
        }
        bell.ring();
        if failed {
            return;
        }
    }
}

fn carry_out(journal: &mut dyn Journal, mut order: Order, killed: &AtomicBool) -> Result<Answer, String> {
    let alive = || if killed.load(Ordering::Acquire) { Err("killed".to_owned()) } else { Ok(()) };
    let began = Instant::now();
    for write in order.writes.drain(..) {
        alive()?;
        match write {
            Write::Append(scope, record) => journal.append(scope, record).map_err(text)?,
            Write::Compact(scope, upto, base) => journal.compact(scope, upto, base).map_err(text)?,
        }
    }
    let synced = match order.sync {
        Some(mark) => {
            alive()?;
            journal.sync().map_err(text)?;
            Some(Synced { mark, took: Some(began.elapsed()) })
        }
        None => None,
    };
    Ok(Answer { synced, spare: order.writes })
}
