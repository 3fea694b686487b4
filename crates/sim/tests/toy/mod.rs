//! A protocol for the simulator's own tests: every node keeps a ledger, any node enters amounts into another's,
//! and an entry is acknowledged once it is on disk - or, planted, before.

#![allow(dead_code, unreachable_pub, clippy::expect_used)] // A test's own; each uses a part of it.

use quorate_core::{
    Answer, Assembly, BlobId, Boot, ClusterId, Corrupt, Cx, Door, Failure, HostBuilder, Input, Job, JobPanic,
    LinkState, NodeId, Port, PortCx, Promise, Protocol, ScopeId, Ticket, Time, promise, wire_by_postcard,
};
use quorate_sim::{Workload, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

pub mod register;

pub const LEDGER: ScopeId = ScopeId::new("toy", "ledger", 0);
/// Objects that jobs write.
const PAGES: u64 = 8;
const RETRY: Duration = Duration::from_millis(20);

/// When an entry is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    OnDisk,
    /// The planted bug.
    AtOnce,
}

#[derive(Clone, Debug)]
pub struct Ledger {
    ack: Ack,
    pub boot: Option<Boot>,
    pub entries: BTreeMap<u64, u64>,
    /// Entries asked for and not acknowledged: to whom, how much, when to ask again.
    asked: BTreeMap<u64, (NodeId, u64, Time)>,
    pub ups: u64,
    pub downs: u64,
    pub records: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Msg {
    Enter { id: u64, amount: u64 },
    Entered { id: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    Entry { id: u64, amount: u64 },
    Base(BTreeMap<u64, u64>),
}
wire_by_postcard!(Msg, Record);

#[derive(Debug)]
pub struct Enter {
    id: u64,
    to: NodeId,
    amount: u64,
}

impl Protocol for Ledger {
    type Msg = Msg;
    type Cmd = Enter;
    type Event = u64;
    type Record = Record;

    fn step(&mut self, input: Input<Ledger>, cx: &mut Cx<'_, Ledger>) {
        match input {
            Input::Start(boot) => self.boot = Some(boot),
            Input::Command(Enter { id, to, amount }) => {
                self.asked.insert(id, (to, amount, cx.now + RETRY));
                cx.send_now(to, Msg::Enter { id, amount });
            }
            Input::Message { from, msg: Msg::Enter { id, amount } } => {
                if self.entries.insert(id, amount).is_none() {
                    let mark = cx.append(Record::Entry { id, amount });
                    if mark.0.is_multiple_of(20) {
                        cx.compact(mark, vec![Record::Base(self.entries.clone())]);
                    }
                }
                match self.ack {
                    Ack::OnDisk => cx.send(from, Msg::Entered { id }),
                    Ack::AtOnce => cx.send_now(from, Msg::Entered { id }),
                }
            }
            Input::Message { msg: Msg::Entered { id }, .. } => {
                if self.asked.remove(&id).is_some() {
                    cx.emit_now(id);
                }
            }
            Input::Wake => {
                for (id, (to, amount, again)) in &mut self.asked {
                    if *again <= cx.now {
                        *again = cx.now + RETRY;
                        cx.send_now(*to, Msg::Enter { id: *id, amount: *amount });
                    }
                }
            }
            Input::Link { state: LinkState::Up(_), .. } => self.ups += 1,
            Input::Link { state: LinkState::Down, .. } => self.downs += 1,
            Input::Durable(_) => {}
        }
    }

    fn wake_at(&self) -> Time {
        self.asked.values().map(|(_, _, again)| *again).min().unwrap_or(Time::NEVER)
    }

    fn replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.records += 1;
        match record {
            Record::Entry { id, amount } => {
                self.entries.insert(id, amount);
            }
            Record::Base(entries) => self.entries = entries,
        }
        Ok(())
    }
}

/// What handles ask.
pub struct Ask {
    to: NodeId,
    amount: u64,
    promise: Promise<u64>,
}

#[derive(Default)]
pub struct Desk {
    promises: BTreeMap<u64, Promise<u64>>,
    /// Ids to write down in a job, one at a time.
    pages: Vec<u64>,
    writing: bool,
    pub written: u64,
}

/// What the desk tells observers.
#[derive(Debug)]
pub struct Acknowledged(pub u64);

impl Port<Ledger> for Desk {
    type Ask = Ask;

