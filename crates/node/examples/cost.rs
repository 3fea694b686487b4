//! What the driver costs: nodes that throw messages back and forth on one thread, and one that appends.
//!
//! `cargo run --release -p quorate-node --example cost`

use quorate_core::*;
use quorate_journal::MemoryDisk;
use quorate_node::{Lane, NodeConfig, Running, drive, prepare, start};
use quorate_transport::{Inbox, Loopback};
use std::time::{Duration, Instant};

const SCOPE: ScopeId = ScopeId::new("cost", "cost", 0);

/// Throws back what it gets; keeps what it is asked to.
struct Thrower {
    balls: u64,
    throws: u64,
}

struct Catcher(Option<Promise<()>>);

#[derive(Clone, Debug)]
struct Ball(u64);

enum Ask {
    Throw(NodeId, u64),
    Keep(Promise<()>),
}

impl Wire for Ball {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.part(&self.0);
    }
    fn decode(_: u8, from: &mut Decoder) -> Result<Ball, WireError> {
        from.part().map(Ball)
    }
}

impl Protocol for Thrower {
    type Msg = Ball;
    type Cmd = Option<(NodeId, u64)>;
    type Event = ();
    type Record = Ball;

    fn step(&mut self, input: Input<Thrower>, cx: &mut Cx<'_, Thrower>) {
        match input {
            Input::Message { from, msg: Ball(left) } => {
                self.balls += 1;
                if left > 0 {
                    // A ball promises nothing.
                    cx.send_now(from, Ball(left - 1));
                }
            }
            Input::Command(Some((to, balls))) => {
                for _ in 0..balls {
                    // As above.
                    cx.send_now(to, Ball(self.throws));
                }
            }
            Input::Command(None) => {
                cx.append(Ball(self.balls));
                cx.emit(());
            }
            _ => {}
        }
    }

    fn wake_at(&self) -> Time {
        Time::NEVER
    }

    fn replay(&mut self, _: Ball) -> Result<(), Corrupt> {
        Ok(())
    }
}

impl Port<Thrower> for Catcher {
    type Ask = Ask;

    fn ask(&mut self, ask: Ask, cx: &mut PortCx<'_, Thrower>) {
        match ask {
            Ask::Throw(to, balls) => cx.command(Some((to, balls))),
            Ask::Keep(promise) => {
                self.0 = Some(promise);
                cx.command(None);
            }
        }
    }

    fn event(&mut self, (): (), _: &mut PortCx<'_, Thrower>) {
        if let Some(promise) = self.0.take() {
            promise.done(());
        }
    }
}

fn assembly(id: u64, throws: u64) -> (Assembly, Door) {
    let mut host = HostBuilder::new();
    host.scope(SCOPE, Thrower { balls: 0, throws }, Catcher(None));
    let door = Door::new(1 << 20);
    let host = host.build().unwrap_or_else(|e| unreachable!("{e}"));
    (Assembly { id: NodeId(id), cluster: ClusterId(1), host, door: door.clone() }, door)
}

fn throw(balls: u64, throws: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let network = Loopback::new();
    let mut nodes: Vec<(Lane, Running, Door)> = Vec::new();
    for id in 0..3 {
        let (assembly, door) = assembly(id, throws);
        let disk = MemoryDisk::new(JournalId(id.into()));
        let inbox = Inbox::default();
        let transport = network.transport(NodeId(id), inbox.clone());
        let (lane, node) = prepare(assembly, transport, inbox, disk.open(), NodeConfig::memory())?;
        nodes.push((lane, node, door));
    }
    for (from, (_, _, door)) in nodes.iter().enumerate() {
        let to = NodeId((from as u64 + 1) % 3);
        if let Ok(place) = door.enter() {
            place.put(SCOPE, Box::new(Ask::Throw(to, balls)));
        }
    }
    let (lanes, nodes): (Vec<_>, Vec<_>) = nodes.into_iter().map(|(lane, node, _)| (lane, node)).unzip();
    let driver = std::thread::Builder::new().spawn(move || drive(lanes))?;
    let look = |node: &Running| node.inspect(SCOPE, |thrower: &Thrower| thrower.balls).unwrap_or(0);
    // Handshakes first.
    std::thread::sleep(Duration::from_millis(100));
    let count = || nodes.iter().map(look).sum::<u64>();
    let (began, before) = (Instant::now(), count());
    std::thread::sleep(Duration::from_secs(1));
    let caught = count() - before;
    let ns = began.elapsed().as_nanos() as f64 / caught.max(1) as f64;
    nodes.iter().for_each(Running::ask_to_stop);
    let _ = driver.join();
    Ok(ns)
}

fn keep(config: NodeConfig, asks: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let (assembly, door) = assembly(0, 0);
    let disk = MemoryDisk::new(JournalId(1));
    let inbox = Inbox::default();
    let transport = Loopback::new().transport(NodeId(0), inbox.clone());
    let node = start(assembly, transport, inbox, disk.open(), config)?;
    let began = Instant::now();
    for _ in 0..asks {
        let (promise, ticket) = promise();
        if let Ok(place) = door.enter() {
            place.put(SCOPE, Box::new(Ask::Keep(promise)));
        }
        ticket.wait()?;
    }
    let us = began.elapsed().as_nanos() as f64 / 1e3 / f64::from(asks);
    node.stop();
    Ok(us)
}

fn keep_by_hand(asks: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let (assembly, door) = assembly(0, 0);
    let disk = MemoryDisk::new(JournalId(1));
    let inbox = Inbox::default();
    let transport = Loopback::new().transport(NodeId(0), inbox.clone());
    let (mut lane, _node) = prepare(assembly, transport, inbox, disk.open(), NodeConfig::memory())?;
    let began = Instant::now();
    for _ in 0..asks {
        let (promise, ticket) = promise();
        if let Ok(place) = door.enter() {
            place.put(SCOPE, Box::new(Ask::Keep(promise)));
        }
        lane.turn(Instant::now());
        ticket.wait()?;
    }
    Ok(began.elapsed().as_nanos() as f64 / f64::from(asks))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for balls in [1, 16, 256] {
        println!(
            "3 nodes, 1 thread, {balls:3} messages in flight each: {:6.0} ns a message",
            throw(balls, u64::MAX)?
        );
    }
    println!("append, sync, answer; lane called in place:  {:6.0} ns", keep_by_hand(1_000_000)?);
    println!("append, sync, answer; lane on its thread:    {:6.1} us", keep(NodeConfig::memory(), 20_000)?);
    println!("append, sync, answer; journal on one too:    {:6.1} us", keep(NodeConfig::default(), 20_000)?);
    Ok(())
}
