//! Queues of agents in which each stands at most once: in and out at both ends and in the middle in constant time.

use crate::engine::AgentSlot;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// The queue that it stands in.
    queue: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rings {
    links: Vec<Link>,
    /// First and last of each queue.
    ends: Vec<(u32, u32)>,
}

impl Rings {
    /// The queue that an agent stands in.
    pub fn queue_of(&self, agent: AgentSlot) -> Option<u32> {
        self.links.get(agent.0 as usize).map(|link| link.queue).filter(|queue| *queue != NONE)
    }

    pub fn first(&self, queue: u32) -> Option<AgentSlot> {
        self.ends.get(queue as usize).map(|(first, _)| *first).filter(|first| *first != NONE).map(AgentSlot)
    }

    /// How many queues there are, empty ones included.
    pub fn queues(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Puts one at the end of a queue that stands in none.
    pub fn push_back(&mut self, queue: u32, agent: AgentSlot) {
        debug_assert_eq!(self.queue_of(agent), None, "in two queues");
        if queue as usize >= self.ends.len() {
            self.ends.resize(queue as usize + 1, (NONE, NONE));
        }
        if agent.0 as usize >= self.links.len() {
            self.links.resize(agent.0 as usize + 1, Link { before: NONE, after: NONE, queue: NONE });
        }
        let (first, last) = &mut self.ends[queue as usize];
        self.links[agent.0 as usize] = Link { before: *last, after: NONE, queue };
        match self.links.get_mut(*last as usize) {
            Some(link) => link.after = agent.0,
            None => *first = agent.0,
        }
        *last = agent.0;
    }

    /// Takes one out of where it stands, if it stands anywhere.
    pub fn remove(&mut self, agent: AgentSlot) {
        let Some(queue) = self.queue_of(agent) else { return };
        let Link { before, after, .. } = self.links[agent.0 as usize];
        let (first, last) = &mut self.ends[queue as usize];
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = after,
            None => *first = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = before,
            None => *last = before,
        }
        self.links[agent.0 as usize].queue = NONE;
    }
}
