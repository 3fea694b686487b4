//! The application's handle to a watch.

use super::port::WatchStatus;
use super::{WatchAsk, WatchCmd};
use quorate_core::{AgentId, Door, Failure, NodeId, Reason, ScopeId, Ticket, promise};

/// Says which agents live here and that they do. Cheap to clone; may be used from every thread.
///
/// All but [`Health::status`] answer at once: `Ok` when the ask is on its way, [`Reason::Busy`] or
/// [`Reason::Stopped`] when nothing was asked. A beat that was not let in may be left out: the next one tells the same.
#[derive(Clone, Debug)]
pub struct Health {
    scope: ScopeId,
    door: Door,
}

impl Health {
    /// A handle to the watch of this scope behind this door.
    pub fn new(scope: ScopeId, door: Door) -> Health {
        Health { scope, door }
    }

    /// The agent lives. To be said at least each [`interval`](crate::detect::Thresholds::interval) of the agents.
    pub fn beat(&self, agent: AgentId) -> Result<(), Reason> {
        self.beat_all(vec![agent])
    }

    /// These agents live: one ask for many.
    pub fn beat_all(&self, agents: Vec<AgentId>) -> Result<(), Reason> {
        self.ask(WatchCmd::Beat(agents))
    }

    /// Exactly these agents live here.
    pub fn host(&self, agents: Vec<AgentId>) -> Result<(), Reason> {
        self.ask(WatchCmd::Host(agents))
    }

    /// One more agent lives here.
    pub fn add(&self, agent: AgentId) -> Result<(), Reason> {
        self.ask(WatchCmd::Add(agent))
    }

    /// An agent was taken away deliberately: nobody will call it failed.
    pub fn remove(&self, agent: AgentId) -> Result<(), Reason> {
        self.ask(WatchCmd::Remove(agent))
    }

    /// An agent died under our eyes: told at once, before its silence would be noticed.
    pub fn crashed(&self, agent: AgentId) -> Result<(), Reason> {
        self.ask(WatchCmd::Crashed(agent))
    }

    /// From now on these nodes are told.
    pub fn watchers(&self, watchers: Vec<NodeId>) -> Result<(), Reason> {
        self.ask(WatchCmd::Watchers(watchers))
    }

    /// Watch this node, and these agents on it, even if nothing is ever heard of them.
    pub fn expect(&self, node: NodeId, agents: Vec<AgentId>) -> Result<(), Reason> {
        self.ask(WatchCmd::Expect(node, agents))
    }

    /// Watch this node no more, unless it is heard of again.
    pub fn forget(&self, node: NodeId) -> Result<(), Reason> {
        self.ask(WatchCmd::Forget(node))
    }

    /// How all stand who are watched here.
    pub fn status(&self) -> Ticket<WatchStatus> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => {
                let in_world = self.door.is_in_world();
                place.put(self.scope, Box::new(WatchAsk::Status(promise)));
                ticket.in_world(in_world)
            }
            Err(reason) => Ticket::settled(Err(Failure::Rejected(reason))),
        }
    }

    fn ask(&self, cmd: WatchCmd) -> Result<(), Reason> {
        self.door.enter().map(|place| place.put(self.scope, Box::new(WatchAsk::Do(cmd))))
    }
}
