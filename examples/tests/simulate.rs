//! The example that tries a state machine under faults: it finds nothing where nothing is wrong, and what is wrong
//! where something is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and what only they use")]

#[path = "../simulate/main.rs"]
#[allow(dead_code, reason = "nobody calls its main here")]
mod simulate;

use quorate::sim::{Coverage, FaultKind};
use simulate::{Bug, answer, run, text};

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let (mut coverage, mut answered) = (Coverage::new(), 0);
    for seed in 0..60 {
        let told = run(seed, None);
        assert!(told.outcome.violation.is_none(), "{}", text(&told, None));
        coverage.merge(&told.outcome.coverage);
        answered += told.answered;
    }
    assert!(answered > 2_000, "{answered}");
    let never = [FaultKind::Crashed, FaultKind::Lost, FaultKind::Split, FaultKind::Restarted];
    assert_eq!(coverage.never(&never).count(), 0, "{coverage}");
}

#[test]
fn every_mistake_is_found_within_the_seeds_that_are_tried() {
    for (bug, name) in [
        (Bug::StaleReads, "the workload's verdict"),
        (Bug::BlindRetry, "the workload's verdict"),
        (Bug::OwnMind, "replicas agree"),
    ] {
        let found = (1..200).map(|seed| run(seed, Some(bug))).find(|told| told.outcome.violation.is_some());
        let told = found.unwrap_or_else(|| panic!("{} is not found", bug.name()));
        assert_eq!(told.outcome.violation.as_ref().unwrap().what, name);
        let text = text(&told, Some(bug));
        let replay = format!("{} --seeds 1 --bug {}\n", told.outcome.seed, bug.name());
        assert!(text.contains("VIOLATED") && text.ends_with(&replay), "{text}");
        let again = run(told.outcome.seed, Some(bug));
        assert_eq!((again.outcome.trace_hash, again.story), (told.outcome.trace_hash, told.story));
    }
}

#[test]
fn the_command_line_answers_with_what_it_found() {
    let ask = |arguments: &[&str]| answer(lexopt::Parser::from_args(arguments));
    let (text, code) = ask(&["3"]);
    assert!(code == 0 && text.contains("verdict: as one box would have it"), "{text}");
    let (text, code) = ask(&["--bug", "own-mind"]);
    assert!(code == 1 && text.contains("VIOLATED"), "{text}");
    for wrong in [&["--bug", "none-such"][..], &["seven"], &["--seeds"], &["--what"]] {
        let (text, code) = ask(wrong);
        assert!(code == 2 && text.contains("--seeds N"), "{text}");
    }
    assert_eq!(ask(&["--help"]).1, 0);
}
