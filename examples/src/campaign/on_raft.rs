//! The campaign over Raft: registers on three or five nodes.

use super::checkers::{OUTGROWN, Paths, raft_leader, watch_outgrown, watch_raft};
use super::kv::{KvWorkload, Registers};
use super::{Protocol, Run, link_paths, plans};
use quorate::raft::{Mutation, RaftConfig, RaftHandle};
use quorate::sim::{Fault, FaultKind, Outcome, Swarm, Trial, World};
use quorate::{Node, NodeId, Rng, ScopeId};
use std::time::Duration;

/// The scope of the registers.
pub const REGISTERS: ScopeId = ScopeId::new("raft", "registers", 0);

/// By how much the simulator's clocks drift.
const DRIFT_PPM_MAX: u32 = 50_000;

/// How long faults last, in simulated time.
const SAFETY: Duration = Duration::from_secs(20);

/// Within which time after the last fault everything must be done again.
const HEALING: Duration = Duration::from_secs(20);

/// The campaign.
pub(super) const PROTOCOL: Protocol = Protocol {
    name: "raft",
    run,
    faults: || FaultKind::ALL.iter().copied().filter(|kind| !ABSENT.contains(kind)).collect(),
    paths: || {
        let raft = Paths::names().chain([OUTGROWN]).chain(link_paths());
        raft.chain(KvWorkload::<RaftHandle<Registers>>::paths()).collect()
    },
    mutations: || Mutation::ALL.iter().map(|(name, _)| *name).collect(),
};

/// What no protocol of majorities survives, and so does not happen here. A disk restored from an old copy has forgotten
/// what it promised since, and nothing in it says so. A copy of a whole machine beside it holds the same vote, and the
/// two may give it to two candidates that never hear of each other.
const ABSENT: [FaultKind; 2] = [FaultKind::Twinned, FaultKind::OldDisk];

/// In every fourth seed some nodes are preferred as leaders.
fn preferred(seed: u64, ids: &[NodeId]) -> Vec<NodeId> {
    let mut rng = Rng::from_seed(seed ^ 0x00be_77e4);
    if !rng.chance(0.25) {
        return Vec::new();
    }
    let mut order = ids.to_vec();
    rng.shuffle(&mut order);
    order.truncate(1 + rng.index(ids.len()));
    order
}

/// In every fourth seed one or two of the founders are witnesses, and some of the newcomers.
fn witnesses(seed: u64, founders: u64, ids: &[NodeId]) -> Vec<NodeId> {
    let mut rng = Rng::from_seed(seed ^ 0x0d0_b7ed);
    if !rng.chance(0.25) {
        return Vec::new();
    }
    let first = founders - rng.within(0..founders / 2);
    ids.iter().copied().filter(|id| id.0 == founders || id.0 >= first && rng.chance(0.5)).collect()
}

