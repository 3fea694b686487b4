//! Transcripts of small clusters, in `tests/transcripts`: a paragraph of prose, then commands, each followed by all
//! that happened. They are run, and must come out as they are written. `QUORATE_GOLDEN=write` writes them anew, but
//! not with a broken expectation, with two leaders of a term or with two entries committed in one place.

mod commands;
mod looks;
mod notation;
#[cfg(feature = "mutations")]
mod planted;
mod stage;
mod words;

use quorate_consensus::raft::RaftConfig;
use stage::Stage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Lines of what happened before a transcript could not go on.
const SHOWN_MAX: usize = 40;

/// The transcript as it comes out now, or the line at which it cannot go on and why.
fn run(text: &str, config: RaftConfig) -> Result<String, (usize, String)> {
    let mut stage = Stage::new(config);
    let mut written: Vec<String> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // What happened is indented; it is written anew.
        if line.starts_with("  ") {
            continue;
        }
        written.push(line.to_string());
        let Some(command) = line.strip_prefix("> ") else { continue };
        let words: Vec<&str> = command.split_whitespace().collect();
        let done = stage.command(&words);
        written.append(&mut stage.lines);
        if let Err(why) = done.and_then(|()| stage.wrong.take().map_or(Ok(()), Err)) {
            let before = &written[written.len().saturating_sub(SHOWN_MAX)..];
            return Err((at + 1, format!("`{command}`: {why}; before that:\n{}", before.join("\n"))));
        }
    }
    Ok(written.join("\n") + "\n")
}

fn all() -> Vec<(String, PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files
        .into_iter()
        .map(|path| (name(&path), path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

#[test]
fn every_transcript_comes_out_as_it_is_written() {
    let write = std::env::var_os("QUORATE_GOLDEN").is_some_and(|value| value == "write");
    let mut wrong = Vec::new();
    for (name, path, text) in all() {
        // A replica's own assertions are to be told with the transcript that they failed in.
        let now = catch_unwind(AssertUnwindSafe(|| run(&text, RaftConfig::default())));
        match now.unwrap_or_else(|_| Err((0, "a replica panicked".into()))) {
            Err((line, why)) => wrong.push(format!("{name}.txt:{line}: {why}")),
            Ok(now) if now == text => {}
            Ok(now) if write => std::fs::write(&path, &now).unwrap(),
            Ok(now) => wrong.push(difference(&name, &text, &now)),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn difference(name: &str, text: &str, now: &str) -> String {
    let pairs =
        text.lines().map(Some).chain(std::iter::repeat(None)).zip(now.lines().map(Some).chain([None]));
    let (at, (written, happened)) = pairs.enumerate().find(|(_, (a, b))| a != b).unwrap_or((0, (None, None)));
    format!("{name}.txt:{}: written {written:?}, happened {happened:?}", at + 1)
}

#[test]
fn every_transcript_begins_with_what_it_shows_and_why_that_is_right() {
    let all = all();
    assert!(all.len() >= 20, "{}", all.len());
    for (name, _, text) in all {
        let prose: Vec<&str> = text.lines().take_while(|line| !line.starts_with("> ")).collect();
        let cited = prose.iter().any(|line| line.contains('§') || line.contains("igure"));
        assert!(prose.len() > 2 && cited, "{name}: no prose that says where the rule is written");
        assert!(text.lines().any(|line| line.starts_with("> expect ")), "{name}: nothing is expected");
        assert!(text.lines().all(|line| line.chars().count() <= 150), "{name}: a long line");
    }
}

#[test]
fn a_command_that_is_not_known_stops_a_transcript_at_its_line() {
    let text = "prose\n\n> cluster 1 2 3\n> dance 1\n";
    let (line, why) = run(text, RaftConfig::default()).unwrap_err();
    assert!(line == 4 && why.starts_with("`dance 1`: unknown command"), "{line}: {why}");
    let text = "> cluster 1 2 3\n> expect 1 leads\n";
    assert_eq!(run(text, RaftConfig::default()).unwrap_err().0, 2);
}

#[test]
fn a_line_that_did_not_happen_is_found() {
    let text = "> cluster 1 2 3\n  1 dances\n";
    let now = run(text, RaftConfig::default()).unwrap();
    assert_ne!(now, text);
    assert!(difference("a", text, &now).starts_with("a.txt:2: written Some(\"  1 dances\")"));
    assert_eq!(difference("a", "x\ny\n", "x\n"), "a.txt:2: written Some(\"y\"), happened None");
}
