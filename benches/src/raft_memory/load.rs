//! The settings.

use std::fmt;

/// How commands come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The next one when the last is committed.
    One,
    /// So many clients, each with its next one when its last is committed; proposed one by one.
    Outstanding(u64),
    /// The same, through the contender's own call or setting for batches if it has one.
    Batched(u64),
}

impl Way {
    /// Commands in a turn.
    pub fn outstanding(self) -> u64 {
        match self {
            Way::One => 1,
            Way::Outstanding(count) | Way::Batched(count) => count,
        }
    }
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Replicas.
    pub nodes: u64,
    /// Bytes of a command.
    pub bytes: usize,
    /// How commands come.
    pub way: Way,
    /// Commits before the clock runs.
    pub warm_up: u64,
    /// Commits while it runs.
    pub commits: u64,
}

impl Load {
    /// A setting with as many commits as give a steady figure in a tenth of a second or so.
    pub fn new(nodes: u64, bytes: usize, way: Way) -> Load {
        // Logs have been cut before, so that memory is used again.
        let warm_up = 3 * super::COMPACT_EVERY;
        // Whole turns only.
        let commits = if way == Way::One { 40_960 } else { 122_880 };
        Load { nodes, bytes, way, warm_up, commits }
    }

    /// Every setting of the table.
    pub fn all() -> Vec<Load> {
        let mut all = Vec::new();
        for nodes in [3, 5] {
            for bytes in [16, 256] {
                for way in [Way::One, Way::Outstanding(256), Way::Outstanding(4096), Way::Batched(256)] {
                    all.push(Load::new(nodes, bytes, way));
                }
            }
        }
        all
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes, {} B, ", self.nodes, self.bytes)?;
        match self.way {
            Way::One => f.write_str("one at a time"),
            Way::Outstanding(count) => write!(f, "{count} outstanding"),
            Way::Batched(count) => write!(f, "batches of {count}"),
        }
    }
}
