//! The graph as a drawing for Graphviz. Names are quoted; fallbacks hang on dashed lines.

use super::{Graph, TaskId};
use std::fmt::Write as _;

impl Graph {
    /// DOT text. The same graph gives the same text.
    pub fn to_dot(&self, title: &str) -> String {
        let mut dot = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(dot, "digraph {} {{\n  rankdir=LR;\n  node [shape=box];", quoted(title));
        for task in self.tasks() {
            let label = format!("{}\n{} ms", self.name(task), self.expected_ms(task));
            let _ = writeln!(dot, "  {} [label={}];", task.0, quoted(&label));
        }
        for task in self.range() {
            for to in self.after.of(task) {
                let _ = writeln!(dot, "  {task} -> {to};");
            }
            if let Some(fallback) = self.fallback(TaskId(task)) {
                let _ = writeln!(dot, "  {task} -> {} [style=dashed, label=\"else\"];", fallback.0);
            }
        }
        dot.push_str("}\n");
        dot
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
