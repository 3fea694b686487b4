//! What a link does with bytes that no friend sent, and that it stays within its bounds whatever comes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests may fail them.

use bytes::Bytes;
use quorate_core::{
    Boot, Class, ClusterId, Frame, Identity, JournalId, Link, LinkCounters, LinkLimits, NodeId, Received,
    Rng, ScopeId, Time,
};
use std::time::Duration;

const ME: NodeId = NodeId(1);
const YOU: NodeId = NodeId(2);
type Out = Vec<(NodeId, Frame)>;

fn scope() -> ScopeId {
    ScopeId::new("raft", "work", 0)
}

fn identity(node: NodeId) -> Identity {
    let boot = Boot { incarnation: 1, journal: JournalId(u128::from(node.0)) };
    Identity { cluster: ClusterId(7), node, boot, scopes: vec![scope()] }
}

fn link(node: NodeId) -> Link {
    Link::new(identity(node), LinkLimits::default())
}

/// Carries frames to and fro until none is left; what came up, in order.
fn settle(links: &mut [&mut Link; 2], mut out: Out, now: Time, rng: &mut Rng) -> Vec<Received> {
    let mut all = Vec::new();
    while !out.is_empty() {
        let (to, frame) = out.remove(0);
        let from = if to == ME { YOU } else { ME };
        let at = usize::from(to == YOU);
        all.push(links[at].receive(from, frame.to_bytes(), now, rng, &mut out));
    }
    all.retain(|received| *received != Received::Nothing);
    all
}

fn say(link: &mut Link, to: NodeId, class: Class, body: &'static [u8], now: Time, rng: &mut Rng) -> Out {
    let mut out = Vec::new();
    link.send(&[to], scope(), class, &Bytes::from_static(body), now, rng, &mut out);
    out
}

fn pair(rng: &mut Rng) -> (Link, Link) {
    let (mut me, mut you) = (link(ME), link(YOU));
    let out = say(&mut me, YOU, Class::Control, b"hello", Time(1), rng);
    settle(&mut [&mut me, &mut you], out, Time(1), rng);
    assert!(me.peer(YOU).is_some() && you.peer(ME).is_some());
    (me, you)
}

/// The first hello of a node that is `me`, to the node `to`.
fn hello_of(me: Identity, to: NodeId, rng: &mut Rng) -> Bytes {
    let mut out = Vec::new();
    let scope = me.scopes[0];
    Link::new(me, LinkLimits::default()).send(
        &[to],
        scope,
        Class::Control,
        &Bytes::new(),
        Time(1),
        rng,
        &mut out,
    );
    out.remove(0).1.to_bytes()
}

