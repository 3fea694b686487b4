//! One seed, one run: whatever process it is in, whatever is around it. (Debug against release is compared where both
//! are built: see `.ci/run`.)
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and what only they use")]

use quorate_examples::campaign::by_name;
use std::process::{Command, Stdio};

const SEEDS: std::ops::Range<u64> = 0..20;

/// What stands before the hash in the output of a process.
const MARK: &str = "the trace of these seeds is ";

fn trace() -> String {
    let report = by_name("raft").unwrap().campaign(SEEDS, None, |_| {});
    assert!(report.is_clean(), "{report}");
    format!("{:016x}", report.trace_hash)
}

#[test]
fn a_campaign_prints_its_trace() {
    println!("{MARK}{}", trace());
}

/// This very program again, with other surroundings, running the test above.
fn in_another_process(directory: &std::path::Path, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_campaign_prints_its_trace", "--nocapture"])
        .current_dir(directory)
        .envs(variables.iter().copied())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let trace = text.lines().find_map(|line| line.split_once(MARK)).map(|(_, trace)| trace.trim().to_owned());
    trace.unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn one_seed_has_one_trace_in_every_process() {
    let here = in_another_process(std::env::current_dir().unwrap().as_path(), &[]);
    let there = in_another_process(
        std::env::temp_dir().as_path(),
        &[("TZ", "Asia/Tokyo"), ("RUST_TEST_THREADS", "1")],
    );
    assert_eq!(here, there);
    let other_seeds = by_name("raft").unwrap().campaign(SEEDS.start..SEEDS.end - 1, None, |_| {});
    assert_ne!(format!("{:016x}", other_seeds.trace_hash), here, "a hash that never differs shows nothing");
}
