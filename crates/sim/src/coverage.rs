//! What really happened. A fault that is planned and never strikes tests nothing, so everything counts itself
//! at the place where it happens, and a campaign fails on what never did.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A kind of fault, or of what a fault led to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FaultKind { $($(#[$doc])* $name,)* }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$name),*];

            /// Its name in reports.
            pub fn name(self) -> &'static str {
                match self { $(FaultKind::$name => $text),* }
            }
        }
    };
}

fault_kinds! {
    /// A frame was lost to the weather.
    Lost = "frame lost",
    /// A frame overtook another on its way.
    Reordered = "frame overtaken",
    /// A frame arrived twice.
    Duplicated = "frame duplicated",
    /// A frame of long ago was delivered again.
    Replayed = "old frame replayed",
    /// A frame arrived without its end.
    Truncated = "frame truncated",
    /// A frame arrived with a bit changed.
    Flipped = "bit flipped",
    /// A frame was lost because a link had too much to carry.
    Overflowed = "link overflowed",
    /// A frame waited behind a clog and came in a burst.
    Clogged = "frame clogged",
    /// A frame was larger than the network carries.
    Oversized = "frame too large",
    /// A frame was lost to a cut.
    Cut = "frame cut off",
    /// A transport noticed that it lost the way to a peer, and said so.
    Noticed = "peer told as down",
    /// A filter of the user's took a frame away or delayed it.
    Filtered = "frame filtered",
    /// A frame found the inbox of a slow node full.
    InboxFull = "inbox full",
    /// A frame of data was dropped because the lane was full.
    LaneFull = "lane full",
    /// A frame for nobody, or for a node that is down.
    Undeliverable = "frame undeliverable",
    /// The network was cut in two.
    Split = "split",
    /// One half did not hear the other.
    OneWaySplit = "one-way split",
    /// Two halves saw each other through one node only.
    Bridge = "bridge",
    /// Each node saw its neighbours only, so that every majority differed.
    Ring = "ring",
    /// One node was alone.
    Isolated = "node isolated",
    /// The leader was alone.
    LeaderIsolated = "leader isolated",
    /// A link came and went.
    Flapped = "link flapped",
    /// A node crashed.
    Crashed = "crash",
    /// All nodes crashed in one instant.
    PowerLoss = "power loss",
    /// A node crashed between an append and its sync.
    CrashedOnAppend = "crash before a sync",
    /// A node crashed at the end of a sync.
    CrashedOnSync = "crash at a sync",
    /// A crash lost writes that were not synced.
    LostWrites = "unsynced writes lost",
    /// A crash left a part of the writes that were not synced.
    TornWrites = "unsynced writes lost in part",
    /// A node started again with its disk.
    Restarted = "restart",
    /// A node came back without its disk.
    Wiped = "restart without a disk",
    /// A node came back with a disk of an earlier day.
    OldDisk = "restart with an old disk",
    /// A node ran twice at once.
    Twinned = "two live incarnations",
    /// A node refused to start since its disk had decayed.
    Refused = "start refused",
    /// A node stood still.
    Paused = "pause",
    /// A node was slow.
    Slowed = "slow node",
    /// A sync took much longer than usual.
    SyncStalled = "sync stalled",
    /// A sync failed, and the node stopped.
    SyncFailed = "sync failed",
    /// A write found no space, and the node stopped.
    NoSpace = "no space",
    /// A clock ran fast or slow.
    Drifted = "clock drift",
    /// A clock jumped.
    ClockJumped = "clock jump",
    /// A clock stood still.
    ClockFrozen = "clock frozen",
    /// UTC jumped.
    WallJumped = "UTC jump",
    /// A job was forgotten by a crash.
    JobForgotten = "job forgotten",
    /// A job panicked.
    JobPanicked = "job panicked",
    /// A disk said no to a job that read or wrote an object.
    ObjectFailed = "object failed",
    /// A crash left less of an unfinished object than was written.
    ObjectTorn = "object torn",
}

/// Counts of what happened, over one run or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    faults: Vec<u64>,
    named: BTreeMap<String, u64>,
}

impl Coverage {
    /// Nothing happened yet.
    pub fn new() -> Coverage {
        Coverage { faults: vec![0; FaultKind::ALL.len()], named: BTreeMap::new() }
    }

    pub(crate) fn hit(&mut self, kind: FaultKind) {
        if self.faults.is_empty() {
            *self = Coverage::new();
        }
        self.faults[kind as usize] += 1;
    }

    pub(crate) fn sometimes(&mut self, name: &str) {
        self.add(name, 1);
    }

    pub(crate) fn add(&mut self, name: &str, times: u64) {
        match self.named.get_mut(name) {
            Some(count) => *count += times,
            None => {
                self.named.insert(name.to_owned(), times);
            }
        }
    }

    /// How often a fault struck.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.faults.get(kind as usize).copied().unwrap_or(0)
    }

    /// How often this was reported through [`crate::World::sometimes`].
    pub fn named(&self, name: &str) -> u64 {
        self.named.get(name).copied().unwrap_or(0)
    }

    /// Everything that was reported, by name.
    pub fn all_named(&self) -> impl Iterator<Item = (&str, u64)> {
        self.named.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// Adds what happened in another run.
    pub fn merge(&mut self, other: &Coverage) {
        if self.faults.is_empty() {
            *self = Coverage::new();
        }
        for (mine, theirs) in self.faults.iter_mut().zip(&other.faults) {
            *mine += theirs;
        }
        for (name, count) in &other.named {
            *self.named.entry(name.clone()).or_default() += count;
        }
    }

    /// Those of these faults that never struck.
    pub fn never<'a>(&'a self, of: &'a [FaultKind]) -> impl Iterator<Item = FaultKind> + 'a {
        of.iter().copied().filter(|kind| self.of(*kind) == 0)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in FaultKind::ALL {
            writeln!(f, "{:>12}  {}", self.of(*kind), kind.name())?;
        }
        for (name, count) in &self.named {
            writeln!(f, "{count:>12}  {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_named_and_runs_add_up() {
        let (mut a, mut b) = (Coverage::new(), Coverage::default());
        a.hit(FaultKind::Lost);
        b.hit(FaultKind::Lost);
        b.hit(FaultKind::Crashed);
        b.sometimes("a snapshot was installed");
        a.merge(&b);
        assert_eq!((a.of(FaultKind::Lost), a.of(FaultKind::Crashed)), (2, 1));
        assert_eq!(a.named("a snapshot was installed"), 1);
        let never: Vec<_> = a.never(&[FaultKind::Lost, FaultKind::Ring]).collect();
        assert_eq!(never, [FaultKind::Ring]);
    }
}
