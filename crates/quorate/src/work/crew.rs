//! The crew of a worker node: what its agents shall run, do run, and have ended.
//!
//! **Invariant.** What has ended is told until its lease is seen to be over by the leader of the newest term heard
//! of; a leader of an older term takes nothing away and gives nothing out.

use super::ASTRAY_MAX;
use super::levels::{HEAD, HOSTS_A_KEY, Line, Told, decode, encode, hosts_key, is_lease_key, lease_key};
use super::orders::Orders;
use crate::{Cx, Input, NodeId, Port, PortCx, Promise, Protocol, Time};
use bytes::Bytes;
use quorate_core::Corrupt;
use quorate_scheduler::dispatch::{End, Finished, Granted};
use quorate_scheduler::engine::{AgentSpec, Lease};
use quorate_scheduler::mirror::{MirrorCmd, MirrorEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

/// What a crew did in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CrewCounters {
    /// Attempts begun.
    pub started: u64,
    /// Attempts whose end was told.
    pub ended: u64,
    /// Attempts whose lease was taken away before they ended.
    pub dropped: u64,
    /// Ends told of attempts that had ended: the first counts.
    pub repeated: u64,
    /// Ends told under leases that this crew does not hold (any more); passed on, for the coordinators to refuse.
    pub astray: u64,
    /// Bytes of coordinators that meant nothing.
    pub malformed: u64,
}

/// A scope that speaks to nobody: its port is all there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silent;

impl Protocol for Silent {
    type Msg = Infallible;
    type Cmd = Infallible;
    type Event = Infallible;
    type Record = Infallible;
    fn step(&mut self, _: Input<Self>, _: &mut Cx<'_, Self>) {}
    fn wake_at(&self) -> Time {
        Time::NEVER
    }
    fn replay(&mut self, record: Infallible) -> Result<(), Corrupt> {
        match record {}
    }
}

/// What the application and the wires ask a crew.
pub(super) enum CrewAsk {
    /// Of a coordinator.
    Level(MirrorEvent),
    /// All agents that live here.
    Hosts(Vec<AgentSpec>),
    /// An attempt has ended.
    End(Lease, End),
    /// An attempt goes on.
    Progress(Lease),
    Counters(Promise<CrewCounters>),
}

/// What the coordinators are to be told: for the wire to the reports.
#[derive(Debug)]
pub(super) struct Tell(pub Vec<MirrorCmd>);

pub(super) struct Crew {
    coordinators: BTreeSet<NodeId>,
    beat_every: Duration,
    beat_at: Time,
    beats: u64,
    hosts: Vec<AgentSpec>,
    /// What each coordinator says.
    levels: BTreeMap<NodeId, Level>,
    /// The newest term that somebody said to lead.
    term: u64,
    attempts: BTreeMap<Lease, Attempt>,
    /// Ends under leases that are not held: told for a while, so that the coordinators see and refuse them.
    astray: VecDeque<(Lease, Time)>,
    orders: Orders,
    counters: CrewCounters,
}

#[derive(Default)]
struct Level {
    term: u64,
    leads: bool,
    leases: BTreeMap<u64, Granted>,
}

struct Attempt {
    granted: Granted,
    progress: u32,
    ended: bool,
}

/// How long such an end is told.
const ASTRAY_FOR: Duration = Duration::from_secs(5);

impl Crew {
    pub fn new(coordinators: BTreeSet<NodeId>, beat_every: Duration, orders: Orders) -> Crew {
        Crew {
            coordinators,
            beat_every,
            beat_at: Time::ZERO,
            beats: 0,
            hosts: Vec::new(),
            levels: BTreeMap::new(),
            term: 0,
            attempts: BTreeMap::new(),
            astray: VecDeque::new(),
            orders,
            counters: CrewCounters::default(),
        }
    }

    fn tell(&self, lines: &[(u64, Option<Bytes>)], cx: &mut PortCx<'_, Silent>) {
        let mut commands = Vec::new();
        for to in &self.coordinators {
            for (key, value) in lines {
                commands.push(match value {
                    Some(value) => MirrorCmd::Set { to: *to, key: *key, value: value.clone() },
                    None => MirrorCmd::Clear { to: *to, key: *key },
                });
            }
        }
        cx.notice(Tell(commands));
    }

    fn set_hosts(&mut self, hosts: Vec<AgentSpec>, cx: &mut PortCx<'_, Silent>) {
        let parts = |hosts: &[AgentSpec]| hosts.len().div_ceil(HOSTS_A_KEY);
        let before = parts(&self.hosts);
        let set = hosts.chunks(HOSTS_A_KEY).enumerate();
        let mut lines: Vec<(u64, Option<Bytes>)> =
            set.map(|(part, some)| (hosts_key(part), Some(encode(&Line::Hosts(some.to_vec()))))).collect();
        lines.extend((parts(&hosts)..before).map(|part| (hosts_key(part), None)));
        self.hosts = hosts;
        self.tell(&lines, cx);
    }

    fn on_level(&mut self, event: MirrorEvent, cx: &mut PortCx<'_, Silent>) {
        match event {
            MirrorEvent::Reset { from, .. } => {
                // It started again and has led nothing since; what its former life said is over with it.
                self.levels.remove(&from);
            }
            MirrorEvent::Level { from, changes, whole } => {
                if self.coordinators.contains(&from) {
                    self.take_changes(from, changes);
                    if whole {
                        self.follow(from, cx);
                    }
                }
            }
            MirrorEvent::Refused { .. } => {}
        }
    }

