//! What is said of a task beside its name and its dependencies: class, join rule, retries, timeouts, needs.
//! Tasks that say the same share one [`Policy`].

use super::GraphError;
use serde::{Deserialize, Serialize};

/// Which queue a task waits in. Inside a class the task with the longest way to the end of its graph goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Class {
    /// Before everything else.
    Critical,
    /// Before normal work.
    High,
    /// The default.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl Class {
    /// All, from first to last.
    pub const ALL: [Class; 4] = [Class::Critical, Class::High, Class::Normal, Class::Low];
}

/// How a dependency ended, as its dependents see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It, or a fallback of it, succeeded.
    Succeeded,
    /// It failed, and so did its fallbacks.
    Failed,
    /// It was cancelled, shed, removed, or what it needed failed.
    Cancelled,
    /// It was not needed.
    Skipped,
}

/// When a task with dependencies may run. What it comes to is a function of how the dependencies ended and never
/// of their order:
///
/// | rule | runs | else, once that is certain |
/// |---|---|---|
/// | `All` | all succeeded | any failed or cancelled: cancelled; else (some skipped): skipped |
/// | `NoneFailed` | all ended, none failed or cancelled, one or more succeeded | any failed or cancelled: cancelled; all skipped: skipped |
/// | `AtLeast(k)` | k succeeded, at once | out of reach and any failed or cancelled: cancelled; else skipped |
/// | `AllEnded` | all ended, however | - |
///
/// A task without dependencies runs at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Join {
    /// Every dependency succeeded.
    #[default]
    All,
    /// Joins arms of which some may be skipped.
    NoneFailed,
    /// So many succeeded; which of them came first is chance, so its inputs are not part of its digest.
    AtLeast(u16),
    /// Cleans up, whatever happened.
    AllEnded,
}

/// What a join comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not known yet.
    Wait,
    /// The task may run.
    Run,
    /// The task will never run; it ends like this.
    End(Outcome),
}

impl Join {
    /// What it comes to when of its dependencies `open` have not ended, `succeeded` have, and `failed` says
    /// whether any failed or was cancelled; the rest was skipped.
    pub fn verdict(self, open: u32, succeeded: u32, failed: bool, skipped: bool) -> Verdict {
        let not_needed = if open > 0 { Verdict::Wait } else { Verdict::End(Outcome::Skipped) };
        let cancelled = Verdict::End(Outcome::Cancelled);
        match self {
            Join::All if failed => cancelled,
            Join::All if skipped => not_needed,
            Join::NoneFailed if failed => cancelled,
            Join::NoneFailed if open == 0 && succeeded == 0 && skipped => not_needed,
            Join::AtLeast(k) if succeeded >= u32::from(k) => Verdict::Run,
            Join::AtLeast(k) if succeeded + open < u32::from(k) => {
                if failed {
                    cancelled
                } else {
                    not_needed
                }
            }
            Join::AtLeast(_) => Verdict::Wait,
            _ if open > 0 => Verdict::Wait,
            _ => Verdict::Run,
        }
    }
}

/// How often and how soon a failed attempt is repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first. 3 by default; 0 for none.
    pub retries_max: u16,
    /// Pause before the first retry; doubled for each further one. Default 100 ms (guess).
    pub backoff_ms: u32,
    /// Longest pause. Default 30 s (guess).
    pub backoff_max_ms: u32,
    /// How much of the pause is drawn anew, either way, in thousandths. Default 200, at most 1,000.
    pub jitter_per_mille: u16,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { retries_max: 3, backoff_ms: 100, backoff_max_ms: 30_000, jitter_per_mille: 200 }
    }
}

impl Retry {
    /// No retry.
    pub const NEVER: Retry = Retry { retries_max: 0, backoff_ms: 0, backoff_max_ms: 0, jitter_per_mille: 0 };

    /// The pause before retry number `retry` (from 0), with 64 bits of chance.
    pub fn pause_ms(&self, retry: u16, draw: u64) -> u64 {
        let doubled = u64::from(self.backoff_ms).saturating_mul(1 << retry.min(40));
        let pause = doubled.min(u64::from(self.backoff_max_ms));
        let reach = pause * u64::from(self.jitter_per_mille.min(1000)) / 1000;
        // Uniform in pause - reach ..= pause + reach.
        let drawn = (u128::from(draw) * u128::from(2 * reach + 1)) >> 64;
        pause - reach + drawn as u64
    }
}

