//! A state machine of one's own in a simulated world: three nodes and their clients under every fault that the seed
//! draws, judged by what the clients saw. The nodes are built as they would be for real machines.

mod clients;
mod donations;

use clients::{App, Clients};
use donations::Donations;
use quorate::raft::{Raft, RaftConfig, RaftNotice, RaftPort};
use quorate::sim::{Fault, FaultKind, Outcome, Settings, Swarm, Touched, Trial, World};
use quorate::{NoDecider, Node, NodeId, ScopeId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const HELP: &str = "\
cargo run --example simulate -- [SEED] [--seeds N] [--bug NAME]

  SEED         the integer that everything follows from (default 1)
  --seeds N    as many, from SEED on, until something is found (default 1; with a bug 200)
  --bug NAME   make a mistake that users make:
                 stale-reads   reads whatever the node at hand has applied
                 blind-retry   asks again without a session when the answer is unknown
                 own-mind      applies commands by something that only this node knows

Exit code 0: nothing was found; 1: something was, with the line that replays it; 2: not understood.";

const SCOPE: ScopeId = ScopeId::new("raft", "donations", 0);

/// Lines of a story that are printed; what lies between its beginning and its end is left out.
const LINES_MAX: usize = 40;

/// A mistake that users make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    StaleReads,
    BlindRetry,
    OwnMind,
}

/// A run, told.
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    /// Who led, who fell, who came back.
    pub(crate) story: Vec<String>,
    /// Things that clients asked, and those that were answered.
    pub(crate) asked: usize,
    pub(crate) answered: usize,
}

/// One run.
pub(crate) fn run(seed: u64, bug: Option<Bug>) -> Told {
    let nodes = [1, 2, 3].map(NodeId);
    // Snapshots after a few commands, so that they happen while somebody watches.
    let config = RaftConfig { snapshot_log_bytes: 100, trailing_entries: 5, ..RaftConfig::default() };
    let unit = config.election_timeout;
    let mut world = World::with(Settings::default(), seed, nodes, move |id| {
        let mut node = Node::builder(id).found(nodes);
        let own_mind = (bug == Some(Bug::OwnMind)).then_some(id.0);
        let state = Donations { sum: 0, own_mind };
        let donations = node.raft_with("donations", state, NoDecider, config.clone());
        // The settings are the example's own.
        #[allow(clippy::expect_used)]
        (node.build().expect("a valid node"), donations)
    });
    let story = tell(&mut world);
    agree(&mut world);
    world.leader_by(move |world: &World<App>| {
        let raft = |id: &NodeId| world.host(*id)?.protocol::<Raft>(SCOPE).filter(|raft| raft.is_leader());
        nodes.iter().filter_map(|id| raft(id).map(|raft| (raft.term(), *id))).max().map(|(_, id)| id)
    });
    let mut swarm = Swarm::new(unit);
    swarm.without = vec![Fault::OldDisk];
    let mut clients = Clients::new(seed, SCOPE, &nodes, bug);
    let trial =
        Trial { plan: swarm.draw(seed), safety: Duration::from_secs(20), healing: Duration::from_secs(20) };
    let outcome = trial.run(&mut world, &mut clients);
    drop(world);
    Told { outcome, story: story.take(), asked: clients.history.len(), answered: clients.answered }
}

/// Writes down who led, who fell, and who came back.
fn tell(world: &mut World<App>) -> Rc<RefCell<Vec<String>>> {
    let story = Rc::new(RefCell::new(Vec::new()));
    let line = |at: Duration, text: String| format!("{:>9.3} s  {text}", at.as_secs_f64());
    let lines = story.clone();
    world.watch(move |told| {
        let text = match told.notice::<RaftNotice>() {
            Some(RaftNotice::Leading { term }) => format!("{} leads, in term {term}", told.node),
            Some(RaftNotice::Retired { .. }) => format!("{} leads no more", told.node),
            Some(RaftNotice::Installed { at }) => {
                format!("{} takes over a snapshot of the first {} entries", told.node, at.index)
            }
            _ => return,
        };
        lines.borrow_mut().push(line(told.at, text));
    });
    let lines = story.clone();
    world.always("a run is told", move |world, touch| {
        let text = match touch.how {
            Touched::Stopped => "falls",
            Touched::Started => "comes back",
            Touched::Stepped => return Ok(()),
        };
        lines.borrow_mut().push(line(world.now(), format!("{} {text}", touch.node)));
        Ok(())
    });
    story
}

