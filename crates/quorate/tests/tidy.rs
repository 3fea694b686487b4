//! The habits of the house that a machine can check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// A crate may use floors below its own, and neighbours never import each other.
const FLOORS: [(&str, u8); 12] = [
    ("core", 0),
    ("transport", 1),
    ("journal", 1),
    ("consensus", 2),
    ("crdt", 2),
    ("membership", 2),
    ("health", 2),
    ("scheduler", 2),
    ("sim", 2),
    ("node", 3),
    ("transport-tcp", 3),
    ("journal-redb", 3),
];

/// Lines of a source file, tests at its end not counted.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn crates() -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    found.sort();
    found
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn all_sources(sub: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (_, dir) in crates() {
        sources(&dir.join(sub), &mut found);
    }
    found.sort();
    found
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// The crates of the house that a manifest's `[dependencies]` name (tests may use more).
fn house_dependencies(manifest: &str) -> Vec<String> {
    let section =
        manifest.split("\n[").find(|section| section.trim_start_matches('[').starts_with("dependencies]"));
    let names = section.unwrap_or("").lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter_map(|name| name.strip_prefix("quorate-")).map(str::to_owned).collect()
}

#[test]
fn every_crate_uses_only_floors_below_its_own() {
    for (name, dir) in crates().into_iter().filter(|(name, _)| name != "quorate") {
        let own = floor(&name).unwrap_or_else(|| panic!("crates/{name} has no floor"));
        for used in house_dependencies(&fs::read_to_string(dir.join("Cargo.toml")).unwrap()) {
            let below =
                floor(&used).unwrap_or_else(|| panic!("crates/{name} uses {used}, which has no floor"));
            assert!(below < own, "crates/{name} (floor {own}) uses {used} (floor {below})");
        }
    }
}

#[test]
fn every_crate_takes_the_workspaces_lints_and_says_what_it_is() {
    for (name, dir) in crates() {
        let manifest = fs::read_to_string(dir.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "crates/{name} has lints of its own");
        assert!(manifest.contains("description = "), "crates/{name} has no description");
        assert!(dir.join("README.md").exists(), "crates/{name} has no README.md");
    }
}

#[test]
fn source_files_are_short() {
    for path in all_sources("src") {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_undone_and_no_test_is_put_aside() {
    // Spelled in two parts, or this file would find itself.
    let banned = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ign", "ore"),
        concat!("FIX", "ME"),
    ];
    for path in all_sources("src").into_iter().chain(all_sources("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in banned {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

#[test]
fn what_leaves_before_the_disk_says_why_it_promises_nothing() {
    for path in all_sources("src") {
        // The seam defines them; hosts and links stand below the rule.
        if path.components().any(|part| part.as_os_str() == "core") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines: Vec<&str> = code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !(line.contains(".send_now(") || line.contains(".emit_now(")) {
                continue;
            }
            let said =
                lines[at.saturating_sub(8)..at].iter().any(|before| before.trim_start().starts_with("//"));
            assert!(said, "{}:{} says nothing about why it may leave at once", path.display(), at + 1);
        }
    }
}

#[test]
fn every_source_file_is_part_of_its_crate() {
    for path in all_sources("src") {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let dir = path.parent().unwrap();
        if matches!(stem, "lib" | "main") || dir.ends_with("bin") {
            continue;
        }
        let (name, parents) = match stem {
            "mod" => (dir.file_name().unwrap().to_str().unwrap(), vec![dir.parent().unwrap().to_owned()]),
            _ => (stem, vec![dir.to_owned()]),
        };
        let inside = parents.iter().any(|parent| {
            let beside = format!("../{}.rs", parent.file_name().unwrap().to_str().unwrap());
            ["mod.rs", "lib.rs", "main.rs", &beside].iter().any(|file| {
                let text = fs::read_to_string(parent.join(file)).unwrap_or_default();
                text.lines().any(|line| line.trim_end().ends_with(&format!("mod {name};")))
            })
        });
        assert!(inside, "{} is not part of its crate", path.display());
    }
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.lines().count() <= 150, "the README has {} lines", text.lines().count());
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if !link.starts_with("http") && !link.starts_with('#') {
            assert!(root().join(link).exists(), "the README links to {link}, which is not there");
        }
    }
}
