//! The application's half of Raft: state machine, promises, readers, sessions, decider.
//!
//! **Invariants.** Entries are applied in order, each once. While a job has the state machine nobody else
//! sees it. After a start nothing is applied or read before the snapshot is restored. Every promise is settled
//! once, whatever happens.

mod ask;
mod changing;
mod deciding;
mod folded;
mod gathering;
mod handle;
mod handover;
mod jobs;
mod leaderless;
mod machine;
mod objects;
mod one;
mod promises;
mod propose;
mod reads;
mod sessions;
mod stream;
mod taking;
mod through_leader;
mod witness;

pub(crate) use ask::Ask;
pub use ask::{NotTaken, QuorumReport, RaftNotice, RaftStatus, Read};
pub(crate) use folded::FoldedPort;
pub use handle::{RaftHandle, Session};
pub use sessions::SessionId;
pub use witness::{Stateless, WitnessHandle};

use super::{Cmd, Event, Index, LogId, NotRestored, Raft, RaftConfig, Snapshot, Term};
use ask::Reader;
use changing::Changing;
use gathering::Gathering;
use handover::Handover;
use leaderless::{Leaderless, Request};
use machine::{Frozen, Machine, Outcome, Unthawed};
use objects::{Errand, Errands, Objects};
use promises::{Promises, Waiter, reason};
use quorate_core::{
    Alarm, Answer, Decider, Job, JobPanic, NoDecider, Port, PortCx, Reason, ScopeId, StateMachine, Time,
};
use sessions::{Bounds, Envelope, Sessions};
use std::collections::VecDeque;
use std::sync::Arc;
use taking::Failures;
use through_leader::ThroughLeader;

/// Entries of one apply job: short enough for reads to come in between.
const APPLY_BYTES: usize = 1 << 20;

/// Why a founding comes to nothing.
const ONLY_WITNESSES: &str = "all founders are witnesses, and nobody could lead: empty their directories and found with one that has state";

/// Holds a [`StateMachine`], and what its leader decides, behind a [`Raft`].
pub struct RaftPort<S: StateMachine, D: Decider<S> = NoDecider> {
    /// At home; `None` while a job has it.
    machine: Option<Machine<S>>,
    /// How far it had come when a job took it, and how many sessions were open.
    lent: (LogId, usize),
    decider: D,
    config: Arc<RaftConfig>,
    promises: Promises<S::Reply>,
    /// What waits until somebody is known to lead.
    leaderless: Leaderless<S>,
    gathering: Gathering,
    handover: Handover,
    changing: Changing,
    next_read: u64,
    /// Linearizable reads whose round is not confirmed, by request.
    unconfirmed: VecDeque<(u64, Reader<S>)>,
    through_leader: ThroughLeader<S>,
    /// Reads that wait for an index to be applied, each with the end of its patience.
    confirmed: Vec<(Index, Time, Reader<S>)>,
    /// No later than the first of these ends.
    confirmed_until: Time,
    /// Local reads that came before it was known how far this replica had been before it was restarted.
    early: VecDeque<(Time, Reader<S>)>,
    /// The state machine is whole once this is applied.
    whole: Option<Index>,
    committed: Index,
    /// Up to where entries were given to be applied.
    handed: Index,
    /// A snapshot to be put in place, and whether Raft waits for an answer.
    incoming: Option<(Snapshot, bool)>,
    /// The snapshot to begin with, while its disk refuses to read it, and when it is asked again. Nothing is applied before.
    postponed: Option<(Time, Snapshot)>,
    /// Bytes and entries of log that were applied since the last snapshot.
    applied_since: (usize, u64),
    /// The last snapshot turned out to be damaged.
    snapshot_lost: bool,
    /// The one that is made takes the place of a damaged one.
    renews: bool,
    /// When that is tried again, as it could not be written.
    renew_at: Time,
    /// Under which this scope's objects are kept.
    scope: ScopeId,
    objects: Objects,
    /// A view that no job serialises yet, and the number of the object that it becomes.
    frozen: Option<(Frozen<S::Frozen>, u64)>,
    serialising: bool,
    /// Snapshots that could not be taken, if there are any.
    not_taken: Option<Box<Failures>>,
    leading: Option<Leading>,
    /// The term of the last leader that was known.
    led: Term,
    poisoned: Option<String>,
}

/// A term led by this replica.
struct Leading {
    term: u64,
    /// Once this is applied, so is everything committed before the term.
    first: Index,
    ready: bool,
}

/// Runs the application's code outside a job; a panic there is no panic of the node. What it had half changed
/// is not used any more.
pub(crate) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
    })
}

