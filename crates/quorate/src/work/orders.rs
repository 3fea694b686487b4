//! Orders on their way from a crew to the application.
//!
//! **Bound.** An attempt that is over before the application took its start is taken out again, and nothing more is said of it.
//! So there wait at most the starts of the leases that are held, and two orders for each start that was taken.

use quorate_scheduler::dispatch::Granted;
use quorate_scheduler::engine::Lease;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an agent is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Run this, and tell how it ended under its lease.
    Start(Granted),
    /// Its lease is over (it was given to another, or its result is known): whatever comes of it counts nothing. Not
    /// told of what was never started.
    Drop(Granted),
    /// It was cancelled: stop it, and tell [`End::Stopped`](super::End::Stopped).
    Cancel(Granted),
}

/// The orders that wait. Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(super) struct Orders(Arc<(Mutex<Waiting>, Condvar)>);

#[derive(Default)]
struct Waiting {
    /// By number: in order.
    orders: BTreeMap<u64, Order>,
    /// Numbers of the starts among them, each with that of a cancellation behind it.
    starts: BTreeMap<Lease, (u64, Option<u64>)>,
    next: u64,
}

impl Orders {
    pub fn start(&self, granted: Granted) {
        let mut waiting = self.waiting();
        let lease = granted.lease;
        let number = waiting.put(Order::Start(granted));
        waiting.starts.insert(lease, (number, None));
        self.ring(waiting);
    }

    pub fn cancel(&self, granted: Granted) {
        let mut waiting = self.waiting();
        let lease = granted.lease;
        let number = waiting.put(Order::Cancel(granted));
        if let Some((_, cancelled)) = waiting.starts.get_mut(&lease) {
            *cancelled = Some(number);
        }
        self.ring(waiting);
    }

    /// The lease is over.
    pub fn over(&self, granted: Granted) {
        let mut waiting = self.waiting();
        match waiting.starts.remove(&granted.lease) {
            Some((started, cancelled)) => {
                waiting.orders.remove(&started);
                cancelled.map(|number| waiting.orders.remove(&number));
            }
            None => {
                waiting.put(Order::Drop(granted));
                self.ring(waiting);
            }
        }
    }

    /// The next, if one waits.
    pub fn take(&self) -> Option<Order> {
        self.waiting().take()
    }

    /// The next; waits for at most `patience`.
    pub fn wait(&self, patience: Duration) -> Option<Order> {
        let empty = |waiting: &mut Waiting| waiting.orders.is_empty();
        let waited = self.0.1.wait_timeout_while(self.waiting(), patience, empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn ring(&self, waiting: MutexGuard<'_, Waiting>) {
        drop(waiting);
        self.0.1.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs under the lock.
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn put(&mut self, order: Order) -> u64 {
        let number = self.next;
        self.next += 1;
        self.orders.insert(number, order);
        number
    }

    fn take(&mut self) -> Option<Order> {
        let (_, order) = self.orders.pop_first()?;
        if let Order::Start(granted) = &order {
            self.starts.remove(&granted.lease);
        }
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AgentId;
    use quorate_scheduler::TaskId;

    fn granted(task: u32) -> Granted {
        let lease = Lease { task: TaskId(task), attempt: 1, epoch: 1 };
        let name = format!("task {task}");
        Granted { lease, agent: AgentId(1), name, expected_ms: 1, inputs: Vec::new(), cancel: false }
    }

    #[test]
    fn what_is_over_before_it_was_taken_is_never_told() {
        let orders = Orders::default();
        (0..3).for_each(|task| orders.start(granted(task)));
        assert_eq!(orders.take(), Some(Order::Start(granted(0))));
        orders.cancel(granted(1));
        (0..2).for_each(|task| orders.over(granted(task)));
        let rest = std::iter::from_fn(|| orders.take()).collect::<Vec<_>>();
        assert_eq!(rest, [Order::Start(granted(2)), Order::Drop(granted(0))]);
    }

    #[test]
    fn an_application_that_takes_nothing_lets_nothing_pile_up() {
        let orders = Orders::default();
        for task in 0..10_000 {
            orders.start(granted(task));
            orders.cancel(granted(task));
            orders.over(granted(task));
        }
        assert_eq!(orders.take(), None);
        assert!(orders.waiting().starts.is_empty());
    }
}
