//! Runs jobs: on the lane, or on threads. A scope's own jobs run in order, one at a time; pool jobs anywhere.

use crate::bell::Bell;
use crate::shared::Worker;
use crate::{Jobs, StartError};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use quorate_core::{Answer, Blobs, Job, JobKind, JobPanic, NodeId, ScopeId};
use quorate_journal::Journal;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A job that ended.
pub(crate) struct Ended {
    pub(crate) scope: ScopeId,
    pub(crate) answer: Result<Answer, JobPanic>,
    kind: JobKind,
}

pub(crate) enum Crew {
    Inline { blobs: Box<dyn Blobs>, waiting: VecDeque<(ScopeId, Job)> },
    Threads(Pool),
}

pub(crate) struct Pool {
    /// Room for one job a thread, so that a thread that ends one finds the next without a hop.
    jobs: Sender<(ScopeId, Job)>,
    /// Unbounded, but never more than are out.
    ended: Receiver<Ended>,
    waiting: VecDeque<(ScopeId, Job)>,
    waiting_max: usize,
    /// Scopes whose own job is out.
    own_out: Vec<ScopeId>,
    out: usize,
    out_max: usize,
    closed: Arc<AtomicBool>,
}

impl Crew {
    /// Each thread gets its own way to the journal's objects.
    pub(crate) fn new(
        jobs: Jobs,
        waiting_max: usize,
        journal: &dyn Journal,
        node: NodeId,
        bell: &Bell,
    ) -> Result<(Crew, Vec<Worker>), StartError> {
        let Jobs::Threads(threads) = jobs else {
            return Ok((Crew::Inline { blobs: journal.blobs(), waiting: VecDeque::new() }, Vec::new()));
        };
        let (jobs, taken) = bounded(threads.get());
        let (end, ended) = unbounded();
        let closed = Arc::new(AtomicBool::new(false));
        // Made before the threads: if one cannot be spawned, dropping the pool lets the others go.
        let pool = Pool {
            jobs,
            ended,
            waiting: VecDeque::new(),
            waiting_max,
            own_out: Vec::new(),
            out: 0,
            out_max: threads.get().saturating_mul(2),
            closed: closed.clone(),
        };
        let mut workers = Vec::new();
        for _ in 0..threads.get() {
            let (taken, end, bell, closed) = (taken.clone(), end.clone(), bell.clone(), closed.clone());
            let mut blobs = journal.blobs();
            workers.push(Worker::spawn(node, "job", move || {
                run_all(&mut *blobs, &taken, &end, &bell, &closed)
            })?);
        }
        Ok((Crew::Threads(pool), workers))
    }

    /// Takes a job over.
    pub(crate) fn push(&mut self, scope: ScopeId, job: Job) {
        match self {
            Crew::Inline { waiting, .. } => waiting.push_back((scope, job)),
            Crew::Threads(pool) => {
                pool.waiting.push_back((scope, job));
                pool.hand_out();
            }
        }
    }

    /// The next job that ended. Inline: runs it, here.
    pub(crate) fn next_ended(&mut self) -> Option<Ended> {
        match self {
            Crew::Inline { blobs, waiting } => {
                let (scope, job) = waiting.pop_front()?;
                let kind = job.kind();
                Some(Ended { scope, answer: job.run(&mut **blobs), kind })
            }
            Crew::Threads(pool) => {
                if pool.out == 0 {
                    return None;
                }
                let ended = pool.ended.try_recv().ok()?;
                pool.out -= 1;
                if ended.kind == JobKind::Own {
                    pool.own_out.retain(|scope| *scope != ended.scope);
                }
                pool.hand_out();
                Some(ended)
            }
        }
    }

    /// Whether jobs can be finished now, without waiting for anything.
    pub(crate) fn has_inline_work(&self) -> bool {
        matches!(self, Crew::Inline { waiting, .. } if !waiting.is_empty())
    }

    /// Whether as many wait as may.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Crew::Threads(pool) if pool.waiting.len() >= pool.waiting_max)
    }

    /// Jobs on threads.
    pub(crate) fn out(&self) -> usize {
        match self {
            Crew::Inline { .. } => 0,
            Crew::Threads(pool) => pool.out,
        }
    }

    /// Jobs that wait for a thread or for the job before them.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Crew::Inline { waiting, .. } => waiting.len(),
            Crew::Threads(pool) => pool.waiting.len(),
        }
    }
}

impl Pool {
    /// Gives the threads what may run now, in order.
    fn hand_out(&mut self) {
        let mut at = 0;
        while self.out < self.out_max && at < self.waiting.len() {
            let (scope, job) = &self.waiting[at];
            let own = job.kind() == JobKind::Own;
            if own && self.own_out.contains(scope) {
                at += 1;
                continue;
            }
            let Some((scope, job)) = self.waiting.remove(at) else { return };
            // At most as many are out as threads and queue hold between them, unless a thread has taken
            // nothing yet: then it waits its turn here.
            if let Err(refused) = self.jobs.try_send((scope, job)) {
                self.waiting.insert(at, refused.into_inner());
                return;
            }
            self.out += 1;
            if own {
                self.own_out.push(scope);
            }
        }
    }
}

impl Drop for Pool {
    /// A channel keeps what is queued; a job that was queued when its node ended must not run.
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// A job thread: until the lane is gone.
fn run_all(
    blobs: &mut dyn Blobs,
    jobs: &Receiver<(ScopeId, Job)>,
    ended: &Sender<Ended>,
    bell: &Bell,
    closed: &AtomicBool,
) {
    while let Ok((scope, job)) = jobs.recv() {
        if closed.load(Ordering::Acquire) {
            continue;
        }
        let kind = job.kind();
        let answer = job.run(blobs);
        if ended.send(Ended { scope, answer, kind }).is_err() {
            return;
        }
        bell.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::JournalId;
    use quorate_journal::MemoryDisk;
    use std::num::NonZeroUsize;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_second_own_job_of_a_scope_waits_even_if_its_port_hands_it_out_too_early() {
        let journal = MemoryDisk::new(JournalId(1)).open();
        let (bell, threads) = (Bell::new(), Jobs::Threads(NonZeroUsize::MIN.saturating_add(1)));
        let (mut crew, workers) = Crew::new(threads, 10, &journal, NodeId(1), &bell).expect("threads");
        let (release, released) = channel::<()>();
        let (ran, first) = channel();
        let again = ran.clone();
        crew.push(
            ScopeId(1),
            Job::own(move |_| {
                released.recv_timeout(PATIENCE).expect("it is released");
                ran.send(1).expect("somebody waits");
            }),
        );
        crew.push(ScopeId(1), Job::own(move |_| again.send(2).expect("somebody waits")));
        crew.push(ScopeId(2), Job::own(|_| ()));
        assert_eq!((crew.out(), crew.waiting()), (2, 1), "the other scope's passes it");
        release.send(()).expect("it waits");
        assert_eq!(first.recv_timeout(PATIENCE), Ok(1));
        while crew.next_ended().is_none() || crew.waiting() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(first.recv_timeout(PATIENCE), Ok(2));
        drop(crew);
        for worker in workers {
            worker.join(NodeId(1), std::time::Instant::now() + PATIENCE);
        }
    }
}
