//! Does what was drawn, undoes it when it is over, and sees to it that nobody ends who was not made to.

use crate::links::{Line, Way};
use crate::nodes::{Ended, NODES, Nodes};
use crate::plan::{Blow, Stroke, Victim};
use crate::voters::Voters;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(10);

/// Nodes that are down, stopped or without room, at a time, but for when all are killed.
const HURT_MAX: usize = 2;

/// A sync that was refused is told a little after there is room again.
const STILL_TOLD: Duration = Duration::from_secs(2);

/// What a client may wait for who asks who leads.
const LEADER_PATIENCE: Duration = Duration::from_millis(200);

/// For those who are to vote again, when all is whole.
const VOTERS_PATIENCE: Duration = Duration::from_secs(60);

/// What became of the blows.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub killed: u64,
    pub all_killed: u64,
    pub paused: u64,
    pub ways_cut: u64,
    pub ways_slowed: u64,
    pub disks_filled: u64,
    /// Nodes that stopped because their disk was full.
    pub stopped_full: u64,
    /// Nodes that did not start on a disk that still was.
    pub refused_full: u64,
    /// Nodes that were to vote no more.
    pub removed: u64,
    pub disks_lost: u64,
    /// Nodes that vote again, those on new disks too.
    pub votes_again: u64,
    /// Too many were hurt already.
    pub left_out: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Up,
    Down,
    Paused,
    /// This much room, or as much as it wants again and it may not have noticed yet.
    Full(u64),
}

enum Undo {
    Node(u64),
    /// It had room again for a while.
    Relieved(u64),
    Ways(Vec<Way>),
    /// It is to vote again.
    Vote(u64),
}

pub struct Nemesis<'a> {
    nodes: &'a mut Nodes,
    voters: Voters,
    begun: Instant,
    /// What each is, and since which blow.
    conditions: BTreeMap<u64, (Condition, usize)>,
    ways: BTreeMap<Way, usize>,
    due: Vec<(Instant, usize, Undo)>,
    blow: usize,
    pub done: Done,
    pub log: Vec<String>,
}

