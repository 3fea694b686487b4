//! quorate under Maelstrom, Jepsen's workbench: a node that speaks its lines of JSON on standard input and output, for the
//! workloads `echo`, `unique-ids` and `lin-kv`. See `README.md` for how to run it there.
//!
//!     maelstrom-node           as it should be
//!     maelstrom-node local     answers reads from whatever this node knows: a planted bug, to see it found

mod net;
mod seen;
mod serve;
mod store;
mod wire;

use net::Net;
use quorate::raft::{RaftConfig, RaftHandle, Read};
use quorate::transport::Inbox;
use quorate::{NoDecider, Node, NodeConfig, NodeId, Running, journal};
use serde_json::{Value, json};
use serve::Server;
use std::error::Error;
use std::io::{BufRead, stdin, stdout};
use std::process::ExitCode;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};
use store::Store;
use wire::{Message, Out};

/// Nodes are begun side by side, and what is sent to one that Maelstrom has not begun yet ends its listening to the sender.
/// So nothing is said for so long after `init` (guess).
const QUIET: Duration = Duration::from_millis(500);

/// `init` is answered when somebody leads, and after so long in any case: Maelstrom waits 10 s.
const LEADER_PATIENCE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    let reads = match std::env::args().nth(1).as_deref() {
        None => Read::Follower,
        Some("local") => Read::Local,
        Some(other) => {
            eprintln!("{other:?}? usage: maelstrom-node [local]");
            return ExitCode::from(2);
        }
    };
    match run(reads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("maelstrom-node: {why}");
            ExitCode::FAILURE
        }
    }
}

/// A node that was told who it is.
struct Member {
    net: Net,
    inbox: Inbox,
    server: Server,
    _running: Running,
}

fn run(reads: Read) -> Result<(), Box<dyn Error>> {
    let out = Out::to(stdout());
    let mut member: Option<Member> = None;
    for line in stdin().lock().lines() {
        // What is no message is none of ours.
        let Ok(message) = serde_json::from_str::<Message>(&line?) else { continue };
        match (&member, message.kind()) {
            (Some(member), "frame") => member.net.take(&message, &member.inbox),
            (None, "init") => member = Some(begin(message, out.clone(), reads)?),
            (Some(member), "init") => {
                member.net.out.answer(&member.net.me, &message, json!({ "type": "init_ok" }))
            }
            (Some(member), _) => member.server.take(message),
            // Nobody knows yet who this is.
            (None, _) => {}
        }
    }
    Ok(())
}

fn begin(init: Message, out: Out, reads: Read) -> Result<Member, Box<dyn Error>> {
    let me = init.text("node_id").ok_or("init without node_id")?.to_owned();
    let named = init.body.get("node_ids").and_then(Value::as_array).ok_or("init without node_ids")?;
    let mut nodes: Vec<String> = named.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    nodes.sort();
    let net = Net { me, nodes, out };
    let id = net.id(&net.me).ok_or("node_ids do not name this node")?;
    let node = Node::builder(id).cluster("maelstrom").config(NodeConfig::memory());
    let mut node = node.found((1..=net.nodes.len() as u64).map(NodeId));
    // Maelstrom's clients wait a second or more.
    let config = RaftConfig { request_timeout: Duration::from_secs(5), ..RaftConfig::default() };
    let store = node.raft_with("kv", Store::default(), NoDecider, config);
    let inbox = node.inbox();
    sleep(QUIET);
    let running = node.start(net.clone(), journal::in_memory())?;
    let (server, greeter) = (Server::new(net.clone(), store.clone(), reads), net.clone());
    // On a thread: whoever is to lead needs this node's answers, which the lines bring.
    spawn(move || {
        await_leader(&store);
        greeter.out.answer(&greeter.me, &init, json!({ "type": "init_ok" }));
    });
    Ok(Member { net, inbox, server, _running: running })
}

fn await_leader(store: &RaftHandle<Store>) {
    let until = Instant::now() + LEADER_PATIENCE;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        if let Ok(Ok(_)) = store.leader().wait_timeout(left) {
            return;
        }
        // A node that ended refuses at once.
        sleep(Duration::from_millis(10));
    }
}
