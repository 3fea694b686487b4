//! Clients of the processes: each talks to one node at a time, and goes to another with the same numbers when that one
//! falls silent, does not lead, or does not know.

use crate::VALUES;
use crate::cluster::{Cluster, NODES};
use crate::talk::{Said, Talk, said};
use quorate::sim::linearizability::{History, RegisterAnswer, RegisterOp};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Values that one client has under way at a time.
const AT_ONCE: u64 = 20;

/// Operations on registers, a client: enough, and few enough to be judged quickly.
const OPERATIONS_MAX: u64 = 200;

type Asked = History<(u64, RegisterOp<u64>), RegisterAnswer<u64>>;

/// A client's way to the cluster.
struct Way<'a> {
    cluster: &'a Cluster,
    at: u64,
    talk: Option<Talk>,
}

impl<'a> Way<'a> {
    fn new(cluster: &'a Cluster, at: u64) -> Way<'a> {
        Way { cluster, at: NODES[at as usize % NODES.len()], talk: None }
    }

    fn talk(&mut self) -> Option<&mut Talk> {
        if self.talk.is_none() {
            self.talk = self.cluster.talk(self.at);
        }
        if self.talk.is_none() {
            self.turn(None);
        }
        self.talk.as_mut()
    }

    /// To the leader, if that was said, or to the next.
    fn turn(&mut self, leader: Option<u64>) {
        self.at = leader.filter(|leader| *leader != self.at).unwrap_or(self.at % NODES.len() as u64 + 1);
        self.talk = None;
        std::thread::sleep(Duration::from_millis(5));
    }

    /// One question, once.
    fn ask(&mut self, line: &str) -> Option<String> {
        let heard = self.talk()?.ask(line);
        match heard.map(|line| said(&line)) {
            Ok(Said::Ok(answer)) => Some(answer),
            Ok(Said::No(leader, _) | Said::Unknown(leader)) => {
                self.turn(leader);
                None
            }
            Err(_) => {
                self.turn(None);
                None
            }
        }
    }
}

/// Asks until it is answered. An error is what no retry mends.
pub fn ask_until(cluster: &Cluster, until: Instant, line: &str) -> Result<String, String> {
    let mut way = Way::new(cluster, 0);
    while Instant::now() < until {
        let Some(heard) = way.talk().and_then(|talk| talk.ask(line).ok()) else {
            way.turn(None);
            continue;
        };
        match said(&heard) {
            Said::Ok(answer) => return Ok(answer),
            Said::No(_, why) if why == "not understood" => return Err(why),
            Said::No(leader, _) | Said::Unknown(leader) => way.turn(leader),
        }
    }
    panic!("{line}: never answered");
}

/// All values with how often each was applied.
pub fn values(cluster: &Cluster, until: Instant) -> BTreeMap<u64, u32> {
    let all = ask_until(cluster, until, "values").unwrap();
    let pair = |pair: &str| {
        pair.split_once(':').map(|(value, times)| (value.parse().unwrap(), times.parse().unwrap()))
    };
    all.split_whitespace().map(|text| pair(text).unwrap()).collect()
}

/// Those who write each value once.
pub struct Writers<'a> {
    cluster: &'a Cluster,
    until: Instant,
    ended: AtomicBool,
    /// The next value that nobody took yet.
    next: AtomicU64,
    /// Values below it may be written now.
    allowed: AtomicU64,
    acknowledged: AtomicU64,
    repeated: AtomicU64,
}

/// Ends writers and others when it is dropped.
pub struct End<'a>(&'a AtomicBool, &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.store(true, Ordering::Relaxed);
    }
}

