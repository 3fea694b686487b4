//! A small workflow through the whole swarm, over both kinds of wires and through faults; and what is refused before
//! anything starts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

use quorate_examples::swarm::options::{Faults, Options, Wires};
use quorate_examples::swarm::{Ended, run, workflow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const TASKS: u64 = 20;

fn harbour() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/harbour-20.json")
}

fn run_harbour(transport: Wires, stopped: bool) -> (Ended, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let options = Options {
        workflow: Some(harbour()),
        // About three seconds: long enough for a fault of each kind to hit work.
        speedup: Some(20.0),
        agents: 12,
        faults: Faults::Default,
        transport,
        html: Some(page.clone()),
        ..Options::default()
    };
    let workflow = workflow(&options).expect("the workflow is well-formed");
    let ended = run(&options, &workflow, &Arc::new(AtomicBool::new(stopped))).expect("the swarm runs");
    let page = std::fs::read_to_string(page).expect("the page was written");
    (ended, page)
}

/// The chart says what the books say: of each task, one attempt counts.
fn check_bars(page: &str) {
    let (_, data) = page.split_once("const data = ").expect("the page has data");
    let data = data.lines().next().expect("on a line").trim_end_matches(';');
    let data: serde_json::Value = serde_json::from_str(data).expect("which is JSON");
    let mut counting = std::collections::BTreeMap::new();
    for run in data["runs"].as_array().expect("runs").iter().filter(|run| run["outcome"] == "done") {
        *counting.entry(run["task"].as_str().expect("a name").to_owned()).or_insert(0) += 1;
    }
    assert_eq!(counting.len() as u64, TASKS, "{counting:?}");
    assert!(counting.values().all(|bars| *bars == 1), "{counting:?}");
}

fn check_whole(ended: &Ended, page: &str) {
    let figures = &ended.figures;
    assert!(figures.is_good(), "{figures:?}");
    assert_eq!((figures.tasks, figures.completed), (TASKS, TASKS));
    assert!(figures.attempts >= TASKS, "each task was tried: {figures:?}");
    assert!(figures.duplicates_refused >= 1, "what was told twice counts once: {figures:?}");
    assert!(figures.coordinators_agreeing >= 3, "a majority has the same books: {figures:?}");
    assert!(
        page.contains("harbour-20") && page.contains("is killed without flushing"),
        "the page tells of it"
    );
    check_bars(page);
}

#[test]
fn a_small_workflow_gets_through_default_faults_inside_a_process() {
    let (ended, page) = run_harbour(Wires::Loopback, false);
    check_whole(&ended, &page);
}

#[test]
fn a_small_workflow_gets_through_default_faults_over_tcp() {
    let (ended, page) = run_harbour(Wires::Tcp, false);
    check_whole(&ended, &page);
    let json = serde_json::to_value(&ended.figures).expect("figures are data");
    for field in [
        "tasks",
        "completed",
        "failed",
        "lost",
        "committed_twice",
        "digest_ok",
        "attempts",
        "stale_refused",
        "duplicates_refused",
        "recoveries_ms",
        "decisions_per_s",
        "commit_ms_p50",
        "commit_ms_p99",
        "coordination_share",
        "makespan_s",
        "seed",
    ] {
        assert!(json.get(field).is_some_and(|value| !value.is_null()), "{field} is missing in {json}");
    }
}

#[test]
fn a_run_that_is_stopped_ends_with_the_figures_so_far() {
    let (ended, _) = run_harbour(Wires::Loopback, true);
    assert!(ended.figures.interrupted);
    assert!(!ended.figures.is_good());
    assert_eq!((ended.figures.lost, ended.figures.committed_twice), (0, 0));
}

/// What is said of this text as a workflow.
fn refusal(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broken.json");
    std::fs::write(&path, text).expect("written");
    let refused = workflow(&Options { workflow: Some(path.clone()), ..Options::default() });
    let why = refused.map(|_| ()).expect_err("it is refused");
    assert!(why.contains(&path.display().to_string()), "the file is named: {why}");
    why
}

/// The harbour with these pieces of its text replaced.
fn spoilt(pieces: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(harbour()).expect("the file is there");
    for (piece, by) in pieces {
        assert_eq!(text.matches(piece).count(), 1, "{piece} is there once");
        text = text.replace(piece, by);
    }
    text
}

#[test]
fn a_missing_workflow_is_refused_by_name() {
    let path = PathBuf::from("no/such/workflow.json");
    let why =
        workflow(&Options { workflow: Some(path), ..Options::default() }).map(|_| ()).expect_err("refused");
    assert!(why.contains("no/such/workflow.json"), "{why}");
}

#[test]
fn a_malformed_workflow_is_refused_with_its_place() {
    let why = refusal("{\n  \"name\": \"cut\",\n  \"workflow\": {");
    assert!(why.contains("line 3"), "{why}");
}

#[test]
fn a_cycle_is_refused_with_the_tasks_on_it() {
    let first = (r#""id": "ingest", "parents": []"#, r#""id": "ingest", "parents": ["report"]"#);
    let last = (r#""children": []"#, r#""children": ["ingest"]"#);
    let why = refusal(&spoilt(&[first, last]));
    for task in ["ingest", "clean_", "align_", "merge_", "report"] {
        assert!(why.contains(task), "{task} is on the cycle: {why}");
    }
}

#[test]
fn a_parent_that_does_not_exist_is_refused_with_both_names() {
    let line = (r#""id": "check", "parents": ["map"]"#, r#""id": "check", "parents": ["map", "atlas"]"#);
    let why = refusal(&spoilt(&[line]));
    assert!(why.contains("check") && why.contains("atlas"), "{why}");
}

#[test]
fn a_workflow_without_tasks_is_refused_before_anything_starts() {
    let text = std::fs::read_to_string(harbour()).expect("the file is there");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    json["workflow"]["specification"]["tasks"] = serde_json::json!([]);
    json["workflow"]["execution"]["tasks"] = serde_json::json!([]);
    let why = refusal(&json.to_string());
    assert!(why.contains("no tasks"), "{why}");
}
