//! What clients say, a line each, and are answered, a line each, in their order:
//!
//! | line | answer |
//! |---|---|
//! | `open` | `ok SESSION` |
//! | `put SESSION SEQUENCE ACKNOWLEDGED VALUE` | `ok TIMES`: how often this value was put |
//! | `set SESSION SEQUENCE ACKNOWLEDGED REGISTER VALUE` | `ok 1` |
//! | `cas SESSION SEQUENCE ACKNOWLEDGED REGISTER FROM TO` | `ok 1` if FROM was there (`-`: nothing) and TO is now, else `ok 0` |
//! | `add SESSION SEQUENCE ACKNOWLEDGED COUNTER AMOUNT` | `ok SUM`: what the counter holds now |
//! | `get REGISTER` | `ok VALUE`, or `ok -` if there is none; linearizable, of who leads only |
//! | `get REGISTER follower` | the same of any node, as fresh |
//! | `get REGISTER local` | the same, as this node knows it: it may be old |
//! | `sum COUNTER` | `ok SUM`; linearizable |
//! | `values` | `ok VALUE:TIMES VALUE:TIMES ...`; linearizable |
//! | `leader` | `ok ID` |
//! | `change +ID -ID ...` | `ok ID,ID,...`: who votes then. `+ID` is to vote on the disk that it runs on, `-ID` no more; of who leads only |
//! | `linked` | `ok ID,ID,...`: the voters that this node is linked to, on the disks they are known by; itself, if it votes |
//! | `status` | `ok JSON`: what this node knows of itself |
//! | `peer ID ADDRESS` | `ok` |
//!
//! A witness answers `leader`, `linked`, `status` and `peer`, and `no` to everything else.
//!
//! What failed is answered `no ID WHY` if it did not happen and never will, and `unknown ID WHY` if it may have; ID is who
//! leads, or `-`.

use crate::store::{Change, Store};
use quorate::raft::{self, RaftHandle, Read, SessionId, WitnessHandle};
use quorate::transport::Peers;
use quorate::{Failure, NodeId, Reason, Ticket};
use std::io::{BufRead, BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::str::{FromStr, SplitWhitespace};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::spawn;

/// Lines of one client that wait for their answers.
const WAITING_MAX: usize = 1024;

/// An answer, as soon as it is there.
type Answer = Box<dyn FnOnce() -> String + Send>;

/// What a node has to answer with.
#[derive(Clone)]
pub(crate) enum Part {
    Replica(RaftHandle<Store>),
    Witness(WitnessHandle),
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) part: Part,
    pub(crate) peers: Peers,
}

