//! The checks, a sentence each.

use super::floor::{Floor, Wrong};
use super::{Lab, NODES, STRANGER};
use crate::{HEAD_BYTES, NodeId};

type Check<L> = fn(&mut Floor<'_, L>) -> Result<(), Wrong>;

const A: NodeId = NODES[0];
const B: NodeId = NODES[1];
const C: NodeId = NODES[2];
const D: NodeId = NODES[3];

pub(super) fn all<L: Lab>() -> [(&'static str, Check<L>); 11] {
    [
        ("frames of every size arrive whole and unmodified", sizes),
        ("many small frames sent at once arrive, in any order", burst),
        ("a body for many arrives with the head of each", one_body_for_many),
        ("frames of many senders arrive under their own names", many_senders),
        ("both ways at once", both_ways),
        ("a frame beyond the maximum does no harm to others", beyond_the_maximum),
        ("a frame to an unknown peer is dropped", unknown_peer),
        ("an absent peer keeps nobody waiting and is reached once it is there", absent_peer),
        ("a peer that takes nothing holds up neither its sender nor the others", clogged_peer),
        ("a receiver that restarted is reached again, and only in its new life", receiver_restarts),
        ("a sender that restarted is heard again", sender_restarts),
    ]
}

fn sizes<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    let most = floor.frame_bytes_max(A);
    if most <= HEAD_BYTES {
        return Err(format!("frame_bytes_max is {most}: no body fits behind the head"));
    }
    let body_max = most - HEAD_BYTES;
    let mut bodies = vec![0, 1, 2, 3, 31, 32, 33, 255, 256, 257, 1400, 4095, 4096, 65_503, 65_535, 65_536];
    bodies.extend([body_max / 2, body_max - 1, body_max]);
    for len in bodies.into_iter().filter(|len| *len <= body_max) {
        floor.exchange(A, B, len)?;
    }
    Ok(())
}

fn burst<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    let mut numbers = Vec::new();
    for i in 0..500 {
        let body = floor.body(i % 70);
        numbers.push(floor.write(A, B, body));
    }
    floor.deliver(&numbers)
}

fn one_body_for_many<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    NODES.iter().for_each(|id| floor.start(*id));
    for len in [0, 10, 10_000] {
        let body = floor.body(len.min(floor.frame_bytes_max(A) - HEAD_BYTES));
        let numbers: Vec<usize> = [B, C, D].iter().map(|to| floor.write(A, *to, body.clone())).collect();
        floor.deliver(&numbers)?;
    }
    Ok(())
}

fn many_senders<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    NODES.iter().for_each(|id| floor.start(*id));
    let mut numbers = Vec::new();
    for i in 0..100 {
        for from in [A, B, C] {
            let body = floor.body(i * 3);
            numbers.push(floor.write(from, D, body));
        }
    }
    floor.deliver(&numbers)
}

fn both_ways<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    let mut numbers = Vec::new();
    for i in 0..100 {
        let body = floor.body(i * 10);
        numbers.push(floor.write(A, B, body.clone()));
        numbers.push(floor.write(B, A, body));
    }
    floor.deliver(&numbers)
}

fn beyond_the_maximum<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    floor.exchange(A, B, 10)?;
    // It may come whole, if the transport is generous; nothing else of it may.
    let body = floor.body(floor.frame_bytes_max(A) - HEAD_BYTES + 1);
    let large = floor.write(A, B, body);
    floor.hand_over(large);
    floor.exchange(A, B, 10)
}

fn unknown_peer<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    floor.send_without_waiting(1000, A, STRANGER, 20)?;
    floor.exchange(A, B, 20)
}

fn absent_peer<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    floor.send_without_waiting(2000, A, C, 1000)?;
    floor.exchange(A, B, 20)?;
    floor.start(C);
    floor.exchange(A, C, 20)
}

fn clogged_peer<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    let inbox = floor.start_clogged(C);
    let len = floor.frame_bytes_max(A).min(16 << 10) - HEAD_BYTES;
    floor.send_without_waiting(2000, A, C, len)?;
    floor.exchange(A, B, 20)?;
    floor.exchange(C, B, 20)?;
    floor.open(C, inbox);
    floor.exchange(A, C, 20)
}

fn receiver_restarts<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    for len in [10, 2000, 0] {
        floor.exchange(A, B, len)?;
        floor.stop(B);
        floor.send_without_waiting(50, A, B, 100)?;
        floor.start(B);
        floor.exchange(A, B, len)?;
        floor.exchange(B, A, len)?;
    }
    Ok(())
}

fn sender_restarts<L: Lab>(floor: &mut Floor<'_, L>) -> Result<(), Wrong> {
    floor.start(A);
    floor.start(B);
    for len in [10, 2000, 0] {
        floor.exchange(A, B, len)?;
        floor.stop(A);
        floor.send_without_waiting(50, B, A, 100)?;
        floor.start(A);
        floor.exchange(A, B, len)?;
        floor.exchange(B, A, len)?;
    }
    Ok(())
}
