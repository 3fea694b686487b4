//! Frames into links, with a session and without. Nothing gets up that its sender did not send, and nothing twice;
//! what is remembered and what waits stays within the limits.

use crate::script::Script;
use bytes::Bytes;
use quorate_core::{
    Boot, Class, ClusterId, Frame, HEAD_BYTES, Identity, JournalId, Link, LinkLimits, NodeId, Received, Rng,
    ScopeId, Time, class_of,
};
use std::collections::BTreeSet;
use std::time::Duration;

const NODES: usize = 3;
const SCOPES: [ScopeId; 2] = [ScopeId(1), ScopeId(1 << 60)];
const STEPS_MAX: usize = 400;
/// Frames that are remembered, to be brought again.
const WIRE_MAX: usize = 100;

struct World {
    links: Vec<Link>,
    limits: LinkLimits,
    /// From whom, to whom, what.
    wire: Vec<(usize, usize, Bytes)>,
    /// Bodies that were sent and did not come up yet: from, to, which.
    sent: BTreeSet<(usize, usize, u64)>,
    /// Since hellos were forged, a list of scopes may be a forgery: nobody promises that it is not.
    forged: bool,
    now: Time,
    rng: Rng,
    number: u64,
    came_up: usize,
}

fn identity(node: usize, incarnation: u64) -> Identity {
    let boot = Boot { incarnation, journal: JournalId(node as u128 + 1) };
    Identity { cluster: ClusterId(7), node: id(node), boot, scopes: SCOPES.to_vec() }
}

fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

/// The body.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The body; how many messages came up.
pub fn play(bytes: &[u8]) -> usize {
    let mut script = Script::new(bytes);
    let limits = LinkLimits {
        peers_max: 2 + script.below(4),
        queued_frames_max: 1 + script.below(4),
        queued_bytes_max: 64,
        scopes_max: 4,
        answers_max: 4,
        ..LinkLimits::default()
    };
    let links = (0..NODES).map(|node| Link::new(identity(node, 1), limits.clone())).collect();
    let mut world = World {
        links,
        limits,
        wire: Vec::new(),
        sent: BTreeSet::new(),
        forged: false,
        now: Time(1),
        rng: Rng::from_seed(3),
        number: 0,
        came_up: 0,
    };
    for _ in 0..STEPS_MAX {
        if script.is_done() {
            break;
        }
        world.one(&mut script);
        world.check();
    }
    world.came_up
}

impl World {
    fn one(&mut self, script: &mut Script<'_>) {
        let op = script.below(12);
        let (at, other) = (script.below(NODES), script.below(NODES));
        match op {
            0..=2 => self.say(at, other, script.byte()),
            3..=5 => {
                // The next one on the wire arrives, or one from the middle, or from the end.
                let place = script.below(WIRE_MAX);
                if let Some((from, to, frame)) = self.nth(place) {
                    self.wire.remove(place % self.wire.len());
                    self.arrives(from, to, frame);
                }
            }
            6 => {
                // Twice, or at another door.
                if let Some((from, to, frame)) = self.nth(script.below(WIRE_MAX)) {
                    let (from, to) = if script.flag() { (at, other) } else { (from, to) };
                    self.arrives(from, to, frame);
                }
            }
            7 | 8 => {
                if let Some((from, to, frame)) = self.nth(script.below(WIRE_MAX)) {
                    self.arrives_bent(from, to, &frame, script, op == 8);
                }
            }
            9 => {
                let frame = Bytes::copy_from_slice(script.bytes());
                let _ = class_of(&frame);
                self.arrives(at, other, frame);
            }
            10 => self.now = self.now + Duration::from_millis(u64::from(script.byte()) * 4),
            _ => {
                // Another life, which knows nothing.
                self.links[at] = Link::new(identity(at, u64::from(script.byte())), self.limits.clone());
            }
        }
    }

    fn say(&mut self, from: usize, to: usize, kind: u8) {
        self.number += 1;
        let class = if kind & 1 == 1 { Class::Data } else { Class::Control };
        let scope = match kind >> 1 & 3 {
            0 | 1 => SCOPES[0],
            2 => SCOPES[1],
            _ => ScopeId(5),
        };
        let body = Bytes::from(self.number.to_le_bytes().repeat(1 + usize::from(kind >> 5)));
        // To a stranger as well, who never answers.
        let recipients = [id(to), NodeId(50 + u64::from(kind >> 4))];
        let mut out = Vec::new();
        self.links[from].send(&recipients, scope, class, &body, self.now, &mut self.rng, &mut out);
        self.sent.insert((from, to, self.number));
        self.leave(from, out);
    }

