//! What all nodes of a world share: its time, its network, its chance, its records of what happened.

use super::links::Links;
use crate::coverage::Coverage;
use crate::net::{Net, Parcel};
use crate::queue::Queue;
use crate::trace::{Lines, TraceHash};
use crate::{Delay, DiskWeather, FaultKind, Settings, Stats};
use quorate_core::{Frame, HostMsg, Job, NodeId, Notice, Recipients, Rng, ScopeId};

/// Makes text of a message.
pub(crate) type Describe = Box<dyn Fn(ScopeId, &[u8]) -> Option<String>>;

/// A notice on its way to those who watch.
pub(crate) type ToldTo = (NodeId, ScopeId, Box<dyn Notice>);

pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    pub(crate) queue: Queue,
    pub(crate) net: Net,
    pub(crate) disks: DiskWeather,
    /// How long jobs take.
    pub(crate) work: Delay,
    /// Makes text of messages, for those who read traces.
    pub(crate) describe: Option<Describe>,
    pub(crate) seen: Coverage,
    /// Of lives that have ended.
    pub(crate) links: Links,
    pub(crate) stats: Stats,
    pub(crate) hash: TraceHash,
    pub(crate) lines: Lines,
    /// For disks, jobs and crashes.
    pub(crate) rng: Rng,
    /// Seeds the lives of nodes, so that what one life draws shifts no other.
    pub(crate) births: Rng,
    /// Places by name, in order.
    pub(crate) places: Vec<(NodeId, u32)>,
    /// Second incarnations that run, with their places.
    pub(crate) twins: Vec<(NodeId, u32)>,
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
            work: settings.jobs,
            describe: None,
            seen: Coverage::new(),
            links: Links::default(),
            stats: Stats::default(),
            hash: TraceHash::new(seed),
            lines: Lines::default(),
            births: rng.fork(),
            rng,
            places: Vec::new(),
            twins: Vec::new(),
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
            if frame.len() > self.settings.frame_bytes_max {
                self.seen.hit(FaultKind::Oversized);
                continue;
            }
            let Ok(at) = self.places.binary_search_by_key(to, |(id, _)| *id) else {
                self.seen.hit(FaultKind::Undeliverable);
                continue;
            };
            let mut to = (self.places[at].1, *to);
            if !self.twins.is_empty() {
                to.0 = one_of_them(to, &self.twins, &mut self.rng);
            }
            let message = message.map(|msg| (msg.scope, msg.class, &msg.body[..]));
            let parcel = Parcel { from, to, frame, message };
            self.net.carry(parcel, self.now, &mut self.queue, &mut self.seen);
        }
        self.frames.clear();
    }
}

/// The place that a frame to this name goes to: the first one's, or a second incarnation's.
fn one_of_them(first: (u32, NodeId), twins: &[(NodeId, u32)], rng: &mut Rng) -> u32 {
    let second = twins.iter().filter(|(id, _)| *id == first.1).map(|(_, place)| *place);
    let all: Vec<u32> = std::iter::once(first.0).chain(second).collect();
    all[rng.index(all.len())]
}
