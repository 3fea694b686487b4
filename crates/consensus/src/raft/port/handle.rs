//! What the application holds: a typed way to a Raft scope, made before the node runs.

use super::ask::{Ask, QuorumReport, RaftStatus, Read};
use super::guarded;
use super::sessions::{Envelope, SessionId};
use crate::raft::{Change, Configuration};
use quorate_core::{
    AnyAsk, Decider, Door, NoDecider, NodeId, Reason, ScopeId, StateMachine, Ticket, promise,
};
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

/// A handle to one replica of a replicated state machine. Cheap to clone; may outlive the node, and then
/// every request is Rejected.
pub struct RaftHandle<S, D = NoDecider> {
    door: Door,
    scope: ScopeId,
    /// Which of many groups in the scope, and how what is asked of it is wrapped.
    within: Option<(u64, Wrap)>,
    of: PhantomData<fn() -> (S, D)>,
}

/// Makes what is asked of one group an ask of the scope that holds it.
type Wrap = fn(u64, AnyAsk) -> AnyAsk;

impl<S: StateMachine, D: Decider<S>> RaftHandle<S, D> {
    /// The handle of this scope on the node behind this door.
    pub fn new(door: Door, scope: ScopeId) -> Self {
        RaftHandle { door, scope, within: None, of: PhantomData }
    }

    /// The handle of one group of a scope that holds many.
    pub(crate) fn within(door: Door, scope: ScopeId, group: u64, wrap: Wrap) -> Self {
        RaftHandle { door, scope, within: Some((group, wrap)), of: PhantomData }
    }

    fn wrap(&self, ask: Ask<S, D>) -> AnyAsk {
        let ask = Box::new(ask);
        match self.within {
            None => ask,
            Some((group, wrap)) => wrap(group, ask),
        }
    }

    /// The scope it speaks to.
    pub fn scope(&self) -> ScopeId {
        self.scope
    }

    /// Proposes a command; on a follower it is passed on to the leader, once. Settles with the state machine's
    /// reply once it is committed and applied here. While nobody is known to lead it waits for
    /// [`leader_patience`](crate::raft::RaftConfig::leader_patience).
    ///
    /// # Errors
    /// After [`Failure::Rejected`](quorate_core::Failure::Rejected) it is not applied and never will be. After
    /// [`Failure::Unknown`](quorate_core::Failure::Unknown) it may have been or may still be, and proposing it again
    /// may apply it twice: use a [`Session`] where that matters.
    pub fn propose(&self, command: S::Command) -> Ticket<S::Reply> {
        self.enter(Envelope::Plain, command)
    }

