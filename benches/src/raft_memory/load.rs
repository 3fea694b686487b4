//! The settings.

use std::fmt;

/// How commands come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The next one when the last is committed.
    One,
    /// So many clients, each with its next one when its last is committed. Each command is handed over by a call of its own
    /// (ours: [`Gathered::push`](quorate_consensus::raft::Gathered::push), as the port does with what it is asked in a turn).
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
        let commits = match (way, bytes) {
            (Way::One, _) | (_, 4096..) => 40_960,
            (Way::Outstanding(_) | Way::Batched(_), _) if nodes > 5 => 40_960,
            (Way::Outstanding(_) | Way::Batched(_), _) => 122_880,
        };
        // Whole turns only: a batch of fixed size waits until it is full.
        let turns = |commands: u64| commands.div_ceil(way.outstanding()) * way.outstanding();
        Load { nodes, bytes, way, warm_up: turns(warm_up), commits: turns(commits) }
    }

    /// Every setting of the table.
    pub fn all() -> Vec<Load> {
        let mut all = Vec::new();
        for nodes in [3, 5] {
            for bytes in [16, 256, 4096] {
                let outstanding = [64, 256, 4096].map(Way::Outstanding);
                for way in [Way::One].into_iter().chain(outstanding).chain([Way::Batched(100)]) {
                    all.push(Load::new(nodes, bytes, way));
                }
            }
            all.push(Load::new(nodes, 16, Way::Batched(256)));
        }
        all.extend([7, 9, 21].map(|nodes| Load::new(nodes, 16, Way::Outstanding(256))));
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
