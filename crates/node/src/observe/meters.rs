//! Handing a node's status to the `metrics` facade. What the names mean stands in `metrics.md`, which is the page
//! [`crate::metric_names`].

use super::NodeStatus;
use metrics::{Counter, Gauge};
use quorate_core::NodeId;

type Count = (&'static str, fn(&NodeStatus) -> u64);
type Level = (&'static str, fn(&NodeStatus) -> f64);

const COUNTERS: &[Count] = &[
    ("quorate_node_steps_total", |s| s.steps),
    ("quorate_node_wakes_total", |s| s.wakes),
    ("quorate_node_asks_total", |s| s.asks),
    ("quorate_node_frames_received_total", |s| s.frames.received),
    ("quorate_node_frames_sent_total", |s| s.frames.sent),
    ("quorate_node_received_bytes_total", |s| s.frames.received_bytes),
    ("quorate_node_sent_bytes_total", |s| s.frames.sent_bytes),
    ("quorate_node_frames_refused_total", |s| s.frames.refused),
    ("quorate_node_frames_dropped_total", |s| s.frames.dropped_full),
    ("quorate_node_frames_oversized_total", |s| s.frames.oversized),
    ("quorate_node_frames_replayed_total", |s| s.link.replayed),
    ("quorate_node_frames_unsealed_total", |s| s.link.unsealed),
    ("quorate_node_malformed_total", |s| s.host.malformed),
    ("quorate_node_handshakes_total", |s| s.link.sessions),
    ("quorate_node_appends_total", |s| s.journal.appends),
    ("quorate_node_syncs_total", |s| s.journal.syncs),
    ("quorate_node_jobs_total", |s| s.jobs.done),
    ("quorate_node_job_panics_total", |s| s.jobs.panics),
    ("quorate_node_notices_dropped_total", |s| s.notices_dropped),
];

const GAUGES: &[Level] = &[
    ("quorate_node_sessions", |s| s.sessions.len() as f64),
    ("quorate_node_asks_waiting", |s| s.asks_waiting as f64),
    ("quorate_node_held_effects", |s| s.held_effects as f64),
    ("quorate_node_undurable_bytes", |s| s.journal.undurable_bytes as f64),
    ("quorate_node_jobs_out", |s| s.jobs.out as f64),
    ("quorate_node_jobs_waiting", |s| s.jobs.waiting as f64),
    ("quorate_node_full", |s| f64::from(u8::from(s.full))),
    ("quorate_node_busy_share", NodeStatus::busy_share),
    ("quorate_node_uptime_seconds", |s| seconds(s.uptime_ns)),
    ("quorate_node_sync_mean_seconds", |s| seconds(s.journal.sync.mean_ns)),
    ("quorate_node_sync_p99_seconds", |s| seconds(s.journal.sync.p99_ns)),
    ("quorate_node_wake_late_p99_seconds", |s| seconds(s.wake_late.p99_ns)),
    ("quorate_node_wake_late_max_seconds", |s| seconds(s.wake_late.max_ns)),
    ("quorate_node_turn_p99_seconds", |s| seconds(s.turns.p99_ns)),
    ("quorate_node_stopped", |s| f64::from(u8::from(s.stopped.is_some()))),
];

fn seconds(ns: u64) -> f64 {
    ns as f64 * 1e-9
}

/// The handles of one node, taken from the recorder that is current when the node is prepared.
pub(crate) struct Meters {
    counters: Vec<Counter>,
    gauges: Vec<Gauge>,
}

impl Meters {
    pub(crate) fn new(node: NodeId) -> Meters {
        let node = node.to_string();
        Meters {
            counters: COUNTERS
                .iter()
                .map(|(name, _)| metrics::counter!(*name, "node" => node.clone()))
                .collect(),
            gauges: GAUGES.iter().map(|(name, _)| metrics::gauge!(*name, "node" => node.clone())).collect(),
        }
    }

    pub(crate) fn publish(&self, status: &NodeStatus) {
        for (handle, (_, read)) in self.counters.iter().zip(COUNTERS) {
            handle.absolute(read(status));
        }
        for (handle, (_, read)) in self.gauges.iter().zip(GAUGES) {
            handle.set(read(status));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_stands_in_the_table_above() {
        let rows: Vec<&str> =
            include_str!("metrics.md").lines().filter(|line| line.starts_with("| `quorate_")).collect();
        let named = |name: &str, kind: &str| {
            let start = format!("| `{name}` | {kind} | ");
            rows.iter().filter(|row| row.starts_with(&start)).count() == 1
        };
        for (name, _) in COUNTERS {
            assert!(named(name, "counter"), "{name}");
        }
        for (name, _) in GAUGES {
            assert!(named(name, "gauge"), "{name}");
        }
        assert_eq!(rows.len(), COUNTERS.len() + GAUGES.len());
    }
}