/// How long a task may take, in milliseconds of the log's time. `None`: for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Timeouts {
    /// In the queue until an agent takes it. Then it fails without a retry.
    pub queue_ms: Option<u64>,
    /// One attempt. Then its lease ends, and that counts as a failure.
    pub run_ms: Option<u64>,
    /// Between two signs of progress of one attempt. Then as above.
    pub idle_ms: Option<u64>,
    /// From being ready for the first time to its end, pauses and retries included. Then it fails, whatever
    /// retries are left.
    pub total_ms: Option<u64>,
}

/// What tasks may share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Capabilities that its agent must have, ascending, each once.
    pub needs: Vec<String>,
    /// After a failed attempt.
    pub retry: Retry,
    /// How long it may take.
    pub timeouts: Timeouts,
}

/// Capabilities that one task may need.
pub const NEEDS_MAX: usize = 16;

impl Policy {
    pub(super) fn check(&self, task: &str) -> Result<(), GraphError> {
        let in_order = self.needs.windows(2).all(|pair| pair[0] < pair[1]);
        if self.needs.len() > NEEDS_MAX || !in_order || self.retry.jitter_per_mille > 1000 {
            return Err(GraphError::BadPolicy { task: task.into() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order in which up to four dependencies can end comes to the same, and the table holds.
    #[test]
    fn a_join_comes_to_the_same_in_every_order_of_its_dependencies() {
        use Outcome::*;
        let ends = [Succeeded, Failed, Cancelled, Skipped];
        let joins = [Join::All, Join::NoneFailed, Join::AtLeast(1), Join::AtLeast(2), Join::AllEnded];
        for n in 1..=4u32 {
            for code in 0..4usize.pow(n) {
                let outcomes: Vec<Outcome> = (0..n).map(|i| ends[code / 4usize.pow(i) % 4]).collect();
                for join in joins {
                    if matches!(join, Join::AtLeast(k) if u32::from(k) > n) {
                        continue;
                    }
                    let ok = outcomes.iter().filter(|o| **o == Succeeded).count();
                    let bad = outcomes.iter().any(|o| matches!(o, Failed | Cancelled));
                    let lost = Verdict::End(if bad { Cancelled } else { Skipped });
                    let want = match join {
                        Join::All if ok == outcomes.len() => Verdict::Run,
                        Join::NoneFailed if ok > 0 && !bad => Verdict::Run,
                        Join::AtLeast(k) if ok >= usize::from(k) => Verdict::Run,
                        Join::AllEnded => Verdict::Run,
                        _ => lost,
                    };
                    assert_eq!(first_verdict(join, &outcomes), want, "{join:?} {outcomes:?}");
                    let mut reversed = outcomes.clone();
                    reversed.reverse();
                    assert_eq!(first_verdict(join, &reversed), want, "{join:?} {reversed:?}");
                }
            }
        }
    }

    fn first_verdict(join: Join, outcomes: &[Outcome]) -> Verdict {
        let (mut open, mut succeeded, mut failed, mut skipped) = (outcomes.len() as u32, 0, false, false);
        for outcome in outcomes {
            open -= 1;
            match outcome {
                Outcome::Succeeded => succeeded += 1,
                Outcome::Failed | Outcome::Cancelled => failed = true,
                Outcome::Skipped => skipped = true,
            }
            let verdict = join.verdict(open, succeeded, failed, skipped);
            if verdict != Verdict::Wait {
                return verdict;
            }
        }
        Verdict::Wait
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_stay_within_the_jitter() {
        let retry = Retry { jitter_per_mille: 0, ..Retry::default() };
        let pauses: Vec<u64> = (0..11).map(|n| retry.pause_ms(n, u64::MAX)).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[10], 30_000);
        let retry = Retry::default();
        assert_eq!(retry.pause_ms(0, 0), 80);
        assert_eq!(retry.pause_ms(0, u64::MAX), 120);
        assert_eq!(retry.pause_ms(u16::MAX, 1 << 63), 30_000);
    }
}