impl Server {
    pub(crate) fn serve(&self, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            let server = self.clone();
            // A client that hangs up, or says what cannot be written back, ends its own conversation.
            spawn(move || server.converse(client));
        }
    }

    fn converse(&self, client: TcpStream) -> Result<()> {
        client.set_nodelay(true)?;
        let (answers, waiting) = sync_channel(WAITING_MAX);
        let back = client.try_clone()?;
        spawn(move || write_back(back, &waiting));
        for line in BufReader::new(client).lines() {
            let line = line?;
            let answer = match &self.part {
                Part::Replica(store) => self.take(store, &line),
                Part::Witness(witness) => Some(self.take_as_witness(witness, &line)),
            };
            let answer = answer.unwrap_or_else(|| Box::new(|| "no - not understood".into()));
            if answers.send(answer).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Somebody else answers what takes state.
    fn take_as_witness(&self, witness: &WitnessHandle, line: &str) -> Answer {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("leader") => later(witness.leader(), |id| id.0.to_string()),
            Some("linked") => later(witness.verify_quorum(), |report| list(&report.linked)),
            Some("status") => {
                later(witness.status(), |status| serde_json::to_string(&status).unwrap_or_default())
            }
            Some("peer") => {
                self.peer(&mut words).unwrap_or_else(|| Box::new(|| "no - not understood".into()))
            }
            _ => Box::new(|| "no - a witness has no state".into()),
        }
    }

    fn peer(&self, words: &mut SplitWhitespace<'_>) -> Option<Answer> {
        let (id, address) = (NodeId(next(words)?), next(words)?);
        let set = self.peers.set(id, address);
        Some(Box::new(move || set.map_or_else(|why| format!("no - {why}"), |_| "ok".into())))
    }

    fn take(&self, store: &RaftHandle<Store>, line: &str) -> Option<Answer> {
        let mut words = line.split_whitespace();
        Some(match words.next()? {
            "open" => later(store.open_session(), |id| id.0.to_string()),
            "put" => {
                let place = Place::read(&mut words)?;
                propose(store, place, Change::Put(next(&mut words)?))
            }
            "set" => {
                let place = Place::read(&mut words)?;
                propose(store, place, Change::Set(next(&mut words)?, next(&mut words)?))
            }
            "cas" => {
                let place = Place::read(&mut words)?;
                let register = next(&mut words)?;
                let from = match words.next()? {
                    "-" => None,
                    value => Some(value.parse().ok()?),
                };
                propose(store, place, Change::Cas(register, from, next(&mut words)?))
            }
            "add" => {
                let place = Place::read(&mut words)?;
                propose(store, place, Change::Add(next(&mut words)?, next(&mut words)?))
            }
            "get" => {
                let register: u64 = next(&mut words)?;
                let policy = match words.next() {
                    None => Read::Linearizable,
                    Some("follower") => Read::Follower,
                    Some("local") => Read::Local,
                    Some(_) => return None,
                };
                let read = store.read(policy, move |store| store.registers.get(&register).copied());
                later(read, |value| value.map_or("-".into(), |value| value.to_string()))
            }
            "sum" => {
                let counter: u64 = next(&mut words)?;
                let read = store.read(Read::Linearizable, move |store| store.counters.get(&counter).copied());
                later(read, |sum| sum.unwrap_or_default().to_string())
            }
            "values" => later(store.read(Read::Linearizable, |store| store.values.clone()), |values| {
                let pairs: Vec<String> =
                    values.iter().map(|(value, times)| format!("{value}:{times}")).collect();
                pairs.join(" ")
            }),
            "leader" => later(store.leader(), |id| id.0.to_string()),
            "change" => {
                let change = words.try_fold(raft::Change::new(), |change, word| {
                    match word.split_at_checked(1)? {
                        ("+", id) => Some(change.add(id.parse::<u64>().ok()?)),
                        ("-", id) => Some(change.remove(id.parse::<u64>().ok()?)),
                        _ => None,
                    }
                })?;
                later(store.change(change), |now| list(&now.nodes()))
            }
            "linked" => later(store.verify_quorum(), |report| list(&report.linked)),
            "status" => later(store.status(), |status| serde_json::to_string(&status).unwrap_or_default()),
            "peer" => self.peer(&mut words)?,
            _ => return None,
        })
    }
}

fn propose(store: &RaftHandle<Store>, place: Place, change: Change) -> Answer {
    let Place { session, sequence, acknowledged } = place;
    let ticket = store.propose_in(session, sequence, acknowledged, change);
    later(ticket, |answer| answer.to_string())
}

/// Where a change stands among those of its client.
struct Place {
    session: SessionId,
    sequence: u64,
    acknowledged: u64,
}

impl Place {
    fn read(words: &mut SplitWhitespace<'_>) -> Option<Place> {
        let (session, sequence, acknowledged) = (next(words)?, next(words)?, next(words)?);
        Some(Place { session: SessionId(session), sequence, acknowledged })
    }
}

fn list(ids: &[NodeId]) -> String {
    ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(",")
}

fn next<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn later<T: Send + 'static>(ticket: Ticket<T>, show: impl FnOnce(T) -> String + Send + 'static) -> Answer {
    Box::new(move || match ticket.wait() {
        Ok(answer) => format!("ok {}", show(answer)),
        Err(Failure::Rejected(why)) => format!("no {} {why}", leader(&why)),
        Err(Failure::Unknown(why)) => format!("unknown {} {why}", leader(&why)),
    })
}

fn leader(why: &Reason) -> String {
    match why {
        Reason::NotLeader(Some(leader)) => leader.0.to_string(),
        _ => "-".into(),
    }
}

fn write_back(mut client: TcpStream, waiting: &Receiver<Answer>) -> Result<()> {
    for answer in waiting {
        let mut line = answer();
        line.push('\n');
        client.write_all(line.as_bytes())?;
    }
    Ok(())
}
