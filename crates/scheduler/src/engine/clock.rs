//! Log time: blocks bring it, it never goes back, and what has become due happens once.

use super::Engine;
use super::command::{Act, Block, BlockReply, Completion, Refused};
use super::event::{Event, Why};
use super::task::State;
use super::timers::NEVER;
use crate::graph::TaskId;

/// Timers and promotions of one command: a jump of time is taken in several, so that no apply is long.
const AT_ONCE_MAX: u32 = 4096;

impl Engine {
    /// Decisions of a leader, in order, and then whatever has become due by their stamp.
    pub fn block(&mut self, block: Block) -> Result<BlockReply, Refused> {
        if block.epoch < self.epoch {
            return Err(Refused::Fenced { found: block.epoch, current: self.epoch });
        }
        if block.epoch > self.epoch {
            self.epoch = block.epoch;
            self.events.push(Event::Epoch { epoch: block.epoch });
        }
        self.stamp = self.stamp.max(block.at);
        self.draw = block.draw;
        let mut reply = BlockReply::default();
        for act in block.acts {
            self.act(act, &mut reply);
        }
        self.pass();
        Ok(reply)
    }

    /// Time passes and nothing else happens: for those who embed the engine. `draw` is 64 bits of chance.
    pub fn advance(&mut self, stamp: u64, draw: u64) {
        self.stamp = self.stamp.max(stamp);
        self.draw = draw;
        self.pass();
    }

    /// Opens a newer epoch; leases that run stay what they are. An older or equal one changes nothing.
    pub fn new_epoch(&mut self, epoch: u64) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.events.push(Event::Epoch { epoch });
        }
    }

    fn act(&mut self, act: Act, reply: &mut BlockReply) {
        let stale = self.counts.stale;
        match act {
            Act::Assign(pairs) => {
                for (task, agent) in pairs {
                    match self.assign(task, agent) {
                        Ok(_) => reply.assigned += 1,
                        Err(_) => reply.unassigned += 1,
                    }
                }
            }
            Act::Complete { lease, digest, result } => match self.complete(lease, digest, result) {
                Completion::Committed => reply.committed += 1,
                Completion::Duplicate => reply.duplicate += 1,
                Completion::Stale | Completion::Cancelled => {}
            },
            Act::Fail { lease, hopeless, text } => {
                self.fail(lease, hopeless, &text);
            }
            Act::Expire(lease) => {
                self.expire(lease);
            }
            Act::Stopped(lease) => {
                self.stopped(lease);
            }
            Act::Suspect(whom) => self.suspect(whom),
            Act::Trust(whom) => self.trust(whom),
            Act::Down(whom) => self.down(whom),
            Act::Register { node, agents } => {
                // Refused where a bound is reached: the node announces them again.
                let _ = self.register(node, &agents);
            }
            Act::Unregister(agents) => {
                self.unregister(&agents);
            }
        }
        reply.stale += (self.counts.stale - stale) as u32;
    }

    fn pass(&mut self) {
        for _ in 0..AT_ONCE_MAX {
            let Some((due, task)) = self.timers.first().filter(|(due, _)| *due <= self.stamp) else { break };
            self.timers.pop();
            if self.tasks[task as usize].armed != due {
                // Left by an earlier attempt.
                continue;
            }
            self.task(task).armed = NEVER;
            if self.due(task) <= self.stamp {
                self.fire(task);
                self.propagate();
            } else {
                self.arm(task);
            }
        }
        self.queue.age(self.stamp, AT_ONCE_MAX);
        self.admit();
    }

    fn fire(&mut self, task: u32) {
        let late = self.past_deadline(task, self.stamp);
        match self.tasks[task as usize].state {
            State::Ready => {
                self.queue.remove(task);
                self.settle(task, State::Failed, if late { Why::Deadline } else { Why::QueueTimeout });
            }
            State::Leased => {
                self.counts.expired += 1;
                self.give_up(task, if late { Why::Deadline } else { Why::RunTimeout });
            }
            State::Cancelling => self.give_up(task, Why::Asked),
            State::BackingOff if late => self.settle(task, State::Failed, Why::Deadline),
            State::BackingOff => self.release(task),
            _ => {}
        }
    }

    /// The stamp at which something happens to a task if nothing happens before.
    pub(super) fn due(&self, task: u32) -> u64 {
        let timeouts = &self.graph.policy(TaskId(task)).timeouts;
        let now = &self.tasks[task as usize];
        let after = |start: u64, ms: Option<u64>| ms.map_or(NEVER, |ms| start.saturating_add(ms));
        let total = after(now.born, timeouts.total_ms);
        match now.state {
            State::Ready => after(now.since, timeouts.queue_ms).min(total),
            State::Leased => after(now.since, timeouts.run_ms).min(total),
            State::Cancelling => now.since.saturating_add(self.config.cancel_ms),
            State::BackingOff => now.since.min(total),
            _ => NEVER,
        }
    }

    /// Sees to it that the task is looked at when something is due.
    pub(super) fn arm(&mut self, task: u32) {
        let due = self.due(task);
        let now = self.task(task);
        // An earlier timer looks again.
        if due < now.armed {
            now.armed = due;
            self.timers.push(due, task);
        }
    }

    pub(super) fn past_deadline(&self, task: u32, at: u64) -> bool {
        let total = self.graph.policy(TaskId(task)).timeouts.total_ms;
        total.is_some_and(|ms| self.tasks[task as usize].born.saturating_add(ms) <= at)
    }
}
