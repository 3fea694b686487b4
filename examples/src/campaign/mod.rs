//! The simulator's campaigns: seed after seed, each a whole cluster under faults.

mod agents;
pub mod checkers;
mod fire;
mod groups;
pub mod kv;
mod on_raft;
mod oracle;
mod parallel;
mod plans;
mod report;
mod work;

pub use oracle::{Caught, Planted, by_test, planted};
pub use report::{Figures, Ran, table};

use bytes::Bytes;
use quorate::core::wire::decode;
use quorate::raft::{self, Raft, RaftPort};
use quorate::sim::{Campaign, FaultKind, Outcome, Progress, Report, World};
use quorate::{Decider, NodeId, ScopeId, StateMachine, Wire};
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::Range;

/// One campaign: what runs, what must have happened in it, and which planted bugs it knows.
#[derive(Debug)]
pub struct Protocol {
    /// Its name on the command line.
    pub name: &'static str,
    /// One run.
    run: fn(Run<'_>) -> Outcome,
    /// Faults that must really strike in a long run.
    pub faults: fn() -> Vec<FaultKind>,
    /// Paths that must really be taken in a long run.
    pub paths: fn() -> Vec<&'static str>,
    /// The planted bugs it knows.
    pub mutations: fn() -> Vec<&'static str>,
}

/// What a run follows from, and where its story goes.
struct Run<'a> {
    seed: u64,
    /// A planted bug.
    mutation: Option<&'a str>,
    /// A line for everything that happens. Changes nothing of it.
    trace: Option<Box<dyn Write>>,
    /// A line of JSON for every transition of a Raft replica. Changes nothing of it either.
    #[cfg(feature = "trace")]
    transitions: Option<Box<dyn Write>>,
}

impl<'a> Run<'a> {
    fn of(seed: u64, mutation: Option<&'a str>) -> Run<'a> {
        Run {
            seed,
            mutation,
            trace: None,
            #[cfg(feature = "trace")]
            transitions: None,
        }
    }

    /// Writes the story down if somebody wants it, with the messages of these Raft scopes.
    fn tell<A>(&mut self, world: &mut World<A>, scopes: &'static [ScopeId]) {
        #[cfg(feature = "trace")]
        if let Some(mut writer) = self.transitions.take() {
            world.watch(move |told| {
                if let Some(raft::RaftNotice::Transition(transition)) = told.notice()
                    && scopes.contains(&told.scope)
                {
                    // A trace that cannot be written ends there; the run goes on.
                    let _ = writeln!(writer, "{transition}");
                }
            });
        }
        self.tell_as::<A, raft::Msg>(world, scopes);
    }

    /// The same with messages of another type.
    fn tell_as<A, M: Wire + std::fmt::Debug>(&mut self, world: &mut World<A>, scopes: &'static [ScopeId]) {
        if let Some(writer) = self.trace.take() {
            world.trace_to(writer);
            world.describe(move |scope, bytes| {
                let bytes = scopes.contains(&scope).then(|| Bytes::copy_from_slice(bytes))?;
                decode::<M>(bytes).ok().map(|message| format!("{message:?}"))
            });
        }
    }
}

/// All campaigns.
pub const PROTOCOLS: [Protocol; 3] = [on_raft::PROTOCOL, groups::PROTOCOL, work::PROTOCOL];

/// Seeds from which on a campaign fails when an expected fault or path never happened: fewer may miss one by chance.
pub const ENOUGH_SEEDS: u64 = 1000;

/// As [`ENOUGH_SEEDS`], for paths that are [`RARE`] and faults that are [`RARE_FAULTS`].
pub const PLENTY_SEEDS: u64 = 10_000;

/// Paths that are taken once in thousands of seeds.
pub const RARE: [&str; 1] = [checkers::SNAPSHOT_REFUSED];

/// Faults that strike in one of hundreds of seeds: power has to be lost while an object is being written.
pub const RARE_FAULTS: [FaultKind; 1] = [FaultKind::ObjectTorn];

/// What links do in every long campaign. All but one path: sessions here are shorter than the window of 1,024 frames, so
/// that no frame is too old for it; the link's own tests have some that are.
fn link_paths() -> impl Iterator<Item = &'static str> {
    quorate::sim::link_paths().filter(|name| !name.contains("too old"))
}

