//! What is known of each direction between two nodes.

use std::collections::BTreeMap;

/// One direction between two nodes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// How many cuts lie on it; open at 0.
    pub(crate) cuts: u32,
    /// Nothing arrives before.
    pub(crate) clogged_until: u64,
    /// When what was handed over so far is on its way.
    pub(crate) free_at: u64,
    /// When the last frame arrives, for weather that keeps the order.
    pub(crate) last_at: u64,
    /// Frames handed over.
    pub(crate) sent: u32,
    /// The newest frame that arrived, to see overtaking.
    pub(crate) newest: u32,
}

/// All directions. A square up to [`SQUARE_MAX`] nodes, beyond that only those that were used.
#[derive(Debug)]
pub(crate) enum LineMap {
    Square { side: usize, lines: Vec<Line> },
    Used(BTreeMap<(u32, u32), Line>),
}

/// 512 nodes: 10 MiB of lines.
const SQUARE_MAX: usize = 512;

impl Default for LineMap {
    fn default() -> Self {
        LineMap::Square { side: 0, lines: Vec::new() }
    }
}

impl LineMap {
    /// Makes place for this many nodes.
    pub(crate) fn grow(&mut self, nodes: usize) {
        let LineMap::Square { side, lines } = self else { return };
        if nodes <= *side {
            return;
        }
        let old = (*side, std::mem::take(lines));
        if nodes > SQUARE_MAX {
            let at = |i: usize| ((i / old.0) as u32, (i % old.0) as u32);
            *self = LineMap::Used(old.1.into_iter().enumerate().map(|(i, line)| (at(i), line)).collect());
            return;
        }
        *side = nodes.next_power_of_two();
        *lines = vec![Line::default(); *side * *side];
        for (i, line) in old.1.into_iter().enumerate() {
            lines[(i / old.0) * *side + i % old.0] = line;
        }
    }

    #[inline]
    pub(crate) fn at(&mut self, from: u32, to: u32) -> &mut Line {
        match self {
            LineMap::Square { side, lines } => &mut lines[from as usize * *side + to as usize],
            LineMap::Used(lines) => lines.entry((from, to)).or_default(),
        }
    }

    /// Every direction that has something to tell.
    pub(crate) fn each(&mut self, f: impl FnMut(&mut Line)) {
        match self {
            LineMap::Square { lines, .. } => lines.iter_mut().for_each(f),
            LineMap::Used(lines) => lines.values_mut().for_each(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_survives_growth() {
        let mut lines = LineMap::default();
        lines.grow(3);
        lines.at(1, 2).cuts = 7;
        lines.grow(40);
        assert_eq!(lines.at(1, 2).cuts, 7);
        lines.at(39, 0).cuts = 5;
        lines.grow(5000);
        assert_eq!((lines.at(1, 2).cuts, lines.at(39, 0).cuts, lines.at(4999, 4998).cuts), (7, 5, 0));
    }
}
