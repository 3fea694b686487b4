//! Looking at a world: nothing here changes what happens in it.

use super::node::NodeState;
use super::{Node, World};
use crate::trace::Lines;
use crate::{Coverage, Stats, Violation};
use quorate_core::{Host, JournalId, NodeId, Notice, ScopeId, Time, Wall};
use std::any::Any;
use std::io::Write;
use std::time::Duration;

/// A notice that a port told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// On which node.
    pub node: NodeId,
    /// When, in simulated time.
    pub at: Duration,
    /// Whose port.
    pub scope: ScopeId,
    /// What.
    pub notice: &'a dyn Notice,
}

impl Told<'_> {
    /// The notice, if it is of this type.
    pub fn notice<N: 'static>(&self) -> Option<&N> {
        (self.notice as &dyn Any).downcast_ref()
    }
}

impl<A> World<A> {
    /// The run's integer.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Simulated time since the beginning.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.stage.now)
    }

    /// The names of all nodes, in order, whether they run or not.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.stage.places.iter().map(|(id, _)| *id)
    }

    /// The application's handles on a node, as of its newest life. Of a node that is down they answer
    /// Rejected.
    pub fn app(&self, id: impl Into<NodeId>) -> &A {
        &self.apps[self.expect_place(id.into())]
    }

    /// The scopes of a node, if it runs.
    pub fn host(&self, id: impl Into<NodeId>) -> Option<&Host> {
        self.node(id.into()).life.as_ref().map(|life| life.turn.protocol())
    }

    /// As [`World::host`], by the place that a [`crate::Touch`] names.
    pub fn host_at(&self, place: usize) -> Option<&Host> {
        self.nodes.get(place)?.life.as_ref().map(|life| life.turn.protocol())
    }

    /// Whether a node runs.
    pub fn state(&self, id: impl Into<NodeId>) -> NodeState {
        self.node(id.into()).state
    }

    /// Whether a node runs and is not paused.
    pub fn is_awake(&self, id: impl Into<NodeId>) -> bool {
        let node = self.node(id.into());
        node.state == NodeState::Up && !node.paused
    }

    /// The name of the journal on a node's disk.
    pub fn journal_id(&self, id: impl Into<NodeId>) -> JournalId {
        self.node(id.into()).disk.journal()
    }

    /// What a node's own clock shows.
    pub fn time_at(&self, id: impl Into<NodeId>) -> Time {
        self.node(id.into()).clock.clone().time(self.stage.now)
    }

    /// What a node believes UTC to be.
    pub fn wall_at(&self, id: impl Into<NodeId>) -> Wall {
        self.node(id.into()).clock.wall(self.stage.now)
    }

    /// How much was done so far.
    pub fn stats(&self) -> Stats {
        Stats { time: self.now(), ..self.stage.stats }
    }

    /// What really happened so far; of links what [`crate::link_paths`] names.
    pub fn coverage(&self) -> Coverage {
        let mut all = self.stage.seen.clone();
        all.merge(&self.named.borrow());
        let mut links = self.stage.links;
        let lives = self.nodes.iter().filter_map(|node| node.life.as_ref());
        lives.for_each(|life| links.add(&life.link.counters()));
        links.named().for_each(|(name, count)| all.add(name, count));
        all
    }

    /// Everything that happened, as one number: two runs of one seed have the same.
    pub fn trace_hash(&self) -> u64 {
        self.stage.hash.value()
    }

    /// Frames that travel now.
    pub fn frames_on_their_way(&self) -> usize {
        self.stage.net.on_their_way()
    }

    /// What must not be and was seen; the world stands still from then on.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Calls this with every notice of every port.
    pub fn watch(&mut self, watcher: impl FnMut(&Told<'_>) + 'static) {
        self.watchers.push(Box::new(watcher));
    }

    /// Writes a line for everything that happens from now on: simulated milliseconds, then what.
    pub fn trace_to(&mut self, writer: impl Write + 'static) {
        self.stage.lines = Lines::to(writer);
    }

    /// Has messages in the trace written as this makes of them: usually their `Debug`, decoded by scope. Without
    /// it, or where it answers `None`, only their length is.
    pub fn describe(&mut self, describe: impl Fn(ScopeId, &[u8]) -> Option<String> + 'static) {
        self.stage.describe = Some(Box::new(describe));
    }

    pub(crate) fn expect_place(&self, id: NodeId) -> usize {
        let place = self.stage.place(id);
        assert!(place.is_some(), "there is no {id} in this world");
        place.unwrap_or_default() as usize
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[self.expect_place(id)]
    }
}
