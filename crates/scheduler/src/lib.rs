//! Work: what agents are to do, and how coordinators and workers tell each other.

pub mod mirror;
