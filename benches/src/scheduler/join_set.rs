//! What many programs do by hand: a counter for each task, and a tokio task for each that is ready. On the runtime
//! of one thread, so that its whole cost is on the clock.

use super::{Dag, Loaded};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

struct Tasks {
    runtime: Runtime,
    waits: Vec<u32>,
    offsets: Vec<u32>,
    after: Vec<u32>,
}

pub fn make(dag: &Dag) -> Box<dyn Loaded> {
    let (waits, offsets, after) = dag.counts();
    Box::new(Tasks { runtime: Builder::new_current_thread().build().unwrap(), waits, offsets, after })
}

impl Loaded for Tasks {
    fn run(&mut self) -> u32 {
        let Tasks { runtime, waits, offsets, after } = self;
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for task in (0..waits.len() as u32).filter(|task| waits[*task as usize] == 0) {
                set.spawn(async move { task });
            }
            let mut ran = 0;
            while let Some(task) = set.join_next().await {
                let task = task.unwrap();
                ran += 1;
                let (from, to) = (offsets[task as usize], offsets[task as usize + 1]);
                for next in &after[from as usize..to as usize] {
                    let next = *next;
                    waits[next as usize] -= 1;
                    if waits[next as usize] == 0 {
                        set.spawn(async move { next });
                    }
                }
            }
            ran
        })
    }
}
