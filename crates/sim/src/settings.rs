//! What a world is made of before anything happens in it.

use crate::{Delay, DiskWeather, Weather};
use quorate_core::TurnLimits;
use quorate_transport::InboxLimits;
use std::time::Duration;

/// A world's settings. The default is a good day: nothing fails, everything takes a short while.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The network's behaviour. Can be changed while the world runs.
    pub weather: Weather,
    /// The disks' behaviour. Can be changed while the world runs.
    pub disks: DiskWeather,
    /// How long a job takes. Default: mostly some 50 us, at most 20 ms.
    pub jobs: Delay,
    /// Bounds of every node's lane.
    pub turn: TurnLimits,
    /// Bounds of every node's inbox, which fills while a node is slow or paused.
    pub inbox: InboxLimits,
    /// The largest frame that the network carries, head included; larger ones are lost, as a transport does.
    /// Default 1 MiB, as the transport trait's.
    pub frame_bytes_max: usize,
    /// Jobs that are out; from then on the lane is full. Default 1,024, as the driver's.
    pub jobs_max: usize,
    /// What a node needs for one input. While it is busy, what comes in waits. Default zero: only faults make
    /// nodes slow.
    pub step_cost: Duration,
    /// How long [`crate::World::finish`] waits for a ticket, in simulated time. Default 60 s.
    pub patience: Duration,
    /// One line that runs this seed again, printed with a violation.
    pub replay: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            weather: Weather::fair(),
            disks: DiskWeather::fair(),
            jobs: Delay::HeavyTail {
                floor: Duration::from_micros(20),
                scale: Duration::from_micros(100),
                max: Duration::from_millis(20),
            },
            turn: TurnLimits::default(),
            inbox: InboxLimits::default(),
            frame_bytes_max: 1 << 20,
            jobs_max: 1024,
            step_cost: Duration::ZERO,
            patience: Duration::from_secs(60),
            replay: None,
        }
    }
}