enum Done<S: StateMachine> {
    Applied { machine: Machine<S>, outcomes: Vec<(LogId, Outcome<S::Reply>)>, bytes: usize, entries: u64 },
    Thawed { machine: Machine<S>, snapshot: Snapshot, result: Result<(), Unthawed>, answer: bool },
    Frozen { machine: Machine<S>, frozen: Frozen<S::Frozen>, blob: u64 },
    Serialised { at: LogId, blob: u64, written: Result<(u64, u32), NotTaken> },
}

impl<S: StateMachine, D: Decider<S>> RaftPort<S, D> {
    /// A port around a state machine in its first state.
    pub fn new(state: S, decider: D, config: impl Into<Arc<RaftConfig>>) -> Self {
        let sessions = Sessions::default();
        RaftPort::around(Some(Machine { state, sessions, applied: LogId::ZERO }), decider, config.into())
    }

    /// A port whose state machine is lost already; whoever makes it says why.
    pub(crate) fn without_state(decider: D, config: impl Into<Arc<RaftConfig>>) -> Self {
        RaftPort::around(None, decider, config.into())
    }

    fn around(machine: Option<Machine<S>>, decider: D, config: Arc<RaftConfig>) -> Self {
        RaftPort {
            machine,
            lent: (LogId::ZERO, 0),
            decider,
            config,
            promises: Promises::new(),
            leaderless: Leaderless::new(),
            gathering: Gathering::default(),
            handover: Handover::default(),
            changing: Changing::default(),
            next_read: 0,
            unconfirmed: VecDeque::new(),
            through_leader: ThroughLeader::new(),
            confirmed: Vec::new(),
            confirmed_until: Time::NEVER,
            early: VecDeque::new(),
            whole: None,
            committed: 0,
            handed: 0,
            incoming: None,
            postponed: None,
            applied_since: (0, 0),
            snapshot_lost: false,
            renews: false,
            renew_at: Time::NEVER,
            scope: ScopeId(0),
            objects: Objects::default(),
            frozen: None,
            serialising: false,
            not_taken: None,
            leading: None,
            led: 0,
            poisoned: None,
        }
    }

    /// The state and the last entry applied to it, unless a job has it at the moment.
    pub fn state(&self) -> Option<(&S, LogId)> {
        self.machine.as_ref().map(|machine| (&machine.state, machine.applied))
    }

    /// The state machine, for a job. How far it is meanwhile is still known.
    fn lend(&mut self) -> Option<Machine<S>> {
        let machine = self.machine.take()?;
        self.lent = (machine.applied, machine.sessions.len());
        Some(machine)
    }

    /// Why the scope takes nothing any more, if it does not.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Whether a view of its state waits to be serialised.
    pub(crate) fn holds_view(&self) -> bool {
        self.frozen.is_some()
    }

    /// What a wire from another scope asks to tell the decider something that is not in the log.
    pub fn hints(hints: Vec<D::Hint>) -> <Self as Port<Raft>>::Ask {
        Ask::Hints(hints)
    }

    /// The decider, to look at.
    pub fn decider(&self) -> &D {
        &self.decider
    }

    /// A leader of this term is known. What an earlier one was asked it will not answer any more.
    fn led(&mut self, term: Term, cx: &mut PortCx<'_, Raft>) {
        if term > self.led {
            self.led = term;
            self.promises.passed_over(self.gathering.first());
            self.through_leader.ask_anew(cx.now);
            self.propose_again(cx);
        }
        self.end_leaderless(cx);
    }

    fn retire(&mut self, cx: &mut PortCx<'_, Raft>) {
        let led = self.leading.take().is_some_and(|leading| leading.ready);
        if led && let Err(why) = guarded(|| self.decider.retire()) {
            self.poison(why, cx);
        }
        self.changing.waiting.fail(&Reason::LeadershipLost);
        self.promises.retired(self.committed);
        self.propose_again(cx);
        self.through_leader.ask_anew(cx.now);
        for (_, reader) in std::mem::take(&mut self.unconfirmed) {
            reader(Err(Reason::LeadershipLost));
        }
    }

    fn settle_all(&mut self, reason: &Reason) {
        self.promises.fail_all(reason);
        self.leaderless.fail_all(reason);
        self.handover.0.fail(reason);
        self.changing.waiting.fail(reason);
        self.through_leader.fail_all(reason);
        let unconfirmed = std::mem::take(&mut self.unconfirmed).into_iter().map(|(_, reader)| reader);
        let confirmed = std::mem::take(&mut self.confirmed).into_iter().map(|(_, _, reader)| reader);
        let early = std::mem::take(&mut self.early).into_iter().map(|(_, reader)| reader);
        for reader in unconfirmed.chain(confirmed).chain(early) {
            reader(Err(reason.clone()));
        }
    }

