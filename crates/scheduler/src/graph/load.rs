//! Taking in a whole description: one pass over compact arrays that checks everything before anything is changed
//! (Kahn 1962). New tasks may wait for tasks that are there; the other way needs `add_edge`.

use super::{Graph, GraphError, GraphSpec, Join, TaskId};
use std::ops::Range;

const NOBODY: u32 = u32::MAX;

/// A description whose names and edges were looked up. Tasks are numbered inside it, from 0.
struct Checked {
    /// New number of each name, or [`NOBODY`].
    new: Vec<u32>,
    /// Names of the new tasks, in the order of their numbers.
    names: Vec<u32>,
    /// Dependencies of the new tasks, as numbers of the whole graph: starts, and in one array.
    starts: Vec<u32>,
    before: Vec<u32>,
}

impl Checked {
    fn before(&self, local: usize) -> &[u32] {
        &self.before[self.starts[local] as usize..self.starts[local + 1] as usize]
    }
}

/// The new dependents of the new tasks, by their numbers inside the description: starts, and in one array.
struct After {
    starts: Vec<u32>,
    tasks: Vec<u32>,
}

impl After {
    fn of(&self, local: usize) -> &[u32] {
        &self.tasks[self.starts[local] as usize..self.starts[local + 1] as usize]
    }
}

impl Graph {
    /// Takes in a description whose tasks may wait for tasks that are there, and answers the new numbers. One pass,
    /// linear in tasks and edges. An edge that is named twice counts once.
    pub fn append(&mut self, spec: &GraphSpec) -> Result<Range<u32>, GraphError> {
        let checked = self.check(spec)?;
        let base = self.defs.len() as u32;
        let after = after(&checked, base);
        let order = kahn(&checked, base, &after).map_err(|ring| {
            let name = |local: u32| spec.names.get(checked.names[local as usize]).to_owned();
            GraphError::Cycle { path: ring.into_iter().map(name).collect() }
        })?;
        self.take_in(spec, &checked, &after, &order);
        Ok(base..self.defs.len() as u32)
    }

    fn check(&self, spec: &GraphSpec) -> Result<Checked, GraphError> {
        if !spec.is_sound() {
            return Err(GraphError::Malformed);
        }
        if let Some(bytes) = spec.bad_name {
            return Err(GraphError::BadName { bytes: bytes as usize });
        }
        if let Some(twice) = spec.twice {
            return Err(GraphError::Duplicate { task: spec.names.get(twice).into() });
        }
        let base = self.defs.len() as u32;
        let names_total = self.names.text_bytes() + spec.names.text_bytes();
        if spec.too_large
            || self.len() + spec.defs.len() >= (u32::MAX / 2) as usize
            || names_total >= u32::MAX as usize
            || !self.before.has_room(spec.edges.len())
            || !self.after.has_room(spec.edges.len() + self.len())
        {
            return Err(GraphError::TooLarge);
        }
        let mut new = vec![NOBODY; spec.defs.len()];
        let mut names = Vec::with_capacity(spec.declared as usize);
        for (number, def) in spec.defs.iter().enumerate() {
            let name = spec.names.get(number as u32);
            if name.is_empty() || name.len() > super::NAME_BYTES_MAX {
                return Err(GraphError::BadName { bytes: name.len() });
            }
            let there = if base == 0 { None } else { self.names.find(name) };
            match (def, there) {
                (Some(def), None) => {
                    spec.policies[def.policy as usize].check(name)?;
                    new[number] = base + names.len() as u32;
                    names.push(number as u32);
                }
                (Some(_), Some(_)) => return Err(GraphError::Duplicate { task: name.into() }),
                (None, Some(there)) => {
                    new[number] = there;
                }
                (None, None) => return Err(self.unknown(spec, number as u32)),
            }
        }
        let (starts, before) = self.check_edges(spec, base, &new, names.len())?;
        let checked = Checked { new, names, starts, before };
        self.check_fallbacks(spec, base, &checked)?;
        for (local, name) in checked.names.iter().enumerate() {
            let Some(Some(def)) = spec.defs.get(*name as usize) else { continue };
            let dependencies = checked.starts[local + 1] - checked.starts[local];
            check_join(def.join, dependencies, || spec.names.get(*name).to_owned())?;
        }
        Ok(checked)
    }