/// One run.
fn run(mut run: Run<'_>) -> Outcome {
    let Run { seed, mutation, .. } = run;
    let mutation =
        Mutation::ALL.iter().find(|(name, _)| Some(*name) == mutation).map(|(_, mutation)| *mutation);
    let mut rng = Rng::from_seed(seed ^ 0x0a7e_0000_f00d);
    // How snapshots are taken and sent; of a source of its own, so that it shifts nothing else.
    let mut shaped = Rng::from_seed(seed ^ 0x0b1e_c75e_0d15);
    // How much is kept, likewise.
    let mut kept = Rng::from_seed(seed ^ 0x07a1_1bac_4e55);
    let n = *rng.pick(&[3u64, 3, 5]).unwrap_or(&3);
    // Some were not there when it was founded, and may get a vote later.
    let newcomers = if rng.chance(0.5) { 1 + rng.within(0..2) } else { 0 };
    let ids: Vec<NodeId> = (1..=n + newcomers).map(NodeId).collect();
    // Where an append has room for one entry only, terms are committed piece by piece (Raft figure 8).
    let batch_bytes_max = if rng.chance(0.4) { 1 } else { 64 + rng.index(4000) };
    // Leases hold while clocks drift within their bound, and are not asked for where they jump or stand still.
    let leases = rng.chance(0.5);
    // Small bounds, so that what is rare in production happens in every run.
    let config = RaftConfig {
        snapshot_log_bytes: 200 + rng.index(2000),
        trailing_entries: rng.within(0..20),
        chunk_bytes: 64 + rng.index(1000),
        snapshot_log_entries: 20 + shaped.within(0..300),
        snapshot_inflight_max: 1 + shaped.index(6),
        snapshot_bytes_per_second: 20_000 << shaped.index(8),
        // In some runs the state outgrows it: no snapshot is taken then, and the log stays whole.
        snapshot_bytes_max: if kept.chance(0.1) { 100 << kept.index(4) } else { 1 << 30 },
        trailing_bytes_max: 1 + kept.index(2000),
        batch_bytes_max,
        inflight_max: 1 + rng.index(8),
        request_timeout: Duration::from_secs(2),
        promotion_timeout: Duration::from_secs(2),
        lease_drift_ppm: leases.then_some(DRIFT_PPM_MAX),
        preferred: preferred(seed, &ids),
        mutation,
        ..RaftConfig::default()
    };
    // A minority may lose its disks. It comes back under other journals, without a vote.
    let amnesia_max = if rng.chance(0.3) { (n as usize - 1) / 2 } else { 0 };
    let witnesses = witnesses(seed, n, &ids);
    let config = RaftConfig {
        // Where no disk is lost a voter that is behind may be let down: it comes back.
        witness_log_bytes: if shaped.chance(0.5) && amnesia_max == 0 {
            200
        } else {
            config.witness_log_bytes
        },
        ..config
    };
    let unit = config.election_timeout;
    let founders: Vec<NodeId> = (1..=n).map(NodeId).collect();
    let fuses = plans::fuses(seed, ids.len());
    let lit = fuses.clone().unwrap_or_default();
    let witness = witnesses.clone();
    let mut world = World::with(plans::settings(seed), seed, ids.clone(), move |id| {
        let node = Node::builder(id);
        let mut node = match founders.contains(&id) {
            true => node.found(founders.clone()),
            false => node.join(founders.clone()),
        };
        let fuse = lit.get(id.0 as usize - 1).cloned().unwrap_or_default();
        let registers = match witness.contains(&id) {
            true => {
                node.witness_with("registers", config.clone());
                // Nobody asks it.
                RaftHandle::new(node.door(), REGISTERS)
            }
            false => {
                node.raft_with("registers", Registers::with_fuse(fuse), quorate::NoDecider, config.clone())
            }
        };
        // What the seed draws is valid by construction.
        #[allow(clippy::expect_used)]
        (node.build().expect("a valid node"), registers)
    });
    run.tell(&mut world, &[REGISTERS]);
    watch_raft(&mut world, REGISTERS);
    watch_outgrown(&mut world, REGISTERS);
    let nodes = ids.len();
    world.leader_by(move |world| raft_leader(world, nodes, REGISTERS));
    let mut swarm = Swarm::new(unit);
    swarm.amnesia_max = amnesia_max;
    swarm.without = vec![Fault::OldDisk, Fault::Twin];
    if leases {
        swarm.without.extend([Fault::ClockJump, Fault::ClockFreeze]);
    }
    let mut plan = plans::draw(&swarm, seed);
    plans::Hunter::release(&mut world, &mut plan, unit, SAFETY);
    plans::sieve(&mut world, REGISTERS, unit, SAFETY);
    let asked = ids.iter().copied().filter(|id| !witnesses.contains(id)).collect();
    let workload = KvWorkload::new(seed, REGISTERS, asked, |app: &RaftHandle<Registers>| app);
    let calm = if amnesia_max > 0 { ids[..n as usize].to_vec() } else { Vec::new() };
    let mut workload = workload
        .founded_in_calm(calm)
        .with_witnesses(witnesses)
        .with_fuses(fuses.unwrap_or_default())
        .with_changes(rng.chance(0.6).then_some(amnesia_max));
    Trial { plan, safety: SAFETY, healing: HEALING }.run(&mut world, &mut workload)
}
