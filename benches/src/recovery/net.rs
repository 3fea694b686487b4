//! The network, and what goes wrong in it.

use super::{PATIENCE_TIMEOUTS, TIMEOUT};
use quorate_core::{Rng, Time};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

/// Messages on their way: to whom, what.
pub type Sent<M> = Vec<(u64, M)>;

/// One replica; nodes are numbered from 1. Its disk takes no time.
pub trait Node {
    type Msg;
    fn new(id: u64, nodes: u64, rng: Rng) -> Self;
    /// All links are up.
    fn start(&mut self, now: Time, out: &mut Sent<Self::Msg>);
    fn receive(&mut self, from: u64, msg: Self::Msg, now: Time, out: &mut Sent<Self::Msg>);
    /// When its next timer is due.
    fn due(&self) -> Time;
    /// That time has come.
    fn fire(&mut self, now: Time, out: &mut Sent<Self::Msg>);
    /// Asks a leader for a command.
    fn propose(&mut self, command: u64, now: Time, out: &mut Sent<Self::Msg>);
    fn leads(&self) -> bool;
    /// The last command that it knows to be committed.
    fn committed(&self) -> u64;
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// The leader crashes; nothing but heartbeats was sent before.
    Crash,
    /// The leader crashes; it was asked for a command every millisecond.
    CrashUnderLoad,
    /// The leader can speak only to one follower, which can speak to all; the others to nobody else (Omni-Paxos, Ng et
    /// al. 2023, section 2: quorum-loss). Of three nodes the two would be a quorum.
    QuorumLoss,
    /// The leader is cut off, and only one follower can speak to the others, whose log is behind theirs (constrained
    /// election).
    Constrained,
    /// The leader and one follower cannot speak to one another, and both can to the others (chained): the longest time
    /// without a commit in twenty election timeouts.
    Chained,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scenario::Crash => "leader crashes, idle",
            Scenario::CrashUnderLoad => "leader crashes under load",
            Scenario::QuorumLoss => "quorum-loss",
            Scenario::Constrained => "constrained",
            Scenario::Chained => "chained, longest pause",
        })
    }
}

impl Scenario {
    /// All of them, with the number of nodes.
    pub fn all() -> impl Iterator<Item = (Scenario, u64)> {
        use Scenario::{Chained, Constrained, Crash, CrashUnderLoad, QuorumLoss};
        let both = [Crash, CrashUnderLoad, Chained].into_iter().flat_map(|one| [(one, 3), (one, 5)]);
        both.chain([(QuorumLoss, 5), (Constrained, 5)])
    }
}

struct Net<N: Node> {
    /// `None` once it crashed.
    nodes: Vec<Option<N>>,
    now: Time,
    rng: Rng,
    /// When, in which order, from, to.
    wire: BinaryHeap<Reverse<(Time, u64, u64, u64)>>,
    messages: BTreeMap<u64, N::Msg>,
    sent: u64,
    /// Unordered pairs that cannot speak.
    cut: Vec<(u64, u64)>,
    /// When the last message of a directed link arrives.
    last: BTreeMap<(u64, u64), Time>,
    next: u64,
    /// The command that each leader was asked for last.
    asked: Vec<u64>,
    /// When commands that were asked for after the loss were committed.
    commits: Vec<Time>,
    lost_at: Option<(Time, u64)>,
}

impl<N: Node> Net<N> {
    fn new(nodes: u64, seed: u64) -> Net<N> {
        let mut rng = Rng::from_seed(seed);
        let mut net = Net {
            nodes: (1..=nodes).map(|id| Some(N::new(id, nodes, rng.fork()))).collect(),
            now: Time(1),
            rng,
            wire: BinaryHeap::new(),
            messages: BTreeMap::new(),
            sent: 0,
            cut: Vec::new(),
            last: BTreeMap::new(),
            next: 1,
            asked: vec![0; nodes as usize],
            commits: Vec::new(),
            lost_at: None,
        };
        for id in 1..=nodes {
            net.with(id, |node, now, out| node.start(now, out));
        }
        net
    }

    fn with(&mut self, id: u64, act: impl FnOnce(&mut N, Time, &mut Sent<N::Msg>)) {
        let Some(node) = &mut self.nodes[id as usize - 1] else { return };
        let mut out = Vec::new();
        act(node, self.now, &mut out);
        let (committed, asked) = (node.committed(), self.asked[id as usize - 1]);
        if self.lost_at.is_some_and(|(_, first)| asked >= first) && committed == asked {
            self.asked[id as usize - 1] = 0;
            self.commits.push(self.now);
        }
        for (to, msg) in out {
            if self.cut.contains(&(id.min(to), id.max(to))) {
                continue;
            }
            let delay = Duration::from_nanos(self.rng.within(500_000..2_000_000));
            let last = self.last.entry((id, to)).or_default();
            *last = (*last).max(self.now + delay);
            self.wire.push(Reverse((*last, self.sent, id, to)));
            self.messages.insert(self.sent, msg);
            self.sent += 1;
        }
    }

