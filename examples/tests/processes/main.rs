//! Three nodes as real processes, over TCP, each on a journal in a directory of its own; they are killed as an operator or
//! the system kills, while clients write. Nothing that was acknowledged may be missing, and nothing be there twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

mod clients;
mod cluster;
mod talk;

use clients::{Registers, Writers, ask_until, values};
use cluster::{Cluster, NODES};
use quorate::sim::linearizability::{Kv, Verdict, check};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Values written, each once.
const VALUES: u64 = 10_000;

/// For everything together: some ten times what it takes, because machines may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three nodes and their clients are enough for a small machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn nodes_that_are_killed_in_turn_lose_nothing_and_do_nothing_twice() {
    killed_in_turn(None);
}

/// The same at the price of two, whichever of the three is gone.
#[test]
fn two_nodes_and_a_witness_that_are_killed_in_turn_lose_nothing_and_do_nothing_twice() {
    killed_in_turn(Some(3));
}

fn killed_in_turn(witness: Option<u64>) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let until = Instant::now() + PATIENCE;
    let cluster = Cluster::start(until, witness);
    // All founders must have met once before one of them may be missing.
    cluster.leader();
    let (writers, registers) = (Writers::new(&cluster, until), Registers::new(&cluster, until));
    std::thread::scope(|scope| {
        // Whatever goes wrong below, those that were begun end.
        let used = &registers;
        let _end = writers.end_with_this(used);
        (0..8).for_each(|_| drop(scope.spawn(|| writers.write())));
        (0..3).for_each(|id| drop(scope.spawn(move || used.use_them(id))));

        // Each node in turn, and whoever leads, in the middle of writing. Then some is written without it, and it
        // comes back in the middle of that; and some with it, before the next one goes.
        let victims = NODES.map(Some).into_iter().chain([None; 7]);
        let stage = VALUES / 10;
        for (begun, victim) in (0..VALUES).step_by(stage as usize).zip(victims) {
            writers.allow(begun + stage);
            writers.write_up_to(begun + stage / 4);
            let victim = victim.unwrap_or_else(|| cluster.leader());
            cluster.kill(victim);
            writers.write_up_to(begun + stage / 2);
            cluster.begin(victim);
            writers.write_up_to(begun + stage);
        }
    });
    let all: BTreeMap<u64, u32> = (0..VALUES).map(|value| (value, 1)).collect();
    assert_eq!(writers.acknowledged(), VALUES);
    assert!(writers.repeated() > 0, "nobody had to repeat anything: nothing was tried");
    assert!(values(&cluster, until) == all, "a value is missing, or there twice");

    // What was acknowledged is on disks, not in some process that lived through it all.
    NODES.iter().for_each(|id| cluster.kill(*id));
    NODES.iter().for_each(|id| cluster.begin(*id));
    assert!(values(&cluster, until) == all, "a value is missing after all were down");

    let history = registers.history();
    assert!(history.len() > 50, "{} operations", history.len());
    match check(&Kv::<u64, u64>::default(), &history, 50_000_000) {
        Verdict::Linearizable => {}
        Verdict::Illegal(example) => panic!("{example}"),
        Verdict::Unknown => panic!("too hard to judge: {} operations", history.len()),
    }
    assert_eq!(ask_until(&cluster, until, "nonsense").expect_err("not understood"), "not understood");
    if let Some(id) = witness {
        assert_eq!(cluster.talk(id).unwrap().ask("get 1 local").unwrap(), "no - a witness has no state");
        assert_ne!(cluster.leader(), id);
        let snapshots = NODES.map(|id| cluster.snapshots(id) > 0);
        assert_eq!(snapshots, NODES.map(|other| other != id), "the others take some of their states");
    }
}