/// Ends the others if this thread panics.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<'a> Writers<'a> {
    pub fn new(cluster: &'a Cluster, until: Instant) -> Writers<'a> {
        Writers {
            cluster,
            until,
            ended: AtomicBool::new(false),
            next: AtomicU64::new(0),
            allowed: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    pub fn end_with_this(&'a self, others: &'a Registers<'_>) -> End<'a> {
        End(&self.ended, &others.ended)
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// How often a value was sent again.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::SeqCst)
    }

    /// Lets these be written.
    pub fn allow(&self, values: u64) {
        self.allowed.store(values, Ordering::SeqCst);
    }

    /// Waits until so many are acknowledged.
    pub fn write_up_to(&self, values: u64) {
        while self.acknowledged() < values {
            assert!(self.goes_on(), "{} of {values} were acknowledged", self.acknowledged());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed) && Instant::now() < self.until
    }

    /// One client: takes some values, writes them, takes more.
    pub fn write(&self) {
        let _alarm = Alarm(&self.ended);
        let mut way = Way::new(self.cluster, self.next.load(Ordering::Relaxed));
        let mut session = None;
        let mut sequence = 0;
        loop {
            let first = self.next.fetch_add(AT_ONCE, Ordering::SeqCst);
            if first >= VALUES {
                return;
            }
            while self.allowed.load(Ordering::SeqCst) < first + AT_ONCE {
                if !self.goes_on() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            let mut left: Vec<(u64, u64)> =
                (first..first + AT_ONCE).map(|value| (value - first + sequence + 1, value)).collect();
            sequence += AT_ONCE;
            while !left.is_empty() && self.goes_on() {
                match session {
                    None => session = way.ask("open").map(|id| id.parse::<u64>().unwrap()),
                    Some(session) => self.try_all(&mut way, session, &mut left),
                }
            }
        }
    }

    /// Says all that is left at once, and takes away what was acknowledged.
    fn try_all(&self, way: &mut Way<'_>, session: u64, left: &mut Vec<(u64, u64)>) {
        let acknowledged = left[0].0 - 1;
        let lines: String = left
            .iter()
            .map(|(sequence, value)| format!("put {session} {sequence} {acknowledged} {value}\n"))
            .collect();
        let Some(talk) = way.talk() else { return };
        if talk.say(&lines).is_err() {
            return way.turn(None);
        }
        let mut failed = None;
        let mut silent = false;
        left.retain(|_| {
            if silent {
                return true;
            }
            match talk.hear().map(|line| said(&line)) {
                Ok(Said::Ok(times)) => {
                    assert_eq!(times, "1", "a value was applied twice");
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                    false
                }
                Ok(Said::No(leader, _) | Said::Unknown(leader)) => {
                    failed = Some(leader);
                    true
                }
                Err(_) => {
                    silent = true;
                    true
                }
            }
        });
        self.repeated.fetch_add(left.len() as u64, Ordering::SeqCst);
        if silent || failed.is_some() {
            way.turn(failed.flatten());
        }
    }
}

/// Those who set and read registers, and write down what they saw.
pub struct Registers<'a> {
    cluster: &'a Cluster,
    until: Instant,
    begun: Instant,
    ended: AtomicBool,
    history: Mutex<Asked>,
}

impl<'a> Registers<'a> {
    pub fn new(cluster: &'a Cluster, until: Instant) -> Registers<'a> {
        let (begun, ended) = (Instant::now(), AtomicBool::new(false));
        Registers { cluster, until, begun, ended, history: Mutex::default() }
    }

    pub fn history(&self) -> Asked {
        self.history.lock().unwrap().clone()
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed) && Instant::now() < self.until
    }

    /// One client: sets and reads by turns, one thing at a time.
    pub fn use_them(&self, id: u64) {
        let mut way = Way::new(self.cluster, id);
        let mut session = None;
        for number in 1..=OPERATIONS_MAX {
            while session.is_none() && self.goes_on() {
                session = way.ask("open").map(|id| id.parse::<u64>().unwrap());
            }
            let (Some(session), true) = (session, self.goes_on()) else { return };
            let register = number / 3 % 2;
            let value = id * 1_000_000 + number;
            let (op, line) = match number % 2 {
                0 => (RegisterOp::Read, format!("get {register}")),
                _ => (
                    RegisterOp::Write(value),
                    format!("set {session} {number} {} {register} {value}", number - 1),
                ),
            };
            let asked = self.history.lock().unwrap().invoke(id, (register, op), self.begun.elapsed());
            let answer = loop {
                match way.ask(&line) {
                    Some(answer) => break answer,
                    // Left unanswered: it may have happened.
                    None if !self.goes_on() => return,
                    None => {}
                }
            };
            let answer = match op {
                RegisterOp::Read => RegisterAnswer::Value(answer.parse().ok()),
                _ => RegisterAnswer::Done,
            };
            self.history.lock().unwrap().returned(asked, answer, self.begun.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
