//! Which agent takes a task. A placement keeps what it needs to answer quickly, is told of every change of an agent,
//! and forgets everything when its coordinator stops leading.

mod able;
mod best_match;
mod least_loaded;
mod ring;
mod round_robin;

pub use best_match::CapabilityMatch;
pub use least_loaded::LeastLoaded;
pub use round_robin::RoundRobin;

use crate::engine::{AgentSlot, AgentView, Engine};
use crate::graph::TaskId;

/// A task to be placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskView {
    /// Which.
    pub task: TaskId,
    /// Number of the list of what it needs.
    pub needs: u16,
    /// How long an attempt should take.
    pub expected_ms: u32,
}

/// Who can do what.
#[derive(Clone, Copy, Debug)]
pub struct Skills<'a>(&'a Engine);

impl<'a> Skills<'a> {
    /// As this engine knows it.
    pub fn of(engine: &'a Engine) -> Skills<'a> {
        Skills(engine)
    }

    /// How well an agent's skills meet these needs, in thousandths.
    pub fn score(&self, needs: u16, agent: &AgentView) -> u16 {
        self.0.score(needs, agent.profile)
    }

    /// Whether that is enough.
    pub fn is_able(&self, needs: u16, agent: &AgentView) -> bool {
        needs == 0 || self.score(needs, agent) >= self.0.config().match_per_mille
    }
}

/// Chooses agents. What it answers is checked: an agent that is full, unable or gone is not taken.
pub trait Placement: Send + 'static {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// Forgets all agents.
    fn clear(&mut self);
    /// This agent is there like this from now on.
    fn set(&mut self, agent: &AgentView, skills: Skills<'_>);
    /// This agent is not there any more.
    fn remove(&mut self, agent: AgentSlot);
    /// An agent with a free slot that is able to do the task, or `None` when there is none. Told of its new load
    /// by [`Placement::set`].
    fn place(&mut self, task: &TaskView, skills: Skills<'_>) -> Option<AgentSlot>;
}

impl Placement for Box<dyn Placement> {
    fn name(&self) -> &'static str {
        (**self).name()
    }
    fn clear(&mut self) {
        (**self).clear();
    }
    fn set(&mut self, agent: &AgentView, skills: Skills<'_>) {
        (**self).set(agent, skills);
    }
    fn remove(&mut self, agent: AgentSlot) {
        (**self).remove(agent);
    }
    fn place(&mut self, task: &TaskView, skills: Skills<'_>) -> Option<AgentSlot> {
        (**self).place(task, skills)
    }
}
