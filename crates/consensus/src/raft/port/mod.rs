//! The application's half of Raft: state machine, promises, readers, sessions, decider.
//!
//! **Invariants.** Entries are applied in order, each once. While a job has the state machine nobody else
//! sees it. After a start nothing is applied or read before the snapshot is restored. Every promise is settled
//! once, whatever happens.

mod ask;
mod handle;
mod machine;
mod promises;
mod sessions;

pub use ask::{RaftNotice, RaftStatus, Read};
pub use handle::{RaftHandle, Session};
pub use sessions::SessionId;

use super::{Batch, Cmd, Event, Index, LogId, Raft, RaftConfig, Snapshot};
use ask::{Ask, Reader};
use bytes::Bytes;
use machine::{Machine, Outcome};
use promises::{Promises, Waiter, reason};
use quorate_core::{
    Answer, Corrupt, Decider, Failure, Job, JobPanic, NoDecider, Port, PortCx, Reason, StateMachine, Time,
};
use sessions::Envelope;
use std::collections::VecDeque;

/// Entries of one apply job: short enough for reads to come in between.
const APPLY_BYTES: usize = 1 << 20;

/// Holds a [`StateMachine`], and what its leader decides, behind a [`Raft`].
pub struct RaftPort<S: StateMachine, D: Decider<S> = NoDecider> {
    /// At home; `None` while a job has it.
    machine: Option<Machine<S>>,
    decider: D,
    config: RaftConfig,
    promises: Promises<S::Reply>,
    next_request: u64,
    /// Linearizable reads whose round is not confirmed, by request.
    unconfirmed: VecDeque<(u64, Reader<S>)>,
    /// Reads that wait for an index to be applied.
    confirmed: Vec<(Index, Reader<S>)>,
    committed: Index,
    /// A snapshot to be put in place, and whether Raft waits for an answer.
    incoming: Option<(Snapshot, bool)>,
    log_bytes_applied: usize,
    serialising: bool,
    leading: Option<Leading>,
    poisoned: Option<String>,
}

/// A term led by this replica.
struct Leading {
    term: u64,
    /// Once this is applied, so is everything committed before the term.
    first: Index,
    ready: bool,
}

