//! The longest way through the graph, by dynamic programming over the topological order: linear, however many ways
//! there are.

use super::{Graph, TaskId};

/// The tasks that decide how long the whole takes when there are agents enough.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CriticalPath {
    /// Sum of the expected durations.
    pub length_ms: u64,
    /// From the first to the last.
    pub tasks: Vec<TaskId>,
}

impl Graph {
    /// The longest way by expected durations; of two that are equally long the one whose tasks came first.
    pub fn critical_path(&self) -> CriticalPath {
        let mut finish = vec![0u64; self.len()];
        let mut by = vec![None; self.len()];
        let mut last: Option<TaskId> = None;
        for task in self.topological_order() {
            if self.slot.contains_key(&task.0) {
                continue;
            }
            let at = task.0 as usize;
            let longest = self.before(task).fold(None, |best: Option<TaskId>, next| match best {
                Some(best) if before_first(&finish, best, next) => Some(best),
                _ => Some(next),
            });
            by[at] = longest;
            let start = longest.map_or(0, |t| finish[t.0 as usize]);
            finish[at] = start + u64::from(self.expected_ms(task));
            if last.is_none_or(|last| !before_first(&finish, last, task)) {
                last = Some(task);
            }
        }
        let Some(end) = last else { return CriticalPath::default() };
        let mut tasks: Vec<TaskId> = std::iter::successors(Some(end), |t| by[t.0 as usize]).collect();
        tasks.reverse();
        CriticalPath { length_ms: finish[end.0 as usize], tasks }
    }

    pub(super) fn rank_from_after(&self, task: u32) -> u32 {
        let rest = self.after.of(task).iter().map(|t| self.rank[*t as usize]).max().unwrap_or(0);
        rest.saturating_add(self.defs[task as usize].expected_ms)
    }

    /// Raises the ranks before a task that may have become part of a longer way, as far as `may_change` says and
    /// for at most `tasks_max` tasks: ranks only say who goes first, so one that is too low costs no safety.
    pub(crate) fn raise_ranks(
        &mut self,
        task: TaskId,
        tasks_max: usize,
        may_change: impl Fn(TaskId) -> bool,
    ) {
        let mut stack = vec![task.0];
        let mut visited = 0;
        while let Some(at) = stack.pop() {
            for before in self.before.of(at) {
                visited += 1;
                if visited > tasks_max {
                    return;
                }
                let expected = self.defs[*before as usize].expected_ms;
                let rank = self.rank[at as usize].saturating_add(expected);
                if rank > self.rank[*before as usize] && may_change(TaskId(*before)) {
                    self.rank[*before as usize] = rank;
                    stack.push(*before);
                }
            }
        }
    }
}

/// Whether `a` ends later than `b`, or at the same time with the lower number.
fn before_first(finish: &[u64], a: TaskId, b: TaskId) -> bool {
    (finish[a.0 as usize], std::cmp::Reverse(a)) > (finish[b.0 as usize], std::cmp::Reverse(b))
}
