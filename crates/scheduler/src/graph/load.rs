//! Taking in a whole description: one pass over compact arrays that checks everything before anything is changed
//! (Kahn 1962). New tasks may wait for tasks that are there; the other way needs `add_edge`.

use super::kahn::{After, after, kahn};
use super::{Graph, GraphError, GraphSpec, Join, TaskId};
use std::ops::Range;

const NOBODY: u32 = u32::MAX;

/// A description whose names and edges were looked up. Tasks are numbered inside it, from 0.
pub(super) struct Checked {
    pub numbers: Numbers,
    /// Dependencies of the new tasks, as numbers of the whole graph: starts, and in one array.
    starts: Vec<u32>,
    before: Vec<u32>,
}

/// Which numbers the names of a description have in the graph.
pub(super) enum Numbers {
    /// The first of a graph, every name in it a task's: so many, numbered as they are. Most graphs are loaded so,
    /// and every table that needs no look-up spares an edge two waits for memory.
    Same(u32),
    /// Any other.
    Of {
        /// New number of each name, or [`NOBODY`].
        new: Vec<u32>,
        /// Names of the new tasks, in the order of their numbers.
        names: Vec<u32>,
    },
}

impl Numbers {
    /// The number of a name.
    fn of(&self, name: u32) -> u32 {
        match self {
            Numbers::Same(_) => name,
            Numbers::Of { new, .. } => new[name as usize],
        }
    }

    /// The name of a new task.
    fn name(&self, local: u32) -> u32 {
        match self {
            Numbers::Same(_) => local,
            Numbers::Of { names, .. } => names[local as usize],
        }
    }

    /// How many tasks are new.
    pub fn count(&self) -> usize {
        match self {
            Numbers::Same(count) => *count as usize,
            Numbers::Of { names, .. } => names.len(),
        }
    }
}

impl Checked {
    /// All dependencies.
    pub fn all_before(&self) -> &[u32] {
        &self.before
    }

    /// Those of one new task.
    pub fn before(&self, local: usize) -> &[u32] {
        &self.before[self.starts[local] as usize..self.starts[local + 1] as usize]
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
            let name = |local: u32| spec.names.get(checked.numbers.name(local)).to_owned();
            GraphError::Cycle { path: ring.into_iter().map(name).collect() }
        })?;
        self.take_in(spec, checked, after, &order);
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
        let numbers = self.check_names(spec, base)?;
        let (starts, before) = self.check_edges(spec, base, &numbers)?;
        let checked = Checked { numbers, starts, before };
        self.check_fallbacks(spec, base, &checked)?;
        for local in 0..checked.numbers.count() {
            let name = checked.numbers.name(local as u32);
            let Some(Some(def)) = spec.defs.get(name as usize) else { continue };
            let dependencies = checked.starts[local + 1] - checked.starts[local];
            check_join(def.join, dependencies, || spec.names.get(name).to_owned())?;
        }
        Ok(checked)
    }

    fn check_names(&self, spec: &GraphSpec, base: u32) -> Result<Numbers, GraphError> {
        let same = base == 0 && spec.declared as usize == spec.names.len();
        let tables = if same { 0 } else { spec.defs.len() };
        let (mut new, mut names) = (vec![NOBODY; tables], Vec::with_capacity(tables));
        for (number, def) in spec.defs.iter().enumerate() {
            let name = spec.names.get(number as u32);
            if name.is_empty() || name.len() > super::NAME_BYTES_MAX {
                return Err(GraphError::BadName { bytes: name.len() });
            }
            let there = if base == 0 { None } else { self.names.find(name) };
            match (def, there) {
                (Some(def), None) => {
                    spec.policies[def.policy as usize].check(name)?;
                    if !same {
                        new[number] = base + names.len() as u32;
                        names.push(number as u32);
                    }
                }
                (Some(_), Some(_)) => return Err(GraphError::Duplicate { task: name.into() }),
                (None, Some(there)) => {
                    new[number] = there;
                }
                (None, None) => return Err(self.unknown(spec, number as u32)),
            }
        }
        Ok(if same { Numbers::Same(spec.declared) } else { Numbers::Of { new, names } })
    }

    /// Dependencies by task, each once, in the order in which the edges came.
    fn check_edges(
        &self,
        spec: &GraphSpec,
        base: u32,
        numbers: &Numbers,
    ) -> Result<(Vec<u32>, Vec<u32>), GraphError> {
        let tasks = numbers.count();
        let mut starts = vec![0u32; tasks + 1];
        for (from, to) in &spec.edges {
            let name = |n: &u32| spec.names.get(*n).to_owned();
            if from == to {
                return Err(GraphError::SelfEdge { task: name(to) });
            }
            let (source, target) = (numbers.of(*from), numbers.of(*to));
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
            let place = &mut next[(numbers.of(*to) - base) as usize];
            before[*place as usize] = numbers.of(*from);
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
            if checked.numbers.of(fallback) < base {
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

    fn take_in(&mut self, spec: &GraphSpec, checked: Checked, after: After, order: &[u32]) {
        let base = self.defs.len() as u32;
        let count = checked.numbers.count();
        grow(&mut self.defs, count);
        grow(&mut self.order, count);
        grow(&mut self.rank, count);
        let policies: Vec<u32> = spec.policies.iter().map(|policy| self.policy_number_of(policy)).collect();
        for local in 0..count {
            if let Some(Some(def)) = spec.defs.get(checked.numbers.name(local as u32) as usize) {
                self.defs.push(super::spec::Def { policy: policies[def.policy as usize], ..*def });
            }
        }
        let Checked { numbers, starts, before } = checked;
        match &numbers {
            Numbers::Same(_) => self.names.clone_from(&spec.names),
            Numbers::Of { names, .. } => {
                self.names.reserve(count, spec.names.text_bytes());
                for name in names {
                    // They were checked to be new and to fit.
                    self.names.intern(spec.names.get(*name));
                }
            }
        }
        self.after.append(&after.starts, after.tasks, base);
        if base > 0 {
            for (local, ends) in starts.windows(2).enumerate() {
                for from in before[ends[0] as usize..ends[1] as usize].iter().filter(|from| **from < base) {
                    self.after.push(*from, base + local as u32);
                }
            }
        }
        self.before.append(&starts, before, 0);
        self.order.resize(base as usize + count, 0);
        for (place, local) in order.iter().enumerate() {
            self.order[(base + local) as usize] = base + place as u32;
        }
        self.rank.resize(base as usize + count, 0);
        for local in order.iter().rev() {
            self.rank[(base + local) as usize] = self.rank_from_after(base + local);
        }
        self.take_fallbacks(spec, &numbers);
    }

    fn take_fallbacks(&mut self, spec: &GraphSpec, numbers: &Numbers) {
        for (primary, fallback) in &spec.fallbacks {
            self.fallback.insert(numbers.of(*primary), numbers.of(*fallback));
        }
        let heads: Vec<u32> = spec.fallbacks.iter().map(|(primary, _)| numbers.of(*primary)).collect();
        let stands: std::collections::BTreeSet<u32> =
            spec.fallbacks.iter().map(|(_, fallback)| numbers.of(*fallback)).collect();
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
pub(super) fn sum(counts: &mut [u32]) {
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
