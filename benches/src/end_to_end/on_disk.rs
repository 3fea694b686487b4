//! Ours on a disk: each node with threads and a redb journal of its own, every acknowledgement behind a sync.
//!
//! No peer stands beside it: what the others' users write to disk is their own affair. What stands there is the least
//! that any log on redb can cost, one transaction for all that is outstanding.

use super::Command;
use super::ours::Sum;
use quorate::journal::RedbJournal;
use quorate::{Node, transport::Loopback};
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Instant;

/// Said with every row.
pub const CONDITIONS: &str = "elapsed time for one commit of 3 nodes in one process, each with its own threads and its own \
    redb journal, all on one disk and with every sync on; network inside the process; beside it, elapsed time for one \
    command of a redb transaction that holds as many as are outstanding, synced, alone on the same disk";

/// Who stands beside us.
pub const FLOOR: &str = "redb alone, one file";

/// Outstanding commands of the rows, and commits of a round.
pub const LOADS: [(usize, u64); 3] = [(1, 200), (64, 12_800), (1024, 102_400)];

/// Nanoseconds a commit.
pub fn ours(clients: usize, commits: u64) -> f64 {
    let directory = directory();
    let network = Loopback::new();
    let (mut running, mut handles) = (Vec::new(), Vec::new());
    for id in 1..=3u64 {
        let mut node = Node::builder(id).found([1, 2, 3]);
        handles.push(node.raft("sum", Sum::default()));
        let transport = network.transport(node.id(), node.inbox());
        let journal = RedbJournal::open(directory.path().join(id.to_string())).expect("it is new");
        running.push(node.start(transport, journal).expect("it starts"));
    }
    let leader = handles[0].leader().wait().expect("somebody leads");
    let handle = &handles[leader.0 as usize - 1];
    let run = |commits: u64| {
        let mut waiting = VecDeque::new();
        for number in 0..commits {
            if waiting.len() == clients {
                let oldest: quorate::Ticket<u64> = waiting.pop_front().expect("some are outstanding");
                oldest.wait().expect("it is committed");
            }
            waiting.push_back(handle.propose(Command::number(number)));
        }
        waiting.into_iter().map(|ticket| ticket.wait().expect("it is committed")).last()
    };
    run(commits / 4);
    let start = Instant::now();
    let count = run(commits);
    let took = start.elapsed();
    assert_eq!(count, Some(commits / 4 + commits), "a command was lost or doubled");
    running.iter().for_each(|node| drop(node.stop()));
    took.as_nanos() as f64 / commits as f64
}

const TABLE: TableDefinition<'_, u64, [u8; 16]> = TableDefinition::new("log");

/// Nanoseconds a command, so many in each transaction.
pub fn floor(together: usize, commands: u64) -> f64 {
    let directory = directory();
    let database = Database::create(directory.path().join("floor")).expect("it is new");
    let start = Instant::now();
    for first in (0..commands).step_by(together) {
        let write = database.begin_write().expect("nobody else writes");
        {
            let mut table = write.open_table(TABLE).expect("it is of this type");
            for number in first..(first + together as u64).min(commands) {
                table.insert(number, [0x5a; 16]).expect("there is room");
            }
        }
        // With a sync, by default.
        write.commit().expect("the disk works");
    }
    let took = start.elapsed();
    let read = database.begin_read().expect("it is readable");
    assert_eq!(read.open_table(TABLE).and_then(|table| Ok(table.len()?)).ok(), Some(commands));
    took.as_nanos() as f64 / commands as f64
}

/// On the disk that the build is on; others may be memory.
fn directory() -> tempfile::TempDir {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    tempfile::tempdir_in(parent).expect("the target directory is writable")
}
