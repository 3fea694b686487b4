//! Threads that call lanes in turn.

use crate::shared::Worker;
use crate::{Lane, Next, NodeConfig, Running, StartError, prepare};
use quorate_core::Assembly;
use quorate_journal::Journal;
use quorate_transport::{Inbox, Transport};
use std::sync::atomic::Ordering;
use std::thread::{self, Builder};
use std::time::Instant;

/// Starts a node on threads of its own. What arrives before is kept by its inbox and door.
///
/// # Errors
/// A configuration that cannot work; a journal that cannot be read, or holds what this node never wrote; no
/// thread, or no random numbers, from the operating system. Then nothing was sent and nothing runs, and at
/// most a life was counted on the journal.
pub fn start(
    assembly: Assembly,
    transport: impl Transport + 'static,
    inbox: Inbox,
    journal: impl Journal + 'static,
    config: NodeConfig,
) -> Result<Running, StartError> {
    let (lane, running) = prepare(assembly, transport, inbox, journal, config)?;
    let shared = lane.shared().clone();
    let worker = Worker::spawn(shared.id, "lane", move || drive(vec![lane]))?;
    shared.driven.store(true, Ordering::Release);
    shared.workers.lock().insert(0, worker);
    Ok(running)
}

/// Drives several nodes, prepared before, on one thread: no hop between them. The thread ends with the last of
/// them; each is stopped by its own handle.
///
/// # Errors
/// No thread from the operating system. Then none of the nodes runs.
pub fn run_together(lanes: Vec<Lane>) -> Result<(), StartError> {
    let shared: Vec<_> = lanes.iter().map(|lane| lane.shared().clone()).collect();
    Builder::new()
        .name("quorate lanes".into())
        .spawn(move || drive(lanes))
        .map_err(|error| StartError::Thread { role: "lanes", error })?;
    shared.iter().for_each(|shared| shared.driven.store(true, Ordering::Release));
    Ok(())
}

/// Drives lanes on the calling thread until all of them ended. While nothing is due the thread is parked.
pub fn drive(mut lanes: Vec<Lane>) {
    lanes.iter().for_each(|lane| lane.shared().bell.wakes_this_thread());
    let mut at = Instant::now();
    while !lanes.is_empty() {
        let mut until: Option<Instant> = None;
        lanes.retain_mut(|lane| {
            if lane.is_due(at) {
                // What was asked is not judged by a time before it.
                if lane.gather() {
                    at = Instant::now();
                }
                let next = lane.turn(at);
                // One look at the clock ends this turn and begins the next one.
                let now = Instant::now();
                lane.spent(now.saturating_duration_since(at));
                at = now;
                if next == Next::Ended {
                    return false;
                }
            }
            let next = match lane.next() {
                Next::Now => Some(at),
                Next::At(next) => Some(next),
                Next::Ring | Next::Ended => None,
            };
            until = match (until, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            true
        });
        if lanes.is_empty() || lanes.iter().any(Lane::is_rung) {
            continue;
        }
        match until {
            Some(until) if until <= at => continue,
            Some(until) => thread::park_timeout(until.saturating_duration_since(at)),
            None => thread::park(),
        }
        at = Instant::now();
    }
}