    fn poison(&mut self, why: String, cx: &mut PortCx<'_, Raft>) {
        if self.poisoned.is_some() {
            return;
        }
        self.poisoned = Some(why.clone());
        self.gathering.forget();
        self.settle_all(&Reason::Poisoned(why.clone()));
        cx.notice(RaftNotice::Poisoned { why });
        // One that cannot apply should not lead, and restores nothing.
        cx.command(Cmd::Abstain);
        cx.command(Cmd::Installed { result: Err(NotRestored::Unfit) });
    }
}

impl<S: StateMachine, D: Decider<S>> Port<Raft> for RaftPort<S, D> {
    type Ask = Ask<S, D>;

    fn placed(&mut self, scope: ScopeId) {
        self.scope = scope;
    }

    fn ask(&mut self, ask: Ask<S, D>, cx: &mut PortCx<'_, Raft>) {
        if let Some(why) = self.poisoned.clone() {
            return match ask {
                Ask::Status { promise } => promise.done(self.status(cx.protocol)),
                ask => ask.reject(Reason::Poisoned(why)),
            };
        }
        self.end_leaderless(cx);
        match ask {
            Ask::Propose { envelope, command, promise } => {
                self.propose(envelope, Some(&command), Waiter::Reply(promise), cx)
            }
            Ask::Open { promise } => {
                let RaftConfig { sessions_max, session_window: window, .. } = *self.config;
                let envelope = Envelope::Open(Bounds { sessions_max, window });
                self.propose(envelope, None, Waiter::Opened(promise), cx)
            }
            Ask::Read { policy, reader } => self.read(policy, reader, cx),
            Ask::Hints(hints) => {
                let told = guarded(|| hints.into_iter().for_each(|hint| self.decider.hint(hint, cx.now)));
                match told {
                    Ok(()) => self.decide(cx),
                    Err(why) => self.poison(why, cx),
                }
            }
            Ask::Status { promise } => promise.done(self.status(cx.protocol)),
            Ask::Leader { promise } => match cx.protocol.leader() {
                Some(leader) => promise.done(leader),
                None if self.leaderless.len() >= self.config.promises_max => promise.reject(Reason::Busy),
                None => self.leaderless.wonder(promise, cx.now + self.config.request_timeout),
            },
            Ask::Verify { promise } => self.verify_quorum(promise, cx),
            Ask::Transfer { to, promise } => self.transfer(to, promise, cx),
            Ask::Change { change, promise } => self.change(change, promise, cx),
            Ask::StepDown { promise } => {
                cx.command(Cmd::StepDown);
                promise.done(());
            }
        }
    }

    fn event(&mut self, event: Event, cx: &mut PortCx<'_, Raft>) {
        match event {
            Event::Placed { first, count, placed } => {
                self.promises.placed(first, count, placed, self.handed);
                self.propose_again(cx);
            }
            Event::CaughtUp { upto } => {
                self.whole = Some(upto);
                for (until, reader) in std::mem::take(&mut self.early) {
                    self.await_index(upto, until, reader);
                }
                self.answer_reads();
            }
            Event::Committed { upto } => self.committed = self.committed.max(upto),
            Event::ReadReady { index, requests } => {
                for request in requests {
                    if self.leader_answered(request, index) {
                        continue;
                    }
                    if let Some(at) = self.unconfirmed.iter().position(|(number, _)| *number == request)
                        && let Some((_, reader)) = self.unconfirmed.remove(at)
                    {
                        self.await_index(index, cx.now + self.config.request_timeout, reader);
                    }
                }
                self.answer_reads();
            }
            Event::ReadRefused { request, why } => {
                if !self.leader_refused(request, why, cx.now) {
                    self.refuse_read(request, reason(why));
                }
            }
            Event::OnlyWitnesses => {
                cx.notice(RaftNotice::OnlyWitnesses);
                cx.notice(Alarm::new(ONLY_WITNESSES));
            }
            Event::Restore(snapshot) => {
                self.committed = self.committed.max(snapshot.last.index);
                self.incoming = Some((snapshot, false));
                cx.command(Cmd::Whole(false));
            }
            event @ (Event::Keep { .. }
            | Event::Discard { .. }
            | Event::ReadPiece { .. }
            | Event::StorePiece { .. }
            | Event::Resume { .. }) => self.objects.event(event, self.poisoned.is_some(), cx),
            Event::Install(_) if self.poisoned.is_some() => {
                cx.command(Cmd::Installed { result: Err(NotRestored::Unfit) })
            }
            Event::Install(snapshot) => self.incoming = Some((snapshot, true)),
            Event::Elected { term, first } => {
                self.leading = Some(Leading { term, first, ready: false });
                cx.notice(RaftNotice::Elected { term });
                self.handover.ended(cx.protocol.id());
                self.led(term, cx);
            }
            Event::NotTransferred { begun } => {
                self.handover.failed(begun);
                self.end_leaderless(cx);
            }
            Event::Changed { request } => {
                let configuration =
                    cx.protocol.configuration().map(|(_, configuration)| configuration.clone());
                self.changing.changed(request, configuration);
            }
            Event::NotChanged { request, why } => self.changing.refused(request, why),
            #[cfg(feature = "trace")]
            Event::Transition(transition) => cx.notice(RaftNotice::Transition(transition)),
            Event::Configured { index, configuration } => {
                cx.notice(RaftNotice::Configured { index, configuration })
            }
            Event::Retired { term } => {
                self.retire(cx);
                cx.notice(RaftNotice::Retired { term });
                self.publish(cx);
            }
            Event::Following { term, leader } => {
                cx.notice(RaftNotice::Following { term, leader });
                if let Some(leader) = leader {
                    self.handover.ended(leader);
                    self.led(term, cx);
                }
            }
        }
    }