    /// Dependencies by task, each once, in the order in which the edges came.
    fn check_edges(
        &self,
        spec: &GraphSpec,
        base: u32,
        new: &[u32],
        tasks: usize,
    ) -> Result<(Vec<u32>, Vec<u32>), GraphError> {
        let mut starts = vec![0u32; tasks + 1];
        for (from, to) in &spec.edges {
            let name = |n: &u32| spec.names.get(*n).to_owned();
            if from == to {
                return Err(GraphError::SelfEdge { task: name(to) });
            }
            let (source, target) = (new[*from as usize], new[*to as usize]);
            if target < base {
                return Err(GraphError::IntoExisting { task: name(to) });
            }
            if source < base && !self.slot.is_empty() && self.slot.contains_key(&source) {
                return Err(self.fallback_edge(source));
            }
            starts[(target - base) as usize + 1] += 1;
        }
        sum(&mut starts);
        let mut next = starts.clone();
        let mut before = vec![0u32; spec.edges.len()];
        for (from, to) in &spec.edges {
            let place = &mut next[(new[*to as usize] - base) as usize];
            before[*place as usize] = new[*from as usize];
            *place += 1;
        }
        drop(next);
        // Close up over edges that were named twice.
        let mut write = 0;
        for task in 0..tasks {
            let (start, end) = (starts[task] as usize, starts[task + 1] as usize);
            starts[task] = write as u32;
            if end - start > 1 && has_twice(&before[start..end]) {
                let mut seen = std::collections::BTreeSet::new();
                for read in start..end {
                    if seen.insert(before[read]) {
                        before[write] = before[read];
                        write += 1;
                    }
                }
            } else {
                before.copy_within(start..end, write);
                write += end - start;
            }
        }
        starts[tasks] = write as u32;
        before.truncate(write);
        Ok((starts, before))
    }

    fn check_fallbacks(&self, spec: &GraphSpec, base: u32, checked: &Checked) -> Result<(), GraphError> {
        if spec.fallbacks.is_empty() {
            return Ok(());
        }
        let name = |n: u32| spec.names.get(n).to_owned();
        let mut stands_for = std::collections::BTreeMap::new();
        let mut next = std::collections::BTreeMap::new();
        for (primary, fallback) in spec.fallbacks.iter().copied() {
            if checked.new[fallback as usize] < base {
                let (fallback, primary) = (name(fallback), name(primary));
                return Err(GraphError::FallbackNotNew { fallback, primary });
            }
            if let Some(first) = stands_for.insert(fallback, primary)
                && first != primary
            {
                let (fallback, first, second) = (name(fallback), name(first), name(primary));
                return Err(GraphError::FallbackShared { fallback, first, second });
            }
            if next.insert(primary, fallback).is_some_and(|other| other != fallback) {
                return Err(GraphError::Duplicate { task: name(primary) });
            }
        }
        // Heads of chains reach every link that is not in a ring, each once.
        let mut reached = std::collections::BTreeSet::new();
        for head in next.keys().filter(|primary| !stands_for.contains_key(primary)) {
            reached.extend(std::iter::successors(next.get(head), |at| next.get(at)).copied());
        }
        if let Some(start) = stands_for.keys().find(|fallback| !reached.contains(fallback)) {
            let mut path = vec![name(*start)];
            let mut at = next.get(start);
            while let Some(fallback) = at {
                path.push(name(*fallback));
                at = if fallback == start { None } else { next.get(fallback) };
            }
            return Err(GraphError::FallbackCycle { path });
        }
        for (from, to) in &spec.edges {
            for end in [from, to] {
                if let Some(primary) = stands_for.get(end) {
                    let (fallback, primary) = (name(*end), name(*primary));
                    return Err(GraphError::FallbackHasEdge { fallback, primary });
                }
            }
        }
        Ok(())
    }

    fn take_in(&mut self, spec: &GraphSpec, checked: &Checked, after: &After, order: &[u32]) {
        let base = self.defs.len() as u32;
        let count = checked.names.len();
        self.names.reserve(count, spec.names.text_bytes());
        grow(&mut self.defs, count);
        grow(&mut self.order, count);
        grow(&mut self.rank, count);
        self.before.reserve(count, checked.before.len());
        self.after.reserve(count, after.tasks.len());
        let policies: Vec<u32> = spec.policies.iter().map(|policy| self.policy_number_of(policy)).collect();
        for (local, name) in checked.names.iter().enumerate() {
            // The names were checked to be new and to fit.
            self.names.intern(spec.names.get(*name));
            if let Some(Some(def)) = spec.defs.get(*name as usize) {
                self.defs.push(super::spec::Def { policy: policies[def.policy as usize], ..*def });
            }
            self.before.push_list(checked.before(local).iter().copied());
            self.after.push_list(after.of(local).iter().map(|to| base + to));
        }
        if base > 0 {
            for local in 0..count {
                for from in checked.before(local).iter().filter(|from| **from < base) {
                    self.after.push(*from, base + local as u32);
                }
            }
        }
        self.order.resize(base as usize + count, 0);
        for (place, local) in order.iter().enumerate() {
            self.order[(base + local) as usize] = base + place as u32;
        }
        self.rank.resize(base as usize + count, 0);
        for local in order.iter().rev() {
            self.rank[(base + local) as usize] = self.rank_from_after(base + local);
        }
        self.take_fallbacks(spec, checked);
    }

