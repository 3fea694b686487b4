//! Two links over a pipe that loses, doubles, reorders, damages, and repeats what it carried minutes and lives ago, while
//! both sides crash and come back. Whatever happened: nothing arrives twice, nothing arrives in a life that it
//! was not sealed for, and once the pipe is calm the two find each other again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests may fail them.

use bytes::Bytes;
use quorate_core::{
    Boot, Class, ClusterId, Frame, Identity, JournalId, Link, LinkLimits, NodeId, Received, Rng, ScopeId,
    Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MS: u64 = 1_000_000;

fn shared() -> ScopeId {
    ScopeId::new("echo", "both", 0)
}

/// A side has scopes of its own besides the shared one, others in each life, so that places in the list differ.
fn scopes(life: u64) -> Vec<ScopeId> {
    let mut scopes = vec![shared()];
    scopes.extend((0..life % 5).map(|i| ScopeId::new("own", "x", (life * 10 + i) as u32)));
    scopes.sort();
    scopes
}

fn boot(node: u64, life: u64) -> Boot {
    Boot { incarnation: life, journal: JournalId(u128::from(node)) }
}

fn link(node: u64, life: u64, limits: &LinkLimits) -> Link {
    let me = Identity {
        cluster: ClusterId(7),
        node: NodeId(node),
        boot: boot(node, life),
        scopes: scopes(life + node),
    };
    Link::new(me, limits.clone())
}

struct Side {
    link: Link,
    life: u64,
}

struct Pipe {
    rng: Rng,
    now: Time,
    limits: LinkLimits,
    sides: [Side; 2],
    flying: Vec<(usize, Bytes)>,
    archive: Vec<(usize, Bytes)>,
    /// What each message was sealed by and for: sender's life, receiver's life.
    sealed: BTreeMap<u64, (Boot, Boot)>,
    delivered: BTreeSet<u64>,
    next: u64,
    up: [u64; 2],
    replays: u64,
}

impl Pipe {
    fn new(seed: u64, limits: LinkLimits) -> Pipe {
        let side = |node| Side { link: link(node, 1, &limits), life: 1 };
        Pipe {
            rng: Rng::from_seed(seed),
            now: Time(MS),
            sides: [side(1), side(2)],
            limits,
            flying: Vec::new(),
            archive: Vec::new(),
            sealed: BTreeMap::new(),
            delivered: BTreeSet::new(),
            next: 0,
            up: [0; 2],
            replays: 0,
        }
    }

    fn id(side: usize) -> NodeId {
        NodeId(side as u64 + 1)
    }

    fn launch(&mut self, from: usize, out: Vec<(NodeId, Frame)>) {
        let to = 1 - from;
        for (id, frame) in out {
            if id != Self::id(to) {
                continue; // to a stranger
            }
            let whole = frame.to_bytes();
            if whole[1] == 2 {
                let number = u64::from_le_bytes(whole[32..40].try_into().unwrap());
                let mine = boot(from as u64 + 1, self.sides[from].life);
                let theirs = self.sides[from].link.peer(id).expect("sealed without a session");
                let before = self.sealed.insert(number, (mine, theirs));
                assert_eq!(before, None, "one message was sealed twice");
            }
            self.flying.push((to, whole.clone()));
            self.archive.push((to, whole));
        }
    }

    fn send(&mut self, from: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        let class = if self.rng.chance(0.5) { Class::Control } else { Class::Data };
        let body = Bytes::copy_from_slice(&number.to_le_bytes());
        let mut out = Vec::new();
        let to = [Self::id(1 - from)];
        self.sides[from].link.send(&to, shared(), class, &body, self.now, &mut self.rng, &mut out);
        self.launch(from, out);
        number
    }

    fn deliver(&mut self, to: usize, frame: Bytes) {
        let mut out = Vec::new();
        let from = Self::id(1 - to);
        let received = self.sides[to].link.receive(from, frame, self.now, &mut self.rng, &mut out);
        self.launch(to, out);
        match received {
            Received::Nothing => {}
            Received::Up { peer, boot } => {
                assert_eq!(self.sides[to].link.peer(peer), Some(boot));
                self.up[to] += u64::from(peer == from);
            }
            Received::Message { from: who, scope, body, .. } => {
                assert_eq!((who, scope), (from, shared()), "led astray");
                let number = u64::from_le_bytes(body[..].try_into().unwrap());
                assert!(self.delivered.insert(number), "message {number} came twice");
                let (by, for_whom) = self.sealed[&number];
                assert_eq!(for_whom, boot(to as u64 + 1, self.sides[to].life), "for another life");
                assert_eq!(Some(by), self.sides[to].link.peer(from), "by another life than the session's");
            }
        }
    }

    /// One frame in twenty has a bit flipped on its way.
    fn damaged(&mut self, frame: Bytes) -> Bytes {
        if !self.rng.chance(0.05) {
            return frame;
        }
        let mut bytes = frame.to_vec();
        let at = self.rng.index(bytes.len());
        bytes[at] ^= 1 << self.rng.index(8);
        Bytes::from(bytes)
    }

    fn restart(&mut self, side: usize) {
        let life = self.sides[side].life + 1;
        self.sides[side] = Side { link: link(side as u64 + 1, life, &self.limits), life };
    }

    /// A stranger whose hello makes a small table forget somebody.
    fn stranger(&mut self, to: usize) {
        let id = 100 + self.rng.within(0..5);
        let mut stranger = link(id, 1, &self.limits);
        let mut out = Vec::new();
        let body = Bytes::from_static(b"hi");
        stranger.send(&[Self::id(to)], shared(), Class::Control, &body, self.now, &mut self.rng, &mut out);
        for (_, frame) in out {
            self.deliver(to, frame.to_bytes());
        }
    }

    fn storm(&mut self, steps: usize, strangers: bool) {
        let lossy = self.rng.unit() * 0.5;
        let restarts = if self.rng.chance(0.5) { 0.02 } else { 0.002 };
        for _ in 0..steps {
            self.now = self.now + Duration::from_nanos(self.rng.within(0..20 * MS));
            if self.rng.chance(0.001) {
                self.now = self.now + Duration::from_secs(300);
            }
            let side = self.rng.index(2);
            if self.rng.chance(restarts) {
                self.restart(side);
            }
            if self.rng.chance(0.4) {
                self.send(side);
            }
            if strangers && self.rng.chance(0.05) {
                self.stranger(side);
            }
            for _ in 0..self.rng.within(0..4) {
                if self.flying.is_empty() {
                    break;
                }
                let (to, frame) = self.flying.swap_remove(self.rng.index(self.flying.len()));
                if self.rng.chance(lossy) {
                    continue;
                }
                if self.rng.chance(0.2) {
                    self.flying.push((to, frame.clone()));
                }
                let frame = self.damaged(frame);
                self.deliver(to, frame);
            }
            if self.rng.chance(0.2) && !self.archive.is_empty() {
                let (to, frame) = self.archive[self.rng.index(self.archive.len())].clone();
                self.replays += 1;
                self.deliver(to, frame);
            }
        }
    }

    /// Delivers everything that flies, in order, and what it gives rise to.
    fn settle(&mut self) {
        let mut steps = 0;
        while !self.flying.is_empty() {
            let (to, frame) = self.flying.remove(0);
            self.deliver(to, frame);
            steps += 1;
            assert!(steps < 100_000, "the two talk for ever");
        }
    }

    fn calm(&mut self) {
        self.settle();
        // A hello may be held back for the longest interval and its jitter; each round gives it time.
        for _ in 0..4 {
            self.now = self.now + self.limits.hello_interval_max * 2;
            self.send(0);
            self.send(1);
            self.settle();
        }
        for side in 0..2 {
            let other = boot(2 - side as u64, self.sides[1 - side].life);
            assert_eq!(self.sides[side].link.peer(Self::id(1 - side)), Some(other), "side {side} is lost");
        }
        for _ in 0..20 {
            for side in 0..2 {
                let number = self.send(side);
                self.settle();
                assert!(self.delivered.contains(&number), "lost on a calm pipe, from side {side}");
            }
        }
    }
}

fn run(seed: u64, limits: LinkLimits, strangers: bool) -> Pipe {
    let mut pipe = Pipe::new(seed, limits);
    for _ in 0..4 {
        pipe.storm(400, strangers);
        pipe.calm();
    }
    pipe
}

#[test]
fn after_any_storm_the_two_find_each_other_and_nothing_came_twice_or_to_another_life() {
    let (mut delivered, mut sessions, mut replays) = (0, 0, 0);
    for seed in 0..300 {
        println!("seed {seed}");
        let pipe = run(seed, LinkLimits::default(), false);
        delivered += pipe.delivered.len();
        sessions += pipe.up.iter().sum::<u64>();
        replays += pipe.replays;
    }
    // The storm was one, and still something got through.
    assert!(delivered > 50_000 && sessions > 3_000 && replays > 50_000, "{delivered} {sessions} {replays}");
}

#[test]
fn a_table_so_small_that_strangers_displace_peers_only_costs_handshakes() {
    for seed in 1000..1100 {
        println!("seed {seed}");
        run(seed, LinkLimits { peers_max: 2, ..LinkLimits::default() }, true);
        run(seed, LinkLimits { peers_max: 1, ..LinkLimits::default() }, true);
    }
}

#[test]
fn replays_on_a_calm_pipe_do_not_end_the_session() {
    for seed in 2000..2100 {
        println!("seed {seed}");
        let mut pipe = run(seed, LinkLimits::default(), false);
        let up = pipe.up;
        let old = pipe.archive.clone();
        for (i, (to, frame)) in old.into_iter().enumerate() {
            pipe.now = pipe.now + Duration::from_millis(7);
            pipe.deliver(to, frame);
            pipe.settle();
            if i % 10 == 0 {
                let number = pipe.send(i % 2);
                pipe.settle();
                assert!(pipe.delivered.contains(&number), "a replay cost a message");
            }
        }
        assert_eq!(pipe.up, up, "a replay replaced a session");
    }
}

#[test]
fn a_peer_that_restarted_is_back_with_the_first_frame_sent_to_it() {
    let mut pipe = Pipe::new(1, LinkLimits::default());
    pipe.calm();
    pipe.now = pipe.now + Duration::from_secs(10);
    pipe.restart(1);
    let lost = pipe.send(0);
    pipe.settle();
    assert!(!pipe.delivered.contains(&lost), "sealed for the life before");
    assert_eq!(pipe.sides[0].link.peer(NodeId(2)), Some(boot(2, 2)), "without a single wait");
    let next = pipe.send(0);
    pipe.settle();
    assert!(pipe.delivered.contains(&next));
}

#[test]
fn a_first_frame_arrives_after_three_hellos() {
    let mut pipe = Pipe::new(3, LinkLimits::default());
    let first = pipe.send(0);
    pipe.settle();
    assert!(pipe.delivered.contains(&first));
    let hellos = pipe.archive.iter().filter(|(_, frame)| frame[1] == 1).count();
    assert_eq!(hellos, 4, "question, answer, answer, and the last one that closes it");
    assert_eq!(pipe.up, [1, 1]);
}

// The one that has the session alone would take an offer for an agreement; and what it asks is lost with every frame.
#[test]
fn half_a_session_is_made_whole_by_frames_of_one_side_alone() {
    for lost in 0..8 {
        let mut pipe = Pipe::new(4 + lost as u64, LinkLimits::default());
        pipe.send(0);
        pipe.settle();
        // Both begin anew, and of the frames of that one is lost: either side may be left with a session of its own.
        pipe.restart(1);
        pipe.send(1);
        for at in 0.. {
            if pipe.flying.is_empty() {
                break;
            }
            let (to, frame) = pipe.flying.remove(0);
            if at != lost {
                pipe.deliver(to, frame);
            }
        }
        for speaker in [0, 1] {
            let last: Vec<u64> = (0..5)
                .map(|_| {
                    pipe.now = pipe.now + Duration::from_secs(2);
                    let number = pipe.send(speaker);
                    pipe.settle();
                    number
                })
                .collect();
            assert!(pipe.delivered.contains(&last[4]), "{speaker} speaks alone, frame {lost} was lost");
        }
    }
}
