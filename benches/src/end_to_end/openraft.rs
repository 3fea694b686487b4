//! openraft: three nodes on one tokio thread; log and state machine in memory, answering at once; calls between
//! nodes go straight to the other's handle.

use super::{Cluster, Command, State};
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, Config, Entry, EntryPayload, LogId, LogState, OptionalSend, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

openraft::declare_raft_types!(
    /// What is replicated.
    pub Types: D = Command, R = u64, NodeId = u64, Node = BasicNode, SnapshotData = Box<State>
);

type Raft = openraft::Raft<Types>;
type Failed<E = RaftError<u64>> = RPCError<u64, BasicNode, E>;
type Stored<T> = Result<T, StorageError<u64>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log: entries without gaps, the first of index 0.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry<Types>>,
    vote: Option<Vote<u64>>,
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Stored<Vec<Entry<Types>>>
    where
        RB: RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend,
    {
        let kept = lock(&self.0);
        let bound = |bound: Bound<&u64>, excluded: u64, unbounded: usize| match bound {
            Bound::Included(at) => (*at + 1 - excluded) as usize,
            Bound::Excluded(at) => (*at + excluded) as usize,
            Bound::Unbounded => unbounded,
        };
        let end = bound(range.end_bound(), 0, kept.entries.len()).min(kept.entries.len());
        let start = bound(range.start_bound(), 1, 0).min(end);
        Ok(kept.entries.range(start..end).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let last_log_id = lock(&self.0).entries.back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }
    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }
    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        lock(&self.0).vote = Some(*vote);
        Ok(())
    }
    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(lock(&self.0).vote)
    }
    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        lock(&self.0).entries.extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }
    async fn truncate(&mut self, from: LogId<u64>) -> Stored<()> {
        lock(&self.0).entries.truncate(from.index as usize);
        Ok(())
    }
    async fn purge(&mut self, _: LogId<u64>) -> Stored<()> {
        unreachable!("no snapshots are taken")
    }
}

#[derive(Clone, Default)]
struct Machine(Arc<Mutex<Applied>>);

#[derive(Default)]
struct Applied {
    state: State,
    last: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        unreachable!("no snapshots are taken")
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        let applied = lock(&self.0);
        Ok((applied.last, applied.membership.clone()))
    }
    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut applied = lock(&self.0);
        let apply = |entry: Entry<Types>| {
            applied.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => 0,
                EntryPayload::Normal(command) => applied.state.apply(command),
                EntryPayload::Membership(members) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), members);
                    0
                }
            }
        };
        Ok(entries.into_iter().map(apply).collect())
    }
    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }
    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Box<State>>> {
        unreachable!("no snapshots are sent")
    }
    async fn install_snapshot(&mut self, _: &SnapshotMeta<u64, BasicNode>, _: Box<Box<State>>) -> Stored<()> {
        unreachable!("no snapshots are sent")
    }
    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// All nodes, once they are there.
type Nodes = Arc<OnceLock<BTreeMap<u64, Raft>>>;

#[derive(Clone)]
struct Network(Nodes);

struct Way(Nodes, u64);

impl RaftNetworkFactory<Types> for Network {
    type Network = Way;
    async fn new_client(&mut self, target: u64, _: &BasicNode) -> Way {
        Way(self.0.clone(), target)
    }
}

impl Way {
    fn peer(&self) -> &Raft {
        &self.0.get().expect("all nodes are there")[&self.1]
    }
}

fn remote(target: u64, error: RaftError<u64>) -> Failed {
    RPCError::RemoteError(openraft::error::RemoteError::new(target, error))
}

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        self.peer().append_entries(rpc).await.map_err(|error| remote(self.1, error))
    }
    async fn vote(&mut self, rpc: VoteRequest<u64>, _: RPCOption) -> Result<VoteResponse<u64>, Failed> {
        self.peer().vote(rpc).await.map_err(|error| remote(self.1, error))
    }
    async fn full_snapshot(
        &mut self,
        _: Vote<u64>,
        _: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        unreachable!("no snapshots are sent")
    }
}

struct Peer {
    runtime: Runtime,
    nodes: BTreeMap<u64, Raft>,
    machines: Vec<Machine>,
    leader: u64,
}

/// Makes it, with a leader.
pub fn make(nodes: u64) -> Box<dyn Cluster> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let peer = runtime.block_on(async {
        let config =
            Config { snapshot_policy: SnapshotPolicy::Never, max_payload_entries: 4096, ..Config::default() };
        let config = Arc::new(config.validate().expect("the settings fit together"));
        let network = Network(Nodes::default());
        let (mut rafts, mut machines) = (BTreeMap::new(), Vec::new());
        for id in 1..=nodes {
            let machine = Machine::default();
            machines.push(machine.clone());
            let raft = Raft::new(id, config.clone(), network.clone(), Log::default(), machine).await;
            rafts.insert(id, raft.expect("it starts"));
        }
        assert!(network.0.set(rafts.clone()).is_ok());
        let members: BTreeMap<u64, BasicNode> = (1..=nodes).map(|id| (id, BasicNode::default())).collect();
        rafts[&1].initialize(members).await.expect("it is new");
        let led = rafts[&1].wait(None).metrics(|metrics| metrics.current_leader.is_some(), "a leader").await;
        let leader = led.ok().and_then(|metrics| metrics.current_leader).expect("somebody leads");
        (rafts, machines, leader)
    });
    let (nodes, machines, leader) = peer;
    Box::new(Peer { runtime, nodes, machines, leader })
}

impl Cluster for Peer {
    fn run(&mut self, clients: usize, commits: u64) {
        let leader = self.nodes[&self.leader].clone();
        let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
        self.runtime.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..clients {
                let (leader, next) = (leader.clone(), next.clone());
                set.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if number >= commits {
                            return;
                        }
                        leader.client_write(Command::number(number)).await.expect("it is committed");
                    }
                });
            }
            while let Some(ended) = set.join_next().await {
                ended.expect("no client panics");
            }
        });
    }

    fn states(&mut self) -> Vec<State> {
        let last = lock(&self.machines[self.leader as usize - 1].0).last;
        self.runtime.block_on(async {
            for raft in self.nodes.values() {
                let wait = raft.wait(None);
                wait.applied_index_at_least(last.map(|id| id.index), "all of it")
                    .await
                    .expect("it gets there");
            }
        });
        self.machines.iter().map(|machine| lock(&machine.0).state).collect()
    }
}
