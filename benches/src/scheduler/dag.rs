//! The graphs.

use quorate_core::Rng;
use std::fmt;

/// What waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Nothing for nothing.
    Independent,
    /// Each for the one before.
    Chain,
    /// Layers of a hundred, each task for four of the layer before.
    Layered,
}

/// A graph: for every task, the tasks before it, of smaller numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dag {
    /// Its shape.
    pub shape: Shape,
    /// Whom each task waits for.
    pub before: Vec<Vec<u32>>,
}

const WIDTH: u32 = 100;

impl Dag {
    /// A graph of this shape.
    pub fn new(shape: Shape, tasks: u32) -> Dag {
        let mut rng = Rng::from_seed(u64::from(tasks));
        let before = |task: u32| match shape {
            Shape::Independent => Vec::new(),
            Shape::Chain => task.checked_sub(1).into_iter().collect(),
            Shape::Layered if task < WIDTH => Vec::new(),
            Shape::Layered => {
                let layer = (task / WIDTH - 1) * WIDTH;
                // Four different ones: neighbours of one that is drawn.
                let first = rng.within(0..u64::from(WIDTH)) as u32;
                (0..4).map(|next| layer + (first + next) % WIDTH).collect()
            }
        };
        Dag { shape, before: (0..tasks).map(before).collect() }
    }

    /// Every graph of the table.
    pub fn all() -> Vec<Dag> {
        let shapes = [Shape::Independent, Shape::Chain, Shape::Layered];
        let sizes = [10_000, 100_000, 1_000_000];
        sizes.iter().flat_map(|tasks| shapes.map(|shape| Dag::new(shape, *tasks))).collect()
    }

    /// Tasks.
    pub fn len(&self) -> u32 {
        self.before.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }

    /// For every task, how many it waits for; and who waits for it, as offsets into one list.
    pub fn counts(&self) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut offsets = vec![0u32; self.before.len() + 1];
        for before in self.before.iter().flatten() {
            offsets[*before as usize + 1] += 1;
        }
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut fill = offsets.clone();
        let mut after = vec![0u32; *offsets.last().unwrap_or(&0) as usize];
        for (task, befores) in self.before.iter().enumerate() {
            for before in befores {
                after[fill[*before as usize] as usize] = task as u32;
                fill[*before as usize] += 1;
            }
        }
        (self.before.iter().map(|before| before.len() as u32).collect(), offsets, after)
    }
}

impl fmt::Display for Dag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match self.shape {
            Shape::Independent => "independent",
            Shape::Chain => "chain",
            Shape::Layered => "layered, 4 edges a task",
        };
        write!(f, "{} tasks, {shape}", self.before.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_the_mirror_of_whom_they_wait_for() {
        for shape in [Shape::Independent, Shape::Chain, Shape::Layered] {
            let dag = Dag::new(shape, 500);
            let (waits, offsets, after) = dag.counts();
            let mut edges = 0;
            for before in 0..500usize {
                for task in &after[offsets[before] as usize..offsets[before + 1] as usize] {
                    assert!(dag.before[*task as usize].contains(&(before as u32)));
                    edges += 1;
                }
            }
            assert_eq!(edges, waits.iter().sum::<u32>());
            assert_eq!(after.len() as u32, edges);
        }
    }
}
