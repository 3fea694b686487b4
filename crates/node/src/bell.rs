//! How a lane that sleeps learns that something came.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, thread};

type Waker = Box<dyn Fn() + Send + Sync>;

/// Rung by whoever puts something where the lane will look for it. Only the first ring after a look costs
/// more than one atomic exchange.
#[derive(Clone)]
pub(crate) struct Bell(Arc<Inner>);

struct Inner {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    /// Rung already: there is a start to be made.
    pub(crate) fn new() -> Bell {
        Bell(Arc::new(Inner { rung: AtomicBool::new(true), waker: Mutex::new(None) }))
    }

    /// Says that there is something to look at. The ring comes after the thing, always.
    pub(crate) fn ring(&self) {
        // An exchange, not a load: it reads the newest value, so either this ring is the one that wakes, or
        // the lane's next look comes after it and sees the thing.
        if self.0.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(waker) = &*self.0.waker.lock() {
            waker();
        }
    }

    /// The lane is about to look at everything.
    pub(crate) fn answer(&self) {
        self.0.rung.swap(false, Ordering::AcqRel);
    }

    /// Whether it rang since the last look.
    pub(crate) fn is_rung(&self) -> bool {
        self.0.rung.load(Ordering::Acquire)
    }

    /// What wakes the driver of the lane. It replaces the one before.
    pub(crate) fn wakes(&self, waker: impl Fn() + Send + Sync + 'static) {
        *self.0.waker.lock() = Some(Box::new(waker));
    }

    /// This thread is the driver from now on.
    pub(crate) fn wakes_this_thread(&self) {
        let thread = thread::current();
        self.wakes(move || thread.unpark());
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_rung() { "Bell(rung)" } else { "Bell" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn only_the_first_ring_after_a_look_wakes() {
        let woken = Arc::new(AtomicUsize::new(0));
        let bell = Bell::new();
        bell.wakes({
            let woken = woken.clone();
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        });
        bell.ring();
        assert_eq!(woken.load(Ordering::Relaxed), 0, "it was rung from the beginning");
        bell.answer();
        assert!(!bell.is_rung());
        bell.ring();
        bell.ring();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        assert!(bell.is_rung());
    }
}
