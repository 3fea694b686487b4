//! Mirrors on a small network with loss, delay, duplication and restarts.

mod bounds;
mod converge;
mod cost;
mod net;
