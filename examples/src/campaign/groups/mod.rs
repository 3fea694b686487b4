//! The campaign over many groups: registers in some groups on three to five nodes, in one scope. Groups fall asleep and
//! wake, are created and removed while everything fails.

mod one;
mod paths;
mod workload;

use super::checkers::watch_group;
use super::kv::{CLIENT_PATHS, Fuse, Registers};
use super::{Protocol, Run, link_paths, plans};
use bytes::Bytes;
use paths::GroupPaths;
use quorate::core::wire::decode;
use quorate::groups::{GroupId, Groups, GroupsConfig, GroupsHandle, GroupsMutation, Msg};
use quorate::raft::{Founding, RaftConfig, RaftHandle};
use quorate::sim::{Fault, FaultKind, Outcome, Swarm, Trial, Verdict, World};
use quorate::{Node, NodeId, Rng, ScopeId};
use std::time::Duration;
use workload::GroupsWorkload;

/// The scope of all groups.
pub(super) const GROUPS: ScopeId = ScopeId::new("groups", "registers", 0);

/// By how much the simulator's clocks drift.
const DRIFT_PPM_MAX: u32 = 50_000;

/// How long faults last, in simulated time.
const SAFETY: Duration = Duration::from_secs(12);

/// Within which time after the last fault everything must be done again, and all groups asleep.
const HEALING: Duration = Duration::from_secs(30);

/// The campaign.
pub(super) const PROTOCOL: Protocol = Protocol {
    name: "groups",
    run,
    faults: || FaultKind::ALL.iter().copied().filter(|kind| !ABSENT.contains(kind)).collect(),
    paths: || GroupPaths::names().chain(workload::PATHS).chain(CLIENT_PATHS).chain(link_paths()).collect(),
    mutations: || GroupsMutation::ALL.iter().map(|(name, _)| *name).collect(),
};

/// See the campaign over Raft. A panic of one group's job is caught with that group, and is none of the scope.
const ABSENT: [FaultKind; 3] = [FaultKind::Twinned, FaultKind::OldDisk, FaultKind::JobPanicked];

/// What the application holds of a node.
pub(super) struct App {
    pub groups: GroupsHandle<Registers>,
    /// One for each group, whether it is there or not.
    pub handles: Vec<RaftHandle<Registers>>,
}

/// One group, as it was drawn.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub group: GroupId,
    pub voters: Vec<NodeId>,
    /// Known to its members from the start; otherwise it is created while everything runs.
    pub from_the_start: bool,
    /// Removed before everything heals.
    pub goes: bool,
}

/// One run.
fn run(mut run: Run<'_>) -> Outcome {
    let Run { seed, mutation, .. } = run;
    let planted = GroupsMutation::ALL.iter().find(|(name, _)| Some(*name) == mutation);
    let mut rng = Rng::from_seed(seed ^ 0x6a0c_0b5e_55ed);
    let n = *rng.pick(&[3u64, 3, 4, 5]).unwrap_or(&3);
    let ids: Vec<NodeId> = (1..=n).map(NodeId).collect();
    let disks_lost = usize::from(rng.chance(0.3));
    let drawn = draw_groups(&ids, disks_lost, &mut rng);
    let leases = rng.chance(0.3);
    // Small bounds, so that what is rare in production happens in every run.
    let raft = RaftConfig {
        snapshot_log_bytes: 200 + rng.index(2000),
        trailing_entries: rng.within(0..20),
        chunk_bytes: 64 + rng.index(1000),
        batch_bytes_max: if rng.chance(0.3) { 1 } else { 64 + rng.index(4000) },
        inflight_max: 1 + rng.index(8),
        request_timeout: Duration::from_secs(2),
        promotion_timeout: Duration::from_secs(2),
        lease_drift_ppm: leases.then_some(DRIFT_PPM_MAX),
        ..RaftConfig::default()
    };
    let unit = raft.election_timeout;
    let config = GroupsConfig {
        raft,
        sleep_after: rng.chance(0.9).then(|| Duration::from_millis(100 + rng.within(0..400))),
        elections_max: if rng.chance(0.3) { 1 + rng.index(3) } else { 512 },
        jobs_max: if rng.chance(0.3) { 1 + rng.index(3) } else { 256 },
        rewrite_bytes_min: 500 + rng.index(8000),
        mutation: planted.map(|(_, mutation)| *mutation),
        ..GroupsConfig::default()
    };
    let sleeps = config.sleep_after.is_some();
    let fuses = plans::fuses(seed, ids.len());
    let (lit, here) = (fuses.clone().unwrap_or_default(), drawn.clone());
    let mut world = World::with(plans::settings(seed), seed, ids.clone(), move |id| {
        let fuse = lit.get(id.0 as usize - 1).cloned().unwrap_or_default();
        build(id, &here, fuse, config.clone())
    });
    run.tell_as::<App, Msg>(&mut world, &[GROUPS]);
    drawn.iter().for_each(|one| watch_group(&mut world, GROUPS, one.group));
    world.invariant(Box::new(GroupPaths::default()));
    // Whoever leads most.
    world.leader_by(move |world| {
        let led = |id: &NodeId| Some((world.host(*id)?.protocol::<Groups>(GROUPS)?.led(), *id));
        (1..=n).map(NodeId).filter_map(|id| led(&id)).filter(|(led, _)| *led > 0).max().map(|(_, id)| id)
    });
    let mut swarm = Swarm::new(unit);
    swarm.amnesia_max = disks_lost;
    swarm.without = vec![Fault::OldDisk, Fault::Twin];
    if leases {
        swarm.without.extend([Fault::ClockJump, Fault::ClockFreeze]);
    }
    let mut plan = plans::draw(&swarm, seed);
    plans::Hunter::release(&mut world, &mut plan, unit, SAFETY);
    plans::sieve(&mut world, GROUPS, unit, SAFETY);
    let mut workload = GroupsWorkload::new(seed, ids, drawn, fuses.unwrap_or_default(), disks_lost);
    workload.sleeps = sleeps;
    if rng.chance(0.5) {
        workload.lose(&mut rng);
    }
    if rng.chance(0.3) {
        sieve_one(&mut world, rng.within(0..7), rng.fork());
    }
    Trial { plan, safety: SAFETY, healing: HEALING }.run(&mut world, &mut workload)
}

