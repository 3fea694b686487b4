//! The page that leads from the paper to the code and to the tests names what is there.

use std::path::{Path, PathBuf};

/// A source file by its path without the ending, and its text.
type Source = (PathBuf, String);

pub fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            found.push((entry.with_extension(""), std::fs::read_to_string(&entry).unwrap()));
        }
    }
    found
}

pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(here().join("../../docs/protocols/raft.md")).unwrap()
}

/// The names of one cell: what stands between backquotes.
pub fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows of all tables: what, code, tests.
fn rows(page: &str) -> Vec<[&str; 3]> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.contains("| code | tests |"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [what, code, tests] = cells[..] else { panic!("{line}: {} cells", cells.len()) };
            [what, code, tests]
        })
        .collect()
}

/// Whether a file of this name, or one in a folder of this name, says so. A file may be named with its folder.
fn any(sources: &[Source], file: &str, says: impl Fn(&str) -> bool) -> bool {
    let file = file.replace("::", "/");
    let is =
        |path: &Path| path.ends_with(&file) || path.parent().is_some_and(|folder| folder.ends_with(&file));
    sources.iter().any(|(path, text)| is(path) && says(text))
}

/// A function or a type of a file, or a file of a folder; a variant of a type; a file.
fn is_code(sources: &[Source], name: &str) -> bool {
    match name.rsplit_once("::") {
        None => any(sources, name, |_| true),
        Some((of, variant)) if of.starts_with(char::is_uppercase) => {
            let declared = format!("pub enum {of} ");
            sources
                .iter()
                .any(|(_, text)| text.split_once(&declared).is_some_and(|(_, rest)| rest.contains(variant)))
        }
        Some((file, item)) => {
            let declares = |text: &str| {
                let after = |word: &str, ends: &[char]| {
                    let found = format!("{word} {item}");
                    text.match_indices(&found).any(|(at, _)| text[at + found.len()..].starts_with(ends))
                };
                after("fn", &['(', '<']) || after("struct", &[' ', '<', '(']) || after("enum", &[' ', '<'])
            };
            let is_file = |(path, _): &Source| path.ends_with(Path::new(file).join(item));
            any(sources, file, declares) || sources.iter().any(is_file)
        }
    }
}

/// A function that is run as a test.
pub fn is_test(sources: &[Source], name: &str) -> bool {
    let Some((file, test)) = name.rsplit_once("::") else { return false };
    any(sources, file, |text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let is_its = |line: &&str| line.trim_start_matches("pub ").starts_with(&format!("fn {test}("));
        let Some(at) = lines.iter().position(is_its) else { return false };
        lines[..at].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]")
    })
}

#[test]
fn every_function_that_the_page_names_is_there() {
    let (sources, page) = (sources(&here().join("src/raft")), page());
    let named: Vec<&str> = rows(&page).into_iter().flat_map(|[_, code, _]| names(code)).collect();
    let missing: Vec<_> = named.iter().filter(|name| !is_code(&sources, name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.len() > 100, "{}", named.len());
    for absent in ["leader::dance", "dance::lead", "dance", "Cmd::Dance", "leader::lea"] {
        assert!(!is_code(&sources, absent), "{absent}");
    }
}

#[test]
fn every_test_that_the_page_names_is_there_and_is_run() {
    let (sources, page) = (sources(&here().join("tests/raft")), page());
    let tests =
        rows(&page).into_iter().flat_map(|[_, _, tests]| names(tests).filter(|name| name.contains("::")));
    let named: Vec<&str> = tests.collect();
    let missing: Vec<_> = named.iter().filter(|name| !is_test(&sources, name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.len() > 180, "{}", named.len());
    for absent in ["page::dance", "page::rows", "dance::every_function_that_the_page_names_is_there"] {
        assert!(!is_test(&sources, absent), "{absent}");
    }
}

#[test]
fn every_row_of_the_page_leads_to_code_and_to_a_test() {
    let page = page();
    for [what, code, tests] in rows(&page) {
        assert!(names(code).next().is_some() || code.trim() == "all of it", "{what}: no code");
        assert!(names(tests).any(|name| name.contains("::")), "{what}: no test");
    }
}

#[test]
fn every_test_of_the_paper_and_every_transcript_is_on_the_page() {
    let page = page();
    for (path, text) in sources(&here().join("tests/raft/paper")) {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        for test in text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next()) {
            assert!(page.contains(&format!("`{file}::{test}`")), "{file}::{test}");
        }
    }
    for entry in std::fs::read_dir(here().join("tests/transcripts")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_transcript = path.extension().is_some_and(|ending| ending == "txt");
        assert!(!is_transcript || page.contains(&format!("`{name}`")), "{name}");
    }
}
