//! A host: a set of scopes as one protocol, on one thread.
//!
//! It erases types once per scope and speaks bytes outward. It **is itself a [`Protocol`]**, so one driver and
//! one simulator serve everything, and codecs are exercised by every test that runs a node.
//!
//! **Invariants.** Scopes share nothing; what one tells another goes through the wires, which are acyclic
//! and belong to whoever assembled the host. A scope's effects that wait for the disk wait inside their
//! scope, typed; what leaves the host has waited already.

mod builder;
mod scope;

pub use builder::{HostBuilder, HostError};

use crate::{
    Answer, AnyAsk, Boot, Class, Corrupt, Cx, Input, Job, JobPanic, LinkState, Mark, NodeId, Notice,
    Protocol, Recipients, ScopeId, Time,
};
use bytes::{Bytes, BytesMut};
use scope::AnyScope;
use std::any::Any;
use std::fmt;

/// A message of some scope, as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct HostMsg {
    /// Whose.
    pub scope: ScopeId,
    /// How it is queued.
    pub class: Class,
    /// Its encoding, shared by all its recipients.
    pub body: Bytes,
}

/// A record of some scope, as bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct HostRecord {
    /// Whose.
    pub scope: ScopeId,
    /// Its encoding.
    pub bytes: Bytes,
}

/// What the driver asks of a host.
pub enum HostCmd {
    /// A handle's ask, for its scope's port.
    Ask {
        /// The scope.
        scope: ScopeId,
        /// The port's own type of ask.
        ask: AnyAsk,
    },
    /// A job ended.
    Done {
        /// The scope whose port made it.
        scope: ScopeId,
        /// Its answer.
        answer: Result<Answer, JobPanic>,
    },
    /// The node stops: ports settle their promises.
    Stop,
}

/// What a host tells the driver.
pub enum HostEvent {
    /// Work to be run.
    Job {
        /// Whose.
        scope: ScopeId,
        /// What.
        job: Job,
    },
    /// News for observers.
    Notice {
        /// Whose.
        scope: ScopeId,
        /// What.
        notice: Box<dyn Notice>,
    },
}

/// What a host refused, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostCounters {
    /// Messages for scopes that are not here.
    pub unknown_scope: u64,
    /// Messages that their scope could not decode.
    pub malformed: u64,
    /// Asks for scopes that are not here, or of a wrong type.
    pub misdirected_asks: u64,
}

type Convert = Box<dyn FnMut(&dyn Any) -> Option<AnyAsk> + Send>;

/// Carries notices of one scope as asks to another.
struct Cable {
    from: ScopeId,
    to: ScopeId,
    convert: Convert,
}

/// A set of scopes as one protocol. Built by [`HostBuilder`].
pub struct Host {
    /// Sorted by id.
    scopes: Vec<Slot>,
    cables: Vec<Cable>,
    counters: HostCounters,
    scratch: BytesMut,
    notices: Vec<Box<dyn Notice>>,
}

struct Slot {
    id: ScopeId,
    wake_at: Time,
    scope: Box<dyn AnyScope>,
}

impl Host {
    /// The scopes that run here, in order.
    pub fn scope_ids(&self) -> impl Iterator<Item = ScopeId> + '_ {
        self.scopes.iter().map(|slot| slot.id)
    }

    /// The protocol of a scope, to look at; `None` if the scope is not here or is of another type.
    pub fn protocol<P: Protocol + 'static>(&self, scope: ScopeId) -> Option<&P> {
        self.slot(scope).and_then(|at| self.scopes[at].scope.protocol().downcast_ref())
    }

    /// The port of a scope, to look at.
    pub fn port<Q: 'static>(&self, scope: ScopeId) -> Option<&Q> {
        self.slot(scope).and_then(|at| self.scopes[at].scope.port().downcast_ref())
    }

    /// What was refused so far.
    pub fn counters(&self) -> HostCounters {
        self.counters
    }

    /// Effects that wait for the disk, over all scopes.
    pub fn held(&self) -> usize {
        self.scopes.iter().map(|slot| slot.scope.held()).sum()
    }

    fn slot(&self, scope: ScopeId) -> Option<usize> {
        self.scopes.binary_search_by_key(&scope, |slot| slot.id).ok()
    }

    /// Calls one scope, then carries what it told to the scopes that are wired to it. Notices still go to
    /// observers. Wires are acyclic, so this ends.
    fn call(
        &mut self,
        at: usize,
        cx: &mut Cx<'_, Host>,
        f: impl FnOnce(&mut dyn AnyScope, &mut scope::Env<'_, '_>),
    ) {
        let slot = &mut self.scopes[at];
        let id = slot.id;
        let mut env = scope::Env { scope: id, cx, scratch: &mut self.scratch, notices: &mut self.notices };
        f(&mut *slot.scope, &mut env);
        slot.wake_at = slot.scope.wake_at();
        if self.notices.is_empty() {
            return;
        }
        for notice in std::mem::take(&mut self.notices) {
            for cable in 0..self.cables.len() {
                let Cable { from, to, convert } = &mut self.cables[cable];
                if *from != id {
                    continue;
                }
                if let Some(ask) = convert(&*notice as &dyn Any) {
                    let to = *to;
                    self.ask(to, ask, cx);
                }
            }
            // Observers may learn of what is not yet promised; a notice is news, not an answer.
            cx.emit_now(HostEvent::Notice { scope: id, notice });
        }
    }

    fn ask(&mut self, scope: ScopeId, ask: AnyAsk, cx: &mut Cx<'_, Host>) {
        let Some(at) = self.slot(scope) else {
            self.counters.misdirected_asks += 1;
            return;
        };
        let mut understood = true;
        self.call(at, cx, |scope, env| understood = scope.ask(ask, env));
        self.counters.misdirected_asks += u64::from(!understood);
    }

    fn each(&mut self, cx: &mut Cx<'_, Host>, mut f: impl FnMut(&mut dyn AnyScope, &mut scope::Env<'_, '_>)) {
        for at in 0..self.scopes.len() {
            self.call(at, cx, &mut f);
        }
    }
}

