//! Requests of clients and their answers, with Maelstrom's error codes. An error is *definite* if the request did not happen
//! and never will, which is what quorate calls Rejected; Unknown is indefinite.

use crate::net::Net;
use crate::seen::Seen;
use crate::store::{Change, Reply, Store};
use crate::wire::Message;
use quorate::raft::{RaftHandle, Read};
use quorate::{Failure, Reason};
use serde_json::{Value, json};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::spawn;

/// Requests that wait for the others, each on a thread. Beyond it they are refused.
const WAITING_MAX: usize = 512;

const NOT_SUPPORTED: u16 = 10;
const UNAVAILABLE: u16 = 11;
const MALFORMED: u16 = 12;
/// Indefinite.
const CRASH: u16 = 13;
const ABORT: u16 = 14;
const NO_SUCH_KEY: u16 = 20;
const PRECONDITION_FAILED: u16 = 22;

#[derive(Clone)]
pub(crate) struct Server {
    net: Net,
    store: RaftHandle<Store>,
    reads: Read,
    /// No two lives of one node make the same ids.
    life: u64,
    made: Arc<AtomicU64>,
    seen: Arc<Mutex<Seen>>,
    waiting: Arc<AtomicUsize>,
}

/// What is answered at once, or later on a thread.
enum Answer {
    Now(Value),
    Later(Box<dyn FnOnce() -> Value + Send>),
}

impl Server {
    pub(crate) fn new(net: Net, store: RaftHandle<Store>, reads: Read) -> Server {
        let life = RandomState::new().hash_one(&net.me);
        Server {
            net,
            store,
            reads,
            life,
            made: Arc::default(),
            seen: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// A request without a number is nobody's who waits.
    pub(crate) fn take(&self, request: Message) {
        let Some(number) = request.id() else { return };
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).is_new(&request.src, number) {
            return;
        }
        let later = match self.answer(&request) {
            Answer::Now(body) => return self.net.out.answer(&self.net.me, &request, body),
            Answer::Later(later) => later,
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return self.net.out.answer(&self.net.me, &request, error(UNAVAILABLE, "too many requests wait"));
        }
        let server = self.clone();
        spawn(move || {
            let body = later();
            server.net.out.answer(&server.net.me, &request, body);
            server.waiting.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn answer(&self, request: &Message) -> Answer {
        let field = |name: &str| request.body.get(name).map(Value::to_string);
        let malformed = || Answer::Now(error(MALFORMED, "a field is missing"));
        match request.kind() {
            "echo" => Answer::Now(json!({ "type": "echo_ok", "echo": request.body.get("echo") })),
            "generate" => {
                let id =
                    format!("{}-{:x}-{}", self.net.me, self.life, self.made.fetch_add(1, Ordering::Relaxed));
                Answer::Now(json!({ "type": "generate_ok", "id": id }))
            }
            "read" => field("key").map_or_else(malformed, |key| self.read(key)),
            "write" => match (field("key"), field("value")) {
                (Some(key), Some(value)) => self.change(request, Change::Write { key, value }),
                _ => malformed(),
            },
            "cas" => match (field("key"), field("from"), field("to")) {
                (Some(key), Some(from), Some(to)) => {
                    let create = request.body.get("create_if_not_exists") == Some(&Value::Bool(true));
                    self.change(request, Change::Cas { key, from, to, create })
                }
                _ => malformed(),
            },
            other => Answer::Now(error(NOT_SUPPORTED, &format!("no request is called {other:?}"))),
        }
    }

    fn read(&self, key: String) -> Answer {
        let ticket = self.store.read(self.reads, move |store| store.values.get(&key).cloned());
        Answer::Later(Box::new(move || match ticket.wait() {
            Ok(Some(value)) => json!({ "type": "read_ok", "value": from_text(&value) }),
            Ok(None) => error(NO_SUCH_KEY, "no such key"),
            Err(why) => failed(&why),
        }))
    }

    fn change(&self, request: &Message, change: Change) -> Answer {
        let done = format!("{}_ok", request.kind());
        let ticket = self.store.propose(change);
        Answer::Later(Box::new(move || match ticket.wait() {
            Ok(Reply::Done) => json!({ "type": done }),
            Ok(Reply::NoSuchKey) => error(NO_SUCH_KEY, "no such key"),
            Ok(Reply::Differs(there)) => error(PRECONDITION_FAILED, &format!("it is {there}")),
            Err(why) => failed(&why),
        }))
    }
}

fn failed(why: &Failure) -> Value {
    let code = match why {
        Failure::Unknown(_) => CRASH,
        Failure::Rejected(Reason::Poisoned(_) | Reason::TooLarge { .. } | Reason::Refused(_)) => ABORT,
        Failure::Rejected(_) => UNAVAILABLE,
    };
    error(code, &why.to_string())
}

fn error(code: u16, text: &str) -> Value {
    json!({ "type": "error", "code": code, "text": text })
}

/// Values are kept as the text that they were; what is not JSON never came in.
fn from_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