    fn leave(&mut self, from: usize, out: Vec<(NodeId, Frame)>) {
        // A hello, and what waited for it.
        assert!(out.len() <= 2 + self.limits.queued_frames_max, "{} frames at once", out.len());
        for (to, frame) in out {
            let to = (to.0 as usize).wrapping_sub(1);
            if to < NODES {
                self.wire.push((from, to, frame.to_bytes()));
            }
        }
        if self.wire.len() > WIRE_MAX {
            self.wire.drain(..self.wire.len() - WIRE_MAX);
        }
    }

    fn nth(&self, place: usize) -> Option<(usize, usize, Bytes)> {
        self.wire.get(place % self.wire.len().max(1)).cloned()
    }

    fn arrives_bent(&mut self, from: usize, to: usize, frame: &[u8], script: &mut Script<'_>, reseal: bool) {
        let mut bent = frame.to_vec();
        for _ in 0..=script.below(4) {
            let at = usize::from(script.byte()) % bent.len().max(1);
            match script.below(4) {
                0 => bent.truncate(at),
                1 => bent.extend_from_slice(script.bytes()),
                _ if bent.is_empty() => {}
                2 => bent[at] = script.byte(),
                _ => bent[at] ^= 1 << script.below(8),
            }
        }
        // Past the seal of a hello, which has no key, there is more. (One who reads the wire could do the same to
        // data; seals are no protection from that, and do not say so.)
        if reseal && bent.len() >= HEAD_BYTES && bent[1] == 1 {
            let seal = digest(&bent);
            bent[16..32].copy_from_slice(&seal.to_le_bytes());
            self.forged = true;
        } else if bent == frame {
            return;
        }
        self.arrives(from, to, Bytes::from(bent));
    }

    fn arrives(&mut self, from: usize, to: usize, frame: Bytes) {
        let mut out = Vec::new();
        match self.links[to].receive(id(from), frame, self.now, &mut self.rng, &mut out) {
            Received::Nothing => {}
            Received::Up { peer, .. } => assert_ne!(peer, id(to), "a session with itself"),
            Received::Message { from, scope, body, .. } => {
                let number =
                    body.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).expect("a body that was sent");
                let sender = from.0 as usize - 1;
                assert!(
                    self.sent.remove(&(sender, to, number)),
                    "{number} of {from} came twice, or to another"
                );
                assert!(body.len() % 8 == 0 && body.chunks(8).all(|part| part == &body[..8]), "a bent body");
                assert!(SCOPES.contains(&scope) || self.forged, "{scope} runs nowhere");
                self.came_up += 1;
            }
        }
        self.leave(to, out);
    }

    fn check(&self) {
        for link in &self.links {
            assert!(link.peers() <= self.limits.peers_max, "{} peers", link.peers());
            assert!(
                link.queued_bytes() <= self.limits.queued_bytes_max,
                "{} bytes wait",
                link.queued_bytes()
            );
        }
    }
}

/// The digest of a frame, written anew after its description: a twin of the link's.
pub fn digest(frame: &[u8]) -> u128 {
    let step = |sum: u64, block: &[u8]| {
        let half = |from: usize| (0..8).fold(0, |word, i| word | u64::from(block[from + i]) << (8 * i));
        let low = half(0) ^ 0x3c6e_f372_fe94_f82b ^ sum;
        let high = half(8) ^ 0xa54f_f53a_5f1d_36f1 ^ sum.rotate_left(32);
        let product = u128::from(low) * u128::from(high);
        (product % (1 << 64)) as u64 ^ (product / (1 << 64)) as u64 ^ sum.rotate_left(17)
    };
    let body = &frame[HEAD_BYTES..];
    let len = body.len();
    let mut sum = 0x6a09_e667_f3bc_c908 ^ len as u64;
    for block in body.chunks_exact(16) {
        sum = step(sum, block);
    }
    let mut halves = [[0; 8]; 2];
    match len {
        _ if len.is_multiple_of(16) => {}
        16.. => sum = step(sum, &body[len - 16..]),
        _ => {
            let half = if len >= 8 { 8 } else { 4 };
            if len >= half {
                halves[0][..half].copy_from_slice(&body[..half]);
                halves[1][..half].copy_from_slice(&body[len - half..]);
            } else {
                halves[0][0] = body[0];
                halves[1][..len - 1].copy_from_slice(&body[1..]);
            }
            sum = step(sum, &halves.concat());
        }
    }
    let sum = step(sum ^ 0xbb67_ae85_84ca_a73b, &frame[..16]);
    u128::from(sum) << 64 | u128::from(sum.rotate_left(23))
}
