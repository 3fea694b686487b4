//! Changes of one task or edge at a time. The topological order is repaired only between the two ends of a new edge
//! (Pearce and Kelly 2006), which is nothing at all when the edge runs along the order.

use super::load::check_join;
use super::{Graph, GraphError, GraphSpec, TaskId, TaskSpec};
use std::collections::BTreeMap;

impl Graph {
    /// Adds one task, which may wait for tasks that are there. Its fallback must be added with it: see
    /// [`Graph::append`].
    pub fn add_task(&mut self, task: TaskSpec) -> Result<TaskId, GraphError> {
        let spec = GraphSpec::new().task(task);
        self.append(&spec).map(|new| TaskId(new.start))
    }

    /// `to` waits for `from`. Answers whether it did not before.
    pub fn add_edge(&mut self, from: TaskId, to: TaskId) -> Result<bool, GraphError> {
        let (from, to) = (from.0, to.0);
        if from == to {
            return Err(GraphError::SelfEdge { task: self.name_of(to) });
        }
        for end in [from, to] {
            if self.slot.contains_key(&end) {
                return Err(self.fallback_edge(end));
            }
        }
        if self.before.of(to).contains(&from) {
            return Ok(false);
        }
        if !self.before.has_room(1 + self.before.of(to).len())
            || !self.after.has_room(1 + self.after.of(from).len())
        {
            return Err(GraphError::TooLarge);
        }
        if self.order[from as usize] > self.order[to as usize] {
            self.reorder(from, to)?;
        }
        self.before.push(to, from);
        self.after.push(from, to);
        Ok(true)
    }

    /// `to` no longer waits for `from`. Answers whether it did. Refused where the join of `to` could then never
    /// fire.
    pub fn remove_edge(&mut self, from: TaskId, to: TaskId) -> Result<bool, GraphError> {
        let dependencies = self.before.of(to.0);
        if !dependencies.contains(&from.0) {
            return Ok(false);
        }
        check_join(self.join(to), dependencies.len() as u32 - 1, || self.name_of(to.0))?;
        self.before.remove(to.0, from.0);
        self.after.remove(from.0, to.0);
        Ok(true)
    }

    /// Moves what lies behind `to` in the order behind what leads to `from`, or finds the cycle that an edge
    /// between them would close.
    fn reorder(&mut self, from: u32, to: u32) -> Result<(), GraphError> {
        let (low, high) = (self.order[to as usize], self.order[from as usize]);
        // Who waits for `to`, directly or not, and comes before `from`; each with the one it was reached by.
        let mut forward = BTreeMap::from([(to, to)]);
        let mut stack = vec![to];
        while let Some(at) = stack.pop() {
            for next in self.after.of(at) {
                if *next == from {
                    forward.insert(from, at);
                    return Err(self.would_cycle(from, to, &forward));
                }
                if self.order[*next as usize] < high && !forward.contains_key(next) {
                    forward.insert(*next, at);
                    stack.push(*next);
                }
            }
        }
        let mut backward = BTreeMap::from([(from, ())]);
        stack.push(from);
        while let Some(at) = stack.pop() {
            for next in self.before.of(at) {
                if self.order[*next as usize] > low && backward.insert(*next, ()).is_none() {
                    stack.push(*next);
                }
            }
        }
        let in_order = |tasks: &mut Vec<u32>| tasks.sort_unstable_by_key(|t| self.order[*t as usize]);
        let mut first: Vec<u32> = backward.into_keys().collect();
        let mut second: Vec<u32> = forward.into_keys().collect();
        in_order(&mut first);
        in_order(&mut second);
        first.append(&mut second);
        let mut places: Vec<u32> = first.iter().map(|t| self.order[*t as usize]).collect();
        places.sort_unstable();
        for (task, place) in first.into_iter().zip(places) {
            self.order[task as usize] = place;
        }
        Ok(())
    }

    fn would_cycle(&self, from: u32, to: u32, reached_by: &BTreeMap<u32, u32>) -> GraphError {
        let mut path = vec![self.name_of(to), self.name_of(from)];
        let mut at = from;
        while at != to
            && let Some(before) = reached_by.get(&at)
        {
            path.push(self.name_of(*before));
            at = *before;
        }
        path.reverse();
        GraphError::WouldCycle { path }
    }
}
