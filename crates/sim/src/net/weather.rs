//! How the network behaves everywhere, at the moment.

use crate::Delay;
use std::time::Duration;

/// What happens to frames on their way. Chances are per frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// How long a frame travels.
    pub delay: Delay,
    /// Whether frames between two nodes keep their order, as over one stream. Otherwise they overtake each
    /// other as their delays have it.
    pub in_order: bool,
    /// The chance that a frame is lost.
    pub loss: f64,
    /// The chance that it arrives twice.
    pub duplicate: f64,
    /// The chance that a frame of an earlier time, minutes ago or a life ago, arrives once more.
    pub replay: f64,
    /// The chance that its end is missing.
    pub truncate: f64,
    /// The chance that one of its bits is another.
    pub flip: f64,
    /// What becomes of a frame that was truncated or changed.
    pub garbled: Garbled,
    /// What a link carries; `None`: no limit.
    pub bytes_per_second: Option<u64>,
    /// Larger frames are lost, as on a path that carries less than its ends believe. `None`: only what
    /// [`crate::Settings::frame_bytes_max`] says.
    pub frame_bytes_max: Option<usize>,
    /// What waits for a link at most; the rest is lost. Without effect where there is no limit on what it
    /// carries.
    pub queue_bytes_max: u64,
}

/// What becomes of a frame whose bytes were changed on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// The transport checks what it carries (TLS, QUIC): the frame is lost.
    Dropped,
    /// It is delivered, and refused by the link, whose seal covers head and body. Costs a question to the peer
    /// now and then.
    Delivered,
}

impl Weather {
    /// A good network: 0.2 to 1 ms, nothing is lost, frames may overtake each other.
    pub fn fair() -> Weather {
        Weather {
            delay: Delay::Uniform(Duration::from_micros(200), Duration::from_millis(1)),
            in_order: false,
            loss: 0.0,
            duplicate: 0.0,
            replay: 0.0,
            truncate: 0.0,
            flip: 0.0,
            garbled: Garbled::Dropped,
            bytes_per_second: None,
            frame_bytes_max: None,
            queue_bytes_max: 256 << 10,
        }
    }

    /// Whether every frame arrives once and whole.
    pub(super) fn is_clean(&self) -> bool {
        [self.loss, self.duplicate, self.replay, self.truncate, self.flip].iter().all(|p| *p <= 0.0)
            && self.bytes_per_second.is_none()
            && self.frame_bytes_max.is_none()
            && !self.in_order
    }
}

impl Default for Weather {
    fn default() -> Self {
        Weather::fair()
    }
}
