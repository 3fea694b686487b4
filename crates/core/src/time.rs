//! Two kinds of time, kept apart by type. [`Time`] drives protocols and never leaves the node; [`Wall`] may
//! jump and is for display, last-writer-wins and hybrid clocks.

use std::fmt;
use std::time::Duration;

/// Nanoseconds since this boot of the node. Never goes back: the driver clamps it. It has no meaning on any
/// other node or after a restart, so it is not serialisable and enters no record and no message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub u64);

/// Nanoseconds since 1970-01-01 UTC as the machine believes. May jump either way.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Wall(pub u64);

impl Time {
    /// The boot itself; a wake time of `ZERO` is always in the past.
    pub const ZERO: Time = Time(0);
    /// Later than any time that comes: the wake time of one who waits for nothing.
    pub const NEVER: Time = Time(u64::MAX);

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::NEVER`].
    fn add(self, d: Duration) -> Time {
        let seconds = d.as_secs().saturating_mul(1_000_000_000);
        Time(self.0.saturating_add(seconds).saturating_add(u64::from(d.subsec_nanos())))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            return f.write_str("never");
        }
        write!(f, "{}.{:06}ms", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "utc {}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}
