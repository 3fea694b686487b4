//! The work of many agents: coordinators with a replicated scheduler, and worker nodes on which agents live.
//!
//! A coordinator has four scopes. `work` is the scheduler on Raft: which attempt of which task is whose is in the
//! log before anybody is told. `work.reports` receives from each worker node the level of what its agents run
//! and have ended. `work` (health) hears the agents' beats. `work.leases` tells each worker node the level of
//! what its agents shall run. The wires run from reports and health into the scheduler and from there to the
//! leases: levels all the way, told again after every change of leader and every restart.
//!
//! A worker node has the other ends, and between them its crew: what the application asks for orders and tells
//! results. A result is told to every coordinator until its lease is seen to be over, so that it survives
//! any of them.
//!
//! **Invariant.** What decides is in the log alone. A report, a beat or a level that is lost, late or doubled costs time
//! and never correctness: a completion counts if and only if it comes under the live lease.

mod coordinator;
mod crew;
mod leases;
mod levels;
mod orders;
mod worker;

pub use coordinator::{WorkConfig, WorkHandle};
pub use crew::CrewCounters;
pub use orders::Order;
pub use worker::{WorkerConfig, WorkerHandle};

pub use quorate_scheduler::dispatch::{CapabilityMatch, End, LeastLoaded, Placement, RoundRobin};
pub use quorate_scheduler::engine::AgentSpec;
pub use quorate_scheduler::*;

use crate::ScopeId;
use quorate_health::watch;
use quorate_scheduler::mirror::MirrorConfig;

/// The scopes of a work of this name.
#[derive(Clone, Copy, Debug)]
struct Scopes {
    work: ScopeId,
    reports: ScopeId,
    leases: ScopeId,
    health: ScopeId,
    crew: ScopeId,
}

impl Scopes {
    fn of(name: &str) -> Scopes {
        Scopes {
            work: ScopeId::new("raft", name, 0),
            reports: mirror::scope(&format!("{name}.reports"), 0),
            leases: mirror::scope(&format!("{name}.leases"), 0),
            health: watch::scope(name, 0),
            crew: ScopeId::new("crew", name, 0),
        }
    }
}

/// Ends of leases that a node does not hold, kept at the same time at either end.
const ASTRAY_MAX: usize = 1024;

/// A lease names its inputs, which may be many; a node's level may be large.
fn mirror_config() -> MirrorConfig {
    MirrorConfig { value_bytes_max: 256 << 10, delta_bytes_max: 256 << 10, ..MirrorConfig::default() }
}
