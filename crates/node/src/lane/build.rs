//! From an assembly to a lane: a life is begun, the journal replayed, the threads spawned, the bell hung.

use super::hands::{Hands, Tally};
use super::{Lane, Life, Next, Phase};
use crate::clock::Clock;
use crate::crew::Crew;
use crate::observe::{Latency, Meters, NodeStatus};
use crate::scribe::Scribe;
use crate::shared::Shared;
use crate::{NodeConfig, Running, StartError};
use bytes::Bytes;
use quorate_core::{Assembly, Host, HostRecord, Identity, Link, NodeId, Rng, ScopeId, Time, Turn, Wall};
use quorate_journal::{Journal, JournalError};
use quorate_transport::{Inbox, Transport};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Makes a node ready without driving it: the lane is the caller's to call, the handle is as ever. An inbox, a
/// door and a journal serve one node each.
///
/// # Errors
/// As [`crate::start`].
pub fn prepare(
    assembly: Assembly,
    transport: impl Transport + 'static,
    inbox: Inbox,
    journal: impl Journal + 'static,
    config: NodeConfig,
) -> Result<(Lane, Running), StartError> {
    config.validate()?;
    let Assembly { id, cluster, host, door } = assembly;
    let (rng, link_rng) = chance(&config)?;
    let mut journal: Box<dyn Journal> = Box::new(journal);
    let boot = journal.begin_life().map_err(refused)?;
    let scopes = host.scope_ids().collect();
    let mut turn = Turn::new(host, config.turn.clone());
    let replayed = replay(&mut turn, &mut *journal)?;
    tracing::info!(node = %id, incarnation = boot.incarnation, replayed, "journal read");

    let status = NodeStatus::fresh(id, cluster, boot, replayed);
    let shared = Arc::new(Shared::new(id, status));
    let waiting_max = config.jobs_waiting_max.get();
    let (crew, mut workers) = Crew::new(config.jobs, waiting_max, &*journal, id, &shared.bell)?;
    let (scribe, worker) =
        Scribe::new(config.journal, journal, id, shared.bell.clone(), shared.killed.clone())?;
    workers.extend(worker);
    *shared.workers.lock() = workers;
    let bell = shared.bell.clone();
    inbox.on_deliver(move || bell.ring());
    let bell = shared.bell.clone();
    door.on_ask(move || bell.ring());

    let boot_at = Instant::now();
    let hands = Hands {
        link: Link::new(Identity { cluster, node: id, boot, scopes }, config.link.clone()),
        link_rng,
        frame_bytes_max: transport.frame_bytes_max(),
        transport: Box::new(transport),
        scribe,
        crew,
        shared: shared.clone(),
        now: Time::ZERO,
        tally: Tally::default(),
        failed: None,
        out: Vec::new(),
    };
    let life = Life {
        id,
        cluster,
        boot,
        turn,
        hands,
        rng,
        wall: Wall(0),
        inbox,
        door,
        config,
        phase: Phase::Fresh,
        frames: Vec::new(),
        asks: VecDeque::new(),
        gathered: false,
        armed: None,
        sessions: Default::default(),
        lost: Vec::new(),
        replayed,
        busy: Default::default(),
        wake_late: Latency::default(),
        turns: Latency::default(),
        sync: Latency::default(),
        meters: Meters::new(id),
        published: (0, Time::ZERO),
    };
    let patience = life.config.stop_patience;
    let lane = Lane {
        shared: shared.clone(),
        clock: Clock::new(boot_at),
        boot_at,
        life: Some(Box::new(life)),
        next: Next::Now,
    };
    Ok((lane, Running::new(shared, patience)))
}

/// Chance for the protocols, and apart from it for the sessions' tokens.
fn chance(config: &NodeConfig) -> Result<(Rng, Rng), StartError> {
    if let Some(seed) = config.seed {
        let mut rng = Rng::from_seed(seed);
        let link = rng.fork();
        return Ok((rng, link));
    }
    let draw = || getrandom::u64().map_err(|e| StartError::Chance(e.to_string()));
    Ok((Rng::from_seed(draw()?), Rng::from_seed(draw()?)))
}

fn replay(turn: &mut Turn<Host>, journal: &mut dyn Journal) -> Result<u64, StartError> {
    let mut replayed = 0;
    let mut each = |scope: ScopeId, bytes: Bytes| {
        replayed += 1;
        turn.replay(HostRecord { scope, bytes })
    };
    journal.load(&mut each).map_err(refused)?;
    Ok(replayed)
}

fn refused(error: JournalError) -> StartError {
    match error {
        JournalError::Corrupt(corrupt) => StartError::Corrupt(corrupt),
        other => StartError::Journal(other.to_string()),
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id: NodeId = self.shared.id;
        write!(f, "Lane({id}, {:?})", self.next)
    }
}
