//! Which faults strike, how often, and how long they last. Plain data, so that a failing plan can be printed,
//! kept, and cut down.

use crate::{Delay, DiskWeather, Weather};
use quorate_core::NodeId;
use std::time::Duration;

/// A kind of blow. Victims are drawn unless a script names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// A node crashes and restarts with its disk.
    Crash,
    /// The leader does, where the world knows it.
    CrashLeader,
    /// All nodes do, in one instant.
    PowerLoss,
    /// A node crashes and comes back without its disk. Counts against the amnesia budget.
    Wipe,
    /// A node's disk is put aside, and comes back as it was. Counts against the amnesia budget.
    OldDisk,
    /// A node's disk decays while it is down; it refuses to start. Counts against the amnesia budget.
    Rot,
    /// A copy of a node runs beside it, on a copy of its disk. Counts against the amnesia budget.
    Twin,
    /// A node's disk is full for a while.
    NoSpace,
    /// A node stands still.
    Pause,
    /// The leader does, where the world knows it.
    PauseLeader,
    /// Every input costs a node time: up to a hundredth of what the fault lasts.
    Slow,
    /// Two groups do not hear each other.
    Split,
    /// One group does not hear the other.
    OneWaySplit,
    /// Two groups hear each other through one node only.
    Bridge,
    /// Each node hears its neighbours only, just enough for a majority, so that every majority differs.
    Ring,
    /// One node is alone.
    Isolate,
    /// The leader is, where the world knows it.
    IsolateLeader,
    /// One link is cut, both ways.
    CutLink,
    /// One link is cut, one way.
    CutOneWay,
    /// One node's links come and go ten times, each time for as long as the fault lasts.
    Flap,
    /// What a node is sent arrives in one burst.
    Clog,
    /// Much is lost and late everywhere.
    Storm,
    /// A clock runs up to 5 % fast or slow.
    Drift,
    /// A clock jumps by as much as the fault would last, either way.
    ClockJump,
    /// A clock stands still.
    ClockFreeze,
    /// A node's UTC jumps by a hundred times as much as the fault would last, either way.
    WallJump,
}

/// Where blows come from: one kind, at random times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub fault: Fault,
    /// The mean time between two.
    pub every: Duration,
    /// The shortest and the longest that one lasts. Drawn by octaves: short ones are as likely as long ones.
    pub lasts: (Duration, Duration),
}

/// A blow at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLine {
    /// When, from the moment the plan is let loose.
    pub at: Duration,
    /// What.
    pub fault: Fault,
    /// For how long.
    pub lasts: Duration,
    /// Whom; drawn if `None`. Without meaning for faults that hit groups.
    pub victim: Option<NodeId>,
}

/// All faults of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultPlan {
    /// How the network behaves all the time.
    pub weather: Weather,
    /// How the disks behave all the time.
    pub disks: DiskWeather,
    /// How long jobs take: an `apply` that takes as long as an election is a fault of its own.
    pub jobs: Delay,
    /// How long a node stays down that its own disk stopped.
    pub downtime: Delay,
    /// What strikes at random times.
    pub sources: Vec<Source>,
    /// What strikes at given times.
    pub script: Vec<ScriptLine>,
    /// How many nodes may lose what was on their disk (no disk, an old one, rot) in one run: the protocol's f,
    /// if it claims to detect that; else 0.
    pub amnesia_max: usize,
}

impl FaultPlan {
    /// Nothing ever fails.
    pub fn none() -> FaultPlan {
        FaultPlan {
            weather: Weather::fair(),
            disks: DiskWeather::fair(),
            jobs: crate::Settings::default().jobs,
            downtime: Delay::Constant(Duration::from_millis(100)),
            sources: Vec::new(),
            script: Vec::new(),
            amnesia_max: 0,
        }
    }
}
