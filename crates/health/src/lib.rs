//! Who is silent, since when, and what that means.
//!
//! * [`detect`]: detectors as values: [`Thresholds`](detect::Thresholds) (fixed), [`Phi`](detect::Phi)
//!   (accrual), and [`Track`](detect::Track), which turns silence into a state with hysteresis.
//! * [`watch`]: the protocol in which nodes tell their watchers that they and their agents live.
//!
//! Silence here is suspicion and the removal of an agent from its work; it is never a vote. No quorum's
//! denominator comes from this crate.

pub mod detect;
pub mod watch;
