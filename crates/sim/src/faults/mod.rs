//! What goes wrong: plans, the swarm that draws them, and the nemesis that carries them out.

mod blows;
mod nemesis;
mod plan;
mod shrink;
mod swarm;

pub(crate) use nemesis::Nemesis;
pub use plan::{Fault, FaultPlan, ScriptLine, Source};
pub use swarm::Swarm;
