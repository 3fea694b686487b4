//! A cluster of one implementation, driven by a schedule, with its own safety checked after every step.

use super::replica::{Replica, Sent};
use super::schedule::{Link, Step};
use std::collections::VecDeque;

pub struct World<R: Replica> {
    nodes: Vec<Node<R>>,
    setup: R::Setup,
    links: Vec<Vec<Link>>,
    wire: VecDeque<(u64, u64, R::Msg)>,
    held: VecDeque<(u64, u64, R::Msg)>,
    /// Everything that any node ever knew to be committed.
    pub history: Vec<u64>,
}

struct Node<R: Replica> {
    replica: Option<R>,
    disk: R::Disk,
    life: u64,
    /// Commands applied in this life.
    applied: usize,
}

impl<R: Replica + std::fmt::Debug> World<R> {
    pub fn new(nodes: u64, setup: R::Setup) -> World<R> {
        let fresh = || Node { replica: None, disk: R::Disk::default(), life: 0, applied: 0 };
        let mut world = World {
            nodes: (0..nodes).map(|_| fresh()).collect(),
            setup,
            links: vec![vec![Link::Open; nodes as usize]; nodes as usize],
            wire: VecDeque::new(),
            held: VecDeque::new(),
            history: Vec::new(),
        };
        for id in 1..=nodes {
            world.restart(id);
        }
        world.settle().expect("nothing has gone wrong yet");
        world
    }

    fn ids(&self) -> impl Iterator<Item = u64> + use<R> {
        1..=self.nodes.len() as u64
    }

    fn replica(&mut self, id: u64) -> Option<&mut R> {
        self.nodes[id as usize - 1].replica.as_mut()
    }

    /// Lets one node that is up do something, and posts what it says.
    fn with(&mut self, id: u64, act: impl FnOnce(&mut R, &mut Sent<R::Msg>)) {
        let mut sent = Vec::new();
        if let Some(replica) = self.replica(id) {
            act(replica, &mut sent);
        }
        self.post(id, sent);
    }

    fn post(&mut self, from: u64, sent: Sent<R::Msg>) {
        for (to, msg) in sent {
            match self.links[from as usize - 1][to as usize - 1] {
                Link::Open => self.wire.push_back((from, to, msg)),
                Link::Held => self.held.push_back((from, to, msg)),
                Link::Cut => {}
            }
        }
    }

    fn restart(&mut self, id: u64) {
        let nodes = self.nodes.len() as u64;
        let node = &mut self.nodes[id as usize - 1];
        if node.replica.is_some() {
            return;
        }
        node.life += 1;
        node.applied = 0;
        let (disk, life, mut sent) = (std::mem::take(&mut node.disk), node.life, Vec::new());
        node.replica = Some(R::start(id, nodes, life, disk, &self.setup, &mut sent));
        self.post(id, sent);
        for other in self.ids().filter(|other| *other != id) {
            let theirs = &self.nodes[other as usize - 1];
            if theirs.replica.is_some() {
                let their_life = theirs.life;
                self.with(id, |replica, sent| replica.meet(other, their_life, sent));
                self.with(other, |replica, sent| replica.meet(id, life, sent));
            }
        }
    }

    fn crash(&mut self, id: u64) {
        if let Some(replica) = self.nodes[id as usize - 1].replica.take() {
            self.nodes[id as usize - 1].disk = replica.crash();
            // What waits for it, or from it, is not delivered to or from its next life.
            self.held.retain(|(from, to, _)| *from != id && *to != id);
        }
    }

    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..100_000 {
            let Some((from, to, msg)) = self.wire.pop_front() else { return Ok(()) };
            self.with(to, |replica, sent| replica.receive(from, msg, sent));
        }
        Err(format!("{} does not come to rest: {:?}", R::NAME, self.state()))
    }

    fn beat(&mut self) {
        for id in self.ids() {
            self.with(id, |replica, sent| replica.beat(sent));
        }
    }

    pub fn apply(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Links(links) => {
                for (from, to, link) in links {
                    self.links[*from as usize - 1][*to as usize - 1] = *link;
                }
            }
            Step::Heal => {
                self.links.iter_mut().for_each(|links| links.fill(Link::Open));
                self.wire.append(&mut self.held);
            }
            Step::Propose(number) => {
                for id in self.ids() {
                    let leads = self.replica(id).is_some_and(|replica| replica.leads());
                    if leads {
                        self.with(id, |replica, sent| replica.propose(number * 8 + id, sent));
                    }
                }
            }
            Step::Beat => self.beat(),
            Step::Write => {
                for id in self.ids() {
                    self.with(id, |replica, sent| replica.hang(false, sent));
                }
            }
            Step::Calm => {}
            Step::Silence(silent) => {
                for id in silent {
                    self.with(*id, |replica, _| replica.silence());
                }
            }
            Step::Campaign(id) => self.with(*id, |replica, sent| replica.campaign(sent)),
            Step::Crash(id) => self.crash(*id),
            Step::Restart(id) => self.restart(*id),
            Step::Hang(id) => self.with(*id, |replica, sent| replica.hang(true, sent)),
        }
        self.settle()?;
        self.check()
    }

    /// State machine safety (Raft figure 3): what one node commits, all commit, in one order.
    fn check(&mut self) -> Result<(), String> {
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let Some(replica) = &mut node.replica else { continue };
            for command in replica.take_committed() {
                match self.history.get(node.applied) {
                    None => self.history.push(command),
                    Some(known) if *known == command => {}
                    Some(known) => {
                        let place = node.applied;
                        return Err(format!(
                            "{}: node {} commits {command} where {known} was committed, as number {place}",
                            R::NAME,
                            at + 1
                        ));
                    }
                }
                node.applied += 1;
            }
        }
        Ok(())
    }

    /// Who leads, and the commands in the log of each.
    pub fn leaders(&self) -> Vec<(u64, Vec<u64>)> {
        let up = self.nodes.iter().zip(1..).filter_map(|(node, id)| Some((id, node.replica.as_ref()?)));
        up.filter(|(_, replica)| replica.leads()).map(|(id, replica)| (id, replica.log())).collect()
    }

    /// Once nothing is in the way any more: somebody leads, and everything is everywhere.
    pub fn is_whole(&self) -> Result<(), String> {
        let leaders = self.leaders().len();
        if leaders != 1 {
            return Err(format!("{}: {leaders} lead after healing: {:?}", R::NAME, self.state()));
        }
        match self.nodes.iter().all(|node| node.replica.is_some() && node.applied == self.history.len()) {
            true => Ok(()),
            false => Err(format!("{}: not all is everywhere after healing: {:?}", R::NAME, self.state())),
        }
    }

    pub fn state(&self) -> Vec<&R> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref()).collect()
    }
}
