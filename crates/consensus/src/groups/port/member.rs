//! One group's port, awake or asleep, and what comes for it.

use super::jobs::JobPlace;
use crate::groups::agenda::Place;
use crate::raft::{self, FoldedPort, Raft, RaftConfig, RaftPort};
use quorate_core::{Answer, JobPanic, NoDecider, Port, PortCx, Reason, ScopeId, StateMachine};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) enum Member<S: StateMachine> {
    Awake(Box<Awake<S>>),
    Asleep(Box<FoldedPort<S>>),
}

pub(super) struct Awake<S: StateMachine> {
    pub port: RaftPort<S>,
    pub place: Place,
    pub jobs: JobPlace,
    /// Came while the replica slept. It is about to wake.
    pub waiting: VecDeque<Thing<S>>,
}

/// What comes for a port.
pub(super) enum Thing<S: StateMachine> {
    Ask(Box<raft::Ask<S, NoDecider>>),
    Event(raft::Event),
    Done(Result<Answer, JobPanic>),
    Wake,
}

impl<S: StateMachine> Thing<S> {
    pub fn give(self, port: &mut RaftPort<S>, cx: &mut PortCx<'_, Raft>) {
        match self {
            Thing::Ask(ask) => port.ask(*ask, cx),
            Thing::Event(event) => port.event(event, cx),
            Thing::Done(answer) => port.done(answer, cx),
            Thing::Wake => port.wake(cx),
        }
    }

    /// The group is not here (any more): whoever asked is told, and nobody else waits.
    pub fn refuse(self) {
        self.refuse_as(Reason::Refused("the group is not on this node".into()));
    }

    /// Whoever asked is told why not.
    pub fn refuse_as(self, why: Reason) {
        if let Thing::Ask(ask) = self {
            ask.reject(why);
        }
    }
}

impl<S: StateMachine> Member<S> {
    /// Around its first state; or around none, if making that panicked, which poisons it as soon as it begins.
    pub fn new(state: Result<S, String>, config: &Arc<RaftConfig>, scope: ScopeId) -> Member<S> {
        let (mut port, lost) = match state {
            Ok(state) => (RaftPort::new(state, NoDecider, config.clone()), None),
            Err(why) => (RaftPort::without_state(NoDecider, config.clone()), Some(JobPanic(why))),
        };
        Port::<Raft>::placed(&mut port, scope);
        let mut awake = Awake::of(port);
        awake.waiting.extend(lost.map(|why| Thing::Done(Err(why))));
        Member::Awake(awake.into())
    }

    /// The member, awake.
    pub fn unfold(self, config: &Arc<RaftConfig>) -> Box<Awake<S>> {
        match self {
            Member::Awake(awake) => awake,
            Member::Asleep(folded) => Awake::of(folded.unfold(config)).into(),
        }
    }
}

impl<S: StateMachine> Awake<S> {
    fn of(port: RaftPort<S>) -> Awake<S> {
        Awake { port, place: Place::default(), jobs: JobPlace::default(), waiting: VecDeque::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.port.is_idle()
    }

    /// Folds it, if it is idle and its state is there; else it stays as it is.
    pub fn fold(self) -> Member<S> {
        let Awake { port, place, jobs, waiting } = self;
        match port.fold() {
            Ok(folded) => Member::Asleep(Box::new(folded)),
            Err(port) => Member::Awake(Awake { port: *port, place, jobs, waiting }.into()),
        }
    }
}
