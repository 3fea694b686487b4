//! Clients of the registers: each has a session, asks one thing at a time through any node, and repeats it
//! under its number until it is answered. Everything asked and answered goes into a history.

use super::registers::{Change, Operation, Registers};
use quorate::raft::{RaftHandle, Read, Session, SessionId};
use quorate::sim::World;
use quorate::{Failure, NodeId, Reason, Rng, Ticket};
use std::time::Duration;

/// What was asked of a register, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Read it.
    Read,
    /// Change it.
    Change(Change),
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A read's value.
    Value(u64),
    /// Whether a change took place.
    Done(bool),
}

/// One line of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who asked.
    pub client: usize,
    /// Of which register.
    pub key: u8,
    /// What.
    pub asked: Asked,
    /// When.
    pub from: Duration,
    /// The answer and when it came; `None` if it never did.
    pub answer: Option<(Answered, Duration)>,
}

enum Waiting {
    Nothing,
    Session(Ticket<SessionId>),
    Change { sequence: u64, op: Operation, ticket: Option<Ticket<bool>>, line: usize, tries: u32 },
    Read { key: u8, ticket: Option<Ticket<u64>>, line: usize, tries: u32 },
}

/// One client.
pub struct Client {
    id: usize,
    session: Option<Session>,
    waiting: Waiting,
    /// Whom it asks next.
    via: NodeId,
    numbers: u64,
}

/// Tries of one question before it is left unanswered.
const TRIES_MAX: u32 = 40;

impl Client {
    /// A client that has not asked anything.
    pub fn new(id: usize, via: NodeId) -> Client {
        Client { id, session: None, waiting: Waiting::Nothing, via, numbers: 0 }
    }

    /// Whether it waits for an answer.
    pub fn is_busy(&self) -> bool {
        !matches!(self.waiting, Waiting::Nothing)
    }

    /// Takes an answer if there is one; asks again where it makes sense; asks something new if `more`.
    pub fn step<A>(
        &mut self,
        world: &World<A>,
        nodes: &[NodeId],
        handle: impl Fn(&A) -> &RaftHandle<Registers>,
        rng: &mut Rng,
        history: &mut Vec<Line>,
        more: bool,
    ) {
        let via = handle(world.app(self.via)).clone();
        self.waiting = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing if !more => Waiting::Nothing,
            Waiting::Nothing => match &mut self.session {
                None => Waiting::Session(via.open_session()),
                Some(session) => {
                    self.numbers += 1;
                    let number = (self.id as u64) << 32 | self.numbers;
                    ask(session, number, &via, rng, self.id, world.now(), history)
                }
            },
            Waiting::Session(ticket) => match ticket.try_take() {
                Err(ticket) => Waiting::Session(ticket),
                Ok(Ok(id)) => {
                    self.session = Some(Session::new(id));
                    Waiting::Nothing
                }
                Ok(Err(why)) => {
                    self.elsewhere(&why, nodes, rng);
                    Waiting::Nothing
                }
            },
            Waiting::Change { sequence, op, ticket: None, line, tries } => {
                let ticket = self.session.as_ref().map(|session| session.propose(&via, sequence, op));
                Waiting::Change { sequence, op, ticket, line, tries }
            }
            Waiting::Change { sequence, op, ticket: Some(ticket), line, tries } => match ticket.try_take() {
                Err(ticket) => Waiting::Change { sequence, op, ticket: Some(ticket), line, tries },
                Ok(Ok(done)) => {
                    history[line].answer = Some((Answered::Done(done), world.now()));
                    if let Some(session) = &mut self.session {
                        session.end(sequence);
                    }
                    Waiting::Nothing
                }
                // The session is gone, and with it every hope to learn what became of the operation.
                Ok(Err(Failure::Rejected(Reason::SessionExpired))) => {
                    self.session = None;
                    Waiting::Nothing
                }
                Ok(Err(_)) if tries >= TRIES_MAX => {
                    self.session = None;
                    Waiting::Nothing
                }
                Ok(Err(why)) => {
                    self.elsewhere(&why, nodes, rng);
                    if matches!(why, Failure::Unknown(_)) {
                        world.sometimes("an operation is repeated under its number");
                    }
                    Waiting::Change { sequence, op, ticket: None, line, tries: tries + 1 }
                }
            },
            Waiting::Read { key, ticket: None, line, tries } => {
                let ticket = Some(via.read(Read::Linearizable, move |state: &Registers| state.get(key)));
                Waiting::Read { key, ticket, line, tries }
            }
            Waiting::Read { key, ticket: Some(ticket), line, tries } => match ticket.try_take() {
                Err(ticket) => Waiting::Read { key, ticket: Some(ticket), line, tries },
                Ok(Ok(value)) => {
                    world.sometimes("a linearizable read is answered");
                    history[line].answer = Some((Answered::Value(value), world.now()));
                    Waiting::Nothing
                }
                Ok(Err(_)) if tries >= TRIES_MAX => Waiting::Nothing,
                Ok(Err(why)) => {
                    self.elsewhere(&why, nodes, rng);
                    Waiting::Read { key, ticket: None, line, tries: tries + 1 }
                }
            },
        };
    }

    /// Gives up on what it waits for: the node it asked is gone, and with it the ticket's other half.
    fn elsewhere(&mut self, why: &Failure, nodes: &[NodeId], rng: &mut Rng) {
        let (Failure::Rejected(reason) | Failure::Unknown(reason)) = why;
        self.via = match reason {
            Reason::NotLeader(Some(leader)) if rng.chance(0.8) && nodes.contains(leader) => *leader,
            _ => *rng.pick(nodes).unwrap_or(&self.via),
        };
    }
}

fn ask(
    session: &mut Session,
    number: u64,
    via: &RaftHandle<Registers>,
    rng: &mut Rng,
    client: usize,
    now: Duration,
    history: &mut Vec<Line>,
) -> Waiting {
    let key = rng.index(2) as u8;
    let line = history.len();
    let (asked, waiting) = match rng.index(5) {
        0 | 1 => {
            let ticket = via.read(Read::Linearizable, move |state: &Registers| state.get(key));
            (Asked::Read, Waiting::Read { key, ticket: Some(ticket), line, tries: 0 })
        }
        kind => {
            // Values are few, so that a compare sometimes holds, and tell who wrote them only together with
            // the history: reads of a stale value show.
            let value = 1 + rng.within(0..1000);
            let expected = history.iter().rev().find_map(|line| match line.answer {
                Some((Answered::Value(value), _)) if line.key == key => Some(value),
                _ => None,
            });
            let change = match (kind, expected) {
                (4, Some(expected)) => Change::Cas(expected, value),
                _ => Change::Write(value),
            };
            let op = Operation { number, key, change };
            let sequence = session.begin();
            let ticket = Some(session.propose(via, sequence, op));
            (Asked::Change(change), Waiting::Change { sequence, op, ticket, line, tries: 0 })
        }
    };
    history.push(Line { client, key, asked, from: now, answer: None });
    waiting
}
