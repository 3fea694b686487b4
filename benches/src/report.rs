//! One table for people, one file for programs, and the table once more for documents.

use serde::Serialize;
use std::path::PathBuf;

/// One line of a bench: one peer, beside us, in one setting.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The setting.
    pub row: String,
    /// Nanoseconds of ours for one unit (the conditions say of what).
    pub ours_ns: f64,
    /// Whom we stand beside, with its variant.
    pub peer: String,
    /// Nanoseconds of the peer's for one unit.
    pub peer_ns: f64,
    /// `ours_ns / peer_ns`: less than one is faster than the peer.
    pub ratio: f64,
    /// What was held the same, and what was left out.
    pub conditions: String,
    /// What else was counted, ours and the peer's.
    pub counted: Vec<Counted>,
}

/// Something counted for one unit.
#[derive(Clone, Debug, Serialize)]
pub struct Counted {
    /// Of what: messages, allocations ...
    pub what: &'static str,
    /// Ours.
    pub ours: f64,
    /// The peer's.
    pub peer: f64,
}

impl Row {
    /// A row without counts.
    pub fn new(row: String, ours_ns: f64, peer: &str, peer_ns: f64, conditions: &str) -> Row {
        let ratio = ours_ns / peer_ns;
        Row {
            row,
            ours_ns,
            peer: peer.into(),
            peer_ns,
            ratio,
            conditions: conditions.into(),
            counted: Vec::new(),
        }
    }
}

/// Prints the rows and writes them to `target/bench/NAME.json`, and as a table for documents to `NAME.md` beside it.
pub fn publish(name: &str, rows: &[Row]) -> std::io::Result<()> {
    print!("{}", table(rows));
    let directory = target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{name}.json"));
    std::fs::write(&path, serde_json::to_vec_pretty(rows)?)?;
    std::fs::write(directory.join(format!("{name}.md")), markdown(rows))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn target() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(own, PathBuf::from)
}

/// The rows as a table of Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::new();
    for (at, line) in cells(rows).into_iter().enumerate() {
        text.push_str(&format!("| {} |\n", line.join(" | ")));
        if at == 0 {
            let rule: Vec<&str> = (0..line.len()).map(|at| if is_word(at) { "---" } else { "--:" }).collect();
            text.push_str(&format!("|{}|\n", rule.join("|")));
        }
    }
    text
}

/// Words stand left, figures right.
fn is_word(column: usize) -> bool {
    matches!(column, 0 | 4)
}

fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![vec!["row".to_owned(), "ours ns".into(), "peer ns".into(), "ratio".into()]];
    lines[0].push("peer".into());
    let counted = rows.first().map_or(&[][..], |row| &row.counted);
    lines[0].extend(counted.iter().map(|c| format!("{} ours/peer", c.what)));
    for row in rows {
        let mut line = vec![row.row.clone(), figure(row.ours_ns), figure(row.peer_ns)];
        line.push(format!("{:.2}", row.ratio));
        line.push(row.peer.clone());
        line.extend(row.counted.iter().map(|c| format!("{}/{}", figure(c.ours), figure(c.peer))));
        lines.push(line);
    }
    lines
}

/// The rows as a table, its columns as wide as they must be.
pub fn table(rows: &[Row]) -> String {
    let lines = cells(rows);
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| lines.iter().filter_map(|l| l.get(at)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        for (at, cell) in line.iter().enumerate() {
            let width = widths[at];
            match is_word(at) {
                true => text.push_str(&format!("{cell:<width$}  ")),
                false => text.push_str(&format!("{cell:>width$}  ")),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_below_one_is_faster_than_its_peer() {
        let row = Row::new("3 nodes".into(), 50.0, "peer", 200.0, "");
        assert_eq!(row.ratio, 0.25);
        assert!(markdown(std::slice::from_ref(&row)).ends_with("| 3 nodes | 50.0 | 200 | 0.25 | peer |\n"));
        let text = table(&[row]);
        assert_eq!(text, "row      ours ns  peer ns  ratio  peer\n3 nodes     50.0      200   0.25  peer\n");
    }
}
