//! What links refused and repaired, over all lives: their recovery paths, counted beside the faults.

use quorate_core::LinkCounters;

/// A path's name in [`crate::Coverage`], and how often a link took it.
type Path = (&'static str, fn(&LinkCounters) -> u64);

const PATHS: [Path; 7] = [
    ("link: a session with a life of a peer begins", |c| c.sessions),
    ("link: a frame of no session, or a garbled one, is refused", |c| c.unsealed),
    ("link: a frame that came before is refused", |c| c.replayed),
    ("link: a frame too old for the window is refused", |c| c.too_old),
    ("link: a stale hello is refused", |c| c.hellos_stale),
    ("link: a frame without a whole head is refused", |c| c.malformed),
    ("link: a frame waits for a handshake in vain", |c| c.dropped_control + c.dropped_data),
];

/// The names under which [`crate::World::coverage`] counts what links refused and repaired.
pub fn link_paths() -> impl Iterator<Item = &'static str> {
    PATHS.iter().map(|(name, _)| *name)
}

/// Counts of links whose lives have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Links([u64; PATHS.len()]);

impl Links {
    /// Adds what a link counted.
    pub(crate) fn add(&mut self, counters: &LinkCounters) {
        for (sum, (_, count)) in self.0.iter_mut().zip(&PATHS) {
            *sum += count(counters);
        }
    }

    /// What was counted at all.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        link_paths().zip(self.0.iter().copied()).filter(|(_, count)| *count > 0)
    }
}
