//! Clients of the registers: each has a session, asks one thing at a time through any node, and repeats it
//! under its number until it is answered. Everything asked and answered goes into a history.

use super::registers::{Change, Operation, Registers};
use quorate::raft::{RaftHandle, Read, Session, SessionId};
use quorate::sim::World;
use quorate::sim::linearizability::{History, OpId, RegisterAnswer, RegisterOp};
use quorate::{Failure, NodeId, Reason, Rng, Ticket};
use std::time::Duration;

/// Everything that was asked and answered.
pub type Asked = History<(u8, RegisterOp<u64>), RegisterAnswer<u64>>;

enum Waiting {
    Nothing,
    Session(Ticket<SessionId>),
    Change { sequence: u64, op: Operation, ticket: Option<Ticket<bool>>, asked: OpId, tries: u32 },
    Read { key: u8, policy: Read, ticket: Option<Ticket<Option<u64>>>, asked: OpId, tries: u32 },
}

/// What a client goes by.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Whom it may ask.
    pub nodes: &'a [NodeId],
    /// One that leads no more and does not know.
    pub deposed: Option<NodeId>,
    /// Something new may be asked.
    pub more: bool,
}

/// One client.
pub struct Client {
    id: usize,
    session: Option<Session>,
    waiting: Waiting,
    /// Whom it asks next.
    via: NodeId,
    numbers: u64,
    /// What it read last: a compare with it has a chance.
    seen: Option<(u8, Option<u64>)>,
    answered: usize,
}

/// Paths that clients report.
pub(in crate::campaign) const PATHS: [&str; 3] = [REPEATED, READ, READ_THROUGH];
const REPEATED: &str = "an operation is repeated under its number";
const READ: &str = "a linearizable read is answered";
const READ_THROUGH: &str = "a read through the leader is answered";

/// Tries of one question before it is left unanswered.
const TRIES_MAX: u32 = 40;

impl Client {
    /// A client that has not asked anything.
    pub fn new(id: usize, via: NodeId) -> Client {
        Client { id, session: None, waiting: Waiting::Nothing, via, numbers: 0, seen: None, answered: 0 }
    }

    /// Answers it has had.
    pub fn answered(&self) -> usize {
        self.answered
    }

    /// Whether it waits for an answer.
    pub fn is_busy(&self) -> bool {
        !matches!(self.waiting, Waiting::Nothing)
    }

    /// Whether nothing can be done before an answer comes.
    fn waits(&self) -> bool {
        match &self.waiting {
            Waiting::Session(ticket) => !ticket.is_settled(),
            Waiting::Change { ticket: Some(ticket), .. } => !ticket.is_settled(),
            Waiting::Read { ticket: Some(ticket), .. } => !ticket.is_settled(),
            _ => false,
        }
    }

