//! The campaign over Raft: registers on three or five nodes.

use super::checkers::watch_raft;
use super::kv::{KvWorkload, Registers};
use quorate::raft::{Mutation, Raft, RaftConfig, RaftHandle};
use quorate::sim::{Outcome, Settings, Swarm, Trial, World};
use quorate::{Node, NodeId, Rng, ScopeId};
use std::time::Duration;

/// The scope of the registers.
pub const REGISTERS: ScopeId = ScopeId::new("raft", "registers", 0);

/// How long faults last, in simulated time.
const SAFETY: Duration = Duration::from_secs(20);

/// Within which time after the last fault everything must be done again.
const HEALING: Duration = Duration::from_secs(20);

/// One run.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Outcome {
    let mut rng = Rng::from_seed(seed ^ 0x0a7e_0000_f00d);
    let n = *rng.pick(&[3u64, 3, 5]).unwrap_or(&3);
    let ids: Vec<NodeId> = (1..=n).map(NodeId).collect();
    // Small bounds, so that what is rare in production happens in every run.
    let config = RaftConfig {
        snapshot_log_bytes: 200 + rng.index(2000),
        trailing_entries: rng.within(0..20),
        chunk_bytes: 64 + rng.index(1000),
        batch_bytes_max: 64 + rng.index(4000),
        inflight_max: 1 + rng.index(8),
        request_timeout: Duration::from_secs(2),
        mutation,
        ..RaftConfig::default()
    };
    let unit = config.election_timeout;
    let voters = ids.clone();
    let mut world = World::with(Settings::default(), seed, ids.clone(), move |id| {
        let mut node = Node::builder(id).found(voters.clone());
        let registers = node.raft_with("registers", Registers::default(), quorate::NoDecider, config.clone());
        // What the seed draws is valid by construction.
        #[allow(clippy::expect_used)]
        (node.build().expect("a valid node"), registers)
    });
    watch_raft(&mut world, REGISTERS);
    let nodes = ids.clone();
    world.leader_by(move |world: &World<RaftHandle<Registers>>| {
        let raft = |id: &NodeId| world.host(*id)?.protocol::<Raft>(REGISTERS).filter(|raft| raft.is_leader());
        nodes.iter().filter_map(|id| raft(id).map(|raft| (raft.term(), *id))).max().map(|(_, id)| id)
    });
    let mut workload = KvWorkload::new(seed, REGISTERS, ids, |app: &RaftHandle<Registers>| app);
    let plan = Swarm::new(unit).draw(seed);
    let o = Trial { plan, safety: SAFETY, healing: HEALING }.run(&mut world, &mut workload);
    if o.violation.is_some() && std::env::var("Q").is_ok() {
        for id in 1..=n {
            if let Some(h) = world.host(id) {
                let r = h.protocol::<Raft>(REGISTERS).unwrap();
                eprintln!(
                    "{id} {:?} {:?} {:?}\n   {:?}\n   {:?}",
                    world.state(id),
                    (
                        r.term(),
                        r.leader(),
                        r.commit(),
                        r.last(),
                        r.is_leader(),
                        r.log().base(),
                        r.snapshot().map(|s| (s.last, s.data.len()))
                    ),
                    h.port::<quorate::raft::RaftPort<Registers>>(REGISTERS)
                        .map(|p| (p.state().map(|s| s.1), format!("{p:?}"))),
                    r.counters(),
                    r
                );
            } else {
                eprintln!("{id} {:?}", world.state(id));
            }
        }
        eprintln!("{:?}", workload);
    }
    o
}
