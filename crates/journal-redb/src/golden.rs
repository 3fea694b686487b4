//! Golden bytes: a change of any of them is a new version of the format, never an accident.

use std::fmt::Write as _;
use std::path::Path;

/// Compares with `tests/golden/NAME.txt`: a line a row, its name and its bytes in hex.
pub(crate) fn check(name: &str, rows: &[(&str, Vec<u8>)]) {
    let mut found = String::new();
    for (row, bytes) in rows {
        write!(found, "{row}: ").unwrap();
        bytes.iter().for_each(|byte| write!(found, "{byte:02x}").unwrap());
        found.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == found, "{} holds\n{golden}and what is written now is\n{found}", path.display());
}
