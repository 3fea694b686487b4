//! The worker's side: which agents live here, and which of them are quiet.
//!
//! Agents stand in a list ordered by their last beat. A beat moves one to the end; the quiet ones are a prefix.
//! So a period costs what is quiet and not what is there.

use super::msg::{Beat, CRASHED, NAMED_MAX};
use quorate_core::{AgentId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

const NONE: u32 = u32::MAX;
/// The last beat of an agent that crashed. It stands before all others.
const DEAD: Time = Time::NEVER;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    agent: AgentId,
    last: Time,
    before: u32,
    after: u32,
}

/// The agents of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hosted {
    slots: BTreeMap<AgentId, u32>,
    cells: Vec<Cell>,
    free: Vec<u32>,
    first: u32,
    last: u32,
    /// The last changes, the newest behind. The version counts them from the start of this life.
    log: VecDeque<(AgentId, bool)>,
    version: u64,
}

impl Hosted {
    pub(super) fn new() -> Hosted {
        Hosted {
            slots: BTreeMap::new(),
            cells: Vec::new(),
            free: Vec::new(),
            first: NONE,
            last: NONE,
            log: VecDeque::new(),
            version: 0,
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The whole set: who is not in it goes, who is new comes, who stays keeps its last beat.
    pub(super) fn replace(&mut self, agents: &[AgentId], now: Time, max: usize) -> usize {
        let keep: std::collections::BTreeSet<AgentId> = agents.iter().copied().collect();
        let gone: Vec<AgentId> = self.slots.keys().filter(|agent| !keep.contains(agent)).copied().collect();
        gone.into_iter().for_each(|agent| self.remove(agent));
        keep.into_iter().filter(|agent| !self.add(*agent, now, max)).count()
    }

    /// False if there is no room for one more.
    pub(super) fn add(&mut self, agent: AgentId, now: Time, max: usize) -> bool {
        if self.slots.contains_key(&agent) {
            return true;
        }
        if self.slots.len() >= max.min(NONE as usize) {
            return false;
        }
        let cell = Cell { agent, last: now, before: NONE, after: NONE };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.cells[slot as usize] = cell;
                slot
            }
            None => {
                self.cells.push(cell);
                (self.cells.len() - 1) as u32
            }
        };
        self.slots.insert(agent, slot);
        self.link_last(slot);
        self.note(agent, true);
        true
    }

    pub(super) fn remove(&mut self, agent: AgentId) {
        if let Some(slot) = self.slots.remove(&agent) {
            self.unlink(slot);
            self.free.push(slot);
            self.note(agent, false);
        }
    }

    /// False if it does not live here.
    pub(super) fn beat(&mut self, agent: AgentId, now: Time) -> bool {
        let Some(slot) = self.slots.get(&agent).copied() else { return false };
        self.unlink(slot);
        self.cells[slot as usize].last = now;
        self.link_last(slot);
        true
    }

    /// False if it does not live here.
    pub(super) fn crashed(&mut self, agent: AgentId) -> bool {
        let Some(slot) = self.slots.get(&agent).copied() else { return false };
        self.unlink(slot);
        let old = std::mem::replace(&mut self.first, slot);
        let cell = &mut self.cells[slot as usize];
        (cell.last, cell.before, cell.after) = (DEAD, NONE, old);
        match old {
            NONE => self.last = slot,
            old => self.cells[old as usize].before = slot,
        }
        true
    }

    /// The changes since `version`, at most a message full; `None` if they are not remembered.
    pub(super) fn changes_since(&self, version: u64) -> Option<Vec<(AgentId, bool)>> {
        let behind = usize::try_from(self.version.checked_sub(version)?).ok()?;
        let skip = self.log.len().checked_sub(behind)?;
        Some(self.log.iter().skip(skip).take(NAMED_MAX).copied().collect())
    }

    /// The agents from `next` on, at most a message full, and whether that is the end.
    pub(super) fn part(&self, next: AgentId) -> (Vec<AgentId>, bool) {
        let mut rest = self.slots.range(next..).map(|(agent, _)| *agent);
        let part: Vec<AgentId> = rest.by_ref().take(NAMED_MAX).collect();
        (part, rest.next().is_none())
    }

    /// The beats of one period. Silence before `grace` was ours: nobody here could be heard then.
    pub(super) fn beats(
        &self,
        incarnation: u64,
        seq: u64,
        now: Time,
        grace: Time,
        interval: Duration,
    ) -> Vec<Beat> {
        let mut quiet = self.quiet(now, grace, interval);
        quiet.sort_unstable();
        let ends = quiet.len().div_ceil(NAMED_MAX).max(1);
        let mut first = AgentId(0);
        let mut beats = Vec::with_capacity(ends);
        for part in 0..ends {
            let rest = quiet.split_off(quiet.len().min(NAMED_MAX));
            let named = std::mem::replace(&mut quiet, rest);
            let last = match named.last() {
                Some((agent, _)) if part + 1 < ends => *agent,
                _ => AgentId(u64::MAX),
            };
            let version = self.version;
            beats.push(Beat { incarnation, version, seq, part: part as u32, first, last, quiet: named });
            first = AgentId(last.0.saturating_add(1));
        }
        beats
    }

