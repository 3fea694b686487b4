//! Processes, and where they are. They end with the value that holds them, however the test ends.

use crate::talk::Talk;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const NODES: [u64; 3] = [1, 2, 3];

/// A patience for one line; more than the nodes have for one request.
const LINE_PATIENCE: Duration = Duration::from_secs(5);

pub struct Cluster {
    dir: TempDir,
    nodes: Mutex<[Option<Process>; 3]>,
    until: Instant,
    /// Who has no state.
    witness: Option<u64>,
}

struct Process {
    child: Child,
    peers: SocketAddr,
    clients: SocketAddr,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cluster {
    pub fn start(until: Instant, witness: Option<u64>) -> Cluster {
        let cluster = Cluster { dir: TempDir::new().unwrap(), nodes: Mutex::default(), until, witness };
        NODES.iter().for_each(|id| cluster.begin(*id));
        cluster
    }

    /// Starts a node on its directory, on ports that are free, and tells everybody where everybody is.
    pub fn begin(&self, id: u64) {
        let voters = NODES.map(|id| id.to_string()).join(",");
        let mut child = Command::new(env!("CARGO_BIN_EXE_kv-node"))
            .args((self.witness == Some(id)).then_some("--witness"))
            .args([id.to_string(), self.dir.path().join(id.to_string()).display().to_string(), voters])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["peers", peers, "clients", clients] = words[..] else { panic!("{id} said {line:?}") };
        let process = Process { child, peers: peers.parse().unwrap(), clients: clients.parse().unwrap() };
        let mut nodes = self.nodes.lock().unwrap();
        nodes[id as usize - 1] = Some(process);
        let up: Vec<(u64, SocketAddr, SocketAddr)> = NODES
            .into_iter()
            .zip(nodes.iter())
            .filter_map(|(id, node)| node.as_ref().map(|node| (id, node.peers, node.clients)))
            .collect();
        drop(nodes);
        for (other, _, clients) in &up {
            let mut lines = Vec::new();
            if *other == id {
                lines.extend(
                    up.iter()
                        .filter(|(peer, _, _)| *peer != id)
                        .map(|(peer, at, _)| format!("peer {peer} {at}")),
                );
            } else {
                let own = up.iter().find(|(node, _, _)| *node == id).unwrap().1;
                lines.push(format!("peer {id} {own}"));
            }
            let mut talk = Talk::with(*clients, LINE_PATIENCE).unwrap();
            for line in lines {
                assert_eq!(talk.ask(&line).unwrap(), "ok");
            }
        }
    }

    /// Snapshots on its disk.
    pub fn snapshots(&self, id: u64) -> usize {
        std::fs::read_dir(self.dir.path().join(id.to_string()).join("blobs")).unwrap().count()
    }

    /// As `kill -9` does.
    pub fn kill(&self, id: u64) {
        let process = self.nodes.lock().unwrap()[id as usize - 1].take();
        drop(process.expect("it runs"));
    }

    /// A conversation with this node, if it runs and listens.
    pub fn talk(&self, id: u64) -> Option<Talk> {
        let clients = self.nodes.lock().unwrap()[id as usize - 1].as_ref()?.clients;
        Talk::with(clients, LINE_PATIENCE).ok()
    }

    /// Who leads, as those say that run.
    pub fn leader(&self) -> u64 {
        while Instant::now() < self.until {
            for id in NODES {
                let said = self.talk(id).and_then(|mut talk| talk.ask("leader").ok());
                if let Some(leader) = said.and_then(|line| line.strip_prefix("ok ")?.parse().ok()) {
                    return leader;
                }
            }
        }
        panic!("nobody leads");
    }
}