    fn job(&mut self, raft: &Raft) -> Option<Job> {
        // What is not needed is removed whatever became of the state.
        if let Some(job) = self.objects.job(self.scope) {
            return Some(job);
        }
        if self.poisoned.is_some() || self.postponed.is_some() || raft.is_witness() {
            return None;
        }
        if self.incoming.is_some() {
            return self.thaw();
        }
        self.serialise().or_else(|| self.freeze(raft)).or_else(|| self.apply(raft))
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, cx: &mut PortCx<'_, Raft>) {
        let done = match answer {
            Ok(answer) => answer.downcast::<Done<S>>(),
            Err(JobPanic(why)) => return self.poison(why, cx),
        };
        let done = match done {
            Ok(done) => done,
            Err(other) => {
                if let Ok(came) = other.downcast::<Errands>() {
                    self.snapshot_lost |= self.objects.done(*came, cx);
                }
                return;
            }
        };
        self.ended(*done, cx);
    }

    fn wake_at(&self) -> Time {
        if !self.gathering.is_empty() {
            return Time::ZERO;
        }
        let decides = self.leading.as_ref().is_some_and(|leading| leading.ready)
            && self.machine.is_some()
            && self.poisoned.is_none()
            && !self.promises.has_decisions();
        let decider = if decides { self.decider.wake_at() } else { Time::NEVER };
        let early = self.early.front().map_or(Time::NEVER, |(until, _)| *until).min(self.confirmed_until);
        let waiting = self.promises.deadline().min(self.leaderless.deadline());
        let moves = self.handover.0.deadline().min(self.changing.waiting.deadline());
        let again = self.postponed.as_ref().map_or(Time::NEVER, |(at, _)| *at);
        let again = again.min(self.renew_at);
        waiting.min(moves).min(self.through_leader.deadline()).min(early).min(decider).min(again)
    }

    fn wake(&mut self, cx: &mut PortCx<'_, Raft>) {
        self.promises.expire(cx.now);
        self.leaderless.expire(cx.now, || match cx.protocol.founding() {
            Some(founding) if founding.only_witnesses => Reason::Refused(ONLY_WITNESSES.into()),
            Some(founding) => Reason::Founding(founding.missing),
            None => Reason::NotLeader(None),
        });
        self.handover.0.expire(cx.now);
        self.changing.waiting.expire(cx.now);
        self.ask_leader(cx);
        self.expire_reads(cx.now);
        while self.early.front().is_some_and(|(until, _)| *until <= cx.now) {
            let Some((_, reader)) = self.early.pop_front() else { break };
            reader(Err(Reason::Deadline));
        }
        if let Some((_, snapshot)) = self.postponed.take_if(|(at, _)| *at <= cx.now) {
            self.incoming.get_or_insert((snapshot, false));
        }
        if self.renew_at <= cx.now {
            (self.snapshot_lost, self.renew_at) = (true, Time::NEVER);
        }
        self.decide(cx);
        self.gathering.leave(cx);
    }

    fn stop(&mut self) {
        self.settle_all(&Reason::Stopped);
    }
}

impl<S: StateMachine, D: Decider<S>> std::fmt::Debug for RaftPort<S, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RaftPort(committed {}, {} waiting)", self.committed, self.promises.len())
    }
}
