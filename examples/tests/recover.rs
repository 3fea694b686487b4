//! Most of a cluster's disks are gone for ever: it goes on with what a survivor holds, on real journals, by the tool that
//! an operator would use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

#[path = "../recover.rs"]
#[allow(dead_code, reason = "its main is for the command line")]
mod recover;

use quorate::journal::RedbJournal;
use quorate::raft::{Change, RaftHandle, Read, Session};
use quorate::transport::Loopback;
use quorate::{Applied, Node, NodeId, Running, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Remembers everything, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Notes(Vec<u64>);

impl StateMachine for Notes {
    type Command = u64;
    type Reply = usize;
    quorate::freeze_by_clone!();
    fn apply(&mut self, note: u64, _: Applied) -> usize {
        self.0.push(note);
        self.0.len()
    }
}

type Handle = RaftHandle<Notes>;

struct Cluster {
    dir: TempDir,
    network: Loopback,
    nodes: BTreeMap<u64, (Running, Handle)>,
}

impl Cluster {
    fn dir(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    fn start(&mut self, id: u64, begin: impl FnOnce(quorate::NodeBuilder) -> quorate::NodeBuilder) {
        let mut node = begin(Node::builder(id).cluster("recovery"));
        let notes = node.raft("notes", Notes::default());
        let transport = self.network.transport(NodeId(id), node.inbox());
        let running = node.start(transport, RedbJournal::open(self.dir(id)).unwrap()).unwrap();
        self.nodes.insert(id, (running, notes));
    }

    fn stop(&mut self, id: u64) {
        let (running, _) = self.nodes.remove(&id).unwrap();
        running.stop();
    }

    fn handle(&self, id: u64) -> &Handle {
        &self.nodes[&id].1
    }

    /// Notes something down, through whichever node, and is sure of it.
    fn note(&self, through: u64, note: u64) {
        let until = Instant::now() + Duration::from_secs(20);
        let handle = self.handle(through);
        // Under a session: a leader may be lost on a busy machine, and nothing is to be written twice.
        let session = loop {
            match handle.open_session().wait() {
                Ok(id) => break id,
                Err(why) => assert!(Instant::now() < until, "{why}"),
            }
        };
        let mut session = Session::new(session);
        let mut written = session.next(handle, note);
        while let Err(why) = written.wait() {
            assert!(Instant::now() < until, "{why}");
            written = session.repeat(handle, note);
        }
    }

    fn notes(&self, id: u64) -> Vec<u64> {
        self.handle(id).read(Read::Follower, |notes| notes.0.clone()).wait().unwrap()
    }

    fn change(&self, through: u64, change: &Change) {
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(why) = self.handle(through).change(change.clone()).wait() {
            assert!(Instant::now() < until, "{why}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn tool(words: &[&str]) -> Result<String, String> {
    recover::run(words.iter().map(|word| (*word).to_owned())).map_err(|why| why.to_string())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn three_of_five_disks_are_destroyed_and_the_other_two_go_on() {
    let founders = [1, 2, 3, 4, 5];
    let mut cluster =
        Cluster { dir: TempDir::new().unwrap(), network: Loopback::new(), nodes: BTreeMap::new() };
    founders.iter().for_each(|id| cluster.start(*id, |node| node.found(founders)));
    (1..=20).for_each(|note| cluster.note(note % 5 + 1, note));
    // One of the two that will survive is behind.
    cluster.stop(5);
    (21..=30).for_each(|note| cluster.note(note % 4 + 1, note));
    // Node 4 has applied all of it, so it is in its log.
    assert_eq!(cluster.notes(4), (1..=30).collect::<Vec<_>>());
    (1..=4).for_each(|id| cluster.stop(id));
    let attic = cluster.dir.path().join("attic");
    copy(&cluster.dir(1), &attic);
    (1..=3).for_each(|id| std::fs::remove_dir_all(cluster.dir(id)).unwrap());

    // The tool refuses whatever is not meant, and changes nothing by it.
    let (four, five) = (cluster.dir(4).display().to_string(), cluster.dir(5).display().to_string());
    let of_four = tool(&["examine", &four, "4", "notes"]).unwrap();
    let of_five = tool(&["examine", &five, "5", "notes"]).unwrap();
    let refused = |words: &[&str], why: &str| {
        let said = tool(words).unwrap_err();
        assert!(said.contains(why), "{said}");
    };
    refused(&["make", &five, "5", "notes", "--lost", "1,2,3", "--other", &of_four], "recover that one");
    refused(&["make", &four, "4", "notes", "--lost", "1,2", "--other", &of_five], "each must be");
    refused(&["make", &four, "4", "notes", "--other", &of_five], "each must be");
    refused(&["make", &four, "3", "notes", "--lost", "1,2,3", "--other", &of_five], "under which n4 votes");
    refused(&["make", &four, "4", "nothing", "--lost", "1,2,3", "--other", &of_five], "never founded");
    refused(&["examine", "/there/is/nothing", "4", "notes"], "No such file");
    assert_eq!(tool(&["examine", &four, "4", "notes"]).unwrap(), of_four);
    let said = tool(&["make", &four, "4", "notes", "--lost", "1,2,3", "--other", &of_five]).unwrap();
    assert!(said.contains("goes on alone"), "{said}");
    refused(&["make", &four, "4", "notes", "--lost", "1,2,3", "--other", &of_five], "of another cluster");
    refused(&["make", &four, "4", "notes", "--lost", "1,2,3"], "a quorum survives");

    // It is started as ever: what its journal says counts.
    cluster.start(4, |node| node.found(founders));
    cluster.note(4, 31);
    assert_eq!(cluster.notes(4), (1..=31).collect::<Vec<_>>(), "nothing that was answered is lost");
    // The other survivor, and a new node, come on empty journals.
    std::fs::remove_dir_all(cluster.dir(5)).unwrap();
    [5, 6].iter().for_each(|id| cluster.start(*id, |node| node.join([4])));
    cluster.change(4, &Change::new().add(5).add(6));
    cluster.note(5, 32);

    // A member of the old cluster that comes back is of no use and does no harm.
    copy(&attic, &cluster.dir(1));
    cluster.start(1, |node| node.found(founders));
    let until = Instant::now() + Duration::from_secs(20);
    while cluster.handle(4).status().wait().unwrap().counters.foreign == 0 {
        assert!(Instant::now() < until, "it asks the others to vote for it");
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.note(6, 33);
    let old = cluster.handle(1).status().wait().unwrap();
    assert!(!old.leads && old.leader.is_none(), "{old:?}");
    for id in [4, 5, 6] {
        assert_eq!(cluster.notes(id), (1..=33).collect::<Vec<_>>());
    }
    let voters = cluster.handle(4).status().wait().unwrap().voters;
    assert_eq!(voters, [4, 5, 6].map(NodeId));
    // On an empty journal it is a newcomer like any other.
    cluster.stop(1);
    std::fs::remove_dir_all(cluster.dir(1)).unwrap();
    cluster.start(1, |node| node.join([4]));
    cluster.change(4, &Change::new().add(1));
    assert_eq!(cluster.notes(1), (1..=33).collect::<Vec<_>>());
}
