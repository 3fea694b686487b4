//! How a disk behaves.

use crate::Delay;
use std::time::Duration;

/// How long a disk takes and how often it fails. Chances are per operation.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskWeather {
    /// How long a sync takes.
    pub sync: Delay,
    /// The chance that a sync stalls, and for how long then.
    pub stall: (f64, Delay),
    /// The chance that a sync fails. The node stops; what was not synced is lost or not.
    pub sync_fails: f64,
    /// The chance that a node crashes between an append and its sync.
    pub crash_on_append: f64,
    /// The chance that a node crashes when a sync ends: with everything on disk and nobody told, or with a
    /// part of it.
    pub crash_on_sync: f64,
    /// The chance that reading, writing, listing or removing an object fails; the node goes on.
    pub object_fails: f64,
}

impl DiskWeather {
    /// A good disk: 0.2 to 1 ms a sync, no failures.
    pub fn fair() -> DiskWeather {
        DiskWeather {
            sync: Delay::Uniform(Duration::from_micros(200), Duration::from_millis(1)),
            stall: (0.0, Delay::ZERO),
            sync_fails: 0.0,
            crash_on_append: 0.0,
            crash_on_sync: 0.0,
            object_fails: 0.0,
        }
    }
}

impl Default for DiskWeather {
    fn default() -> Self {
        DiskWeather::fair()
    }
}
