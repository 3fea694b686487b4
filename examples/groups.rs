//! Ten thousand groups on three nodes: what they cost while nothing happens, how soon all lead again when a node is lost, and
//! how fast they commit when much happens. The first two in a simulated world, the third on threads.
//!
//! cargo run --release --example groups -- [GROUPS]

use quorate::groups::GroupsConfig;
use quorate::transport::Loopback;
use quorate::{Node, NodeConfig, Ticket, journal};
use quorate_examples::many::{Many, NODES, Sum, founded};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Box<dyn Error>> {
    let groups = std::env::args().nth(1).map_or(Ok(10_000), |word| word.parse())?;
    quiet(groups)?;
    for count in [1, 100, groups] {
        busy(count)?;
    }
    Ok(())
}

/// In simulated time.
fn quiet(groups: u64) -> Result<(), Box<dyn Error>> {
    let timeout = GroupsConfig::default().raft.election_timeout;
    let wall = Instant::now();
    let mut many = Many::new(1, groups, GroupsConfig::default());
    let limit = Duration::from_secs(60);
    let led = many.until(limit, |many| many.led() == groups as usize).ok_or("not all were led")?;
    println!("{groups} groups on 3 nodes, simulated");
    println!("  all founded and led after          {led:?}");
    let first = NODES[0];
    if !many.have_lead(first) {
        return Err("one node was to lead them all".into());
    }
    let slept = many.until(limit, Many::is_asleep).ok_or("not all slept")?;
    println!("  one node leads all; all asleep     {slept:?} after the last was handed over");

    let before = many.world.stats();
    many.world.run_for(Duration::from_secs(10));
    let after = many.world.stats();
    let frames = (after.frames_sent - before.frames_sent) as f64 / 10.0;
    let steps = (after.wakes - before.wakes) as f64 / 10.0;
    println!(
        "  while all sleep                    {frames} messages and {steps} wakes a second, on all nodes together"
    );

    // What a node holds is what is given back when it is gone; its disk stays.
    let region = Region::new(ALLOCATOR);
    many.world.crash(first);
    let change = region.change();
    let held = change.bytes_deallocated as f64 - change.bytes_allocated as f64;
    println!(
        "  memory of the node                 {:.0} bytes a group, port and protocol",
        held / groups as f64
    );

    let again = many.until(limit, |many| many.led() == groups as usize).ok_or("not all were led again")?;
    let timeouts = again.as_secs_f64() / timeout.as_secs_f64();
    println!("  that node lost: all lead again     after {again:?}, {timeouts:.2} election timeouts");
    let shares = NODES.map(|id| many.on(id).map_or(0, |groups| groups.led()));
    println!("  led by the nodes now               {shares:?}");
    println!("  (simulated in {:.1?})", wall.elapsed());
    Ok(())
}

/// Three nodes with ten thousand groups each share the cores of one machine here: a turn takes its time, and what is measured is
/// not how soon somebody is missed.
fn unhurried() -> GroupsConfig {
    let mut config = GroupsConfig { sleep_after: Some(Duration::from_secs(2)), ..GroupsConfig::default() };
    config.raft.election_timeout = Duration::from_secs(3);
    config.raft.heartbeat = Duration::from_millis(750);
    config.raft.leader_patience = Duration::from_secs(10);
    config
}

/// On threads, over an in-process network, journals in memory.
fn busy(groups: u64) -> Result<(), Box<dyn Error>> {
    const COMMITS: u64 = 100_000;
    const WINDOW: usize = 1024;
    let network = Loopback::new();
    let mut nodes = Vec::new();
    for id in NODES {
        let mut node = Node::builder(id).cluster("groups").config(NodeConfig::memory());
        let sums = node.groups_with("sums", founded(groups), |_| Sum::default(), unhurried());
        let transport = network.transport(node.id(), node.inbox());
        nodes.push((node.start(transport, journal::in_memory())?, sums));
    }
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let status = nodes[0].1.status().wait()?;
        if status.groups == groups as usize && status.leaderless == 0 {
            break;
        }
        if Instant::now() > deadline {
            return Err(format!("not all were led: {status:?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whoever leads each: asked there.
    let mut leaders = Vec::new();
    for look in nodes[0].1.groups(0, groups as usize).wait()? {
        let at = NODES.iter().position(|id| look.leader == Some(*id)).unwrap_or(0);
        leaders.push(nodes[at].1.group(look.group));
    }
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let mut waiting: VecDeque<Ticket<u64>> = VecDeque::new();
    let mut failed = 0;
    for at in 0..COMMITS {
        if waiting.len() == WINDOW
            && let Some(ticket) = waiting.pop_front()
        {
            failed += u32::from(ticket.wait().is_err());
        }
        waiting.push_back(leaders[(at % groups) as usize].propose(1));
    }
    for ticket in waiting {
        failed += u32::from(ticket.wait().is_err());
    }
    let took = begun.elapsed();
    let rate = COMMITS as f64 / took.as_secs_f64();
    let spent = (cpu_seconds() - cpu) * 1e6 / COMMITS as f64;
    println!(
        "{groups} groups on 3 nodes, on threads: {rate:.0} commits a second, {spent:.1} us of CPU each on all nodes together, {WINDOW} at a time ({failed} failed)"
    );
    for (running, _) in nodes {
        running.stop();
    }
    Ok(())
}

/// What this process has spent so far; 0 where the system does not say so.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets: user and system time are the 12th and 13th, in hundredths of a second.
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0
}
