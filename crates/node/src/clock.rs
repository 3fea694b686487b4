//! The only place that reads a clock for protocols.

use quorate_core::{Time, Wall};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Turns instants into the time of one boot, which never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    boot: Instant,
    last: Time,
}

impl Clock {
    pub(crate) fn new(boot: Instant) -> Clock {
        Clock { boot, last: Time::ZERO }
    }

    /// The time of an instant, or the time before if that is later: instants of a hand-driven lane come from
    /// outside.
    pub(crate) fn advance(&mut self, at: Instant) -> Time {
        let nanos = at.saturating_duration_since(self.boot).as_nanos();
        self.last = self.last.max(Time(u64::try_from(nanos).unwrap_or(u64::MAX)));
        self.last
    }

    /// The last time given out.
    pub(crate) fn now(&self) -> Time {
        self.last
    }
}

/// What the machine believes; 1970 if it believes to be before that.
pub(crate) fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_never_goes_back() {
        let boot = Instant::now();
        let mut clock = Clock::new(boot);
        assert_eq!(clock.advance(boot + Duration::from_nanos(7)), Time(7));
        assert_eq!(clock.advance(boot), Time(7));
        assert_eq!(clock.advance(boot + Duration::from_nanos(9)), Time(9));
    }
}
