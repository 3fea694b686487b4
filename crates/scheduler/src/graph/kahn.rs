//! The one pass over the new tasks of a description that puts them in order or finds a ring (Kahn 1962).

use super::load::{Checked, sum};

/// The new dependents of the new tasks, by their numbers inside the description: starts, and in one array.
pub(super) struct After {
    pub starts: Vec<u32>,
    pub tasks: Vec<u32>,
}

impl After {
    fn of(&self, local: usize) -> &[u32] {
        &self.tasks[self.starts[local] as usize..self.starts[local + 1] as usize]
    }
}

/// The other side of the dependencies.
pub(super) fn after(checked: &Checked, base: u32) -> After {
    let count = checked.numbers.count();
    let mut starts = vec![0u32; count + 1];
    for from in checked.all_before().iter().filter(|from| **from >= base) {
        starts[(from - base) as usize + 1] += 1;
    }
    sum(&mut starts);
    let mut next = starts.clone();
    let mut tasks = vec![0u32; starts[count] as usize];
    for local in 0..count {
        for from in checked.before(local).iter().filter(|from| **from >= base) {
            let place = &mut next[(from - base) as usize];
            tasks[*place as usize] = local as u32;
            *place += 1;
        }
    }
    After { starts, tasks }
}

/// A topological order of the new tasks, or a ring among them.
pub(super) fn kahn(checked: &Checked, base: u32, after: &After) -> Result<Vec<u32>, Vec<u32>> {
    let count = checked.numbers.count();
    let is_new = |from: &&u32| **from >= base;
    let mut open: Vec<u32> =
        (0..count).map(|local| checked.before(local).iter().filter(is_new).count() as u32).collect();
    let mut order: Vec<u32> = Vec::with_capacity(count);
    order.extend((0..count as u32).filter(|local| open[*local as usize] == 0));
    let mut done = 0;
    while let Some(task) = order.get(done).map(|t| *t as usize) {
        done += 1;
        for to in after.of(task) {
            open[*to as usize] -= 1;
            if open[*to as usize] == 0 {
                order.push(*to);
            }
        }
    }
    if done == count {
        return Ok(order);
    }
    // Whoever is left waits for somebody who is left: walking back must come round.
    let Some(mut at) = (0..count).find(|local| open[*local] > 0) else { return Ok(order) };
    let mut walked = vec![u32::MAX; count];
    let mut path: Vec<u32> = Vec::new();
    while walked[at] == u32::MAX {
        walked[at] = path.len() as u32;
        path.push(at as u32);
        let back =
            checked.before(at).iter().find(|from| **from >= base && open[(**from - base) as usize] > 0);
        let Some(back) = back else { break };
        at = (back - base) as usize;
    }
    let mut ring = path.split_off(walked[at] as usize);
    ring.push(at as u32);
    ring.reverse();
    Err(ring)
}