    fn take_changes(&mut self, from: NodeId, changes: Vec<(u64, Option<Bytes>)>) {
        let level = self.levels.entry(from).or_default();
        for (key, value) in changes {
            match value.as_ref().map(|bytes| decode::<Told>(bytes)) {
                None => {
                    level.leases.remove(&key);
                }
                Some(Some(Told::Head { term, leads })) if key == HEAD => {
                    (level.term, level.leads) = (term, leads)
                }
                Some(Some(Told::Lease(granted))) if is_lease_key(key) => {
                    level.leases.insert(key, granted);
                }
                Some(_) => self.counters.malformed += 1,
            }
        }
    }

    /// Does what this coordinator says, if it leads the newest term heard of.
    fn follow(&mut self, from: NodeId, cx: &mut PortCx<'_, Silent>) {
        let Some(level) = self.levels.get(&from).filter(|level| level.leads && level.term >= self.term)
        else {
            return;
        };
        self.term = level.term;
        let wanted: BTreeMap<Lease, &Granted> =
            level.leases.values().map(|granted| (granted.lease, granted)).collect();
        let mut lines = Vec::new();
        let over: Vec<Lease> =
            self.attempts.keys().copied().filter(|lease| !wanted.contains_key(lease)).collect();
        for lease in over {
            let Some(attempt) = self.attempts.remove(&lease) else { continue };
            lines.push((lease_key(lease), None));
            if !attempt.ended {
                self.counters.dropped += 1;
                self.orders.over(attempt.granted);
            }
        }
        for (lease, granted) in wanted {
            match self.attempts.get_mut(&lease) {
                Some(attempt) => {
                    let cancelled = granted.cancel && !attempt.granted.cancel && !attempt.ended;
                    if attempt.granted != *granted {
                        attempt.granted.clone_from(granted);
                    }
                    if cancelled {
                        self.orders.cancel(granted.clone());
                    }
                }
                None => {
                    // Cancelled before it was begun here: there is nothing to stop.
                    let ended = granted.cancel;
                    let line = if ended {
                        Line::Finished(Finished { lease, end: End::Stopped })
                    } else {
                        self.counters.started += 1;
                        self.orders.start(granted.clone());
                        Line::Running(lease, 0)
                    };
                    lines.push((lease_key(lease), Some(encode(&line))));
                    self.attempts.insert(lease, Attempt { granted: granted.clone(), progress: 0, ended });
                }
            }
        }
        if !lines.is_empty() {
            self.tell(&lines, cx);
        }
    }

    fn on_end(&mut self, lease: Lease, end: End, cx: &mut PortCx<'_, Silent>) {
        match self.attempts.get_mut(&lease) {
            Some(attempt) if attempt.ended => {
                self.counters.repeated += 1;
                return;
            }
            Some(attempt) => {
                attempt.ended = true;
                self.counters.ended += 1;
            }
            None => return self.on_astray(Finished { lease, end }, cx),
        }
        let line = encode(&Line::Finished(Finished { lease, end }));
        self.tell(&[(lease_key(lease), Some(line))], cx);
    }

    fn on_astray(&mut self, finished: Finished, cx: &mut PortCx<'_, Silent>) {
        let lease = finished.lease;
        if self.astray.iter().any(|(told, _)| *told == lease) {
            self.counters.repeated += 1;
            return;
        }
        self.counters.astray += 1;
        if self.astray.len() < ASTRAY_MAX {
            self.astray.push_back((lease, cx.now + ASTRAY_FOR));
            self.tell(&[(lease_key(lease), Some(encode(&Line::Astray(finished))))], cx);
        }
    }

    fn on_progress(&mut self, lease: Lease, cx: &mut PortCx<'_, Silent>) {
        let Some(attempt) = self.attempts.get_mut(&lease).filter(|attempt| !attempt.ended) else { return };
        attempt.progress = attempt.progress.wrapping_add(1);
        let line = encode(&Line::Running(lease, attempt.progress));
        self.tell(&[(lease_key(lease), Some(line))], cx);
    }
}

impl Port<Silent> for Crew {
    type Ask = CrewAsk;

    fn ask(&mut self, ask: CrewAsk, cx: &mut PortCx<'_, Silent>) {
        match ask {
            CrewAsk::Level(event) => self.on_level(event, cx),
            CrewAsk::Hosts(hosts) => self.set_hosts(hosts, cx),
            CrewAsk::End(lease, end) => self.on_end(lease, end, cx),
            CrewAsk::Progress(lease) => self.on_progress(lease, cx),
            CrewAsk::Counters(promise) => promise.done(self.counters),
        }
    }

    fn event(&mut self, event: Infallible, _: &mut PortCx<'_, Silent>) {
        match event {}
    }

    fn wake_at(&self) -> Time {
        self.beat_at
    }

    fn wake(&mut self, cx: &mut PortCx<'_, Silent>) {
        self.beat_at = cx.now + self.beat_every;
        self.beats += 1;
        let mut lines = vec![(HEAD, Some(encode(&Line::Beat(self.beats))))];
        while let Some((lease, until)) = self.astray.front().copied()
            && until <= cx.now
        {
            self.astray.pop_front();
            // A new leader may have given out the same lease since: then the line says how that goes.
            if !self.attempts.contains_key(&lease) {
                lines.push((lease_key(lease), None));
            }
        }
        self.tell(&lines, cx);
    }
}
