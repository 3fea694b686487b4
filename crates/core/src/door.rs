//! How handles reach a node: a bounded queue that exists before the node runs and outlives it.

use crate::{Reason, ScopeId};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One ask on its way to its scope's port.
pub type AnyAsk = Box<dyn Any + Send>;

/// The asks of a node's handles. Cloned into every handle; drained by the driver or the world.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    room: Mutex<Room>,
    bell: OnceLock<Box<dyn Fn() + Send + Sync>>,
    in_world: OnceLock<()>,
}

struct Room {
    asks: VecDeque<(ScopeId, AnyAsk)>,
    asks_max: usize,
    closed: bool,
}

impl Door {
    /// A door that holds at most `asks_max` asks that were not taken yet.
    pub fn new(asks_max: usize) -> Door {
        let room = Room { asks: VecDeque::new(), asks_max, closed: false };
        Door(Arc::new(Inner { room: Mutex::new(room), bell: OnceLock::new(), in_world: OnceLock::new() }))
    }

    /// A place for one ask, or why there is none: [`Reason::Busy`] or [`Reason::Stopped`].
    pub fn enter(&self) -> Result<Place<'_>, Reason> {
        let room = self.room();
        if room.closed {
            return Err(Reason::Stopped);
        }
        if room.asks.len() >= room.asks_max {
            return Err(Reason::Busy);
        }
        Ok(Place { room, door: self })
    }

    /// Takes everything that waits, in order, behind what is in `into`.
    pub fn take(&self, into: &mut VecDeque<(ScopeId, AnyAsk)>) {
        into.append(&mut self.room().asks);
    }

    /// How many asks wait.
    pub fn len(&self) -> usize {
        self.room().asks.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets nobody in any more and drops what waits: its promises are Rejected.
    pub fn close(&self) {
        let left = {
            let mut room = self.room();
            room.closed = true;
            std::mem::take(&mut room.asks)
        };
        // Outside the lock: a promise that is dropped may wake its waiter at once.
        drop(left);
    }

    /// Opens it again, for a simulated node that restarts under the same handles.
    pub fn reopen(&self) {
        self.room().closed = false;
    }

    /// Has `bell` called after every ask. Set once, by whoever drives the node; later calls change nothing.
    pub fn on_ask(&self, bell: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.bell.set(Box::new(bell));
    }

    /// Says that tickets given out from here belong to a simulated world.
    pub fn mark_in_world(&self) {
        let _ = self.0.in_world.set(());
    }

    /// Whether tickets belong to a simulated world.
    pub fn is_in_world(&self) -> bool {
        self.0.in_world.get().is_some()
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        // Nothing that can panic runs under the lock, so a poisoned lock still guards whole data.
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is sure to be taken.
pub struct Place<'a> {
    room: MutexGuard<'a, Room>,
    door: &'a Door,
}

impl Place<'_> {
    /// Puts the ask into it.
    pub fn put(mut self, scope: ScopeId, ask: AnyAsk) {
        self.room.asks.push_back((scope, ask));
        drop(self.room);
        if let Some(bell) = self.door.0.bell.get() {
            bell();
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({} waiting)", self.len())
    }
}

impl fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, promise};

    #[test]
    fn a_full_door_says_busy_and_a_closed_one_stopped() {
        let door = Door::new(1);
        let (promise, ticket) = promise::<()>();
        door.enter().expect("there is room").put(ScopeId(1), Box::new(promise));
        assert_eq!(door.enter().err(), Some(Reason::Busy));
        door.close();
        assert_eq!(ticket.wait(), Err(Failure::Rejected(Reason::Stopped)));
        assert_eq!(door.enter().err(), Some(Reason::Stopped));
    }
}
