//! A snapshot is taken, sent and installed without being whole in memory: a state of 64 MiB, and what is held beside it meanwhile.
#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

use quorate::journal::RedbJournal;
use quorate::raft::{RaftConfig, RaftHandle};
use quorate::{Applied, Corrupt, NoDecider, Node, NodeId, StateMachine, transport::Loopback};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BLOCKS: usize = 1024;
const BLOCK_BYTES: usize = 64 << 10;
const STATE: usize = BLOCKS * BLOCK_BYTES;

/// What may be held beside states: pieces under way, pieces of a store, queues, and the caches of two redb databases.
const BUDGET: usize = 4 << 20;

const PATIENCE: Duration = Duration::from_secs(120);

/// Blocks that a view shares with the state.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Blocks(Vec<Arc<String>>);

#[derive(Serialize, Deserialize)]
enum Do {
    Grow(u32),
    Touch,
}

impl StateMachine for Blocks {
    type Command = Do;
    type Reply = u32;
    type Frozen = Blocks;

    fn apply(&mut self, command: Do, _: Applied) -> u32 {
        if let Do::Grow(number) = command {
            self.0.push(Arc::new(block(number)));
        }
        self.0.len() as u32
    }
    fn freeze(&self) -> Blocks {
        self.clone()
    }
    fn restore(frozen: Blocks) -> Result<Blocks, Corrupt> {
        Ok(frozen)
    }
}

fn block(number: u32) -> String {
    format!("{number:08x}").repeat(BLOCK_BYTES / 8)
}

fn held() -> usize {
    let stats = INSTRUMENTED_SYSTEM.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The most that is held while this waits for something.
fn most_until(what: &str, mut holds: impl FnMut() -> bool) -> usize {
    let (over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Relaxed) {
                most.fetch_max(held(), Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        let end = Instant::now() + PATIENCE;
        while !holds() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Relaxed);
    });
    assert!(holds(), "{what}");
    most.into_inner()
}

#[test]
fn a_snapshot_of_64_mib_is_taken_sent_and_installed_on_a_few_mib() {
    let directory = tempfile::tempdir().unwrap();
    let network = Loopback::new();
    let config = RaftConfig {
        snapshot_log_entries: BLOCKS as u64 + 100,
        snapshot_log_bytes: usize::MAX,
        snapshot_bytes_per_second: 1 << 30,
        trailing_entries: 0,
        ..RaftConfig::default()
    };
    let start = |mut node: quorate::NodeBuilder, name: &str| {
        let handle: RaftHandle<Blocks> =
            node.raft_with("blocks", Blocks::default(), NoDecider, config.clone());
        let transport = network.transport(node.id(), node.inbox());
        let journal = RedbJournal::open(directory.path().join(name)).unwrap();
        (handle, node.start(transport, journal).unwrap())
    };
    let (first, running) = start(Node::builder(1).found([1]), "first");
    assert_eq!(first.leader().wait(), Ok(NodeId(1)));
    for number in 0..BLOCKS as u32 {
        first.propose(Do::Grow(number)).wait().unwrap();
    }
    let before = held();
    assert!(before >= STATE, "{before} bytes are held with the state");

    let touched: Vec<_> = (0..200).map(|_| first.propose(Do::Touch)).collect();
    touched.into_iter().for_each(|ticket| assert_eq!(ticket.wait(), Ok(BLOCKS as u32)));
    let taken = || first.status().wait().unwrap().snapshot.index > BLOCKS as u64;
    let most = most_until("a snapshot is taken", taken);
    let beside = most.saturating_sub(before);
    println!("taken: {} KiB beside a state of {} KiB", beside >> 10, STATE >> 10);
    assert!(beside < BUDGET, "{beside} bytes beside the state while its snapshot is taken");

    let before = held();
    let (second, joined) = start(Node::builder(2).join([1]), "second");
    let most = most_until("it is installed", || {
        second.inspect(|blocks| blocks.0.len()).wait().is_ok_and(|len| len == BLOCKS)
    });
    let beside = most.saturating_sub(before + STATE);
    println!("sent and installed: {} KiB beside both states of {} KiB", beside >> 10, STATE >> 10);
    assert!(beside < BUDGET, "{beside} bytes beside both states while the snapshot is sent and installed");
    let same =
        second.inspect(|blocks| (0u32..).zip(&blocks.0).all(|(number, found)| **found == block(number)));
    assert_eq!(same.wait(), Ok(true));
    joined.stop();
    running.stop();
}