    fn quiet(&self, now: Time, grace: Time, interval: Duration) -> Vec<(AgentId, u32)> {
        let mut quiet = Vec::new();
        let mut at = self.first;
        while at != NONE {
            let cell = &self.cells[at as usize];
            if cell.last == DEAD {
                quiet.push((cell.agent, CRASHED));
            } else {
                let age = now.since(cell.last.max(grace));
                if age <= interval {
                    break;
                }
                let ms = u32::try_from(age.as_millis()).unwrap_or(CRASHED);
                quiet.push((cell.agent, ms.min(CRASHED - 1)));
            }
            at = cell.after;
        }
        quiet
    }

    fn note(&mut self, agent: AgentId, here: bool) {
        if self.log.len() == NAMED_MAX {
            self.log.pop_front();
        }
        self.log.push_back((agent, here));
        self.version += 1;
    }

    fn link_last(&mut self, slot: u32) {
        let old = std::mem::replace(&mut self.last, slot);
        let cell = &mut self.cells[slot as usize];
        (cell.before, cell.after) = (old, NONE);
        match old {
            NONE => self.first = slot,
            old => self.cells[old as usize].after = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Cell { before, after, .. } = self.cells[slot as usize];
        match before {
            NONE => self.first = after,
            before => self.cells[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.cells[after as usize].before = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Rng;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_quiet_are_those_of_a_plain_map_of_last_beats() {
        let mut rng = Rng::from_seed(11);
        let (mut hosted, mut naive) = (Hosted::new(), BTreeMap::<AgentId, Time>::new());
        let interval = Duration::from_millis(200);
        let mut now = Time::ZERO;
        for step in 0..20_000 {
            now = Time(now.0 + rng.within(0..20) * MS);
            let agent = AgentId(rng.within(0..40));
            match rng.within(0..10) {
                0 => {
                    assert!(hosted.add(agent, now, 30) || naive.len() == 30);
                    if naive.len() < 30 {
                        naive.entry(agent).or_insert(now);
                    }
                }
                1 => {
                    hosted.remove(agent);
                    naive.remove(&agent);
                }
                2 if step % 7 == 0 => {
                    let known = naive.get_mut(&agent).map(|last| *last = DEAD);
                    assert_eq!(hosted.crashed(agent), known.is_some());
                }
                _ => {
                    let known = naive.get_mut(&agent).map(|last| *last = now);
                    assert_eq!(hosted.beat(agent, now), known.is_some());
                }
            }
            let expected: Vec<(AgentId, u32)> = naive
                .iter()
                .filter(|(_, last)| **last == DEAD || now.since(**last) > interval)
                .map(|(a, last)| {
                    (*a, if *last == DEAD { CRASHED } else { now.since(*last).as_millis() as u32 })
                })
                .collect();
            let beats = hosted.beats(1, 1, now, Time::ZERO, interval);
            assert_eq!(beats.len(), 1);
            assert_eq!(beats[0].quiet, expected, "step {step}");
            assert_eq!(hosted.part(AgentId(0)), (naive.keys().copied().collect(), true));
        }
    }

    #[test]
    fn many_quiet_agents_are_split_into_ranges_without_a_gap() {
        let mut hosted = Hosted::new();
        let count = 2 * NAMED_MAX as u64 + 5;
        (0..count).for_each(|a| assert!(hosted.add(AgentId(a * 2), Time::ZERO, usize::MAX)));
        let beats = hosted.beats(1, 9, Time(1000 * MS), Time::ZERO, Duration::from_millis(200));
        assert_eq!(beats.len(), 3);
        assert_eq!((beats[0].first, beats[2].last), (AgentId(0), AgentId(u64::MAX)));
        for pair in beats.windows(2) {
            assert_eq!(pair[0].last.0 + 1, pair[1].first.0);
            assert_eq!(pair[0].part + 1, pair[1].part);
        }
        assert_eq!(beats.iter().map(|b| b.quiet.len()).sum::<usize>() as u64, count);
    }

    #[test]
    fn changes_lead_from_version_to_version_and_old_ones_are_forgotten() {
        let mut hosted = Hosted::new();
        hosted.replace(&[AgentId(1), AgentId(2)], Time::ZERO, 10);
        assert_eq!(hosted.replace(&[AgentId(2), AgentId(3)], Time::ZERO, 10), 0);
        assert_eq!(hosted.version(), 4);
        assert_eq!(hosted.changes_since(2), Some(vec![(AgentId(1), false), (AgentId(3), true)]));
        assert_eq!(hosted.changes_since(4), Some(vec![]));
        assert_eq!(hosted.changes_since(5), None, "a version of the future");
        (0..NAMED_MAX as u64).for_each(|a| assert!(hosted.add(AgentId(100 + a), Time::ZERO, usize::MAX)));
        assert_eq!(hosted.changes_since(3), None);
        assert_eq!(hosted.changes_since(4).map(|c| c.len()), Some(NAMED_MAX));
    }

    #[test]
    fn our_own_pause_makes_nobody_quiet() {
        let mut hosted = Hosted::new();
        assert!(hosted.add(AgentId(1), Time::ZERO, 1));
        let interval = Duration::from_millis(200);
        let now = Time(5000 * MS);
        assert_eq!(hosted.beats(1, 1, now, Time::ZERO, interval)[0].quiet.len(), 1);
        assert_eq!(hosted.beats(1, 1, now, now, interval)[0].quiet.len(), 0);
    }
}