    fn take_fallbacks(&mut self, spec: &GraphSpec, checked: &Checked) {
        for (primary, fallback) in &spec.fallbacks {
            self.fallback.insert(checked.new[*primary as usize], checked.new[*fallback as usize]);
        }
        let heads: Vec<u32> =
            spec.fallbacks.iter().map(|(primary, _)| checked.new[*primary as usize]).collect();
        let stands: std::collections::BTreeSet<u32> =
            spec.fallbacks.iter().map(|(_, fallback)| checked.new[*fallback as usize]).collect();
        for head in heads.into_iter().filter(|head| !stands.contains(head)) {
            let rest = self.rank[head as usize].saturating_sub(self.defs[head as usize].expected_ms);
            let mut at = head;
            while let Some(fallback) = self.fallback.get(&at).copied() {
                self.slot.insert(fallback, head);
                self.rank[fallback as usize] = rest.saturating_add(self.defs[fallback as usize].expected_ms);
                at = fallback;
            }
        }
    }

    pub(super) fn fallback_edge(&self, fallback: u32) -> GraphError {
        let primary = self.slot(TaskId(fallback)).0;
        GraphError::FallbackHasEdge { fallback: self.name_of(fallback), primary: self.name_of(primary) }
    }

    fn policy_number_of(&mut self, policy: &super::Policy) -> u32 {
        if let Some(number) = self.policy_numbers.get(policy) {
            return *number;
        }
        let number = self.policies.len() as u32;
        self.policies.push(policy.clone());
        self.policy_numbers.insert(policy.clone(), number);
        number
    }

    fn unknown(&self, spec: &GraphSpec, name: u32) -> GraphError {
        let by_edge = spec.edges.iter().find(|(from, to)| *from == name || *to == name);
        let by_edge = by_edge.map(|(from, to)| if *from == name { *to } else { *from });
        let by_fallback = spec.fallbacks.iter().find(|(_, f)| *f == name).map(|(primary, _)| *primary);
        let wanted_by = by_edge.or(by_fallback).map_or(String::new(), |n| spec.names.get(n).into());
        GraphError::Unknown { task: spec.names.get(name).into(), wanted_by }
    }
}

impl GraphSpec {
    /// Whether the numbers inside are in range: a description may have come from a peer.
    pub(crate) fn is_sound(&self) -> bool {
        let names = self.names.len();
        let below = |(a, b): &(u32, u32)| (*a as usize) < names && (*b as usize) < names;
        self.defs.len() == names
            && self.defs.iter().flatten().count() == self.declared as usize
            && self.twice.is_none_or(|twice| (twice as usize) < names)
            && self.edges.iter().all(below)
            && self.fallbacks.iter().all(below)
            && self.fallbacks.iter().all(|(primary, _)| self.defs[*primary as usize].is_some())
            && self.defs.iter().flatten().all(|def| (def.policy as usize) < self.policies.len())
    }
}

/// A join must be able to fire.
pub(super) fn check_join(
    join: Join,
    dependencies: u32,
    task: impl FnOnce() -> String,
) -> Result<(), GraphError> {
    match join {
        Join::AtLeast(wants) if wants == 0 || u32::from(wants) > dependencies => {
            Err(GraphError::UnreachableJoin { task: task(), wants, dependencies })
        }
        _ => Ok(()),
    }
}

fn after(checked: &Checked, base: u32) -> After {
    let count = checked.names.len();
    let mut starts = vec![0u32; count + 1];
    for from in checked.before.iter().filter(|from| **from >= base) {
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
fn kahn(checked: &Checked, base: u32, after: &After) -> Result<Vec<u32>, Vec<u32>> {
    let count = checked.names.len();
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

/// Whether a short or sorted list names somebody twice. Long lists that are not sorted are sorted first.
fn has_twice(list: &[u32]) -> bool {
    if list.len() <= 16 {
        return list.iter().enumerate().any(|(i, a)| list[..i].contains(a));
    }
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// From counts, shifted by one, to starts.
fn sum(counts: &mut [u32]) {
    let mut total = 0;
    for count in counts {
        total += *count;
        *count = total;
    }
}

/// Room for many at once exactly, for few in advance.
pub(super) fn grow<T>(list: &mut Vec<T>, count: usize) {
    if count > list.len() / 4 { list.reserve_exact(count) } else { list.reserve(count) }
}
