//! A histogram of durations that costs two kilobytes and a few instructions, and forgets nothing but precision.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Four buckets an octave: a quantile is at most a fifth too high.
const SUB_BITS: u32 = 2;
const BUCKETS: usize = (1 << SUB_BITS) * (64 - SUB_BITS as usize + 1);

/// How long something took, over a life.
#[derive(Clone)]
pub(crate) struct Latency {
    buckets: Box<[u64; BUCKETS]>,
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

/// How long something took, over a life, in few numbers. All zero when nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySummary {
    /// How many were measured.
    pub count: u64,
    /// Their mean, in nanoseconds.
    pub mean_ns: u64,
    /// Half are not above this; at most a fifth too high.
    pub p50_ns: u64,
    /// 99 of 100 are not above this; at most a fifth too high.
    pub p99_ns: u64,
    /// The longest, exactly.
    pub max_ns: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { buckets: Box::new([0; BUCKETS]), count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    pub(crate) fn summary(&self) -> LatencySummary {
        LatencySummary {
            count: self.count,
            mean_ns: self.sum_ns.checked_div(self.count).unwrap_or(0),
            p50_ns: self.quantile(50),
            p99_ns: self.quantile(99),
            max_ns: self.max_ns,
        }
    }

    /// The upper end of the bucket below which `percent` of all lie, but never above the longest.
    fn quantile(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut below = 0u128;
        for (index, n) in self.buckets.iter().enumerate() {
            below += u128::from(*n);
            if *n > 0 && below >= rank {
                return highest(index).min(self.max_ns);
            }
        }
        0
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 1 << SUB_BITS {
        return ns as usize;
    }
    let octave = 63 - ns.leading_zeros();
    let sub = (ns >> (octave - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    (((octave - SUB_BITS + 1) << SUB_BITS) as usize) + sub as usize
}

fn highest(bucket: usize) -> u64 {
    let (octave, sub) = ((bucket >> SUB_BITS) as u32, (bucket & ((1 << SUB_BITS) - 1)) as u64);
    if octave == 0 {
        return sub;
    }
    let width = 1u64 << (octave - 1);
    ((1 << SUB_BITS) + sub).saturating_mul(width).saturating_add(width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_its_ends_say_and_is_narrow() {
        let mut around: Vec<u64> = (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1]).collect();
        around.extend(0..5_000);
        around.extend([u64::MAX, u64::MAX - 1, 123_456_789]);
        for ns in around {
            let at = bucket(ns);
            assert!(highest(at) >= ns, "{ns}");
            assert!(at == 0 || highest(at - 1) < ns, "{ns}");
            assert!(highest(at) - ns <= ns / 4, "{ns} is shown as {}", highest(at));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_summary_names_the_middle_and_the_tail() {
        let mut latency = Latency::default();
        assert_eq!(latency.summary(), LatencySummary::default());
        for ms in 1..=100 {
            latency.record(Duration::from_millis(ms));
        }
        let summary = latency.summary();
        assert_eq!((summary.count, summary.mean_ns, summary.max_ns), (100, 50_500_000, 100_000_000));
        assert!((50_000_000..=60_000_000).contains(&summary.p50_ns), "{summary:?}");
        assert!((99_000_000..=100_000_000).contains(&summary.p99_ns), "{summary:?}");
    }
}
