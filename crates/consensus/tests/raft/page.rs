//! The page that leads from the paper to the tests names tests that are there.

use std::path::Path;

#[test]
fn every_test_that_the_page_names_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../../docs/protocols/raft.md")).unwrap();
    let (mut named, mut missing) = (0, Vec::new());
    for name in page.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('`')) {
        let Some((file, test)) = name.split_once("::") else { continue };
        let Ok(text) = std::fs::read_to_string(here.join(format!("tests/raft/{file}.rs"))) else { continue };
        named += 1;
        if !text.contains(&format!("fn {test}(")) && !is_code(here, file, test) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named > 80, "{named}");
}

/// Some files of code and of tests have one name.
fn is_code(here: &Path, file: &str, function: &str) -> bool {
    let code = std::fs::read_to_string(here.join(format!("src/raft/{file}.rs")));
    code.is_ok_and(|code| code.contains(&format!("fn {function}(")))
}
