//! What must hold after every event.

use crate::World;
use quorate_core::NodeId;

/// Something that must hold whatever happens. Called after every simulated event that touched a node, so it
/// looks at that node alone where it can, and remembers what it needs of the others.
pub trait Invariant<A> {
    /// Its name in reports.
    fn name(&self) -> &str;

    /// `Err` says what was seen instead; the run stops there.
    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String>;
}

/// What was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The node.
    pub node: NodeId,
    /// Its place: nodes are numbered from zero in the order in which they came, and keep their number. For tables by
    /// node, and for [`World::host_at`], which need no search then.
    pub place: usize,
    /// How.
    pub how: Touched,
}

/// How a node was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// It took inputs: a frame, a wake, an ask, the end of a sync or of a job.
    Stepped,
    /// It began a life: what it had in memory is gone.
    Started,
    /// It crashed or was stopped, and is down or about to start again.
    Stopped,
}

/// An invariant made of a name and a closure.
pub(crate) struct Named<F> {
    pub(crate) name: String,
    pub(crate) check: F,
}

impl<A, F: FnMut(&World<A>, Touch) -> Result<(), String>> Invariant<A> for Named<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        (self.check)(world, touch)
    }
}
