//! How long a leader waits for an answer to pieces of a snapshot before it sends them again. A link may take longer for a window
//! of them than any fixed time, and what is sent again too soon queues up behind what is still under way, for ever. So it goes
//! by how long pieces took, as TCP does: measured only on pieces that were sent once, and twice the patience each time that it was
//! not enough, until such a piece is answered (Karn and Partridge, "Improving Round-Trip Time Estimates in Reliable Transport
//! Protocols", 1987).

use quorate_core::Time;
use std::time::Duration;

/// The least, in heartbeats (guess: an object that is being written takes one).
const LEAST_BEATS: u32 = 2;

/// How often patience doubles at most: two heartbeats of 50 ms come to 25.6 s, a window of 1 MiB at 0.3 Mbit/s.
const DOUBLINGS_MAX: u32 = 8;

/// Waiting for answers to pieces.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Waiting {
    /// Up to here pieces were sent at least once.
    sent: u64,
    /// A piece that was sent once: where it ends, and when it left.
    timed: Option<(u64, Time)>,
    /// How long the last one took.
    took: Duration,
    doublings: u32,
    /// Heartbeats since an answer brought the follower further.
    beats: u32,
}

impl Waiting {
    /// A piece leaves.
    pub fn sends(&mut self, offset: u64, end: u64, now: Time) {
        if offset >= self.sent {
            self.sent = end;
            self.timed.get_or_insert((end, now));
        }
    }

    /// The follower has stored more, or less, than before.
    pub fn progress(&mut self, stored: u64, now: Time) {
        self.beats = 0;
        if let Some((_, at)) = self.timed.take_if(|(end, _)| stored >= *end) {
            (self.took, self.doublings) = (now.since(at), 0);
        }
    }

    /// A heartbeat without news. True if what is under way counts as lost, or, where nothing is, if that has been so for long.
    pub fn beat(&mut self, heartbeat: Duration) -> bool {
        self.beats = self.beats.saturating_add(1);
        let least = heartbeat * LEAST_BEATS;
        let patience = least.max(self.took * 2).min(least * (1 << DOUBLINGS_MAX));
        heartbeat * self.beats >= (patience * (1 << self.doublings)).min(least * (1 << DOUBLINGS_MAX))
    }

    /// What is under way is not counted on any more.
    pub fn give_up(&mut self) {
        (self.timed, self.beats) = (None, 0);
        self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_millis(50);

    fn ms(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn beats_until_lost(waiting: &mut Waiting) -> u32 {
        (1..1000).find(|_| waiting.beat(BEAT)).unwrap_or(0)
    }

    #[test]
    fn patience_is_what_pieces_took_and_doubles_until_one_that_was_sent_once_is_answered() {
        let mut waiting = Waiting::default();
        waiting.sends(0, 10, ms(0));
        assert_eq!(beats_until_lost(&mut waiting), 2);
        for expected in [4, 8, 16, 32, 64, 128, 256, 512, 512] {
            waiting.give_up();
            waiting.sends(0, 10, ms(0));
            assert_eq!(beats_until_lost(&mut waiting), expected);
        }
        // It was sent more than once: nobody knows which of them is answered.
        waiting.progress(10, ms(500));
        assert_eq!(beats_until_lost(&mut waiting), 512);
        waiting.sends(10, 20, ms(500));
        waiting.progress(20, ms(700));
        assert_eq!(beats_until_lost(&mut waiting), 8, "twice the 200 ms that it took");
    }
}