enum Done<S: StateMachine> {
    Applied { machine: Machine<S>, outcomes: Vec<(LogId, Outcome<S::Reply>)>, bytes: usize },
    Thawed { machine: Machine<S>, at: LogId, result: Result<(), Corrupt>, answer: bool },
    Serialised { at: LogId, data: Option<Bytes> },
}

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    /// A port around a state machine in its first state.
    pub fn new(state: S, decider: D, config: RaftConfig) -> Self {
        let (sessions_max, session_window) = (config.sessions_max, config.session_window);
        let sessions = sessions::Sessions::default();
        RaftPort {
            machine: Some(Machine { state, sessions, applied: LogId::ZERO, sessions_max, session_window }),
            decider,
            config,
            promises: Promises::new(),
            next_request: 1,
            unconfirmed: VecDeque::new(),
            confirmed: Vec::new(),
            committed: 0,
            incoming: None,
            log_bytes_applied: 0,
            serialising: false,
            leading: None,
            poisoned: None,
        }
    }

    /// The state and the last entry applied to it, unless a job has it at the moment.
    pub fn state(&self) -> Option<(&S, LogId)> {
        self.machine.as_ref().map(|machine| (&machine.state, machine.applied))
    }

    /// Why the scope takes nothing any more, if it does not.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// What a wire from another scope asks to tell the decider something that is not in the log.
    pub fn hints(hints: Vec<D::Hint>) -> <Self as Port<Raft>>::Ask {
        Ask::Hints(hints)
    }

    /// The decider, to look at.
    pub fn decider(&self) -> &D {
        &self.decider
    }

    fn request(&mut self) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        request
    }

    fn propose(
        &mut self,
        envelope: Envelope,
        command: Option<&S::Command>,
        waiter: Waiter<S::Reply>,
        cx: &mut PortCx<'_, Raft>,
    ) {
        if self.promises.len() >= self.config.promises_max {
            return waiter.fail(Failure::Rejected(Reason::Busy));
        }
        let encoded = postcard::to_extend(&envelope, Vec::new()).and_then(|data| match command {
            Some(command) => postcard::to_extend(command, data),
            None => Ok(data),
        });
        let data = match encoded {
            Ok(data) => data,
            Err(why) => {
                let why = Reason::Refused(format!("the command cannot be encoded: {why}"));
                return waiter.fail(Failure::Rejected(why));
            }
        };
        let max = self.config.entry_bytes_max;
        if data.len() > max {
            return waiter.fail(Failure::Rejected(Reason::TooLarge { bytes: data.len(), max }));
        }
        let request = self.request();
        self.promises.asked(request, waiter, cx.now + self.config.request_timeout);
        cx.command(Cmd::Propose { request, data: data.into() });
    }

    fn read(&mut self, policy: Read, reader: Reader<S>, cx: &mut PortCx<'_, Raft>) {
        if self.unconfirmed.len() + self.confirmed.len() >= self.config.promises_max {
            return reader(Err(Reason::Busy));
        }
        match policy {
            // Not before the state machine is whole: what was committed when it stopped is applied first.
            Read::Local => {
                self.confirmed.push((0, reader));
                self.answer_reads();
            }
            Read::Linearizable => {
                let request = self.request();
                self.unconfirmed.push_back((request, reader));
                cx.command(Cmd::Read { request });
            }
        }
    }

    fn refuse_read(&mut self, request: u64, why: Reason) {
        if let Some(at) = self.unconfirmed.iter().position(|(number, _)| *number == request)
            && let Some((_, reader)) = self.unconfirmed.remove(at)
        {
            reader(Err(why));
        }
    }

    /// Answers the reads whose index is applied, if the state machine is at home and whole.
    fn answer_reads(&mut self) {
        if self.incoming.as_ref().is_some_and(|(_, answer)| !answer) {
            return;
        }
        let Some(machine) = &self.machine else { return };
        let applied = machine.applied.index;
        for (index, reader) in std::mem::take(&mut self.confirmed) {
            match index <= applied {
                true => reader(Ok(&machine.state)),
                false => self.confirmed.push((index, reader)),
            }
        }
    }

    /// Has the decider decide, if this replica leads, has applied what was committed before its term, and no
    /// decision is on its way.
    fn decide(&mut self, cx: &mut PortCx<'_, Raft>) {
        let (Some(leading), Some(machine)) = (&mut self.leading, &self.machine) else { return };
        if machine.applied.index < leading.first || self.promises.has_decisions() {
            return;
        }
        if !leading.ready {
            leading.ready = true;
            self.decider.lead(leading.term, &machine.state, cx.now);
            cx.notice(RaftNotice::Leading { term: leading.term });
        }
        let mut proposals = Vec::new();
        self.decider.decide(&machine.state, cx.now, cx.rng, &mut proposals);
        for command in proposals {
            self.propose(Envelope::Plain, Some(&command), Waiter::Decider, cx);
        }
    }

    /// The state changed: levels are published, reads answered, decisions made.
    fn after_change(&mut self, cx: &mut PortCx<'_, Raft>) {
        self.answer_reads();
        self.publish(cx);
        self.decide(cx);
    }

    fn publish(&mut self, cx: &mut PortCx<'_, Raft>) {
        if let Some(machine) = &self.machine {
            for notice in self.decider.publish(&machine.state) {
                cx.boxed_notice(notice);
            }
        }
    }

    fn retire(&mut self) {
        if self.leading.take().is_some() {
            self.decider.retire();
        }
        self.promises.retired(self.committed);
        for (_, reader) in std::mem::take(&mut self.unconfirmed) {
            reader(Err(Reason::LeadershipLost));
        }
    }

    fn poison(&mut self, why: String, cx: &mut PortCx<'_, Raft>) {
        let reason = Reason::Poisoned(why.clone());
        self.promises.fail_all(&reason);
        for (_, reader) in std::mem::take(&mut self.unconfirmed) {
            reader(Err(reason.clone()));
        }
        for (_, reader) in std::mem::take(&mut self.confirmed) {
            reader(Err(reason.clone()));
        }
        cx.notice(RaftNotice::Poisoned { why: why.clone() });
        self.poisoned = Some(why);
        // One that cannot apply should not lead.
        cx.command(Cmd::StepDown);
    }

    fn status(&self, raft: &Raft) -> RaftStatus {
        RaftStatus {
            node: raft.id(),
            term: raft.term(),
            leader: raft.leader(),
            leads: raft.is_leader(),
            voters: raft.voters().to_vec(),
            last: raft.last(),
            commit: raft.commit(),
            applied: self.machine.as_ref().map_or(LogId::ZERO, |machine| machine.applied),
            snapshot: raft.snapshot().map_or(LogId::ZERO, |snapshot| snapshot.last),
            log_bytes: raft.log().bytes(),
            waiting: self.promises.len() + self.unconfirmed.len() + self.confirmed.len(),
            sessions: self.machine.as_ref().map_or(0, |machine| machine.sessions.len()),
            poisoned: self.poisoned.clone(),
            counters: raft.counters(),
        }
    }

    /// A snapshot is taken once enough log was applied: the view is frozen here, serialised elsewhere.
    fn freeze(&mut self) -> Option<Job> {
        if self.serialising || self.log_bytes_applied < self.config.snapshot_log_bytes {
            return None;
        }
        let frozen = self.machine.as_ref()?.freeze();
        self.serialising = true;
        self.log_bytes_applied = 0;
        let without_sessions = self.without_sessions();
        Some(Job::pool(move |_| {
            let at = frozen.at;
            Done::<S>::Serialised { at, data: frozen.encode(without_sessions) }
        }))
    }

    fn without_sessions(&self) -> bool {
        #[cfg(feature = "mutations")]
        return self.config.mutation == Some(super::Mutation::SnapshotWithoutSessions);
        #[cfg(not(feature = "mutations"))]
        false
    }

    fn thaw(&mut self) -> Option<Job> {
        let machine = self.machine.take()?;
        let (snapshot, answer) = self.incoming.take()?;
        let at = snapshot.last;
        Some(Job::own(move |_| match machine.thaw(at, &snapshot.data) {
            Ok(machine) => Done::<S>::Thawed { machine, at, result: Ok(()), answer },
            Err(why) => Done::Thawed { machine, at, result: Err(why), answer },
        }))
    }

    fn apply(&mut self, raft: &Raft) -> Option<Job> {
        let applied = self.machine.as_ref()?.applied.index;
        if self.committed <= applied || raft.log().base().index > applied {
            return None;
        }
        let mut bytes = 0;
        let mut batches: Vec<Batch> = Vec::new();
        for batch in raft.log().batches_within(applied + 1, self.committed) {
            if bytes >= APPLY_BYTES {
                break;
            }
            bytes += batch.len();
            batches.push(batch.clone());
        }
        let upto = batches.last()?.last().min(self.committed);
        let wanted = self.promises.wanted(upto);
        let mut machine = self.machine.take()?;
        Some(Job::own(move |_| {
            let outcomes = machine.apply(&batches, upto, &wanted);
            Done::<S>::Applied { machine, outcomes, bytes }
        }))
    }
}

