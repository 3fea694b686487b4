//! How fast the world is: five nodes that answer whatever they are told, as many messages as a second of the
//! machine carries.
//!
//! `cargo run --release -p quorate-sim --example echo_speed`

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // An example is above the floors: it has a clock.

use quorate_core::{
    Assembly, ClusterId, Corrupt, Cx, Door, HostBuilder, Input, NodeId, Port, PortCx, Protocol, ScopeId,
    Time, wire_by_postcard,
};
use quorate_sim::World;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::time::{Duration, Instant};

const NODES: u64 = 5;
const IN_FLIGHT: u64 = 10;

/// Answers every message with another.
#[derive(Debug)]
struct Echo {
    me: NodeId,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ping {
    term: u64,
    index: u64,
    hops: u64,
}
wire_by_postcard!(Ping);

impl Protocol for Echo {
    type Msg = Ping;
    type Cmd = Infallible;
    type Event = Infallible;
    type Record = Infallible;

    fn step(&mut self, input: Input<Echo>, cx: &mut Cx<'_, Echo>) {
        match input {
            Input::Start(_) => {
                let next = NodeId(1 + self.me.0 % NODES);
                for index in 0..IN_FLIGHT {
                    cx.send(next, Ping { term: 1, index, hops: 0 });
                }
            }
            Input::Message { from, msg } => cx.send(from, Ping { hops: msg.hops + 1, ..msg }),
            _ => {}
        }
    }

    fn wake_at(&self) -> Time {
        Time::NEVER
    }

    fn replay(&mut self, record: Infallible) -> Result<(), Corrupt> {
        match record {}
    }
}

struct NoPort;

impl Port<Echo> for NoPort {
    type Ask = Infallible;
    fn ask(&mut self, ask: Infallible, _: &mut PortCx<'_, Echo>) {
        match ask {}
    }
    fn event(&mut self, event: Infallible, _: &mut PortCx<'_, Echo>) {
        match event {}
    }
}

fn node(id: NodeId) -> (Assembly, ()) {
    let mut host = HostBuilder::new();
    host.scope(ScopeId::new("example", "echo", 0), Echo { me: id }, NoPort);
    let host = host.build().unwrap_or_else(|_| unreachable!("one scope fits with itself"));
    (Assembly { id, cluster: ClusterId(1), host, door: Door::new(1) }, ())
}

fn main() {
    let mut world = World::new(1, 1..=NODES, node);
    world.run_for(Duration::from_secs(1));
    for _ in 0..5 {
        let (before, start) = (world.stats(), Instant::now());
        world.run_for(Duration::from_secs(30));
        let (after, took) = (world.stats(), start.elapsed());
        let messages = after.messages - before.messages;
        println!(
            "{messages} messages in {took:?}: {:.2} M messages a second, {:.0} times real time",
            messages as f64 / took.as_secs_f64() / 1e6,
            (after.time - before.time).as_secs_f64() / took.as_secs_f64(),
        );
    }
    println!("trace {:016x}", world.trace_hash());
}
