//! Bounds and patience, and what is wrong with them.

use std::io;
use std::time::Duration;

/// How a [`crate::Tcp`] behaves. Checked by [`TcpConfig::validate`] when it is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// The largest frame sent or taken, head included. The same on all nodes. At least 64. Default 1 MiB.
    pub frame_bytes_max: usize,
    /// Frames that wait to be written to one peer. Default 8,192 (guess).
    pub queue_frames_max: usize,
    /// Bytes that wait to be written to one peer; at least `frame_bytes_max`. Default 16 MiB (guess).
    pub queue_bytes_max: usize,
    /// Frames that one system call writes at most. Default 64 (guess; two slices each, of the 1,024 that Linux
    /// takes), at most 256.
    pub batch_frames_max: usize,
    /// Peers whose address is known. Each has a thread. Default 1,024 (guess).
    pub peers_max: usize,
    /// Connections taken at a time. Each has a thread. Default 1,024 (guess).
    pub connections_max: usize,
    /// Connections taken that have not said yet whose they are. Default 64 (guess).
    pub unnamed_max: usize,
    /// Connections taken from one peer; the oldest goes, so that what a dead host left behind does not keep out
    /// its successor. Default 4 (guess).
    pub connections_a_peer_max: usize,
    /// Patience for opening a connection. Closing a [`crate::Tcp`] may take as long. Default 1 s (guess).
    pub connect_timeout: Duration,
    /// Patience for a connection taken to say whose it is. Default 3 s (guess).
    pub preamble_timeout: Duration,
    /// Patience for a whole frame, once it began. At least what `frame_bytes_max` takes on the slowest line.
    /// Default 30 s (guess).
    pub frame_timeout: Duration,
    /// Patience for a system call that writes: the peer takes nothing. Default 5 s (guess).
    pub write_timeout: Duration,
    /// After so long without a byte a connection taken is closed; its peer opens another when it has something to
    /// say. Default 60 s (guess).
    pub idle_timeout: Duration,
    /// How long a reader waits for room in the inbox before it drops a frame. After a frame was dropped the next
    /// ones do not wait until one went in again: so control frames do not come late behind data that nobody
    /// takes. Default 50 ms (guess).
    pub full_patience: Duration,
    /// The wait after the first failure to reach a peer; doubled with each further one, with a jitter of a half. Default 20 ms (guess).
    pub backoff: Duration,
    /// Where the doubling ends. Also how long a connection must last before its loss counts as the first failure. Default 1 s (guess).
    pub backoff_max: Duration,
}

impl Default for TcpConfig {
    fn default() -> Self {
        TcpConfig {
            frame_bytes_max: 1 << 20,
            queue_frames_max: 8192,
            queue_bytes_max: 16 << 20,
            batch_frames_max: 64,
            peers_max: 1024,
            connections_max: 1024,
            unnamed_max: 64,
            connections_a_peer_max: 4,
            connect_timeout: Duration::from_secs(1),
            preamble_timeout: Duration::from_secs(3),
            frame_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            full_patience: Duration::from_millis(50),
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
        }
    }
}

/// Why there is no transport, or no such peer. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The address cannot be listened at, or a thread cannot be had.
    #[error("the system refuses: {0}")]
    Io(#[from] io::Error),
    /// A bound that makes no sense, by its relation to others.
    #[error("configuration: {0}")]
    Config(&'static str),
    /// `peers_max` peers are known.
    #[error("{0} peers are known already")]
    TooManyPeers(usize),
    /// A node has no connection to itself.
    #[error("a node is not its own peer")]
    Myself,
    /// The transport was closed.
    #[error("the transport is closed")]
    Closed,
}

impl TcpConfig {
    /// Whether the bounds make sense together.
    pub fn validate(&self) -> Result<(), TcpError> {
        let rules = [
            (self.frame_bytes_max >= 64, "frame_bytes_max is below 64"),
            (u32::try_from(self.frame_bytes_max).is_ok(), "frame_bytes_max does not fit in four bytes"),
            (self.queue_bytes_max >= self.frame_bytes_max, "queue_bytes_max is below frame_bytes_max"),
            (self.queue_frames_max > 0, "queue_frames_max is zero"),
            ((1..=256).contains(&self.batch_frames_max), "batch_frames_max is not in 1..=256"),
            (self.connections_max > 0, "connections_max is zero"),
            (self.unnamed_max > 0, "unnamed_max is zero"),
            (self.connections_a_peer_max > 0, "connections_a_peer_max is zero"),
            (!self.connect_timeout.is_zero(), "connect_timeout is zero"),
            (!self.preamble_timeout.is_zero(), "preamble_timeout is zero"),
            (!self.frame_timeout.is_zero(), "frame_timeout is zero"),
            (!self.write_timeout.is_zero(), "write_timeout is zero"),
            (!self.idle_timeout.is_zero(), "idle_timeout is zero"),
            (!self.backoff.is_zero(), "backoff is zero"),
            (self.backoff_max >= self.backoff, "backoff_max is below backoff"),
            (self.backoff_max <= Duration::from_secs(3600), "backoff_max is above an hour"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, wrong)) => Err(TcpError::Config(wrong)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_what_makes_no_sense_is_told() {
        TcpConfig::default().validate().unwrap();
        let wrong = TcpConfig { queue_bytes_max: 1000, ..TcpConfig::default() };
        assert_eq!(
            wrong.validate().unwrap_err().to_string(),
            "configuration: queue_bytes_max is below frame_bytes_max"
        );
    }
}