/// Whatever happens, replicas that have applied as much have the same in the box.
fn agree(world: &mut World<App>) {
    let mut sums: BTreeMap<u64, (NodeId, i64)> = BTreeMap::new();
    world.always("replicas agree", move |world, touch| {
        let port = world.host(touch.node).and_then(|host| host.port::<RaftPort<Donations>>(SCOPE));
        let Some((donations, at)) = port.and_then(RaftPort::state) else { return Ok(()) };
        let (first, sum) = *sums.entry(at.index).or_insert((touch.node, donations.sum));
        if sum == donations.sum {
            return Ok(());
        }
        let (node, index) = (touch.node, at.index);
        Err(format!(
            "after entry {index} there is {sum} in the box of {first}, and {} in that of {node}",
            donations.sum
        ))
    });
}

fn main() -> ExitCode {
    let (text, code) = answer(lexopt::Parser::from_env());
    print!("{text}");
    ExitCode::from(code)
}

/// What the command line asks for: what is printed, and the exit code.
pub(crate) fn answer(parser: lexopt::Parser) -> (String, u8) {
    let Options { seed, seeds, bug } = match parse(parser) {
        Err(why) => return (format!("{why}\n\n{HELP}\n"), 2),
        Ok(None) => return (format!("{HELP}\n"), 0),
        Ok(Some(options)) => options,
    };
    // Seed after seed until something is found; the last one is told.
    let mut told = run(seed, bug);
    for seed in (seed..).take(seeds).skip(1) {
        if told.outcome.violation.is_some() {
            break;
        }
        told = run(seed, bug);
    }
    (text(&told, bug), u8::from(told.outcome.violation.is_some()))
}

struct Options {
    seed: u64,
    seeds: usize,
    bug: Option<Bug>,
}

/// What is printed of a run.
pub(crate) fn text(told: &Told, bug: Option<Bug>) -> String {
    use std::fmt::Write;
    let Outcome { seed, coverage, stats, trace_hash, violation } = &told.outcome;
    let mut text =
        format!("seed {seed}: three nodes, three clients; everything may fail for 20 s, then calm\n");
    let (head, tail) = match told.story.len() {
        all if all <= LINES_MAX => (all, 0),
        _ => (LINES_MAX / 2, LINES_MAX / 2),
    };
    let left_out = told.story.len() - head - tail;
    let gap = (left_out > 0).then(|| format!("              ({left_out} more)"));
    let story = told.story.iter().take(head).chain(&gap).chain(told.story.iter().skip(head + left_out));
    let struck = FaultKind::ALL.iter().filter(|kind| coverage.of(**kind) > 0);
    let struck: Vec<String> = struck.map(|kind| format!("{} {}", kind.name(), coverage.of(*kind))).collect();
    // Writing into a string does not fail.
    story.for_each(|line| text += &format!("{line}\n"));
    let _ = writeln!(text, "what struck: {}", struck.join(", "));
    let _ = writeln!(text, "clients: {} things asked, {} answered", told.asked, told.answered);
    let seconds = stats.time.as_secs_f64();
    let _ =
        writeln!(text, "{seconds:.1} simulated seconds, {} events, trace {trace_hash:016x}", stats.events);
    let _ = match violation {
        None => writeln!(text, "verdict: as one box would have it"),
        Some(violation) => {
            writeln!(text, "verdict: VIOLATED at {:?}: {}: {}", violation.at, violation.what, violation.why)
        }
    };
    let bug = bug.map(|bug| format!(" --bug {}", bug.name())).unwrap_or_default();
    let _ = writeln!(text, "replay: cargo run --example simulate -- {seed} --seeds 1{bug}");
    text
}

impl Bug {
    const ALL: [Bug; 3] = [Bug::StaleReads, Bug::BlindRetry, Bug::OwnMind];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Bug::StaleReads => "stale-reads",
            Bug::BlindRetry => "blind-retry",
            Bug::OwnMind => "own-mind",
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let (mut seed, mut seeds, mut bug) = (1, None, None);
    while let Some(argument) = parser.next().map_err(|why| why.to_string())? {
        match argument {
            Value(value) => seed = value.parse().map_err(|why| why.to_string())?,
            Long("seeds") => {
                seeds = Some(parser.value().and_then(|value| value.parse()).map_err(|why| why.to_string())?);
            }
            Long("bug") => {
                let name = parser.value().and_then(|value| value.string()).map_err(|why| why.to_string())?;
                let known = Bug::ALL.into_iter().find(|bug| bug.name() == name);
                bug = Some(known.ok_or_else(|| format!("there is no bug {name}"))?);
            }
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let seeds = seeds.unwrap_or(if bug.is_some() { 200 } else { 1 });
    Ok(Some(Options { seed, seeds, bug }))
}
