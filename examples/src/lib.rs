//! What the examples share: the campaigns of the simulator, and the swarm.

pub mod campaign;
pub mod swarm;