/// The campaign of this name.
pub fn by_name(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// Every planted bug, over all campaigns.
pub fn mutations() -> Vec<&'static str> {
    let mut all: Vec<&str> = PROTOCOLS.iter().flat_map(|protocol| (protocol.mutations)()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// How far a replica of a Raft scope is, in a few words.
fn describe_replica<A, S: StateMachine, D: Decider<S>>(
    world: &World<A>,
    id: NodeId,
    scope: ScopeId,
) -> String {
    let Some(host) = world.host(id) else { return format!("{id} is {:?}", world.state(id)) };
    let (Some(raft), Some(port)) = (host.protocol::<Raft>(scope), host.port::<RaftPort<S, D>>(scope)) else {
        return format!("{id} has no {scope}");
    };
    let poisoned = port.poisoned().map(|why| format!(", poisoned: {why}")).unwrap_or_default();
    format!(
        "{id} {} term {}, voters {:?}, base {}, snapshot {:?}, last {}, commit {}, applied {:?}{poisoned}",
        if raft.is_leader() { "leads" } else { "follows in" },
        raft.term(),
        raft.configuration().map(|(_, configuration)| configuration),
        raft.log().base(),
        raft.snapshot().map(|snapshot| snapshot.last),
        raft.last(),
        raft.commit(),
        port.state().map(|(_, at)| at),
    )
}

impl Protocol {
    /// The faults and the paths that must have happened in so many seeds, or chance alone would not explain it.
    pub fn expected(&self, seeds: u64) -> (Vec<FaultKind>, Vec<&'static str>) {
        if seeds < ENOUGH_SEEDS {
            return (Vec::new(), Vec::new());
        }
        let (mut faults, mut paths) = ((self.faults)(), (self.paths)());
        if seeds < PLENTY_SEEDS {
            faults.retain(|fault| !RARE_FAULTS.contains(fault));
            paths.retain(|path| !RARE.contains(path));
        }
        (faults, paths)
    }

    /// Runs one seed and writes a line for everything that happens in it.
    pub fn trace(&self, seed: u64, mutation: Option<&str>, writer: Box<dyn Write>) -> Outcome {
        Outcome::caught(seed, |seed| (self.run)(Run { trace: Some(writer), ..Run::of(seed, mutation) }))
    }

    /// Runs one seed and writes a line of JSON for every transition of a Raft replica; see `docs/TRACES.md`.
    #[cfg(feature = "trace")]
    pub fn transitions(&self, seed: u64, mutation: Option<&str>, writer: Box<dyn Write>) -> Outcome {
        Outcome::caught(seed, |seed| (self.run)(Run { transitions: Some(writer), ..Run::of(seed, mutation) }))
    }

    /// Runs these seeds on this thread.
    pub fn campaign(
        &self,
        seeds: Range<u64>,
        mutation: Option<&str>,
        watch: impl FnMut(Progress<'_>),
    ) -> Report {
        self.campaign_on(NonZeroUsize::MIN, seeds, mutation, watch)
    }

    /// Runs these seeds on so many threads. The report is the same for every number of them.
    pub fn campaign_on(
        &self,
        threads: NonZeroUsize,
        seeds: Range<u64>,
        mutation: Option<&str>,
        watch: impl FnMut(Progress<'_>),
    ) -> Report {
        let (name, run) = (self.name, self.run);
        let one = |seed| run(Run::of(seed, mutation));
        let planted = mutation.map(|mutation| format!(" --mutation {mutation}")).unwrap_or_default();
        let line = move |seed: u64| {
            format!(
                "cargo run --release --example campaign -- --protocol {name} --seeds {seed}..{}{planted}",
                seed + 1
            )
        };
        let mut campaign = Campaign::new(seeds.clone()).replay_by(line);
        if mutation.is_none() {
            let (faults, paths) = self.expected(seeds.end.saturating_sub(seeds.start));
            campaign = campaign.expect_faults(faults).expect(paths);
        }
        if threads == NonZeroUsize::MIN {
            return campaign.run_watched(one, watch);
        }
        parallel::outcomes(threads, seeds, &one, |outcomes| campaign.gather(outcomes, watch))
    }
}
