#![doc = include_str!("../README.md")]

mod campaign;
mod clock;
mod coverage;
mod delay;
mod disk;
mod faults;
mod invariant;
pub mod linearizability;
mod net;
mod queue;
mod settings;
mod stats;
mod trace;
mod trial;
mod violation;
mod world;

pub use campaign::{Campaign, Progress, Report};
pub use coverage::{Coverage, FaultKind};
pub use delay::Delay;
pub use disk::{DiskWeather, SimJournal};
pub use faults::{Fault, FaultPlan, ScriptLine, Source, Swarm};
pub use invariant::{Invariant, Touch, Touched};
pub use net::{Garbled, Passing, Verdict, Weather};
pub use settings::Settings;
pub use stats::Stats;
pub use trial::{Outcome, Trial, Workload};
pub use violation::Violation;
pub use world::{NodeState, Told, World, link_paths};