impl<S: StateMachine, D: Decider<S>> Port<Raft> for RaftPort<S, D> {
    type Ask = Ask<S, D>;

    fn ask(&mut self, ask: Ask<S, D>, cx: &mut PortCx<'_, Raft>) {
        if let Some(why) = self.poisoned.clone() {
            let why = Reason::Poisoned(why);
            return match ask {
                Ask::Propose { promise, .. } => promise.reject(why),
                Ask::Open { promise } => promise.reject(why),
                Ask::Read { reader, .. } => reader(Err(why)),
                Ask::StepDown { promise } => promise.reject(why),
                Ask::Status { promise } => promise.done(self.status(cx.protocol)),
                Ask::Hints(_) => {}
            };
        }
        match ask {
            Ask::Propose { envelope, command, promise } => {
                self.propose(envelope, Some(&command), Waiter::Reply(promise), cx)
            }
            Ask::Open { promise } => self.propose(Envelope::Open, None, Waiter::Opened(promise), cx),
            Ask::Read { policy, reader } => self.read(policy, reader, cx),
            Ask::Hints(hints) => {
                for hint in hints {
                    self.decider.hint(hint, cx.now);
                }
                self.decide(cx);
            }
            Ask::Status { promise } => promise.done(self.status(cx.protocol)),
            Ask::StepDown { promise } => {
                cx.command(Cmd::StepDown);
                promise.done(());
            }
        }
    }

