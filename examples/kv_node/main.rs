//! A node as a process: Raft over TCP on a journal in a directory, served to clients by lines over TCP.
//!
//!     kv-node [--witness] ID DIR VOTERS [BUG]        such as: kv-node 1 /tmp/one 1,2,3
//!
//! With `--witness` it votes and keeps the log for the others, and has no state: it answers who leads, `linked` and `status`, and
//! nothing else. Two nodes and a witness outlive any one of the three.
//!
//! VOTERS are those that found the cluster together; with `join:` before them it founds nothing and asks them to be served,
//! as one that lost its disk must.
//!
//! BUG is the name of a bug to plant (one of `Mutation::ALL`), for judges who must show that they find it.
//!
//! It listens on ports that are free, says on its first line which (`peers ADDR clients ADDR`), is told where the others
//! are by whoever started it, and ends when its standard input does. See `lines.rs` for what clients may say.
//!
//! A node that ends by itself, because its disk failed, takes the process with it: it says why and exits with a failure,
//! so that whoever started it can make room and start it again.

mod lines;
mod store;

use lines::{Part, Server};
use quorate::journal::RedbJournal;
use quorate::raft::{Mutation, RaftConfig};
use quorate::transport::{Tcp, TcpConfig};
use quorate::{NoDecider, Node, NodeId, Stopped};
use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::spawn;
use std::time::Duration;
use store::Store;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let witness = arguments.first().is_some_and(|first| first == "--witness");
    arguments.drain(..usize::from(witness));
    let (id, dir, voters, bug) = match &arguments[..] {
        [id, dir, voters] => (id, dir, voters, None),
        [id, dir, voters, bug] => (id, dir, voters, Some(bug.as_str())),
        _ => {
            eprintln!("usage: kv-node [--witness] ID DIR VOTERS [BUG]");
            return ExitCode::from(2);
        }
    };
    match run(witness, id, dir, voters, bug) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("kv-node {id}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(witness: bool, id: &str, dir: &str, voters: &str, bug: Option<&str>) -> Result<(), Box<dyn Error>> {
    let id = NodeId(id.parse()?);
    let (joins, voters) = voters.strip_prefix("join:").map_or((false, voters), |voters| (true, voters));
    let voters = voters.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let node = Node::builder(id).cluster("kv");
    let mut node = if joins { node.join(voters) } else { node.found(voters) };
    let config = RaftConfig {
        // Small, so that snapshots are taken and sent while clients write.
        snapshot_log_bytes: 32 << 10,
        trailing_entries: 200,
        request_timeout: Duration::from_secs(3),
        promotion_timeout: Duration::from_secs(5),
        mutation: bug.map(planted).transpose()?,
        ..RaftConfig::default()
    };
    let part = match witness {
        true => Part::Witness(node.witness_with("store", config)),
        false => Part::Replica(node.raft_with("store", Store::default(), NoDecider, config)),
    };
    let tcp = Tcp::bind("127.0.0.1:0", id, node.inbox(), TcpConfig::default())?;
    let clients = TcpListener::bind("127.0.0.1:0")?;
    println!("peers {} clients {}", tcp.local_addr(), clients.local_addr()?);
    stdout().flush()?;
    let peers = tcp.peers();
    let running = Arc::new(node.start(tcp, RedbJournal::open(dir)?)?);
    let server = Server { part, peers };
    spawn(move || server.serve(&clients));
    let asked = running.clone();
    spawn(move || {
        // Whoever started it keeps the other end open as long as it wants it to run.
        let _ = std::io::copy(&mut stdin(), &mut std::io::sink());
        asked.ask_to_stop();
    });
    match running.wait() {
        Stopped::Asked => Ok(()),
        why => Err(why.into()),
    }
}

fn planted(bug: &str) -> Result<Mutation, String> {
    let known = Mutation::ALL.into_iter().find(|(name, _)| *name == bug);
    known.map(|(_, mutation)| mutation).ok_or_else(|| format!("there is no bug {bug:?}"))
}