    /// Opens a session; it is known on every replica and outlives this node. Proposed again by itself when a leader
    /// is lost, as the commands of a session are.
    ///
    /// # Errors
    /// As [`RaftHandle::propose`]; a session that was opened in vain is closed in time.
    pub fn open_session(&self) -> Ticket<SessionId> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Open { promise })
    }

    /// Proposes under a session: applied once for this number, however often and through whichever replica it
    /// is proposed. So this replica proposes it again by itself when a leader is lost, until
    /// [`request_timeout`](crate::raft::RaftConfig::request_timeout). `acknowledged`: all numbers up to it were
    /// answered and will not be proposed again.
    ///
    /// # Errors
    /// As [`RaftHandle::propose`]; and Unknown as [`Reason::SessionExpired`] if the session is not there (any more):
    /// then it is not applied now, and whether it was before nobody knows.
    pub fn propose_in(
        &self,
        session: SessionId,
        sequence: u64,
        acknowledged: u64,
        command: S::Command,
    ) -> Ticket<S::Reply> {
        self.enter(Envelope::InSession { session, sequence, acknowledged }, command)
    }

    /// Reads the state, as fresh as the policy says. The closure runs on this node and never enters the protocol; keep
    /// it short.
    ///
    /// # Errors
    /// Always Rejected: a read changes nothing. [`Reason::NotLeader`] where the policy is [`Read::Linearizable`] and this
    /// replica does not lead, and where nobody was known to lead for
    /// [`leader_patience`](crate::raft::RaftConfig::leader_patience); [`Reason::Founding`] while founders are missing;
    /// [`Reason::Deadline`] if a leader was known and did not answer within
    /// [`request_timeout`](crate::raft::RaftConfig::request_timeout).
    pub fn read<R: Send + 'static>(
        &self,
        policy: Read,
        f: impl FnOnce(&S) -> R + Send + 'static,
    ) -> Ticket<R> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| {
            let reader = Box::new(move |state: Result<&S, Reason>| match state {
                Ok(state) => match guarded(|| f(state)) {
                    Ok(answer) => promise.done(answer),
                    Err(why) => promise.reject(Reason::Refused(format!("the reader panicked: {why}"))),
                },
                Err(why) => promise.reject(why),
            });
            Ask::Read { policy, reader }
        })
    }

    /// Reads what this replica has applied: [`Read::Local`].
    pub fn inspect<R: Send + 'static>(&self, f: impl FnOnce(&S) -> R + Send + 'static) -> Ticket<R> {
        self.read(Read::Local, f)
    }

    /// Tells the decider of this replica something that is not in the log. Lossy: refused when too much waits.
    pub fn hint(&self, hint: D::Hint) -> Result<(), Reason> {
        self.door.enter()?.put(self.scope, self.wrap(Ask::Hints(vec![hint])));
        Ok(())
    }

    /// What this replica knows of itself.
    pub fn status(&self) -> Ticket<RaftStatus> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Status { promise })
    }

    /// Who leads, as soon as this replica knows. It may be news of yesterday by the time it is read.
    ///
    /// # Errors
    /// Rejected as [`Reason::NotLeader`] if nobody was known to lead within
    /// [`request_timeout`](crate::raft::RaftConfig::request_timeout).
    pub fn leader(&self) -> Ticket<NodeId> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Leader { promise })
    }

    /// Whether a quorum can be reached, and who leads in which term as this replica sees it. Any replica may be asked; it
    /// has the leader confirmed by a quorum after the question, and answers in any case within
    /// [`request_timeout`](crate::raft::RaftConfig::request_timeout).
    ///
    /// # Errors
    /// Rejected if the scope is poisoned or the node stops.
    pub fn verify_quorum(&self) -> Ticket<QuorumReport> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Verify { promise })
    }

    /// Has this replica stop leading, if it leads.
    pub fn step_down(&self) -> Ticket<()> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::StepDown { promise })
    }

    /// Has this replica, if it leads, hand leadership to that voter, or to whichever is furthest. Proposals that come
    /// meanwhile wait. Settles with who leads afterwards.
    ///
    /// # Errors
    /// Rejected if it does not lead, hands over already, or is not connected to such a voter; Unknown if nobody took
    /// over within an election timeout: then this replica leads on, and the other may still ask for votes.
    pub fn transfer(&self, to: Option<NodeId>) -> Ticket<NodeId> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Transfer { to, promise })
    }

    /// Has this replica, if it leads, change who votes: any change in one call, by joint consensus. Nodes that are to vote
    /// must be started (with `join`) and are served until they have caught up; only then does the change begin. Settles
    /// with the new configuration once it is committed.
    ///
    /// # Errors
    /// Rejected, and nothing changed: if it does not lead ([`Reason::NotLeader`]), another change or a transfer is under
    /// way ([`Reason::Busy`]), or with the text of a [`NotChanged`](crate::raft::NotChanged). Unknown, if leadership is lost
    /// meanwhile or too much time passes: a change that was begun is completed by whoever leads, and one that was not is
    /// forgotten; [`RaftHandle::status`] tells.
    pub fn change(&self, change: Change) -> Ticket<Configuration> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Change { change: Box::new(change), promise })
    }

    fn enter(&self, envelope: Envelope, command: S::Command) -> Ticket<S::Reply> {
        let (promise, ticket) = promise();
        self.ask(ticket, promise, |promise| Ask::Propose { envelope, command, promise })
    }

    fn ask<R>(
        &self,
        ticket: Ticket<R>,
        promise: quorate_core::Promise<R>,
        make: impl FnOnce(quorate_core::Promise<R>) -> Ask<S, D>,
    ) -> Ticket<R> {
        match self.door.enter() {
            Ok(place) => place.put(self.scope, self.wrap(make(promise))),
            Err(why) => promise.reject(why),
        }
        ticket.in_world(self.door.is_in_world())
    }
}

impl<S, D> Clone for RaftHandle<S, D> {
    fn clone(&self) -> Self {
        RaftHandle { door: self.door.clone(), scope: self.scope, within: self.within, of: PhantomData }
    }
}

impl<S, D> fmt::Debug for RaftHandle<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RaftHandle({})", self.scope)
    }
}

/// The client's half of a session: numbers its commands and remembers which were answered. A command keeps its
/// number through every retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    id: SessionId,
    next: u64,
    open: BTreeSet<u64>,
}

impl Session {
    /// Begins to use a session that was opened.
    pub fn new(id: SessionId) -> Session {
        Session { id, next: 1, open: BTreeSet::new() }
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// A number for a new command.
    pub fn begin(&mut self) -> u64 {
        let sequence = self.next;
        self.next += 1;
        self.open.insert(sequence);
        sequence
    }

    /// Proposes the command of this number through any replica; again after Unknown, with the same number.
    pub fn propose<S: StateMachine, D: Decider<S>>(
        &self,
        through: &RaftHandle<S, D>,
        sequence: u64,
        command: S::Command,
    ) -> Ticket<S::Reply> {
        let acknowledged = self.open.first().map_or(self.next, |first| *first) - 1;
        through.propose_in(self.id, sequence, acknowledged.min(sequence.saturating_sub(1)), command)
    }

    /// Proposes the next command, for a client that has one at a time: all before it count as answered. Should
    /// this one end Unknown, propose it again as [`Session::repeat`] does, or leave it in doubt for ever.
    pub fn next<S: StateMachine, D: Decider<S>>(
        &mut self,
        through: &RaftHandle<S, D>,
        command: S::Command,
    ) -> Ticket<S::Reply> {
        self.open.clear();
        let sequence = self.begin();
        self.propose(through, sequence, command)
    }

    /// Proposes the command of the last [`Session::next`] again, through any replica. It must be the same command.
    pub fn repeat<S: StateMachine, D: Decider<S>>(
        &self,
        through: &RaftHandle<S, D>,
        command: S::Command,
    ) -> Ticket<S::Reply> {
        self.propose(through, self.next.saturating_sub(1), command)
    }

    /// The command of this number was answered and will not be proposed again.
    pub fn end(&mut self, sequence: u64) {
        self.open.remove(&sequence);
    }
}