    fn event(&mut self, event: Event, cx: &mut PortCx<'_, Raft>) {
        match event {
            Event::Placed { request, placed } => {
                self.promises.placed(request, placed);
            }
            Event::Committed { upto } => self.committed = self.committed.max(upto),
            Event::ReadReady { index, requests } => {
                for request in requests {
                    if let Some(at) = self.unconfirmed.iter().position(|(number, _)| *number == request)
                        && let Some((_, reader)) = self.unconfirmed.remove(at)
                    {
                        self.confirmed.push((index, reader));
                    }
                }
                self.answer_reads();
            }
            Event::ReadRefused { request, why } => self.refuse_read(request, reason(why)),
            Event::Restore(snapshot) => {
                self.committed = self.committed.max(snapshot.last.index);
                self.incoming = Some((snapshot, false));
            }
            Event::Install(snapshot) => self.incoming = Some((snapshot, true)),
            Event::Elected { term, first } => {
                self.leading = Some(Leading { term, first, ready: false });
                cx.notice(RaftNotice::Elected { term });
            }
            Event::Retired { term } => {
                self.retire();
                cx.notice(RaftNotice::Retired { term });
                self.publish(cx);
            }
            Event::Following { term, leader } => cx.notice(RaftNotice::Following { term, leader }),
        }
    }

    fn job(&mut self, raft: &Raft) -> Option<Job> {
        if self.poisoned.is_some() {
            return None;
        }
        if self.incoming.is_some() {
            return self.thaw();
        }
        self.freeze().or_else(|| self.apply(raft))
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, cx: &mut PortCx<'_, Raft>) {
        let done = match answer {
            Ok(answer) => answer.downcast::<Done<S>>(),
            Err(JobPanic(why)) => return self.poison(why, cx),
        };
        let Ok(done) = done else { return };
        match *done {
            Done::Applied { machine, outcomes, bytes } => {
                let applied = machine.applied.index;
                self.machine = Some(machine);
                self.log_bytes_applied += bytes;
                self.promises.applied(applied, outcomes);
                self.after_change(cx);
            }
            Done::Thawed { machine, at, result, answer } => {
                let ok = result.is_ok();
                self.machine = Some(machine);
                match result {
                    Ok(()) => {
                        self.promises.skipped(at.index);
                        self.committed = self.committed.max(at.index);
                        self.log_bytes_applied = 0;
                    }
                    // At a start there is no state before that could stay.
                    Err(why) if !answer => return self.poison(why.to_string(), cx),
                    Err(why) => cx.notice(RaftNotice::NotInstalled { why: why.to_string() }),
                }
                if answer {
                    cx.command(Cmd::Installed { ok });
                    if ok {
                        cx.notice(RaftNotice::Installed { at });
                    }
                }
                self.after_change(cx);
            }
            Done::Serialised { at, data } => {
                self.serialising = false;
                if let Some(data) = data {
                    cx.notice(RaftNotice::Compacted { at, bytes: data.len() });
                    cx.command(Cmd::Snapshot { at, data });
                }
            }
        }
    }

    fn wake_at(&self) -> Time {
        let decides = self.leading.as_ref().is_some_and(|leading| leading.ready)
            && self.machine.is_some()
            && !self.promises.has_decisions();
        let decider = if decides { self.decider.wake_at() } else { Time::NEVER };
        self.promises.deadline().min(decider)
    }

    fn wake(&mut self, cx: &mut PortCx<'_, Raft>) {
        self.promises.expire(cx.now);
        self.decide(cx);
    }

    fn stop(&mut self) {
        self.promises.fail_all(&Reason::Stopped);
        let unconfirmed = std::mem::take(&mut self.unconfirmed).into_iter().map(|(_, reader)| reader);
        let confirmed = std::mem::take(&mut self.confirmed).into_iter().map(|(_, reader)| reader);
        for reader in unconfirmed.chain(confirmed) {
            reader(Err(Reason::Stopped));
        }
    }
}

impl<S: StateMachine, D: Decider<S>> std::fmt::Debug for RaftPort<S, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RaftPort(committed {}, {} waiting)", self.committed, self.promises.len())
    }
}
