//! The floor: Kahn's loop over compact arrays. It counts down and does nothing else.

use super::{Dag, Loaded};
use std::hint::black_box;

struct Kahn {
    waits: Vec<u32>,
    offsets: Vec<u32>,
    after: Vec<u32>,
}

pub fn make(dag: &Dag) -> Box<dyn Loaded> {
    let (waits, offsets, after) = dag.counts();
    Box::new(Kahn { waits, offsets, after })
}

impl Loaded for Kahn {
    fn run(&mut self) -> u32 {
        let mut ready: Vec<u32> =
            (0..self.waits.len() as u32).filter(|t| self.waits[*t as usize] == 0).collect();
        let mut ran = 0;
        while let Some(task) = ready.pop() {
            black_box(task);
            ran += 1;
            let (from, to) = (self.offsets[task as usize], self.offsets[task as usize + 1]);
            for after in &self.after[from as usize..to as usize] {
                self.waits[*after as usize] -= 1;
                if self.waits[*after as usize] == 0 {
                    ready.push(*after);
                }
            }
        }
        ran
    }
}
