//! What all nodes of a world share: its time, its network, its chance, its records of what happened.

use crate::coverage::Coverage;
use crate::net::{Net, Parcel};
use crate::queue::Queue;
use crate::trace::{Lines, TraceHash};
use crate::{DiskWeather, FaultKind, Settings, Stats};
use quorate_core::{Frame, HostMsg, Job, NodeId, Notice, Recipients, Rng, ScopeId};

/// A notice on its way to those who watch.
pub(crate) type ToldTo = (NodeId, ScopeId, Box<dyn Notice>);

pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    pub(crate) queue: Queue,
    pub(crate) net: Net,
    pub(crate) disks: DiskWeather,
    pub(crate) seen: Coverage,
    pub(crate) stats: Stats,
    pub(crate) hash: TraceHash,
    pub(crate) lines: Lines,
    /// For disks, jobs and crashes.
    pub(crate) rng: Rng,
    /// Seeds the lives of nodes, so that what one life draws shifts no other.
    pub(crate) births: Rng,
    /// Places by name, in order.
    pub(crate) places: Vec<(NodeId, u32)>,
    pub(crate) told: Vec<ToldTo>,
    /// Used again at every step.
    pub(crate) sends: Vec<(Recipients, HostMsg)>,
    pub(crate) frames: Vec<(NodeId, Frame)>,
    pub(crate) jobs: Vec<(ScopeId, Job)>,
}

impl Stage {
    pub(crate) fn new(seed: u64, settings: Settings) -> Stage {
        let mut rng = Rng::from_seed(seed);
        let net = Net::new(settings.weather.clone(), rng.fork());
        Stage {
            now: 0,
            queue: Queue::default(),
            net,
            disks: settings.disks.clone(),
            seen: Coverage::new(),
            stats: Stats::default(),
            hash: TraceHash::new(seed),
            lines: Lines::default(),
            births: rng.fork(),
            rng,
            places: Vec::new(),
            told: Vec::new(),
            sends: Vec::new(),
            frames: Vec::new(),
            jobs: Vec::new(),
            settings,
        }
    }

    pub(crate) fn place(&self, id: NodeId) -> Option<u32> {
        let at = self.places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.places[at].1)
    }

    /// Hands the frames that a link made to the network.
    pub(crate) fn dispatch(&mut self, from: (u32, NodeId), message: Option<&HostMsg>) {
        for i in 0..self.frames.len() {
            let (to, frame) = &self.frames[i];
            self.stats.frames_sent += 1;
            let Ok(at) = self.places.binary_search_by_key(to, |(id, _)| *id) else {
                self.seen.hit(FaultKind::Undeliverable);
                continue;
            };
            let to = (self.places[at].1, *to);
            let message = message.map(|msg| (msg.scope, msg.class, &msg.body[..]));
            let parcel = Parcel { from, to, frame, message };
            self.net.carry(parcel, self.now, &mut self.queue, &mut self.seen);
        }
        self.frames.clear();
    }
}
