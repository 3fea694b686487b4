//! Ours: three nodes of the facade, their lanes called by the thread that asks.

use super::{Cluster, Command, State};
use quorate::raft::RaftHandle;
use quorate::{Applied, Corrupt, Node, NodeConfig, StateMachine, Ticket, journal, transport::Loopback};
use quorate_node::{Lane, Running, prepare};
use std::time::{Duration, Instant};

/// What is replicated: commands counted and added up.
#[derive(Default)]
pub(super) struct Sum(State);

impl StateMachine for Sum {
    type Command = Command;
    type Reply = u64;
    type Frozen = State;

    fn apply(&mut self, command: Command, _: Applied) -> u64 {
        self.0.apply(command)
    }
    fn freeze(&self) -> State {
        self.0
    }
    fn restore(frozen: State) -> Result<Sum, Corrupt> {
        Ok(Sum(frozen))
    }
}

/// Nodes on this thread. Lanes go first: a handle that is dropped waits for its lane.
struct Ours {
    lanes: Vec<Lane>,
    _running: Vec<Running>,
    handles: Vec<RaftHandle<Sum>>,
    leader: usize,
}

impl Ours {
    /// Until nothing is due, as the library's own driver does it: one look at the clock between turns.
    fn turn(&mut self) {
        let mut at = Instant::now();
        loop {
            let mut idle = true;
            for lane in &mut self.lanes {
                if lane.is_due(at) {
                    lane.turn(at);
                    let now = Instant::now();
                    lane.spent(now.saturating_duration_since(at));
                    (at, idle) = (now, false);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn wait<T>(&mut self, mut ticket: Ticket<T>) -> T {
        loop {
            self.turn();
            match ticket.try_take() {
                Ok(answer) => return answer.expect("it is answered"),
                Err(waits) => ticket = waits,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Makes it, with a leader.
pub fn make(nodes: u64) -> Box<dyn Cluster> {
    let network = Loopback::new();
    let ids: Vec<u64> = (1..=nodes).collect();
    let (mut lanes, mut running, mut handles) = (Vec::new(), Vec::new(), Vec::new());
    for id in &ids {
        let config = NodeConfig { seed: Some(*id), ..NodeConfig::memory() };
        let mut node = Node::builder(*id).found(ids.clone());
        handles.push(node.raft("sum", Sum::default()));
        let inbox = node.inbox();
        let transport = network.transport(node.id(), inbox.clone());
        let assembly = node.build().expect("the node can be");
        let (lane, run) =
            prepare(assembly, transport, inbox, journal::in_memory(), config).expect("it starts");
        lanes.push(lane);
        running.push(run);
    }
    let mut ours = Ours { lanes, _running: running, handles, leader: 0 };
    let leader = ours.handles[0].leader();
    let leader = ours.wait(leader);
    ours.leader = leader.0 as usize - 1;
    Box::new(ours)
}

impl Cluster for Ours {
    fn run(&mut self, clients: usize, commits: u64) {
        let handle = self.handles[self.leader].clone();
        let (mut asked, mut done) = (0, 0);
        let mut waiting = Vec::with_capacity(clients);
        while done < commits {
            while waiting.len() < clients && asked < commits {
                waiting.push(handle.propose(Command::number(asked)));
                asked += 1;
            }
            self.turn();
            for at in (0..waiting.len()).rev() {
                match waiting.swap_remove(at).try_take() {
                    Ok(reply) => {
                        reply.expect("it is committed");
                        done += 1;
                    }
                    Err(waits) => waiting.push(waits),
                }
            }
        }
    }

    fn states(&mut self) -> Vec<State> {
        let look = |ours: &mut Ours, at: usize| {
            let ticket = ours.handles[at].inspect(|sum| sum.0);
            ours.wait(ticket)
        };
        let expected = look(self, self.leader);
        let patience = Instant::now() + Duration::from_secs(1);
        let mut states = Vec::new();
        for at in 0..self.handles.len() {
            // Followers learn of the last commits a little later.
            let mut state = look(self, at);
            while state != expected && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(1));
                state = look(self, at);
            }
            states.push(state);
        }
        states
    }
}