/// The digest of a frame, written anew after its description: a twin of the link's.
fn digest(frame: &[u8]) -> u128 {
    let step = |sum: u64, block: &[u8]| {
        let half = |from: usize| (0..8).fold(0, |word, i| word | u64::from(block[from + i]) << (8 * i));
        let low = half(0) ^ 0x3c6e_f372_fe94_f82b ^ sum;
        let high = half(8) ^ 0xa54f_f53a_5f1d_36f1 ^ sum.rotate_left(32);
        let product = u128::from(low) * u128::from(high);
        (product % (1 << 64)) as u64 ^ (product / (1 << 64)) as u64 ^ sum.rotate_left(17)
    };
    let body = &frame[32..];
    let len = body.len();
    let mut sum = 0x6a09_e667_f3bc_c908 ^ len as u64;
    for block in body.chunks_exact(16) {
        sum = step(sum, block);
    }
    // What is left: the last 16, or halves of 8 or of 4 bytes from both ends, or one byte and two.
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

/// What a frame that was changed would be if its sender had made it so.
fn resealed(original: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let key = u128::from_le_bytes(*original[16..].first_chunk().unwrap()) ^ digest(original);
    let mut frame = original.to_vec();
    change(&mut frame);
    let seal = key ^ digest(&frame);
    frame[16..32].copy_from_slice(&seal.to_le_bytes());
    Bytes::from(frame)
}

#[test]
fn no_flipped_bit_and_no_cut_is_taken() {
    let mut rng = Rng::from_seed(12);
    let (mut me, mut you) = pair(&mut rng);
    let frame =
        say(&mut you, ME, Class::Data, b"a body of some length", Time(2), &mut rng).remove(0).1.to_bytes();
    let hello = hello_of(identity(YOU), ME, &mut rng);
    for (frame, kept) in [(frame, 1), (hello, 0)] {
        let before = me.counters();
        for bit in 0..frame.len() * 8 {
            let mut changed = frame.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let received = me.receive(YOU, Bytes::from(changed), Time(2), &mut rng, &mut Vec::new());
            assert_eq!(received, Received::Nothing, "bit {bit}");
        }
        for cut in 0..frame.len() {
            let received = me.receive(YOU, frame.slice(..cut), Time(2), &mut rng, &mut Vec::new());
            assert_eq!(received, Received::Nothing, "cut at {cut}");
        }
        let counted = |c: LinkCounters| c.malformed + c.other_version + c.unsealed;
        assert_eq!(counted(me.counters()) - counted(before), frame.len() as u64 * 9);
        let received = me.receive(YOU, frame, Time(2), &mut rng, &mut Vec::new());
        assert_eq!(usize::from(received != Received::Nothing), kept, "the whole one goes on");
    }
    assert!(me.peer(YOU).is_some());
}

#[test]
fn a_hello_that_is_not_for_us_is_refused_under_its_own_name_and_changes_nothing() {
    let mut rng = Rng::from_seed(1);
    let good = identity(YOU);
    let good_frame = hello_of(good.clone(), ME, &mut rng);
    let domain = good_frame.windows(7).position(|w| w == b"quorate").unwrap();
    let edit = |at: usize, to: u8| resealed(&good_frame, |frame| frame[at] = to);
    // Behind the eight bytes of the domain come one of cluster, two of versions, one each of from and to.
    let many = (0..LinkLimits::default().scopes_max as u64 + 1).map(ScopeId).collect();
    type Counter = fn(&LinkCounters) -> u64;
    let cases: Vec<(&str, Bytes, Counter)> = vec![
        ("another protocol", edit(domain, b'Q'), |c| c.other_domain),
        (
            "another cluster",
            hello_of(Identity { cluster: ClusterId(8), ..good.clone() }, ME, &mut rng),
            |c| c.other_cluster,
        ),
        ("another addressee", hello_of(good.clone(), NodeId(3), &mut rng), |c| c.other_node),
        ("our own name", edit(domain + 11, ME.0 as u8), |c| c.other_node),
        ("too many scopes", hello_of(Identity { scopes: many, ..good.clone() }, ME, &mut rng), |c| {
            c.too_many_scopes
        }),
        ("a head of the future", edit(0, 2), |c| c.other_version),
        ("a hello of the future", edit(32, 2), |c| c.other_version),
        ("no version in common", edit(domain + 9, 9), |c| c.other_version),
        ("a flag in a hello", edit(2, 1), |c| c.malformed),
        ("a kind of no meaning", edit(1, 3), |c| c.malformed),
        ("a rest", resealed(&good_frame, |frame| frame.push(0)), |c| c.malformed),
        ("a cut", resealed(&good_frame, |frame| frame.truncate(frame.len() - 1)), |c| c.malformed),
        ("damage", good_frame.slice(..good_frame.len() - 1), |c| c.malformed),
        ("a head only", good_frame.slice(..32), |c| c.malformed),
        ("less than a head", good_frame.slice(..31), |c| c.malformed),
        ("nothing", Bytes::new(), |c| c.malformed),
    ];
    for (what, frame, counter) in cases {
        let mut me = link(ME);
        let mut out = Vec::new();
        let received = me.receive(YOU, frame, Time(1), &mut rng, &mut out);
        assert_eq!((received, counter(&me.counters())), (Received::Nothing, 1), "{what}");
        assert_eq!((out.len(), me.peers()), (0, 0), "{what}");
    }
    let (mut me, mut out) = (link(ME), Vec::new());
    me.receive(YOU, good_frame, Time(1), &mut rng, &mut out);
    assert_eq!((out.len(), me.peers()), (1, 1), "the good one is answered");
}

#[test]
fn scopes_out_of_order_or_doubled_are_refused() {
    let mut rng = Rng::from_seed(1);
    let two = Identity { scopes: vec![ScopeId(1), ScopeId(1 << 60)], ..identity(YOU) };
    let frame = hello_of(two, ME, &mut rng);
    for (first, second) in [(2u64, 1u64), (5, 5)] {
        let bytes = resealed(&frame, |bytes| {
            let at = bytes.len() - 16;
            bytes[at..at + 8].copy_from_slice(&first.to_le_bytes());
            bytes[at + 8..].copy_from_slice(&second.to_le_bytes());
        });
        let mut me = link(ME);
        me.receive(YOU, bytes, Time(1), &mut rng, &mut Vec::new());
        assert_eq!((me.counters().malformed, me.peers()), (1, 0));
    }
}

#[test]
fn an_answer_to_what_was_never_asked_brings_up_nothing() {
    let mut rng = Rng::from_seed(9);
    // Two lives of one node; the answer to the first reaches the second.
    let (mut first, mut second, mut you) = (link(ME), link(ME), link(YOU));
    let question = say(&mut first, YOU, Class::Control, b"x", Time(1), &mut rng).remove(0).1;
    let mut answer = Vec::new();
    you.receive(ME, question.to_bytes(), Time(1), &mut rng, &mut answer);
    say(&mut second, YOU, Class::Control, b"x", Time(1), &mut rng);
    let mut out = Vec::new();
    let received = second.receive(YOU, answer.remove(0).1.to_bytes(), Time(1), &mut rng, &mut out);
    assert_eq!((received, second.peer(YOU), out.len()), (Received::Nothing, None, 0));
    assert_eq!(second.counters().hellos_stale, 1);
}

#[test]
fn who_sent_a_frame_is_said_by_its_session_and_an_answer_goes_to_whom_a_hello_names() {
    let mut rng = Rng::from_seed(2);
    let (mut me, mut you) = pair(&mut rng);
    let frame = say(&mut you, ME, Class::Control, b"m", Time(2), &mut rng).remove(0).1.to_bytes();
    let received = me.receive(NodeId(66), frame, Time(2), &mut rng, &mut Vec::new());
    assert!(matches!(received, Received::Message { from: YOU, .. }));

    let mut out = Vec::new();
    let hello = hello_of(identity(NodeId(5)), ME, &mut rng);
    me.receive(NodeId(66), hello, Time(2), &mut rng, &mut out);
    assert_eq!(out.remove(0).0, NodeId(5));
}

#[test]
fn a_frame_comes_once_and_one_behind_the_window_not_at_all() {
    let mut rng = Rng::from_seed(3);
    let (mut me, mut you) = pair(&mut rng);
    let frames: Vec<Bytes> = (0..1200)
        .map(|_| say(&mut you, ME, Class::Data, b"d", Time(2), &mut rng).remove(0).1.to_bytes())
        .collect();
    let mut take = |at: usize| {
        me.receive(YOU, frames[at].clone(), Time(2), &mut rng, &mut Vec::new()) != Received::Nothing
    };
    assert!(take(1199) && take(700) && take(176), "gaps and disorder are fine");
    assert!(!take(700) && !take(175), "twice, and too old");
    let counters = me.counters();
    assert_eq!((counters.replayed, counters.too_old), (1, 1));
}

#[test]
fn a_scope_that_one_side_does_not_run_is_not_sent_and_not_taken() {
    let mut rng = Rng::from_seed(4);
    let other = ScopeId::new("swim", "members", 0);
    let mut me = Link::new(Identity { scopes: vec![scope(), other], ..identity(ME) }, LinkLimits::default());
    let mut you = link(YOU);
    let out = say(&mut me, YOU, Class::Control, b"x", Time(1), &mut rng);
    settle(&mut [&mut me, &mut you], out, Time(1), &mut rng);
    let mut out = Vec::new();
    me.send(&[YOU], other, Class::Control, &Bytes::new(), Time(1), &mut rng, &mut out);
    me.send(&[YOU], ScopeId(1), Class::Control, &Bytes::new(), Time(1), &mut rng, &mut out);
    assert_eq!((out.len(), me.counters().scope_not_there), (0, 2));
    assert_eq!(me.scopes(YOU), [scope()]);

    let good = say(&mut me, YOU, Class::Control, b"x", Time(1), &mut rng).remove(0).1.to_bytes();
    for (place, sequence) in [(2u32, 7u64), (u32::MAX, 8)] {
        let frame = resealed(&good, |frame| {
            frame[4..8].copy_from_slice(&place.to_le_bytes());
            frame[8..16].copy_from_slice(&sequence.to_le_bytes());
        });
        you.receive(ME, frame, Time(1), &mut rng, &mut Vec::new());
    }
    assert_eq!(you.counters().unknown_scope, 2);
}

#[test]
fn what_waits_for_a_handshake_is_bounded_and_control_leaves_first() {
    let mut rng = Rng::from_seed(5);
    let limits = LinkLimits { queued_frames_max: 4, queued_bytes_max: 10, ..LinkLimits::default() };
    let (mut me, mut you) = (Link::new(identity(ME), limits), link(YOU));
    let mut hellos = Vec::new();
    let sent: [(Class, &'static [u8]); 9] = [
        (Class::Data, b"d1"),
        (Class::Data, b"d2"),
        (Class::Control, b"c1"),
        (Class::Data, b"d3"),
        (Class::Data, b"d4"),         // d1 goes: four frames
        (Class::Control, b"c2"),      // d2 goes
        (Class::Control, b"c3-long"), // d3, d4 and c1 go: ten bytes
        (Class::Data, b"d5-long"),    // goes itself
        (Class::Data, b"d"),
    ];
    for (class, body) in sent {
        hellos.extend(say(&mut me, YOU, class, body, Time(1), &mut rng));
        assert!(me.queued_bytes() <= 10);
    }
    assert_eq!(hellos.len(), 1, "one question, whatever waits");
    let up = settle(&mut [&mut me, &mut you], hellos, Time(1), &mut rng);
    let bodies: Vec<Bytes> = up
        .into_iter()
        .filter_map(|received| match received {
            Received::Message { body, .. } => Some(body),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, ["c2", "c3-long", "d"]);
    let counters = me.counters();
    assert_eq!((counters.dropped_control, counters.dropped_data, me.queued_bytes()), (1, 5, 0));
}

#[test]
fn an_absent_peer_is_asked_ever_more_rarely_and_at_once_when_it_is_heard() {
    let mut rng = Rng::from_seed(6);
    let limits = LinkLimits::default();
    let mut me = link(ME);
    let (mut asked, mut now) = (Vec::new(), Time(1));
    for _ in 0..100_000 {
        now = now + Duration::from_millis(1);
        if !say(&mut me, YOU, Class::Control, b"x", now, &mut rng).is_empty() {
            asked.push(now);
        }
    }
    let gaps: Vec<Duration> = asked.windows(2).map(|two| two[1].since(two[0])).collect();
    assert!(gaps[0] >= limits.hello_interval && gaps[0] <= limits.hello_interval * 2);
    assert!(gaps.iter().skip(6).all(|gap| *gap >= limits.hello_interval_max), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= limits.hello_interval_max * 2), "{gaps:?}");
}

#[test]
fn a_flood_of_old_questions_gets_few_answers() {
    let mut rng = Rng::from_seed(7);
    let (mut me, _) = pair(&mut rng);
    let hello = hello_of(identity(YOU), ME, &mut rng);
    let mut out = Vec::new();
    for _ in 0..10_000 {
        me.receive(YOU, hello.clone(), Time(2), &mut rng, &mut out);
    }
    assert_eq!(out.len() as u32, LinkLimits::default().answers_max);
    assert!(me.peer(YOU).is_some());
}

#[test]
fn strangers_displace_strangers_and_only_one_session_at_most() {
    let mut rng = Rng::from_seed(8);
    let limits = LinkLimits { peers_max: 10, ..LinkLimits::default() };
    let mut me = Link::new(identity(ME), limits);
    for id in 2..12 {
        let mut you = link(NodeId(id));
        let mut out = say(&mut me, NodeId(id), Class::Control, b"x", Time(id), &mut rng);
        while let Some((to, frame)) = out.pop() {
            let mut more = Vec::new();
            if to == ME {
                me.receive(NodeId(id), frame.to_bytes(), Time(id), &mut rng, &mut more);
            } else {
                you.receive(ME, frame.to_bytes(), Time(id), &mut rng, &mut more);
            }
            out.extend(more);
        }
    }
    for id in 1000..3000 {
        let hello = hello_of(identity(NodeId(id)), ME, &mut rng);
        me.receive(NodeId(id), hello, Time(id), &mut rng, &mut Vec::new());
        let noise = Bytes::from([&[1, 2, 0, 0, 0, 0, 0, 0, 1][..], &[0; 23]].concat());
        me.receive(NodeId(id + 5000), noise, Time(id), &mut rng, &mut Vec::new());
        assert!(me.peers() <= 10);
    }
    let kept = (2..12).filter(|id| me.peer(NodeId(*id)).is_some()).count();
    assert_eq!((kept, me.peer(NodeId(2))), (9, None), "the one silent longest went, the others stayed");
}

#[test]
fn random_and_mutated_frames_neither_panic_nor_grow_anything() {
    let limits = LinkLimits { peers_max: 16, ..LinkLimits::default() };
    for seed in 0..40 {
        println!("seed {seed}");
        let mut rng = Rng::from_seed(seed);
        let mut links = [Link::new(identity(ME), limits.clone()), Link::new(identity(YOU), limits.clone())];
        let mut seen: Vec<(usize, Bytes)> = Vec::new();
        let mut now = Time(1);
        for _ in 0..1500 {
            now = now + Duration::from_nanos(rng.within(0..50_000_000));
            let at = rng.index(2);
            let mut out = Vec::new();
            let frame = match rng.index(4) {
                0 => Bytes::from((0..rng.within(0..200)).map(|_| rng.bits() as u8).collect::<Vec<u8>>()),
                1 => {
                    out = say(&mut links[at], [ME, YOU][1 - at], Class::Data, b"12345678", now, &mut rng);
                    Bytes::new()
                }
                _ => match rng.pick(&seen) {
                    Some((_, original)) => {
                        let mut frame = original.to_vec();
                        for _ in 0..rng.within(0..4) {
                            match rng.index(3) {
                                0 => frame.truncate(rng.within(0..frame.len() as u64 + 1) as usize),
                                1 => frame.extend([rng.bits() as u8; 3]),
                                _ if frame.is_empty() => {}
                                _ => {
                                    let index = rng.index(frame.len());
                                    frame[index] ^= 1 << rng.index(8);
                                }
                            }
                        }
                        // Half of them as if their sender had made them so: past the seal there is more.
                        if frame.len() >= 32 && rng.chance(0.5) {
                            resealed(original, |changed| *changed = frame)
                        } else {
                            Bytes::from(frame)
                        }
                    }
                    None => Bytes::new(),
                },
            };
            let from = NodeId(rng.within(0..40));
            links[at].receive(from, frame, now, &mut rng, &mut out);
            while let Some((to, frame)) = out.pop() {
                if let Some(side) = [ME, YOU].iter().position(|id| *id == to) {
                    seen.push((side, frame.to_bytes()));
                    if rng.chance(0.8) {
                        links[side].receive([YOU, ME][side], frame.to_bytes(), now, &mut rng, &mut out);
                    }
                }
            }
            if seen.len() > 200 {
                let gone = rng.index(seen.len());
                seen.swap_remove(gone);
            }
            for link in &links {
                assert!(link.peers() <= 16 && link.queued_bytes() <= 64 * 16 * 8);
            }
        }
        let refused = links.iter().map(|link| link.counters().malformed).sum::<u64>();
        let accepted = links.iter().map(|link| link.counters().accepted).sum::<u64>();
        assert!(refused > 0 && accepted > 0, "{refused} {accepted}");
    }
}
