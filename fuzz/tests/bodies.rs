//! Every body as a property test on a stable compiler: on its corpus, and on inputs made from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

use quorate_core::Rng;
use quorate_fuzz::raft_step::{Reached, play};
use quorate_fuzz::{TARGETS, link_frames, raft_replay, redb_file, snapshot_chunks};
use std::path::Path;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus for {target}");
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// One of a corpus with some bytes changed, put in, taken out, or taken from another.
fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = rng.pick(corpus).unwrap().clone();
    for _ in 0..rng.within(1..8) {
        let at = rng.index(bytes.len() + 1);
        match rng.within(0..5) {
            0 => bytes.insert(at, rng.bits() as u8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.within(0..8),
            3 => {
                let other = rng.pick(corpus).unwrap();
                let from = rng.index(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ if at < bytes.len() => bytes[at] = rng.bits() as u8,
            _ => {}
        }
    }
    bytes
}

/// The corpus, and so many inputs made from it or from nothing. A panic is printed with its input.
fn each(target: &str, count: u64, mut body: impl FnMut(&[u8])) {
    struct Saying(Vec<u8>);
    impl Drop for Saying {
        fn drop(&mut self) {
            if std::thread::panicking() {
                println!("the input: {:?}", self.0);
            }
        }
    }
    let corpus = corpus(target);
    for bytes in &corpus {
        let saying = Saying(bytes.clone());
        body(&saying.0);
    }
    for seed in 0..count {
        let mut rng = Rng::from_seed(seed);
        let bytes = match rng.within(0..5) {
            0 => (0..rng.within(0..300)).map(|_| rng.bits() as u8).collect(),
            _ => mutated(&corpus, &mut rng),
        };
        let saying = Saying(bytes);
        body(&saying.0);
    }
}

#[test]
fn every_body_holds_on_its_corpus_and_on_inputs_made_from_it() {
    for (target, body) in TARGETS {
        each(target, if target == "redb_file" { 100 } else { 2_000 }, body);
    }
}

#[test]
fn a_replica_that_is_fuzzed_leads_commits_compacts_overwrites_installs_and_restarts() {
    let mut all = [0; 8];
    each("raft_step", 1_000, |bytes| {
        let Reached { led, committed, installed, compacted, truncated, restarted, read, nonsense } =
            play(bytes);
        let found = [led, committed, installed, compacted, truncated, restarted, read, nonsense];
        all.iter_mut().zip(found).for_each(|(sum, found)| *sum += u32::from(found));
    });
    assert!(all.iter().all(|count| *count >= 10), "too tame: {all:?}");
}

#[test]
fn fuzzed_journals_are_taken_and_refused() {
    let (mut taken, mut refused) = (0, 0);
    each("raft_replay", 1_000, |bytes| match raft_replay::play(bytes) {
        true => taken += 1,
        false => refused += 1,
    });
    assert!(taken >= 100 && refused >= 100, "{taken} taken, {refused} refused");
}

#[test]
fn fuzzed_pieces_make_snapshots_and_fuzzed_frames_make_sessions() {
    let (mut installs, mut up) = (0, 0);
    each("snapshot_chunks", 1_000, |bytes| installs += snapshot_chunks::play(bytes));
    each("link_frames", 1_000, |bytes| up += link_frames::play(bytes));
    assert!(installs >= 100 && up >= 100, "{installs} snapshots, {up} messages");
}

#[test]
fn damaged_files_open_right_and_are_refused() {
    let (mut right, mut refused) = (0, 0);
    each("redb_file", 100, |bytes| match redb_file::play(bytes) {
        redb_file::Ended::Right => right += 1,
        redb_file::Ended::Refused => refused += 1,
        redb_file::Ended::Older => {}
    });
    assert!(right >= 10 && refused >= 10, "{right} right, {refused} refused");
}
