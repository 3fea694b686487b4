//! Nodes for the tests: what runs on them (`ledger`), and what they stand on (`ground`).
// Each test file uses its part of it, and helpers of tests fail as tests do.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ground;
mod ledger;
mod notebook;

pub use ground::{Gate, Gated, Plug, Switch};
pub use ledger::{Ask, Clerk, Entry, Ledger, Say};
pub use notebook::Notebook;

use bytes::Bytes;
use quorate_core::*;
use quorate_journal::{Journal, MemoryDisk};
use quorate_node::{Lane, Next, NodeConfig, Running, StartError, prepare, start};
use quorate_transport::{Inbox, Loopback};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// For what must come: long, because machines may be busy; never waited for in full.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// One node: an id, scopes of ledgers, and the disk that outlives it.
pub struct Setup {
    pub id: NodeId,
    pub scopes: Vec<ScopeId>,
    pub beat_every: Option<Duration>,
    pub asks_max: usize,
    pub disk: MemoryDisk,
    pub gate: Gate,
    pub switch: Switch,
    pub config: NodeConfig,
}

/// Where a test asks.
#[derive(Clone)]
pub struct App {
    pub door: Door,
}

/// A bound of this much.
pub fn at_most(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).expect("not zero")
}

pub fn scope(n: u32) -> ScopeId {
    ScopeId::new("ledger", "test", n)
}

impl Setup {
    /// With threads for journal and jobs.
    pub fn new(id: u64) -> Setup {
        Setup {
            id: NodeId(id),
            scopes: vec![scope(0)],
            beat_every: None,
            asks_max: 100_000,
            disk: MemoryDisk::new(JournalId(u128::from(id))),
            gate: Gate::default(),
            switch: Switch::default(),
            config: NodeConfig::default(),
        }
    }

    /// With a disk on which somebody wrote this.
    pub fn written(id: u64, scope: ScopeId, record: Bytes) -> Setup {
        let setup = Setup::new(id);
        let mut journal = setup.disk.open();
        journal.append(scope, record).expect("it takes it");
        journal.sync().expect("it syncs");
        setup
    }

    /// Everything on the lane.
    pub fn in_memory(id: u64) -> Setup {
        Setup { config: NodeConfig::memory(), ..Setup::new(id) }
    }

    /// On a network that says whom it lost.
    pub fn prepare_on(&self, net: &Loopback) -> (Lane, Running, App) {
        let (assembly, _, inbox, journal, app) = self.parts();
        let transport = net.transport(self.id, inbox.clone());
        let (lane, running) =
            prepare(assembly, transport, inbox, journal, self.config.clone()).expect("it is ready");
        (lane, running, app)
    }

    fn parts(&self) -> (Assembly, Plug, Inbox, Gated, App) {
        let mut host = HostBuilder::new();
        for scope in &self.scopes {
            host.scope(*scope, Ledger::new(self.beat_every), Clerk::default());
        }
        let door = Door::new(self.asks_max);
        let app = App { door: door.clone() };
        let host = host.build().expect("scopes of different names");
        let assembly = Assembly { id: self.id, cluster: ClusterId(7), host, door };
        let inbox = Inbox::default();
        let plug = self.switch.plug(self.id, inbox.clone());
        (assembly, plug, inbox, Gated::new(self.disk.open(), self.gate.clone()), app)
    }

    pub fn start(&self) -> (Running, App) {
        let (assembly, plug, inbox, journal, app) = self.parts();
        (start(assembly, plug, inbox, journal, self.config.clone()).expect("it starts"), app)
    }

    pub fn prepare(&self) -> (Lane, Running, App) {
        let (assembly, plug, inbox, journal, app) = self.parts();
        let made = prepare(assembly, plug, inbox, journal, self.config.clone());
        let (lane, running) = made.expect("it is ready");
        (lane, running, app)
    }

    pub fn try_start(&self) -> Result<Running, StartError> {
        let (assembly, plug, inbox, journal, _) = self.parts();
        start(assembly, plug, inbox, journal, self.config.clone())
    }
}

impl App {
    /// Asks, or says why it could not.
    pub fn ask<T>(&self, scope: ScopeId, ask: impl FnOnce(Promise<T>) -> Ask) -> Ticket<T> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => place.put(scope, Box::new(ask(promise))),
            Err(why) => promise.reject(why),
        }
        ticket
    }

    pub fn keep(&self, n: u64) -> Ticket<u64> {
        self.keep_in(scope(0), n)
    }

    pub fn keep_in(&self, scope: ScopeId, n: u64) -> Ticket<u64> {
        self.ask(scope, |promise| Ask::Keep(n, promise))
    }

    pub fn keep_at_wake(&self, n: u64) -> Ticket<u64> {
        self.ask(scope(0), |promise| Ask::KeepAtWake(n, promise))
    }

    pub fn work(&self, scope: ScopeId, kind: JobKind, work: impl FnOnce() + Send + 'static) -> Ticket<()> {
        self.ask(scope, |promise| Ask::Work(kind, Box::new(work), promise))
    }

    /// Without a promise.
    pub fn tell(&self, scope: ScopeId, ask: Ask) {
        self.door.enter().expect("the door is open").put(scope, Box::new(ask));
    }

    pub fn say(&self, to: NodeId, say: Say) {
        self.tell(scope(0), Ask::Say(to, say));
    }
}

/// The outcome of a ticket, which must come.
pub fn outcome<T>(ticket: Ticket<T>) -> Result<T, Failure> {
    match ticket.wait_timeout(PATIENCE) {
        Ok(outcome) => outcome,
        Err(_) => panic!("a ticket was never settled"),
    }
}

/// Waits until `condition` holds, which it must in time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Turns until the lane has nothing to do at this time.
pub fn settle(lane: &mut Lane, at: Instant) -> Next {
    for _ in 0..10_000 {
        let next = lane.turn(at);
        if next == Next::Ended || !lane.is_due(at) {
            return next;
        }
    }
    panic!("the lane never came to rest");
}

pub fn ledger(lane: &Lane) -> &Ledger {
    lane.host().and_then(|host| host.protocol(scope(0))).expect("it runs")
}

/// What a restart would find of the first scope.
pub fn kept(disk: &MemoryDisk) -> Vec<u64> {
    let mut kept = Vec::new();
    let mut each = |of: ScopeId, bytes| {
        let Entry(n) = wire::decode(bytes).expect("an entry");
        kept.extend((of == scope(0)).then_some(n));
        Ok(())
    };
    disk.copy().open().load(&mut each).expect("it loads");
    kept
}
