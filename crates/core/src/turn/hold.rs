use crate::{Effect, Mark, Protocol};
use std::collections::VecDeque;

/// Effects that room is kept for.
const KEPT: usize = 256;

/// Effects of one scope that wait for the disk, in their order. A scope's marks never go back, so a queue is
/// all that is needed.
#[derive(Debug)]
pub struct Hold<P: Protocol>(VecDeque<Effect<P>>);

impl<P: Protocol> Default for Hold<P> {
    fn default() -> Self {
        Hold(VecDeque::new())
    }
}

impl<P: Protocol> Hold<P> {
    /// Keeps an effect until the mark that it waits for is on disk.
    pub fn push(&mut self, effect: Effect<P>) {
        let last = self.0.back().map_or(Mark::NONE, Effect::after);
        debug_assert!(last <= effect.after(), "a scope's marks went back");
        self.0.push_back(effect);
    }

    /// The next effect that may leave now that everything up to `durable` is on disk.
    pub fn release(&mut self, durable: Mark) -> Option<Effect<P>> {
        if self.0.front()?.after() > durable {
            return None;
        }
        let effect = self.0.pop_front();
        if self.0.is_empty() {
            // What a stalled disk held up takes no room for ever.
            self.0.shrink_to(KEPT);
        }
        effect
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
