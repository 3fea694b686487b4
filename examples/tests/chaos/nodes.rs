//! The processes: started, killed, stopped and continued, and given a disk that is full.
//!
//! **A full disk without root.** Each process may write files of so many bytes and no more (`RLIMIT_FSIZE`), and the limit is
//! changed while it runs. What lies beyond is refused with EFBIG where a full disk says ENOSPC, and a write that begins
//! below it is cut short, as on a disk that fills in the middle of it. The signal that the system sends as well would kill
//! the process before it could say a word; so a shell tells the system to ignore it and becomes the node.

use crate::links::Links;
use crate::talk::Talk;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;
use tempfile::TempDir;

pub const NODES: [u64; 5] = [1, 2, 3, 4, 5];

/// `ulimit -f` counts blocks of so many bytes.
const BLOCK: u64 = 512;

/// For a node that starts.
const START_PATIENCE: Duration = Duration::from_secs(20);

pub struct Nodes {
    dir: TempDir,
    pub links: Links,
    processes: BTreeMap<u64, Process>,
    pub finder: Finder,
    /// Planted in all of them.
    bug: Option<&'static str>,
    /// Those that lost their first disk.
    wiped: BTreeSet<u64>,
    /// Those without state.
    witnesses: BTreeSet<u64>,
}

struct Process {
    child: Child,
    said: Option<JoinHandle<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and a stopped one can be killed too; either way nothing is left of it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

/// Where clients find the nodes that run.
#[derive(Clone, Default)]
pub struct Finder(Arc<Mutex<BTreeMap<u64, SocketAddr>>>);

impl Finder {
    /// A conversation with this node, if it runs and listens.
    pub fn talk(&self, id: u64, patience: Duration) -> Option<Talk> {
        let clients = *self.map().get(&id)?;
        Talk::with(clients, patience).ok()
    }

    /// Who leads, as far as anybody says within this time.
    pub fn leader(&self, patience: Duration) -> Option<u64> {
        NODES.into_iter().find_map(|id| {
            let line = self.talk(id, patience)?.ask("leader").ok()?;
            line.strip_prefix("ok ")?.parse().ok()
        })
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<u64, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    pub fn start(bug: Option<&'static str>, witnesses: &[u64]) -> Nodes {
        let (dir, links) = (TempDir::new().unwrap(), Links::among(&NODES));
        let (processes, finder, wiped) = (BTreeMap::new(), Finder::default(), BTreeSet::new());
        let witnesses = witnesses.iter().copied().collect();
        let mut nodes = Nodes { dir, links, processes, finder, bug, wiped, witnesses };
        NODES.iter().for_each(|id| nodes.begin(*id, None).unwrap());
        nodes
    }

    /// Where the data is, which stays when the test ends.
    pub fn keep_data(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Starts a node on its directory, where files may have `room` bytes. An error is what it said when it ended at once.
    pub fn begin(&mut self, id: u64, room: Option<u64>) -> Result<(), Ended> {
        let founders = NODES.map(|id| id.to_string());
        let limit = room.map_or("unlimited".to_owned(), |bytes| (bytes / BLOCK).to_string());
        let mut child = Command::new("sh")
            .args([
                "-c",
                r#"trap "" XFSZ; ulimit -S -f "$0"; exec "$@""#,
                &limit,
                env!("CARGO_BIN_EXE_kv-node"),
            ])
            .args(self.witnesses.contains(&id).then_some("--witness"))
            .args([id.to_string(), self.directory(id).display().to_string()])
            .arg(format!("{}{}", if self.wiped.contains(&id) { "join:" } else { "" }, founders.join(",")))
            .args(self.bug)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let said = spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            said
        });
        let mut process = Process { child, said: Some(said) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["peers", peers, "clients", clients] = words[..] else { return Err(process.end()) };
        let clients: SocketAddr = clients.parse().unwrap();
        let told = Talk::with(clients, START_PATIENCE).and_then(|mut talk| {
            for peer in NODES.into_iter().filter(|peer| *peer != id) {
                let answer = talk.ask(&format!("peer {peer} {}", self.links.address((id, peer))))?;
                assert_eq!(answer, "ok");
            }
            Ok(())
        });
        if told.is_err() {
            return Err(process.end());
        }
        self.links.set_target(id, Some(peers.parse().unwrap()));
        self.finder.map().insert(id, clients);
        self.processes.insert(id, process);
        Ok(())
    }

    /// As `kill -9` does.
    pub fn kill(&mut self, id: u64) {
        self.forget(id).expect("it was started");
    }

    /// The same to all that are named, at one instant: what was only in memory is in no memory any more.
    pub fn kill_all(&mut self, ids: &[u64]) {
        ids.iter().for_each(|id| kill_process(self.pid(*id), Signal::KILL).unwrap());
        ids.iter().for_each(|id| self.kill(*id));
    }

    fn forget(&mut self, id: u64) -> Option<Process> {
        self.links.set_target(id, None);
        self.finder.map().remove(&id);
        self.processes.remove(&id)
    }

    pub fn pause(&self, id: u64) {
        kill_process(self.pid(id), Signal::STOP).unwrap();
    }

    pub fn resume(&self, id: u64) {
        kill_process(self.pid(id), Signal::CONT).unwrap();
    }

    /// No file of this node may grow beyond this, or be written there.
    pub fn set_room(&self, id: u64, bytes: Option<u64>) {
        prlimit(Some(self.pid(id)), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// How large its journal is now.
    pub fn journal_bytes(&self, id: u64) -> u64 {
        let file = self.directory(id).join("journal.redb");
        std::fs::metadata(file).unwrap().len()
    }

    /// Its disk is lost. It does not run.
    pub fn wipe(&mut self, id: u64) {
        std::fs::remove_dir_all(self.directory(id)).unwrap();
        self.wiped.insert(id);
    }

    fn directory(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    fn pid(&self, id: u64) -> Pid {
        Pid::from_child(&self.processes[&id].child)
    }

    /// Whether this one has ended by itself, and how. Then it is gone.
    pub fn ended(&mut self, id: u64) -> Option<Ended> {
        self.processes.get_mut(&id)?.child.try_wait().unwrap()?;
        self.forget(id).map(|mut process| process.end())
    }
}

impl Process {
    /// Waits for its end, which is near.
    fn end(&mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let said = self.said.take().and_then(|said| said.join().ok());
        Ended { code, said: said.unwrap_or_default() }
    }
}