    /// Until then.
    fn run_to(&mut self, end: Time, done: impl Fn(&Net<N>) -> bool) {
        while !done(self) {
            let timers = self.nodes.iter().zip(1..).filter_map(|(node, id)| Some((node.as_ref()?.due(), id)));
            let (due, id) = timers.min().unwrap_or((Time::NEVER, 0));
            let arrives = self.wire.peek().map_or(Time::NEVER, |Reverse((at, ..))| *at);
            if due.min(arrives) > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(due.min(arrives));
            if due <= arrives {
                self.with(id, |node, now, out| node.fire(now, out));
            } else if let Some(Reverse((_, number, from, to))) = self.wire.pop()
                && let Some(msg) = self.messages.remove(&number)
                && !self.cut.contains(&(from.min(to), from.max(to)))
            {
                self.with(to, |node, now, out| node.receive(from, msg, now, out));
            }
            if self.lost_at.is_some() {
                self.ask_leaders();
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        self.run_to(self.now + time, |_| false);
    }

    fn leaders(&self) -> Vec<u64> {
        let up = self.nodes.iter().zip(1..).filter_map(|(node, id)| Some((node.as_ref()?, id)));
        up.filter(|(node, _)| node.leads()).map(|(_, id)| id).collect()
    }

    /// Each leader has one command to commit after the other.
    fn ask_leaders(&mut self) {
        for at in 0..self.nodes.len() {
            let leads = self.nodes[at].as_ref().is_some_and(Node::leads);
            match self.asked[at] {
                0 if leads => self.ask(at as u64 + 1),
                1.. if !leads => self.asked[at] = 0,
                _ => {}
            }
        }
    }

    fn ask(&mut self, id: u64) {
        let command = self.next;
        self.next += 1;
        self.asked[id as usize - 1] = command;
        self.with(id, |node, now, out| node.propose(command, now, out));
    }

    fn isolate(&mut self, id: u64, but: &[u64]) {
        let others = (1..=self.nodes.len() as u64).filter(|other| *other != id && !but.contains(other));
        self.cut.extend(others.map(|other| (id.min(other), id.max(other))));
    }

    /// Only these pairs can speak.
    fn keep(&mut self, pairs: &[(u64, u64)]) {
        self.cut.clear();
        for b in 1..=self.nodes.len() as u64 {
            self.cut.extend(
                (1..b)
                    .map(|a| (a, b))
                    .filter(|(a, b)| !pairs.contains(&(*a, *b)) && !pairs.contains(&(*b, *a))),
            );
        }
    }
}

/// How long until the first commit after the loss, or the longest pause; `None` if there is none.
pub fn run<N: Node>(scenario: Scenario, nodes: u64, seed: u64) -> Option<Duration> {
    let mut net: Net<N> = Net::new(nodes, seed);
    net.run_to(Time(60_000_000_000), |net| net.leaders().len() == 1);
    // All have heard of it, and it is lost somewhere between two heartbeats.
    let settled = Duration::from_millis(300 + net.rng.within(0..50))
        + Duration::from_nanos(net.rng.within(0..1_000_000));
    net.run_for(settled);
    let [leader] = net.leaders()[..] else { panic!("a steady cluster has one leader") };
    let hub = leader % nodes + 1;
    for ms in 0..if scenario == Scenario::Crash { 0 } else { 60 } {
        // Its log is to end before the others'.
        if scenario == Scenario::Constrained && ms == 40 {
            net.isolate(hub, &[]);
        }
        net.ask(leader);
        net.run_for(Duration::from_millis(1));
    }
    let others: Vec<u64> = (1..=nodes).filter(|id| *id != leader && *id != hub).collect();
    let from_hub = others.iter().map(|other| (hub, *other));
    match scenario {
        Scenario::Crash | Scenario::CrashUnderLoad => net.nodes[leader as usize - 1] = None,
        Scenario::QuorumLoss => net.keep(&from_hub.chain([(hub, leader)]).collect::<Vec<_>>()),
        Scenario::Constrained => net.keep(&from_hub.collect::<Vec<_>>()),
        Scenario::Chained => net.cut.push((leader.min(hub), leader.max(hub))),
    }
    net.lost_at = Some((net.now, net.next));
    net.asked.fill(0);
    let lost = net.now;
    if scenario != Scenario::Chained {
        net.run_to(lost + TIMEOUT * PATIENCE_TIMEOUTS, |net| !net.commits.is_empty());
        return net.commits.first().map(|at| at.since(lost));
    }
    net.ask_leaders();
    let end = lost + TIMEOUT * 20;
    net.run_to(end, |_| false);
    let times: Vec<Time> = [lost].into_iter().chain(net.commits.iter().copied()).chain([end]).collect();
    times.windows(2).map(|pair| pair[1].since(pair[0])).max()
}