impl<'a> Nemesis<'a> {
    pub fn new(nodes: &'a mut Nodes) -> Nemesis<'a> {
        Nemesis {
            voters: Voters::new(nodes.finder.clone()),
            nodes,
            begun: Instant::now(),
            conditions: NODES.into_iter().map(|id| (id, (Condition::Up, 0))).collect(),
            ways: BTreeMap::new(),
            due: Vec::new(),
            blow: 0,
            done: Done::default(),
            log: Vec::new(),
        }
    }

    /// Everything, or what there is time for; then everything undone. An error is what must not happen.
    pub fn strike(
        &mut self,
        strokes: &[Stroke],
        length: Duration,
        goes_on: impl Fn() -> bool,
    ) -> Result<(), String> {
        for stroke in strokes {
            self.wait(stroke.after, &goes_on)?;
            if !goes_on() || self.begun.elapsed() > length {
                break;
            }
            self.blow += 1;
            self.land(stroke)?;
        }
        while !self.due.is_empty() {
            self.wait(TICK, &goes_on)?;
        }
        let until = Instant::now() + VOTERS_PATIENCE;
        while let Some(id) = self.voters.missing() {
            self.wait(TICK, &goes_on)?;
            if Instant::now() > until {
                return Err(format!("{id} does not vote again, long after the last blow"));
            }
        }
        self.done.votes_again = self.voters.again();
        Ok(())
    }

    /// What happened, and what each node says of itself now.
    pub fn tell(&self) {
        println!("{}", self.log.join("\n"));
        for id in NODES {
            let said = self.nodes.finder.talk(id, STILL_TOLD).and_then(|mut talk| talk.ask("status").ok());
            println!("{id} {:?}: {}", self.is(id), said.unwrap_or_default());
        }
    }

    fn note(&mut self, what: String) {
        self.log.push(format!("{:8.3} {what}", self.begun.elapsed().as_secs_f64()));
    }

    fn wait(&mut self, time: Duration, goes_on: impl Fn() -> bool) -> Result<(), String> {
        let until = Instant::now() + time;
        loop {
            self.undo()?;
            self.look()?;
            if Instant::now() >= until || !goes_on() {
                return Ok(());
            }
            sleep(TICK);
        }
    }

    fn is(&self, id: u64) -> Condition {
        self.conditions[&id].0
    }

    fn set(&mut self, id: u64, condition: Condition) {
        self.conditions.insert(id, (condition, self.blow));
    }

    /// Who is hit, if he is whole and few enough are hurt.
    fn whole(&mut self, victim: Victim) -> Option<u64> {
        let id = match victim {
            Victim::Node(id) => id,
            Victim::Leader => self.leader()?,
        };
        let missing = self.voters.missing();
        let is_hurt = |(id, (condition, _)): &(&u64, &(Condition, usize))| {
            *condition != Condition::Up || missing == Some(**id)
        };
        let hurt = self.conditions.iter().filter(is_hurt).count();
        (self.is(id) == Condition::Up && hurt < HURT_MAX).then_some(id)
    }

    fn leader(&self) -> Option<u64> {
        self.nodes.finder.leader(LEADER_PATIENCE)
    }

    /// The same, if all vote: one vote is missing at a time.
    fn voter(&mut self, victim: Victim) -> Option<u64> {
        self.voters.missing().is_none().then(|| self.whole(victim)).flatten()
    }

    fn land(&mut self, stroke: &Stroke) -> Result<(), String> {
        self.note(format!("{:?} for {:?}", stroke.blow, stroke.lasts));
        let over = Instant::now() + stroke.lasts;
        match &stroke.blow {
            Blow::Kill(victim) => match self.whole(*victim) {
                None => self.done.left_out += 1,
                Some(id) => {
                    self.done.killed += 1;
                    self.nodes.kill(id);
                    self.down(id, over);
                }
            },
            Blow::KillAll(apart) => {
                self.done.all_killed += 1;
                let up: Vec<u64> = NODES.into_iter().filter(|id| self.is(*id) != Condition::Down).collect();
                self.nodes.kill_all(&up);
                for (id, nth) in up.into_iter().zip(0..) {
                    self.down(id, over + *apart * nth);
                }
            }
            Blow::Pause(victim) => match self.whole(*victim) {
                None => self.done.left_out += 1,
                Some(id) => {
                    self.done.paused += 1;
                    self.nodes.pause(id);
                    self.set(id, Condition::Paused);
                    self.due.push((over, self.blow, Undo::Node(id)));
                }
            },
            Blow::Links(ways, line) => self.links(ways.clone(), *line, over),
            Blow::Isolate { victim, to, from, line } => {
                let id = match victim {
                    Victim::Node(id) => *id,
                    Victim::Leader => self.leader().unwrap_or(NODES[0]),
                };
                let others = NODES.into_iter().filter(|other| *other != id);
                let both = others.flat_map(|other| [(to, (other, id)), (from, (id, other))]);
                self.links(both.filter(|(cut, _)| **cut).map(|(_, way)| way).collect(), *line, over);
            }
            Blow::Remove(victim) => match self.voter(*victim) {
                None => self.done.left_out += 1,
                Some(id) => {
                    self.done.removed += 1;
                    self.voters.remove(id);
                    self.due.push((over, self.blow, Undo::Vote(id)));
                }
            },
            Blow::Wipe(victim) => match self.voter(*victim) {
                None => self.done.left_out += 1,
                Some(id) => {
                    self.done.disks_lost += 1;
                    self.voters.lose(id);
                    self.nodes.kill(id);
                    self.nodes.wipe(id);
                    self.nodes.begin(id, None).map_err(|ended| format!("{id} does not join: {ended:?}"))?;
                    self.due.push((over, self.blow, Undo::Vote(id)));
                }
            },
            Blow::Fill { victim, share } => match self.whole(*victim) {
                None => self.done.left_out += 1,
                Some(id) => {
                    self.done.disks_filled += 1;
                    let room = (self.nodes.journal_bytes(id) as f64 * share) as u64;
                    self.nodes.set_room(id, Some(room));
                    self.set(id, Condition::Full(room));
                    self.due.push((over, self.blow, Undo::Node(id)));
                }
            },
        }
        Ok(())
    }

    /// It was killed.
    fn down(&mut self, id: u64, over: Instant) {
        self.set(id, Condition::Down);
        self.due.push((over, self.blow, Undo::Node(id)));
    }

    fn links(&mut self, ways: Vec<Way>, line: Line, over: Instant) {
        match line {
            Line::Slow(_) => self.done.ways_slowed += ways.len() as u64,
            _ => self.done.ways_cut += ways.len() as u64,
        }
        for way in &ways {
            self.nodes.links.set(*way, line);
            self.ways.insert(*way, self.blow);
        }
        self.due.push((over, self.blow, Undo::Ways(ways)));
    }

    /// What is over is undone, unless a later blow has changed it.
    fn undo(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let (over, later) = std::mem::take(&mut self.due).into_iter().partition(|(at, _, _)| *at <= now);
        self.due = later;
        for (_, blow, undo) in over {
            match undo {
                Undo::Ways(ways) => {
                    for way in ways.into_iter().filter(|way| self.ways.get(way) == Some(&blow)) {
                        self.nodes.links.set(way, Line::Open);
                    }
                }
                Undo::Vote(id) => self.voters.add(id),
                Undo::Node(id) if self.conditions[&id].1 == blow => match self.is(id) {
                    Condition::Up => {}
                    Condition::Paused => {
                        self.nodes.resume(id);
                        self.set_back(id);
                    }
                    Condition::Full(_) => {
                        self.nodes.set_room(id, None);
                        self.due.push((Instant::now() + STILL_TOLD, blow, Undo::Relieved(id)));
                    }
                    Condition::Down => {
                        self.note(format!("{id} begins"));
                        self.nodes
                            .begin(id, None)
                            .map_err(|ended| format!("{id} does not start: {ended:?}"))?;
                        self.set_back(id);
                    }
                },
                Undo::Relieved(id) if self.conditions[&id].1 == blow && self.is(id) != Condition::Down => {
                    self.set_back(id);
                }
                Undo::Node(_) | Undo::Relieved(_) => {}
            }
        }
        Ok(())
    }

    fn set_back(&mut self, id: u64) {
        self.conditions.insert(id, (Condition::Up, 0));
    }

    /// Nobody ends by himself but who had no room; and he says so.
    fn look(&mut self) -> Result<(), String> {
        for id in NODES {
            let Some(ended) = self.nodes.ended(id) else { continue };
            let (condition, blow) = self.conditions[&id];
            let Condition::Full(room) = condition else {
                return Err(format!("{id} ended by itself: {ended:?}"));
            };
            stopped_loudly(id, &ended)?;
            self.note(format!("{id} stopped: {}", ended.said.trim()));
            self.done.stopped_full += 1;
            // There is no room yet. It may start if it needs none.
            match self.nodes.begin(id, Some(room)) {
                Ok(()) => self.nodes.kill(id),
                Err(ended) => {
                    stopped_loudly(id, &ended)?;
                    self.note(format!("{id} did not start: {}", ended.said.trim()));
                    self.done.refused_full += 1;
                }
            }
            // Room is made when the blow is over; if that was before, now.
            self.conditions.insert(id, (Condition::Down, blow));
            let waits = self.due.iter().any(|(_, of, undo)| *of == blow && matches!(undo, Undo::Node(_)));
            if !waits {
                self.due.push((Instant::now(), blow, Undo::Node(id)));
            }
        }
        Ok(())
    }
}

/// A failure, with words, and the words are about its disk.
fn stopped_loudly(id: u64, ended: &Ended) -> Result<(), String> {
    let about_its_disk =
        ended.said.starts_with(&format!("kv-node {id}: ")) && ended.said.contains("File too large");
    match ended.code == Some(1) && about_its_disk {
        true => Ok(()),
        false => Err(format!("{id} had no room on its disk and ended like this: {ended:?}")),
    }
}