    fn ask(&mut self, mut ask: Ask, cx: &mut PortCx<'_, Ledger>) {
        let id = cx.rng.bits();
        ask.promise.mark_in_doubt();
        self.promises.insert(id, ask.promise);
        cx.command(Enter { id, to: ask.to, amount: ask.amount });
    }

    fn event(&mut self, id: u64, cx: &mut PortCx<'_, Ledger>) {
        if let Some(promise) = self.promises.remove(&id) {
            promise.done(id);
        }
        self.pages.push(id);
        cx.notice(Acknowledged(id));
    }

    fn job(&mut self, _: &Ledger) -> Option<Job> {
        if self.writing {
            return None;
        }
        let id = self.pages.pop()?;
        self.writing = true;
        Some(Job::own(move |blobs| {
            let blob = BlobId { scope: LEDGER, number: id % PAGES };
            blobs.put(blob, &id.to_le_bytes()).is_ok()
        }))
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, _: &mut PortCx<'_, Ledger>) {
        self.writing = false;
        if let Ok(answer) = answer
            && answer.downcast_ref() == Some(&true)
        {
            self.written += 1;
        }
    }
}

/// The handle.
pub struct App {
    door: Door,
}

impl App {
    /// Enters an amount into another's ledger; the answer names the entry.
    pub fn enter(&self, to: u64, amount: u64) -> Ticket<u64> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => place.put(LEDGER, Box::new(Ask { to: NodeId(to), amount, promise })),
            Err(reason) => promise.reject(reason),
        }
        ticket.in_world(self.door.is_in_world())
    }
}

pub fn node(id: NodeId, ack: Ack) -> (Assembly, App) {
    let mut host = HostBuilder::new();
    let ledger = Ledger {
        ack,
        boot: None,
        entries: BTreeMap::new(),
        asked: BTreeMap::new(),
        ups: 0,
        downs: 0,
        records: 0,
    };
    host.scope(LEDGER, ledger, Desk::default());
    let door = Door::new(1000);
    let host = host.build().expect("one scope fits with itself");
    (Assembly { id, cluster: ClusterId(7), host, door: door.clone() }, App { door })
}

pub fn world(seed: u64, nodes: u64, ack: Ack) -> World<App> {
    World::new(seed, 1..=nodes, move |id| node(id, ack))
}

pub fn ledger(world: &World<App>, id: u64) -> &Ledger {
    world.host(id).and_then(|host| host.protocol(LEDGER)).expect("it runs")
}

/// Enters amounts everywhere and remembers what was acknowledged.
pub struct Clerks {
    rng: quorate_core::Rng,
    every: Duration,
    nodes: u64,
    open: Vec<(u64, Ticket<u64>)>,
    pub acknowledged: Vec<(u64, u64)>,
    pub unknown: u64,
}

impl Clerks {
    pub fn new(seed: u64, nodes: u64, every: Duration) -> Clerks {
        Clerks {
            rng: quorate_core::Rng::from_seed(seed),
            every,
            nodes,
            open: Vec::new(),
            acknowledged: Vec::new(),
            unknown: 0,
        }
    }

    fn collect(&mut self) {
        for (to, ticket) in std::mem::take(&mut self.open) {
            match ticket.try_take() {
                Ok(Ok(id)) => self.acknowledged.push((to, id)),
                Ok(Err(Failure::Unknown(_))) => self.unknown += 1,
                Ok(Err(Failure::Rejected(_))) => {}
                Err(open) => self.open.push((to, open)),
            }
        }
    }
}

impl Workload<App> for Clerks {
    fn step(&mut self, world: &mut World<App>) -> Duration {
        self.collect();
        let from = 1 + self.rng.within(0..self.nodes);
        let to = 1 + (from + self.rng.within(0..self.nodes - 1)) % self.nodes;
        let amount = self.rng.within(1..100);
        self.open.push((to, world.app(from).enter(to, amount)));
        self.every
    }

    fn has_recovered(&mut self, world: &World<App>) -> bool {
        self.collect();
        let last = self.acknowledged.len();
        if last > 0 && self.open.len() < 10 {
            world.sometimes("the clerks caught up");
        }
        self.open.len() < 10
    }

    fn check(&mut self, world: &mut World<App>) -> Result<(), String> {
        for (to, id) in &self.acknowledged {
            if !ledger(world, *to).entries.contains_key(id) {
                return Err(format!("entry {id:x} was acknowledged by n{to} and is gone"));
            }
        }
        Ok(())
    }
}
