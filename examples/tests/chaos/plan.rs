//! What will be done to the nodes, drawn from one number before it begins.

use crate::links::{Line, Way};
use crate::nodes::NODES;
use quorate::Rng;
use std::time::Duration;

/// Whom a blow hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Node(u64),
    /// Whoever leads by then.
    Leader,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Blow {
    /// `kill -9`; started again when it is over.
    Kill(Victim),
    /// All at once; started again one after another, so far apart.
    KillAll(Duration),
    /// SIGSTOP, and SIGCONT when it is over.
    Pause(Victim),
    /// These ways are as that.
    Links(Vec<Way>, Line),
    /// All ways to a node, from a node, or both.
    Isolate { victim: Victim, to: bool, from: bool, line: Line },
    /// It votes no more; and again when it is over.
    Remove(Victim),
    /// `kill -9`, and its disk is lost: it starts on an empty one at once, and when it is over it is to vote on that one.
    Wipe(Victim),
    /// No file may be written beyond this share of the journal's size; at 0 none at all.
    Fill { victim: Victim, share: f64 },
}

/// One blow: how long after the one before, and how long it lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Stroke {
    pub after: Duration,
    pub lasts: Duration,
    pub blow: Blow,
}

/// Kinds are dealt like cards, so that each comes once in so many blows.
pub const KINDS: [Kind; 9] = [
    Kind::Kill,
    Kind::KillAll,
    Kind::Pause,
    Kind::Pause,
    Kind::Split,
    Kind::Isolate,
    Kind::Fill,
    Kind::Remove,
    Kind::Wipe,
];

/// So many of them leave the voters as they are.
pub const UNCHANGED: usize = 7;

/// Who holds no state in this run: nobody, the last, or the last two.
pub fn witnesses(seed: u64) -> &'static [u64] {
    &NODES[NODES.len() - (seed % 3) as usize..]
}

#[derive(Clone, Copy)]
pub enum Kind {
    Kill,
    KillAll,
    Pause,
    Split,
    Isolate,
    Remove,
    Wipe,
    Fill,
}

/// The blows of a run of this length, of these kinds.
pub fn draw(seed: u64, length: Duration, kinds: &[Kind]) -> Vec<Stroke> {
    let mut rng = Rng::from_seed(seed);
    let (mut strokes, mut deck, mut at) = (Vec::new(), Vec::new(), Duration::ZERO);
    loop {
        if deck.is_empty() {
            deck = kinds.to_vec();
            rng.shuffle(&mut deck);
        }
        let after = millis(&mut rng, 100, 1_500);
        at += after;
        let Some(kind) = deck.pop().filter(|_| at < length) else { return strokes };
        let (blow, lasts) = one(&mut rng, kind);
        strokes.push(Stroke { after, lasts, blow });
    }
}

fn one(rng: &mut Rng, kind: Kind) -> (Blow, Duration) {
    match kind {
        Kind::Kill => (Blow::Kill(victim(rng)), millis(rng, 50, 4_000)),
        Kind::KillAll => (Blow::KillAll(millis(rng, 0, 300)), millis(rng, 50, 500)),
        Kind::Pause => (Blow::Pause(victim(rng)), millis(rng, 100, 3_000)),
        Kind::Split => {
            let mut nodes = NODES;
            rng.shuffle(&mut nodes);
            let (few, many) = nodes.split_at(1 + rng.index(2));
            let both = rng.chance(0.5);
            let across = few.iter().flat_map(|a| many.iter().map(move |b| (*a, *b)));
            let ways = across.flat_map(|(a, b)| [(a, b), (b, a)].into_iter().take(if both { 2 } else { 1 }));
            (Blow::Links(ways.collect(), line(rng)), millis(rng, 200, 4_000))
        }
        Kind::Isolate => {
            let to = rng.chance(0.6);
            let from = !to || rng.chance(0.5);
            (Blow::Isolate { victim: victim(rng), to, from, line: line(rng) }, millis(rng, 200, 4_000))
        }
        Kind::Remove => (Blow::Remove(victim(rng)), millis(rng, 50, 3_000)),
        Kind::Wipe => (Blow::Wipe(victim(rng)), millis(rng, 50, 3_000)),
        Kind::Fill => {
            let share = if rng.chance(0.5) { 0.0 } else { rng.unit() };
            (Blow::Fill { victim: victim(rng), share }, millis(rng, 1_000, 4_000))
        }
    }
}

fn victim(rng: &mut Rng) -> Victim {
    match rng.chance(0.4) {
        true => Victim::Leader,
        false => Victim::Node(NODES[rng.index(NODES.len())]),
    }
}

fn line(rng: &mut Rng) -> Line {
    match rng.index(5) {
        0 | 1 => Line::Still,
        2 | 3 => Line::Broken,
        _ => Line::Slow(millis(rng, 5, 200)),
    }
}

fn millis(rng: &mut Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(rng.within(from..to))
}

#[test]
fn the_same_seed_draws_the_same_blows_and_each_kind_within_half_a_minute() {
    let length = Duration::from_secs(30);
    let drawn = draw(7, length, &KINDS);
    assert_eq!(drawn, draw(7, length, &KINDS));
    assert_ne!(drawn, draw(8, length, &KINDS));
    let kinds: std::collections::BTreeSet<String> = drawn
        .iter()
        .map(|stroke| format!("{:?}", stroke.blow).split(['(', ' ']).next().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.len(), 8, "{kinds:?}");
}
