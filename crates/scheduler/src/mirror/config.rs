//! What a mirror is told when it is made.

use std::time::Duration;

/// Settings of a mirror. Both ends may differ; the bounds are the publisher's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorConfig {
    /// First wait before what is not acknowledged is sent again; doubles each time. Rule of thumb: a few round
    /// trips. Default 100 ms (guess).
    pub retry_min: Duration,
    /// Longest wait. Default 5 s (guess).
    pub retry_max: Duration,
    /// How often a level that is acknowledged asks whether it is still there, for a recipient that restarted
    /// without the link telling. `None` never asks. Default 2 s (guess).
    pub probe_every: Option<Duration>,
    /// Deltas to one peer that may be under way. Default 8 (guess).
    pub window: usize,
    /// Bytes of values and keys in one delta: at least one value, and well below what a frame takes. Default 64 KiB.
    pub delta_bytes_max: usize,
    /// Bytes of one value. Default 4 KiB (guess).
    pub value_bytes_max: usize,
    /// Keys of one level. A command beyond is refused. Default 65,536 (guess).
    pub keys_max: usize,
    /// Bytes of values of one level. A command beyond is refused. Default 16 MiB (guess).
    pub level_bytes_max: usize,
    /// Recipients. A command for one more is refused, unless an empty level can be closed. Default 16,384 (guess).
    pub recipients_max: usize,
    /// Publishers listened to. Messages of more are dropped and counted, until one of them was silent for
    /// `forget_after`. Default 16,384 (guess).
    pub publishers_max: usize,
    /// A publisher that was silent for so long is forgotten when another needs its room; whoever was told its level is
    /// told that it is void. Above every publisher's `probe_every`, or one that lives and has nothing new to say is
    /// taken for gone. Default 60 s (guess).
    pub forget_after: Duration,
}

/// Settings that contradict one another. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorConfigError {
    /// A wait of nothing, or a longest wait below the first.
    #[error("retry_min is zero or above retry_max")]
    Retry,
    /// Probes without a pause.
    #[error("probe_every is zero")]
    Probe,
    /// A publisher would be forgotten between two of its probes.
    #[error("forget_after is not above probe_every")]
    Forget,
    /// Nothing could ever be sent.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// One value would not fit into a delta.
    #[error("value_bytes_max is above delta_bytes_max")]
    ValueAboveDelta,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        MirrorConfig {
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(5),
            probe_every: Some(Duration::from_secs(2)),
            window: 8,
            delta_bytes_max: 64 << 10,
            value_bytes_max: 4 << 10,
            keys_max: 65_536,
            level_bytes_max: 16 << 20,
            recipients_max: 16_384,
            publishers_max: 16_384,
            forget_after: Duration::from_secs(60),
        }
    }
}

impl MirrorConfig {
    /// Checks what the fields state.
    pub fn validate(&self) -> Result<(), MirrorConfigError> {
        if self.retry_min.is_zero() || self.retry_min > self.retry_max {
            return Err(MirrorConfigError::Retry);
        }
        if self.probe_every.is_some_and(|every| every.is_zero()) {
            return Err(MirrorConfigError::Probe);
        }
        if self.forget_after <= self.probe_every.unwrap_or_default() {
            return Err(MirrorConfigError::Forget);
        }
        for (name, value) in [("window", self.window), ("keys_max", self.keys_max)] {
            if value == 0 {
                return Err(MirrorConfigError::Zero(name));
            }
        }
        if self.value_bytes_max > self.delta_bytes_max {
            return Err(MirrorConfigError::ValueAboveDelta);
        }
        Ok(())
    }
}