    /// Takes an answer if there is one; asks again where it makes sense; asks something new if `more`.
    pub fn step<A>(
        &mut self,
        world: &World<A>,
        Moment { nodes, deposed, more }: Moment<'_>,
        handle: impl Fn(&A) -> &RaftHandle<Registers>,
        rng: &mut Rng,
        history: &mut Asked,
    ) {
        if self.waits() || (!more && !self.is_busy()) {
            return;
        }
        if let Some(deposed) = deposed.filter(|_| !self.is_busy() && rng.chance(0.7)) {
            self.via = deposed;
        }
        let tempted = Some(self.via) == deposed;
        let via = handle(world.app(self.via)).clone();
        self.waiting = match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing if !more => Waiting::Nothing,
            Waiting::Nothing => match &mut self.session {
                None => Waiting::Session(via.open_session()),
                Some(session) => {
                    self.numbers += 1;
                    let number = (self.id as u64) << 32 | self.numbers;
                    let asked = match tempted {
                        true => Question::Read(
                            rng.index(2) as u8,
                            *rng.pick(&[Read::Linearizable, Read::Lease]).unwrap_or(&Read::Lease),
                        ),
                        false => draw(number, self.seen, rng),
                    };
                    ask(session, asked, &via, self.id, world.now(), history)
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
            Waiting::Change { sequence, op, ticket: None, asked, tries } => {
                let ticket = self.session.as_ref().map(|session| session.propose(&via, sequence, op));
                Waiting::Change { sequence, op, ticket, asked, tries }
            }
            Waiting::Change { sequence, op, ticket: Some(ticket), asked, tries } => match ticket.try_take() {
                Err(ticket) => Waiting::Change { sequence, op, ticket: Some(ticket), asked, tries },
                Ok(Ok(done)) => {
                    let answer = match op.change {
                        Change::Write(_) => RegisterAnswer::Done,
                        Change::Cas(..) => RegisterAnswer::Swapped(done),
                    };
                    history.returned(asked, answer, world.now());
                    self.answered += 1;
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
                        world.sometimes(REPEATED);
                    }
                    Waiting::Change { sequence, op, ticket: None, asked, tries: tries + 1 }
                }
            },
            Waiting::Read { key, policy, ticket: None, asked, tries } => {
                let ticket = Some(via.read(policy, move |state: &Registers| state.get(key)));
                Waiting::Read { key, policy, ticket, asked, tries }
            }
            Waiting::Read { key, policy, ticket: Some(ticket), asked, tries } => match ticket.try_take() {
                Err(ticket) => Waiting::Read { key, policy, ticket: Some(ticket), asked, tries },
                Ok(Ok(value)) => {
                    world.sometimes(if policy == Read::Follower { READ_THROUGH } else { READ });
                    history.returned(asked, RegisterAnswer::Value(value), world.now());
                    self.seen = Some((key, value));
                    self.answered += 1;
                    Waiting::Nothing
                }
                Ok(Err(_)) if tries >= TRIES_MAX => Waiting::Nothing,
                Ok(Err(why)) => {
                    self.elsewhere(&why, nodes, rng);
                    Waiting::Read { key, policy, ticket: None, asked, tries: tries + 1 }
                }
            },
        };
    }

    /// Whom to ask next: who leads, if that was said, or somebody.
    fn elsewhere(&mut self, why: &Failure, nodes: &[NodeId], rng: &mut Rng) {
        let (Failure::Rejected(reason) | Failure::Unknown(reason)) = why;
        self.via = match reason {
            Reason::NotLeader(Some(leader)) if rng.chance(0.8) && nodes.contains(leader) => *leader,
            _ => *rng.pick(nodes).unwrap_or(&self.via),
        };
    }
}

/// A question.
enum Question {
    Read(u8, Read),
    Change(Operation),
}

fn draw(number: u64, seen: Option<(u8, Option<u64>)>, rng: &mut Rng) -> Question {
    let key = rng.index(2) as u8;
    let value = 1 + rng.within(0..1000);
    match (rng.index(5), seen) {
        (0, _) if rng.chance(0.5) => Question::Read(key, Read::Lease),
        (0, _) => Question::Read(key, Read::Linearizable),
        (1, _) => Question::Read(key, Read::Follower),
        (4, Some((key, from))) => {
            Question::Change(Operation { number, key, change: Change::Cas(from, value) })
        }
        _ => Question::Change(Operation { number, key, change: Change::Write(value) }),
    }
}

fn ask(
    session: &mut Session,
    question: Question,
    via: &RaftHandle<Registers>,
    client: usize,
    now: Duration,
    history: &mut Asked,
) -> Waiting {
    match question {
        Question::Read(key, policy) => {
            let asked = history.invoke(client as u64, (key, RegisterOp::Read), now);
            let ticket = Some(via.read(policy, move |state: &Registers| state.get(key)));
            Waiting::Read { key, policy, ticket, asked, tries: 0 }
        }
        Question::Change(op) => {
            let input = match op.change {
                Change::Write(value) => RegisterOp::Write(value),
                Change::Cas(from, to) => RegisterOp::Cas { from, to },
            };
            let asked = history.invoke(client as u64, (op.key, input), now);
            let sequence = session.begin();
            let ticket = Some(session.propose(via, sequence, op));
            Waiting::Change { sequence, op, ticket, asked, tries: 0 }
        }
    }
}
