//! The world: nodes, their network, disks and clocks, and what happens to them, from one integer.
//!
//! **Invariant.** Everything that happens follows from the seed and the calls made on the world. There is one
//! queue of events and no other source of order, time or chance.

mod control;
mod cuts;
mod life;
mod links;
mod look;
mod node;
mod run;
mod stage;
mod take;
mod twin;

pub(crate) use cuts::Direction;
pub use links::link_paths;
pub use look::Told;
pub use node::NodeState;

use crate::coverage::Coverage;
use crate::faults::Nemesis;
use crate::invariant::{Invariant, Touch, Touched};
use crate::queue::Table;
use crate::{Settings, Violation};
use node::Node;
use quorate_core::{Assembly, NodeId};
use stage::Stage;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

type Make<A> = Box<dyn FnMut(NodeId) -> (Assembly, A)>;
type Watcher = Box<dyn FnMut(&Told<'_>)>;
type Errand<A> = Box<dyn FnOnce(&mut World<A>)>;
type Leader<A> = Box<dyn Fn(&World<A>) -> Option<NodeId>>;

/// A whole cluster in one thread. `A` is what the application holds of a node: its typed handles.
///
/// Nodes are made by the same function that makes real ones. It is called again whenever a node starts, since
/// a crash forgets everything but the disk.
pub struct World<A> {
    seed: u64,
    make: Make<A>,
    pub(crate) stage: Stage,
    pub(crate) nodes: Vec<Node>,
    apps: Vec<A>,
    any_bell: Arc<AtomicBool>,
    invariants: Vec<Box<dyn Invariant<A>>>,
    watchers: Vec<Watcher>,
    leader: Option<Leader<A>>,
    pub(crate) nemesis: Nemesis,
    errands: Table<Errand<A>>,
    /// What checkers and workloads reported, apart, so that they can do it while they look.
    named: RefCell<Coverage>,
    violation: Option<Violation>,
    /// Events since time moved last: a node that always wants to be woken at once would stop it.
    standing: u32,
}

impl<A> World<A> {
    /// A world of these nodes, all of which have started. `make` builds a node and the application's handles on
    /// it.
    pub fn new<I: Into<NodeId>>(
        seed: u64,
        nodes: impl IntoIterator<Item = I>,
        make: impl FnMut(NodeId) -> (Assembly, A) + 'static,
    ) -> World<A> {
        World::with(Settings::default(), seed, nodes, make)
    }

    /// A world with settings of its own.
    pub fn with<I: Into<NodeId>>(
        settings: Settings,
        seed: u64,
        nodes: impl IntoIterator<Item = I>,
        make: impl FnMut(NodeId) -> (Assembly, A) + 'static,
    ) -> World<A> {
        let mut stage = Stage::new(seed, settings);
        let nemesis = Nemesis::idle(stage.rng.fork());
        let mut world = World {
            seed,
            make: Box::new(make),
            stage,
            nodes: Vec::new(),
            apps: Vec::new(),
            any_bell: Arc::new(AtomicBool::new(false)),
            invariants: Vec::new(),
            watchers: Vec::new(),
            leader: None,
            nemesis,
            errands: Table::default(),
            named: RefCell::new(Coverage::new()),
            violation: None,
            standing: 0,
        };
        // All are there before the first one speaks.
        for id in nodes {
            world.settle_in(id.into());
        }
        (0..world.nodes.len() as u32).for_each(|place| world.boot(place));
        world
    }

    /// Adds a node with an empty disk and starts it.
    ///
    /// # Panics
    /// If there is a node of that name.
    pub fn add_node(&mut self, id: impl Into<NodeId>) {
        let place = self.settle_in(id.into());
        self.boot(place);
    }

    fn settle_in(&mut self, id: NodeId) -> u32 {
        assert!(self.stage.place(id).is_none(), "{id} is there already");
        let place = self.nodes.len() as u32;
        let at = self.stage.places.partition_point(|(other, _)| *other < id);
        self.stage.places.insert(at, (id, place));
        self.stage.net.grow(self.nodes.len() + 1);
        self.nodes.push(Node::new(id, place, self.any_bell.clone(), &mut self.stage));
        place
    }

    /// Starts a node that is down.
    fn boot(&mut self, place: u32) {
        let node = &mut self.nodes[place as usize];
        let id = node.id;
        let (assembly, app) = (self.make)(id);
        self.stage.lines.line(self.stage.now, format_args!("{id} starts"));
        let booted = node.boot(assembly, &mut self.stage);
        match self.apps.get_mut(place as usize) {
            Some(old) => *old = app,
            None => self.apps.push(app),
        }
        if let Err(corrupt) = booted {
            // The disk holds what was written, so what was written is not understood: a bug, not a fault.
            self.violate(Some(id), "a node understands its own journal", corrupt.to_string());
        }
        self.touched_at(place, Touched::Started);
    }

    /// Has this invariant checked after every event that touches a node.
    pub fn invariant(&mut self, invariant: Box<dyn Invariant<A>>) {
        self.invariants.push(invariant);
    }

    /// An invariant as a closure.
    pub fn always(
        &mut self,
        name: impl Into<String>,
        check: impl FnMut(&World<A>, Touch) -> Result<(), String> + 'static,
    ) where
        A: 'static,
    {
        self.invariant(Box::new(crate::invariant::Named { name: name.into(), check }));
    }

    /// Says who leads, as faults that hunt leaders want to know. Several may believe so: name the one that
    /// matters most.
    pub fn leader_by(&mut self, leader: impl Fn(&World<A>) -> Option<NodeId> + 'static) {
        self.leader = Some(Box::new(leader));
    }

    /// Who leads, if [`World::leader_by`] was told how to find out.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader.as_ref().and_then(|leader| leader(self))
    }

    /// Reports that something worth reaching was reached: a snapshot was installed, a candidate lost.
    /// [`Coverage`] counts it; a campaign fails if it never happens.
    pub fn sometimes(&self, name: &str) {
        self.named.borrow_mut().sometimes(name);
    }

    /// Reports a violation that a workload or a test found, unless there is one. The run stops.
    pub fn violate(&mut self, node: Option<NodeId>, what: impl Into<String>, why: impl Into<String>) {
        if self.violation.is_some() {
            return;
        }
        self.violation = Some(Violation {
            seed: self.seed,
            at: Duration::from_nanos(self.stage.now),
            node,
            what: what.into(),
            why: why.into(),
            replay: self.stage.settings.replay.clone(),
        });
    }

    /// After an event at a place. Of second incarnations only what they tell is heard.
    fn touched_at(&mut self, place: u32, how: Touched) {
        if !self.is_twin(place) {
            let place = place as usize;
            return self.touched(Touch { node: self.nodes[place].id, place, how });
        }
        self.tell_watchers();
    }

    /// After an event: tells watchers, asks invariants.
    fn touched(&mut self, touch: Touch) {
        if !self.stage.told.is_empty() {
            self.tell_watchers();
        }
        if self.invariants.is_empty() || self.violation.is_some() {
            return;
        }
        let mut invariants = std::mem::take(&mut self.invariants);
        for invariant in &mut invariants {
            if let Err(why) = invariant.check(self, touch) {
                let name = invariant.name().to_owned();
                self.violate(Some(touch.node), name, why);
                break;
            }
        }
        // Nothing can have been added meanwhile: checks see the world, they do not change it.
        self.invariants = invariants;
    }

    fn tell_watchers(&mut self) {
        let told = std::mem::take(&mut self.stage.told);
        for (node, scope, notice) in told {
            let at = Duration::from_nanos(self.stage.now);
            self.stage.lines.line(self.stage.now, format_args!("{node} tells {notice:?}"));
            let told = Told { node, at, scope, notice: &*notice };
            self.watchers.iter_mut().for_each(|watcher| watcher(&told));
        }
    }
}

impl<A> std::fmt::Debug for World<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.seed)
            .field("now", &Duration::from_nanos(self.stage.now))
            .field("nodes", &self.nodes.iter().map(|node| (node.id, node.state)).collect::<Vec<_>>())
            .field("violation", &self.violation)
            .finish()
    }
}
