//! Clients: each does one thing at a time through one node, and goes to another with the same number when that one falls
//! silent, does not lead, or does not know. Sometimes they leave it at that, and what became of it stays open.

use crate::judge::Seen;
use crate::nodes::{Finder, NODES};
use crate::talk::{Said, Talk, said};
use quorate::Rng;
use quorate::sim::linearizability::{RegisterAnswer, RegisterOp};
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A patience for one line. Shorter than what a node may have for a request: then it is asked elsewhere as well.
const LINE_PATIENCE: Duration = Duration::from_millis(1_500);

/// Registers are new ones after so long: each history stays short enough to be judged whole.
const ROUND: Duration = Duration::from_secs(2);

/// Registers in use at a time.
const REGISTERS: u64 = 3;

/// A client rests so long at most.
const REST_MS_MAX: u64 = 30;

/// What all clients share.
pub struct Stage {
    pub finder: Finder,
    pub begun: Instant,
    /// Nobody waits longer, whatever happens.
    pub until: Instant,
    pub ended: AtomicBool,
    pub seen: Mutex<Seen>,
    /// What else reads ask for: a policy.
    pub policies: &'static [&'static str],
}

/// What became of a question.
enum Outcome {
    Answered(String),
    /// It did not happen and never will.
    Refused,
    Doubt,
}

pub const NEVER_ANSWERED: &str = "never answered, long after the last blow";

/// What a client ends with that waited in vain.
struct NeverAnswered(String);

/// Does what asks the nodes; an error if somebody waited in vain.
pub fn answered<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(in_vain)
}

/// What this client ended with, if it waited in vain; any other panic goes on.
pub fn in_vain(panic: Box<dyn Any + Send>) -> String {
    panic.downcast::<NeverAnswered>().map_or_else(|other| resume_unwind(other), |what| what.0)
}

pub struct Client<'a> {
    id: u64,
    stage: &'a Stage,
    rng: Rng,
    at: u64,
    talk: Option<Talk>,
    session: Option<u64>,
    sequence: u64,
    /// How often it leaves a question open that was not answered.
    gives_up: f64,
}

