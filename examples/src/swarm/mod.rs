//! The swarm: many agents work through a real task graph on real nodes, while nodes, agents and links fail.

mod agents;
mod cluster;
mod faults;
mod figures;
pub mod options;
pub mod page;
mod run;
pub mod sample;
mod story;
pub mod timeline;
mod wires;

pub use figures::Figures;
pub use run::{Ended, run, workflow};
