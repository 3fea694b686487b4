//! Processes that speak lines of JSON, and the network between them and their clients: it loses, delays, doubles and cuts
//! off, as one number says.

use quorate::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// Lines that wait for a process to read them. Beyond it they are lost.
const WAITING_MAX: usize = 10_000;

/// What messages meet.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Each is so long under way at most, and so they overtake one another.
    pub delay_ms_max: u64,
    pub loss: f64,
    pub doubled: f64,
    /// Whether nodes are cut off from one another, one split after another.
    pub cuts: bool,
}

/// What became of messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub delivered: u64,
    pub lost: u64,
    pub doubled: u64,
    pub cut: u64,
    /// A node spoke under a name that is not its own, or to nobody, or not in messages at all.
    pub nonsense: u64,
}

type Mailboxes = Arc<Mutex<BTreeMap<String, Sender<Value>>>>;

enum Event {
    Said { by: String, line: String },
    End,
}

/// Nodes `n0`, `n1` .. and the network.
pub struct Network {
    pub nodes: Vec<String>,
    events: Sender<Event>,
    mailboxes: Mailboxes,
    children: Vec<Child>,
    router: Option<JoinHandle<Counts>>,
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Network {
    pub fn start(size: usize, arguments: &[&str], weather: Weather, seed: u64) -> Network {
        let nodes: Vec<String> = (0..size).map(|n| format!("n{n}")).collect();
        let (events, said) = channel();
        let (mut children, mut inputs) = (Vec::new(), BTreeMap::new());
        for name in &nodes {
            let mut child = Command::new(env!("CARGO_BIN_EXE_maelstrom-node"))
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            inputs.insert(name.clone(), write_to(child.stdin.take().unwrap()));
            let (output, events, by) = (child.stdout.take().unwrap(), events.clone(), name.clone());
            spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if events.send(Event::Said { by: by.clone(), line }).is_err() {
                        return;
                    }
                }
            });
            children.push(child);
        }
        let mailboxes = Mailboxes::default();
        let router = Router {
            weather,
            rng: Rng::from_seed(seed),
            nodes: nodes.clone(),
            inputs,
            mailboxes: mailboxes.clone(),
            under_way: BinaryHeap::new(),
            cut: BTreeSet::new(),
            next_split: None,
            counts: Counts::default(),
        };
        let router = Some(spawn(move || router.run(&said)));
        Network { nodes, events, mailboxes, children, router }
    }

    /// Where messages to this name arrive from now on.
    pub fn mailbox(&self, name: &str) -> Receiver<Value> {
        let (mailbox, arrived) = channel();
        self.mailboxes.lock().unwrap().insert(name.to_owned(), mailbox);
        arrived
    }

    pub fn send(&self, src: &str, dest: &str, body: &Value) {
        let line = json!({ "src": src, "dest": dest, "body": body }).to_string();
        self.events.send(Event::Said { by: src.to_owned(), line }).unwrap();
    }

    /// Ends everything. Nobody may have ended before.
    pub fn end(mut self) -> Counts {
        for (child, name) in self.children.iter_mut().zip(&self.nodes) {
            assert!(child.try_wait().unwrap().is_none(), "{name} ended by itself");
        }
        self.events.send(Event::End).unwrap();
        self.router.take().unwrap().join().unwrap()
    }
}

fn write_to(mut input: ChildStdin) -> SyncSender<String> {
    let (lines, waiting) = sync_channel::<String>(WAITING_MAX);
    spawn(move || {
        for line in waiting {
            if input.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    });
    lines
}

/// A message on its way. The one that arrives first is the greatest.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    at: std::cmp::Reverse<Instant>,
    src: String,
    dest: String,
    line: String,
}

struct Router {
    weather: Weather,
    rng: Rng,
    nodes: Vec<String>,
    inputs: BTreeMap<String, SyncSender<String>>,
    mailboxes: Mailboxes,
    under_way: BinaryHeap<UnderWay>,
    /// From whom to whom nothing passes.
    cut: BTreeSet<(String, String)>,
    next_split: Option<Instant>,
    counts: Counts,
}

impl Router {
    fn run(mut self, said: &Receiver<Event>) -> Counts {
        loop {
            let now = Instant::now();
            while self.under_way.peek().is_some_and(|first| first.at.0 <= now) {
                self.under_way.pop().into_iter().for_each(|message| self.deliver(message));
            }
            if self.next_split.is_some_and(|at| at <= now) {
                self.split(now);
            }
            let due = self.under_way.peek().map(|first| first.at.0).into_iter().chain(self.next_split).min();
            let patience = due.map_or(Duration::from_secs(1), |due| due.saturating_duration_since(now));
            match said.recv_timeout(patience) {
                Ok(Event::Said { by, line }) => self.take(&by, line),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return self.counts,
            }
        }
    }

    fn take(&mut self, by: &str, line: String) {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let (src, dest, kind) = (&message["src"], &message["dest"], &message["body"]["type"]);
        let (Some(src), Some(dest), Some(kind)) = (src.as_str(), dest.as_str(), kind.as_str()) else {
            self.counts.nonsense += 1;
            return;
        };
        let is_known = self.inputs.contains_key(dest) || self.mailboxes.lock().unwrap().contains_key(dest);
        if src != by || !is_known {
            self.counts.nonsense += 1;
            return;
        }
        // The first words are between the test and the nodes, and the weather begins with the first ones that are not.
        let first_words = ["init", "init_ok"].contains(&kind);
        if !first_words && self.rng.chance(self.weather.loss) {
            self.counts.lost += 1;
            return;
        }
        if self.weather.cuts && self.next_split.is_none() && kind == "write" {
            self.next_split = Some(Instant::now());
        }
        let twice = !first_words && self.rng.chance(self.weather.doubled);
        self.counts.doubled += u64::from(twice);
        for _ in 0..=u64::from(twice) {
            let delay = Duration::from_micros(self.rng.within(0..self.weather.delay_ms_max * 1_000 + 1));
            self.under_way.push(UnderWay {
                at: std::cmp::Reverse(Instant::now() + delay),
                src: src.to_owned(),
                dest: dest.to_owned(),
                line: line.clone(),
            });
        }
    }

    fn deliver(&mut self, message: UnderWay) {
        let UnderWay { src, dest, mut line, .. } = message;
        if self.cut.contains(&(src, dest.clone())) {
            self.counts.cut += 1;
            return;
        }
        let arrived = match self.inputs.get(&dest) {
            Some(input) => {
                line.push('\n');
                input.try_send(line).is_ok()
            }
            None => {
                let mailboxes = self.mailboxes.lock().unwrap();
                let message = serde_json::from_str(&line).unwrap();
                mailboxes.get(&dest).is_some_and(|mailbox| mailbox.send(message).is_ok())
            }
        };
        self.counts.delivered += u64::from(arrived);
    }

    /// By turns a split, in both directions or in one, and none.
    fn split(&mut self, now: Instant) {
        self.next_split = Some(now + Duration::from_millis(self.rng.within(300..1_500)));
        if !std::mem::take(&mut self.cut).is_empty() {
            return;
        }
        let mut nodes = self.nodes.clone();
        self.rng.shuffle(&mut nodes);
        let (few, many) = nodes.split_at(1 + self.rng.index(nodes.len() / 2));
        let both = self.rng.chance(0.6);
        for (a, b) in few.iter().flat_map(|a| many.iter().map(move |b| (a, b))) {
            self.cut.insert((a.clone(), b.clone()));
            if both {
                self.cut.insert((b.clone(), a.clone()));
            }
        }
    }
}
