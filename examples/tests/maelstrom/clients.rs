//! Clients of the nodes, each with one request at a time, and what they saw.

use crate::network::Network;
use crate::registers::Registers;
use quorate::Rng;
use quorate::sim::linearizability::{RegisterAnswer, RegisterOp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// As long as Maelstrom's clients have.
const PATIENCE: Duration = Duration::from_secs(1);

/// Registers are new ones after so long, so that each history is short enough to be judged whole.
const ROUND: Duration = Duration::from_secs(2);

/// Errors after which a request did not happen and never will.
const DEFINITE: [u64; 7] = [1, 10, 11, 12, 14, 20, 22];

pub struct Client<'a> {
    id: u64,
    name: String,
    network: &'a Network,
    mailbox: Receiver<Value>,
    asked: u64,
    pub rng: Rng,
}

impl<'a> Client<'a> {
    pub fn new(id: u64, network: &'a Network, seed: u64) -> Client<'a> {
        let name = format!("c{id}");
        let mailbox = network.mailbox(&name);
        Client { id, name, network, mailbox, asked: 0, rng: Rng::from_seed(seed ^ (id + 1) << 32) }
    }

    /// What this node answers, if it does.
    pub fn ask(&mut self, node: &str, mut body: Value, patience: Duration) -> Option<Value> {
        self.asked += 1;
        body["msg_id"] = json!(self.asked);
        self.network.send(&self.name, node, &body);
        let until = Instant::now() + patience;
        loop {
            let message = self.mailbox.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            // What comes late, or twice, is an answer to something else.
            if message["body"]["in_reply_to"] == json!(self.asked) {
                return Some(message["body"].clone());
            }
        }
    }

    fn ask_somebody(&mut self, body: Value) -> Option<Value> {
        let network = self.network;
        let node = self.rng.pick(&network.nodes)?;
        self.ask(node, body, PATIENCE)
    }

    /// What was sent out and what came back.
    pub fn echo(&mut self, times: u64) -> Vec<(Value, Value)> {
        let payload = |n: u64| json!({ "n": n, "text": format!("{n} \"\\\n é"), "list": [null, true, 1.5] });
        let ask = |n| {
            let sent = payload(n);
            let body = self.ask_somebody(json!({ "type": "echo", "echo": sent }))?;
            (body["type"] == "echo_ok").then(|| (sent, body["echo"].clone()))
        };
        (0..times).filter_map(ask).collect()
    }

    /// Ids that were made.
    pub fn generate(&mut self, times: u64) -> Vec<String> {
        let ask = |_| {
            let body = self.ask_somebody(json!({ "type": "generate" }))?;
            (body["type"] == "generate_ok").then(|| body["id"].to_string())
        };
        (0..times).filter_map(ask).collect()
    }

    /// Reads, writes and compares registers.
    pub fn use_registers(&mut self, begun: Instant, length: Duration, history: &Mutex<Registers>) {
        let (mut value, mut known) = (self.id, BTreeMap::new());
        while begun.elapsed() < length {
            let round = (begun.elapsed().as_nanos() / ROUND.as_nanos()) as u64;
            let key = round * 3 + self.rng.within(0..3);
            value += 100;
            let (op, body) = match (self.rng.index(5), known.get(&key)) {
                (0 | 1, _) => (RegisterOp::Read, json!({ "type": "read", "key": key })),
                (2, Some(from)) => (
                    RegisterOp::Cas { from: Some(*from), to: value },
                    json!({ "type": "cas", "key": key, "from": from, "to": value }),
                ),
                _ => (RegisterOp::Write(value), json!({ "type": "write", "key": key, "value": value })),
            };
            let asked = history.lock().unwrap().invoke(self.id, (key, op), begun.elapsed());
            let answer = self.ask_somebody(body);
            let mut history = history.lock().unwrap();
            match answer.as_ref().map(|body| understand(op, body)) {
                Some(Heard::Answer(answer)) => {
                    if let RegisterAnswer::Value(Some(value)) = answer {
                        known.insert(key, value);
                    }
                    history.returned(asked, answer, begun.elapsed());
                }
                Some(Heard::Never) => history.failed(asked, begun.elapsed()),
                // A read that was not answered changed nothing.
                Some(Heard::Maybe) | None if op == RegisterOp::Read => history.failed(asked, begun.elapsed()),
                Some(Heard::Maybe) | None => {}
            }
        }
    }
}

enum Heard {
    Answer(RegisterAnswer<u64>),
    Never,
    Maybe,
}

fn understand(op: RegisterOp<u64>, body: &Value) -> Heard {
    let kind = body["type"].as_str().unwrap();
    let code = body["code"].as_u64();
    match (op, kind, code) {
        (RegisterOp::Read, "read_ok", _) => {
            Heard::Answer(RegisterAnswer::Value(Some(body["value"].as_u64().unwrap())))
        }
        (RegisterOp::Read, "error", Some(20)) => Heard::Answer(RegisterAnswer::Value(None)),
        (RegisterOp::Write(_), "write_ok", _) => Heard::Answer(RegisterAnswer::Done),
        (RegisterOp::Cas { .. }, "cas_ok", _) => Heard::Answer(RegisterAnswer::Swapped(true)),
        (RegisterOp::Cas { .. }, "error", Some(20 | 22)) => Heard::Answer(RegisterAnswer::Swapped(false)),
        (_, "error", Some(code)) if DEFINITE.contains(&code) => Heard::Never,
        (_, "error", Some(0 | 13)) => Heard::Maybe,
        _ => panic!("{op:?} was answered {body}"),
    }
}