/// Messages of one group are lost, those of one node or of all, by turns, while those of others pass, and beats between nodes.
/// Those that leave in a bundle go with it.
fn sieve_one(world: &mut World<App>, group: u64, mut rng: Rng) {
    let ids: Vec<NodeId> = world.ids().collect();
    let with = rng.pick(&ids).copied().filter(|_| rng.chance(0.7));
    let (share, period) = (0.5 + 0.5 * rng.unit(), 200 + rng.within(0..3000));
    let is_of = move |msg: &Msg| match msg {
        Msg::One { group: of, .. } => of.0 == group,
        Msg::Many(all) | Msg::Appends(all) => all.iter().any(|(of, _)| of.0 == group),
        Msg::Doze(all) => all.iter().any(|doze| doze.group.0 == group),
        Msg::Dozed(all) => all.iter().any(|(of, _)| of.0 == group),
        Msg::NotSo(all) | Msg::NotHere(all) => all.iter().any(|of| of.0 == group),
        Msg::Committed(all) => all.iter().any(|one| one.group.0 == group),
        Msg::Beat(_) => false,
    };
    world.filter(move |passing| {
        let Some((GROUPS, _, body)) = passing.message else { return Verdict::Pass };
        let strikes = passing.now < SAFETY
            && passing.now > Duration::from_secs(1)
            && (passing.now.as_millis() as u64 / period) % 2 == 1
            && with.is_none_or(|id| id == passing.from || id == passing.to);
        let is_meant = strikes && decode::<Msg>(Bytes::copy_from_slice(body)).is_ok_and(|msg| is_of(&msg));
        if is_meant && rng.chance(share) { Verdict::Drop } else { Verdict::Pass }
    });
}

/// Where a disk may be lost, no group has a single voter.
fn draw_groups(ids: &[NodeId], disks_lost: usize, rng: &mut Rng) -> Vec<Drawn> {
    let count = 1 + rng.index(7) as u64;
    let mut drawn = Vec::new();
    for group in 0..count {
        let mut voters = ids.to_vec();
        rng.shuffle(&mut voters);
        let size = *rng.pick(&[3usize, 3, 3, 5, 1]).unwrap_or(&3);
        voters.truncate(size.max(2 * disks_lost + 1));
        voters.sort_unstable();
        let (from_the_start, goes) = (rng.chance(0.7), rng.chance(0.15));
        drawn.push(Drawn { group: GroupId(group), voters, from_the_start, goes });
    }
    drawn
}

fn build(id: NodeId, drawn: &[Drawn], fuse: Fuse, config: GroupsConfig) -> (quorate::Assembly, App) {
    let mut node = Node::builder(id);
    let here = drawn.iter().filter(|one| one.from_the_start && one.voters.contains(&id));
    let named = here.map(|one| (one.group, Founding::Found(one.voters.clone())));
    let make = move |_| Registers::with_fuse(fuse.clone());
    let groups = node.groups_with("registers", named, make, config);
    let handles = drawn.iter().map(|one| groups.group(one.group)).collect();
    // What the seed draws is valid by construction.
    #[allow(clippy::expect_used)]
    (node.build().expect("a valid node"), App { groups, handles })
}
