//! The swarm: many agents work through a real task graph on real nodes, while nodes, agents and links fail.

pub mod options;
pub mod page;
pub mod sample;
pub mod timeline;