impl<'a> Client<'a> {
    pub fn new(id: u64, stage: &'a Stage, seed: u64, gives_up: f64) -> Client<'a> {
        let at = NODES[id as usize % NODES.len()];
        let rng = Rng::from_seed(seed ^ (id + 1) << 32);
        Client { id, stage, rng, at, talk: None, session: None, sequence: 0, gives_up }
    }

    fn goes_on(&self) -> bool {
        !self.stage.ended.load(Ordering::Relaxed) && self.is_patient()
    }

    fn is_patient(&self) -> bool {
        Instant::now() < self.stage.until
    }

    fn rest(&mut self) {
        sleep(Duration::from_millis(self.rng.within(0..REST_MS_MAX)));
    }

    /// One question, once. `None` if nothing was heard.
    fn try_once(&mut self, line: &str) -> Option<Said> {
        if self.talk.is_none() {
            self.talk = self.stage.finder.talk(self.at, LINE_PATIENCE);
        }
        let heard = self.talk.as_mut().and_then(|talk| talk.ask(line).ok()).map(|line| said(&line));
        let leader = match &heard {
            Some(Said::Ok(_)) => return heard,
            Some(Said::No(leader, _) | Said::Unknown(leader)) => *leader,
            None => None,
        };
        let next = leader.filter(|leader| *leader != self.at && self.rng.chance(0.8));
        self.at = next.unwrap_or_else(|| NODES[self.rng.index(NODES.len())]);
        self.talk = None;
        sleep(Duration::from_millis(5));
        heard
    }

    /// Asks until it is answered, or it is left at that.
    fn ask(&mut self, line: &str, gives_up: f64) -> Outcome {
        let mut doubt = false;
        while self.is_patient() {
            match self.try_once(line) {
                Some(Said::Ok(answer)) => return Outcome::Answered(answer),
                Some(Said::No(_, why)) if why == "not understood" => panic!("{line}: {why}"),
                Some(Said::No(..)) => {
                    // A no is about this try; one before it that was not answered may still happen.
                    if !doubt && self.rng.chance(gives_up) {
                        return Outcome::Refused;
                    }
                }
                Some(Said::Unknown(_)) | None => {
                    doubt = true;
                    if self.rng.chance(gives_up) {
                        return Outcome::Doubt;
                    }
                }
            }
        }
        // Told apart from whatever else may go wrong here.
        let what = NeverAnswered(format!("{line}: {NEVER_ANSWERED}"));
        eprintln!("{}", what.0);
        resume_unwind(Box::new(what))
    }

    /// A change, in a session.
    fn change(&mut self, verb: &str, what: &str) -> Outcome {
        while self.session.is_none() {
            self.sequence = 0;
            if let Outcome::Answered(id) = self.ask("open", 0.0) {
                self.session = id.parse().ok();
            }
        }
        self.sequence += 1;
        let (session, sequence) = (self.session.unwrap_or_default(), self.sequence);
        let line = format!("{verb} {session} {sequence} {} {what}", sequence - 1);
        let outcome = self.ask(&line, self.gives_up);
        if matches!(outcome, Outcome::Doubt) && self.rng.chance(0.5) {
            // In a session of its own nothing tells the nodes that nobody waits for it any more.
            self.session = None;
        }
        outcome
    }

    fn note<R>(&self, note: impl FnOnce(&mut Seen, Duration) -> R) -> R {
        let mut seen = self.stage.seen.lock().unwrap();
        note(&mut seen, self.stage.begun.elapsed())
    }

    /// Reads, writes and compares registers.
    pub fn use_registers(mut self) {
        let (mut numbers, mut known) = (0, BTreeMap::new());
        while self.goes_on() {
            let round = self.stage.begun.elapsed().as_nanos() / ROUND.as_nanos();
            let register = round as u64 * REGISTERS + self.rng.within(0..REGISTERS);
            numbers += 1;
            // Nobody else ever writes it.
            let value = numbers * 100 + self.id;
            let op = match self.rng.index(5) {
                0 | 1 => RegisterOp::Read,
                2 | 3 => RegisterOp::Write(value),
                _ => RegisterOp::Cas { from: known.get(&register).copied().flatten(), to: value },
            };
            let asked = self.note(|seen, at| seen.registers.invoke(self.id, (register, op), at));
            let outcome = match op {
                RegisterOp::Read => {
                    let policy = self.rng.pick(self.stage.policies).copied().unwrap_or_default();
                    let line = format!("get {register} {policy}");
                    // Nothing was changed; later it looks again.
                    match self.ask(line.trim_end(), 1.0) {
                        Outcome::Doubt => Outcome::Refused,
                        outcome => outcome,
                    }
                }
                RegisterOp::Write(value) => self.change("set", &format!("{register} {value}")),
                RegisterOp::Cas { from, to } => {
                    let from = from.map_or("-".to_owned(), |from| from.to_string());
                    self.change("cas", &format!("{register} {from} {to}"))
                }
                RegisterOp::Delete => unreachable!("nothing is deleted"),
            };
            match outcome {
                Outcome::Answered(answer) => {
                    let answer = match op {
                        RegisterOp::Read => {
                            known.insert(register, answer.parse().ok());
                            RegisterAnswer::Value(answer.parse().ok())
                        }
                        RegisterOp::Cas { .. } => RegisterAnswer::Swapped(answer == "1"),
                        _ => RegisterAnswer::Done,
                    };
                    self.note(|seen, at| seen.registers.returned(asked, answer, at));
                }
                Outcome::Refused => self.note(|seen, at| seen.registers.failed(asked, at)),
                Outcome::Doubt => {}
            }
            self.rest();
        }
    }

    /// Puts values, each once.
    pub fn put(mut self) {
        let mut value = self.id;
        while self.goes_on() {
            value += 100;
            match self.change("put", &value.to_string()) {
                Outcome::Answered(times) => {
                    self.note(|seen, _| seen.put.push((value, times.parse().unwrap())))
                }
                Outcome::Refused => {}
                Outcome::Doubt => self.note(|seen, _| seen.put_in_doubt.push(value)),
            }
            self.rest();
        }
    }

    /// Adds one to the counter that all who add share. Never leaves it open.
    pub fn add(mut self) {
        self.gives_up = 0.0;
        while self.goes_on() {
            if let Outcome::Answered(sum) = self.change("add", "0 1") {
                self.note(|seen, _| seen.sums.push((self.id, sum.parse().unwrap())));
            }
            self.rest();
        }
    }

    /// The answer to a question that changes nothing.
    pub fn look(&mut self, line: &str) -> String {
        match self.ask(line, 0.0) {
            Outcome::Answered(answer) => answer,
            Outcome::Refused | Outcome::Doubt => unreachable!("it never gives up"),
        }
    }
}
