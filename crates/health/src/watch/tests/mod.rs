//! Watches on a small network with loss, delay, duplication, restarts and pauses.

mod detection;
mod net;
mod roster;
mod twin;
