//! What happens in a run, drawn from one integer before it begins, so that it is the same for both implementations.

use quorate_core::Rng;

/// What becomes of messages from one node to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Open,
    /// They are lost.
    Cut,
    /// They arrive when the link is open again.
    Held,
}

/// One thing that happens; what it leads to is delivered before the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// These directed links become so.
    Links(Vec<(u64, u64, Link)>),
    /// All links are open.
    Heal,
    /// Everyone that leads is asked to commit this; the command of each is its own.
    Propose(u64),
    /// A heartbeat interval passes for all.
    Beat,
    /// Hung disks write.
    Write,
    /// Nobody waits for anything any more: all that both can commit is committed.
    Calm,
    /// These hear nobody for an election timeout.
    Silence(Vec<u64>),
    /// This one stands for election.
    Campaign(u64),
    Crash(u64),
    Restart(u64),
    /// This one's disk writes nothing for now.
    Hang(u64),
}

pub struct Schedule {
    pub nodes: u64,
    pub steps: Vec<Step>,
}

/// Beats in which every timer of both implementations runs out: an election timeout is 3, and raft-rs needs up to two of
/// them to see that it lost its quorum.
const CALM: usize = 8;

/// So much time passes that everything comes to rest.
pub fn calm() -> Vec<Step> {
    let mut steps = vec![Step::Write];
    steps.extend(std::iter::repeat_n(Step::Beat, CALM));
    steps.push(Step::Calm);
    steps
}

impl Schedule {
    pub fn of(seed: u64) -> Schedule {
        let mut rng = Rng::from_seed(seed);
        let nodes = if rng.chance(0.5) { 3 } else { 5 };
        let mut draw = Draw { rng, nodes, next: 1, down: Vec::new() };
        let mut steps = draw.election();
        for _ in 0..draw.rng.within(20..60) {
            steps.extend(draw.some());
        }
        Schedule { nodes, steps }
    }
}

struct Draw {
    rng: Rng,
    nodes: u64,
    next: u64,
    down: Vec<u64>,
}

impl Draw {
    fn node(&mut self) -> u64 {
        self.rng.within(1..self.nodes + 1)
    }

    fn propose(&mut self) -> Step {
        self.next += 1;
        Step::Propose(self.next)
    }

    fn some(&mut self) -> Vec<Step> {
        match self.rng.within(0..100) {
            0..30 => (0..self.rng.within(1..5)).map(|_| self.propose()).collect(),
            30..40 => vec![Step::Beat],
            40..50 => calm(),
            50..62 => self.election(),
            62..66 => vec![Step::Campaign(self.node())],
            66..78 => vec![Step::Links(self.links())],
            78..84 => vec![Step::Heal],
            84..88 => vec![Step::Hang(self.node())],
            88..94 => self.crash(),
            _ => self.restart(),
        }
    }

    /// Those that a candidate reaches have not heard a leader for a while.
    fn election(&mut self) -> Vec<Step> {
        let mut silent: Vec<u64> = (1..=self.nodes).collect();
        if self.rng.chance(0.3) {
            self.rng.shuffle(&mut silent);
            silent.truncate(self.rng.within(1..self.nodes) as usize);
        }
        let candidate = *self.rng.pick(&silent).unwrap();
        let mut steps = vec![Step::Silence(silent), Step::Campaign(candidate)];
        // With disks that hang it is rarely decided at once.
        if self.rng.chance(0.8) {
            steps.insert(0, Step::Write);
        }
        steps
    }

    fn links(&mut self) -> Vec<(u64, u64, Link)> {
        let nodes = self.nodes;
        let all = (1..=nodes).flat_map(|a| (1..=nodes).filter(move |b| *b != a).map(move |b| (a, b)));
        let one = self.node();
        let state = if self.rng.chance(0.2) { Link::Held } else { Link::Cut };
        match self.rng.within(0..5) {
            // Two sides.
            0 | 1 => {
                let side = self.rng.bits();
                let cut = all.filter(|(a, b)| (side >> a ^ side >> b) & 1 == 1);
                cut.map(|(a, b)| (a, b, state)).collect()
            }
            // One alone.
            2 => all.filter(|(a, b)| one == *a || one == *b).map(|(a, b)| (a, b, state)).collect(),
            // One pair of nodes, so that links are no longer transitive.
            3 => {
                let other = self.node();
                if other == one {
                    return Vec::new();
                }
                vec![(one, other, state), (other, one, state)]
            }
            // One direction.
            _ => {
                let other = self.node();
                if other == one { Vec::new() } else { vec![(one, other, state)] }
            }
        }
    }

    fn crash(&mut self) -> Vec<Step> {
        let node = self.node();
        if self.down.contains(&node) {
            return self.restart();
        }
        self.down.push(node);
        vec![Step::Crash(node)]
    }

    fn restart(&mut self) -> Vec<Step> {
        self.down.pop().map(Step::Restart).into_iter().collect()
    }
}
