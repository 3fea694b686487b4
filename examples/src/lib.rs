//! What the examples share: the campaigns of the simulator, and the swarm.

pub mod campaign;
pub mod many;
pub mod swarm;

/// What the page on the simulator shows runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/SIMULATOR.md")]
struct Simulator;
