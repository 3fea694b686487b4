//! What was done and refused, counted by all threads.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What a [`crate::Tcp`] did and refused since it was bound.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct TcpCounters {
            $($(#[$doc])* pub $name: u64,)+
        }

        /// The same, while it is counted.
        #[derive(Debug, Default)]
        pub(crate) struct Counting {
            $(pub(crate) $name: AtomicU64,)+
        }

        impl Counting {
            pub(crate) fn read(&self) -> TcpCounters {
                TcpCounters { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Frames handed to the system.
    frames_sent,
    /// Bytes handed to the system, lengths and preambles included.
    bytes_sent,
    /// System calls that wrote them.
    writes,
    /// Connections opened to peers.
    connects,
    /// Attempts to open one that failed.
    connects_failed,
    /// Opened connections that broke, were closed by the peer, or took nothing for too long.
    connections_lost,
    /// Frames that were being written when their connection broke.
    dropped_in_flight,
    /// Control frames dropped from a full queue, or waiting too long for a peer that cannot be reached.
    dropped_control,
    /// Data frames dropped likewise.
    dropped_data,
    /// Frames for nodes without an address.
    dropped_unknown_peer,
    /// Frames larger than `frame_bytes_max`.
    dropped_too_large,

    /// Connections taken.
    accepted,
    /// Connections closed at once because there were too many.
    refused_too_many,
    /// Connections that did not say in time whose they are.
    refused_silent,
    /// Connections that began with something else than a preamble for this node, or whom the seam refused.
    refused_preamble,
    /// Connections closed because of a frame larger than `frame_bytes_max` or smaller than a head.
    refused_length,
    /// Connections closed because the same peer opened newer ones.
    superseded,
    /// Connections closed because nothing came for long.
    closed_idle,
    /// Connections closed because a frame did not end.
    closed_slow,
    /// Attempts to take a connection, or to find it a thread, that the system refused.
    accepts_failed,
    /// Frames put into the inbox.
    frames_received,
    /// Frames that had to wait for room in the inbox.
    inbox_waits,
    /// Frames dropped because there was no room in the inbox.
    inbox_drops,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