impl Protocol for Host {
    type Msg = HostMsg;
    type Cmd = HostCmd;
    type Event = HostEvent;
    type Record = HostRecord;

    fn step(&mut self, input: Input<Host>, cx: &mut Cx<'_, Host>) {
        match input {
            Input::Message { from, msg } => self.on_message(from, msg, cx),
            Input::Command(HostCmd::Ask { scope, ask }) => self.ask(scope, ask, cx),
            Input::Command(HostCmd::Done { scope, answer }) => {
                // The scope may have been removed while its job ran.
                if let Some(at) = self.slot(scope) {
                    self.call(at, cx, |scope, env| scope.done(answer, env));
                }
            }
            Input::Command(HostCmd::Stop) => self.each(cx, |scope, env| scope.stop(env)),
            Input::Wake => self.on_wake(cx),
            Input::Durable(mark) => self.each(cx, |scope, env| scope.durable(mark, env)),
            Input::Start(boot) => self.on_start(boot, cx),
            Input::Link { peer, state } => self.on_link(peer, state, cx),
        }
    }

    fn wake_at(&self) -> Time {
        // Scopes are few (thousands of groups are one scope), so a scan beats a heap.
        self.scopes.iter().map(|slot| slot.wake_at).min().unwrap_or(Time::NEVER)
    }

    fn replay(&mut self, record: HostRecord) -> Result<(), Corrupt> {
        let Some(at) = self.slot(record.scope) else {
            return Err(Corrupt::new(format!(
                "it holds records of {}, which is not among the scopes of this node; remove the scope deliberately",
                record.scope
            )));
        };
        self.scopes[at].scope.replay(record.bytes)
    }
}

impl Host {
    fn on_start(&mut self, boot: Boot, cx: &mut Cx<'_, Host>) {
        for at in 0..self.scopes.len() {
            let rng = cx.rng.fork();
            self.scopes[at].scope.seed(rng);
        }
        self.each(cx, |scope, env| scope.start(boot, env));
    }

    fn on_message(&mut self, from: NodeId, msg: HostMsg, cx: &mut Cx<'_, Host>) {
        let Some(at) = self.slot(msg.scope) else {
            self.counters.unknown_scope += 1;
            return;
        };
        let mut decoded = true;
        self.call(at, cx, |scope, env| decoded = scope.message(from, msg.body, env));
        self.counters.malformed += u64::from(!decoded);
    }

    fn on_wake(&mut self, cx: &mut Cx<'_, Host>) {
        for at in 0..self.scopes.len() {
            if self.scopes[at].wake_at <= cx.now {
                self.call(at, cx, |scope, env| scope.wake(env));
            }
        }
    }

    fn on_link(&mut self, peer: NodeId, state: LinkState, cx: &mut Cx<'_, Host>) {
        self.each(cx, |scope, env| scope.link(peer, state, env));
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scope_ids()).finish()
    }
}

impl fmt::Debug for HostMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.scope, self.body.len())
    }
}

impl fmt::Debug for HostRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} bytes", self.scope, self.bytes.len())
    }
}

impl fmt::Debug for HostCmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostCmd::Ask { scope, .. } => write!(f, "ask {scope}"),
            HostCmd::Done { scope, answer } => write!(f, "done {scope} {}", answer.is_ok()),
            HostCmd::Stop => f.write_str("stop"),
        }
    }
}

impl fmt::Debug for HostEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostEvent::Job { scope, job } => write!(f, "{scope} {job:?}"),
            HostEvent::Notice { scope, notice } => write!(f, "{scope} {notice:?}"),
        }
    }
}

/// Sends a scope's message: what comes here has waited inside the scope for what it had to wait for.
pub(crate) fn pass_on(cx: &mut Cx<'_, Host>, to: Recipients, msg: HostMsg) {
    cx.send_now(to, msg);
}

/// Marks of a scope against marks of its host, for those that are not on disk yet.
#[derive(Debug, Default)]
pub(crate) struct Marks(std::collections::VecDeque<(Mark, Mark)>);

impl Marks {
    pub(crate) fn push(&mut self, host: Mark, scope: Mark) {
        self.0.push_back((host, scope));
    }

    /// The last mark of the scope that is on disk now that the host's is; `None` when that is no news.
    pub(crate) fn durable(&mut self, host: Mark) -> Option<Mark> {
        let mut last = None;
        while self.0.front().is_some_and(|(at, _)| *at <= host) {
            last = self.0.pop_front().map(|(_, scope)| scope);
        }
        last
    }
}
