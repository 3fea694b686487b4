//! Who uses the box: each gives or looks, one thing at a time, through any node, and asks again where that is due.
//! What was asked and answered goes into a history, which must be one that a single box could have had.

use super::Bug;
use super::donations::Donations;
use quorate::raft::{RaftHandle, RaftPort, Read, Session, SessionId};
use quorate::sim::linearizability::{Counter, CounterAnswer, CounterOp, History, OpId, Verdict, check};
use quorate::sim::{Workload, World};
use quorate::{Failure, NodeId, Reason, Rng, ScopeId, Ticket};
use std::time::Duration;

pub(crate) type App = RaftHandle<Donations>;

/// Things asked while faults last; afterwards each client asks for some more.
const ASKED_MAX: usize = 60;

pub(crate) struct Clients {
    nodes: Vec<NodeId>,
    scope: ScopeId,
    bug: Option<Bug>,
    clients: Vec<Client>,
    rng: Rng,
    pub(crate) history: History<CounterOp, CounterAnswer>,
    pub(crate) answered: usize,
    /// What more may be asked.
    left: usize,
    /// How many were answered when faults ended.
    answered_in_storm: usize,
}

struct Client {
    id: u64,
    via: NodeId,
    session: Option<Session>,
    doing: Doing,
}

enum Doing {
    Nothing,
    Opening(Ticket<SessionId>),
    Giving { amount: i64, sequence: u64, asked: OpId, ticket: Ticket<i64> },
    Looking { asked: OpId, ticket: Ticket<i64> },
}

impl Clients {
    pub(crate) fn new(seed: u64, scope: ScopeId, nodes: &[NodeId], bug: Option<Bug>) -> Clients {
        let client = |id| Client { id, via: nodes[0], session: None, doing: Doing::Nothing };
        Clients {
            nodes: nodes.to_vec(),
            scope,
            bug,
            clients: (0..3).map(client).collect(),
            rng: Rng::from_seed(seed ^ 0xd0_4a7e),
            history: History::new(),
            answered: 0,
            left: ASKED_MAX,
            answered_in_storm: 0,
        }
    }

    fn step_one(&mut self, at: usize, world: &World<App>) {
        let now = world.now();
        let client = &mut self.clients[at];
        let app = world.app(client.via);
        client.doing = match std::mem::replace(&mut client.doing, Doing::Nothing) {
            Doing::Nothing => match &mut client.session {
                None => Doing::Opening(app.open_session()),
                Some(_) if self.left == 0 => Doing::Nothing,
                Some(session) => {
                    self.left -= 1;
                    if self.rng.chance(0.4) {
                        let asked = self.history.invoke(client.id, CounterOp::Read, now);
                        let stale = self.bug == Some(Bug::StaleReads);
                        let policy = if stale { Read::Local } else { Read::Linearizable };
                        Doing::Looking { asked, ticket: app.read(policy, |donations| donations.sum) }
                    } else {
                        let amount = 1 + self.rng.index(9) as i64;
                        let asked = self.history.invoke(client.id, CounterOp::AddAndRead(amount), now);
                        let sequence = session.begin();
                        let ticket = give(session, app, sequence, amount, self.bug);
                        Doing::Giving { amount, sequence, asked, ticket }
                    }
                }
            },
            Doing::Opening(ticket) => match ticket.try_take() {
                Err(ticket) => Doing::Opening(ticket),
                Ok(opened) => {
                    client.session = opened.ok().map(Session::new);
                    client.via = *self.rng.pick(&self.nodes).unwrap_or(&client.via);
                    Doing::Nothing
                }
            },
            Doing::Looking { asked, ticket } => match ticket.try_take() {
                Err(ticket) => Doing::Looking { asked, ticket },
                Ok(Ok(sum)) => {
                    self.answered += 1;
                    self.history.returned(asked, CounterAnswer::Value(sum), now);
                    Doing::Nothing
                }
                // Whoever asked to look may as well look again later: nothing was changed.
                Ok(Err(why)) => {
                    self.history.failed(asked, now);
                    client.via = elsewhere(&why, &self.nodes, &mut self.rng).unwrap_or(client.via);
                    Doing::Nothing
                }
            },
            Doing::Giving { amount, sequence, asked, ticket } => {
                match (ticket.try_take(), &mut client.session) {
                    (Err(ticket), _) => Doing::Giving { amount, sequence, asked, ticket },
                    (Ok(Ok(sum)), session) => {
                        self.answered += 1;
                        self.history.returned(asked, CounterAnswer::Value(sum), now);
                        if let Some(session) = session {
                            session.end(sequence);
                        }
                        Doing::Nothing
                    }
                    // With the session goes the hope to learn what became of it.
                    (Ok(Err(Failure::Unknown(Reason::SessionExpired))), session) => {
                        *session = None;
                        Doing::Nothing
                    }
                    (Ok(Err(why)), Some(session)) => {
                        client.via = elsewhere(&why, &self.nodes, &mut self.rng).unwrap_or(client.via);
                        let ticket = give(session, world.app(client.via), sequence, amount, self.bug);
                        Doing::Giving { amount, sequence, asked, ticket }
                    }
                    (Ok(Err(_)), None) => Doing::Nothing,
                }
            }
        };
    }
}

fn give(session: &Session, app: &App, sequence: u64, amount: i64, bug: Option<Bug>) -> Ticket<i64> {
    match bug {
        Some(Bug::BlindRetry) => app.propose(amount),
        _ => session.propose(app, sequence, amount),
    }
}

/// Whom to ask next: who is said to lead, or somebody.
fn elsewhere(why: &Failure, nodes: &[NodeId], rng: &mut Rng) -> Option<NodeId> {
    match why {
        Failure::Rejected(Reason::NotLeader(Some(leader))) => Some(*leader),
        _ => rng.pick(nodes).copied(),
    }
}

impl Workload<App> for Clients {
    fn step(&mut self, world: &mut World<App>) -> Duration {
        (0..self.clients.len()).for_each(|at| self.step_one(at, world));
        Duration::from_micros(self.rng.within(1_000..30_000))
    }

    fn calmed(&mut self, _: &mut World<App>) {
        self.answered_in_storm = self.answered;
        self.left = 4 * self.clients.len();
    }

    fn has_recovered(&mut self, world: &World<App>) -> bool {
        let sum = |id: &NodeId| {
            let port = world.host(*id)?.port::<RaftPort<Donations>>(self.scope)?;
            port.state().map(|(donations, at)| (donations.sum, at))
        };
        let first = sum(&self.nodes[0]);
        self.left == 0
            && self.answered > self.answered_in_storm
            && self.clients.iter().all(|client| matches!(client.doing, Doing::Nothing))
            && self.nodes.iter().all(|id| sum(id).is_some() && sum(id) == first)
    }

    fn check(&mut self, _: &mut World<App>) -> Result<(), String> {
        match check(&Counter, &self.history, 10_000_000) {
            Verdict::Illegal(example) => {
                Err(format!("no single box could have answered like this,\n{example}"))
            }
            Verdict::Linearizable | Verdict::Unknown => Ok(()),
        }
    }
}
