//! What a node is: its scopes, its handles, and the wires between them. The same function builds it for a real
//! node and for a simulated world; where it runs is said at the very end.

use quorate_consensus::groups::{GroupId, Groups, GroupsConfig, GroupsConfigError, GroupsHandle, GroupsPort};
use quorate_consensus::raft::{
    Founding, Raft, RaftConfig, RaftConfigError, RaftHandle, RaftPort, WitnessHandle,
};
use quorate_core::{
    Assembly, ClusterId, Decider, Door, HostBuilder, HostError, NoDecider, NodeId, Port, Protocol, ScopeId,
    StateMachine, Wire,
};
use quorate_journal::Journal;
use quorate_node::{NodeConfig, Running, StartError};
use quorate_transport::{Inbox, InboxLimits, Transport};

/// Where building a node begins.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// A node of this name, with no scopes yet.
    pub fn builder(id: impl Into<NodeId>) -> NodeBuilder {
        NodeBuilder {
            id: id.into(),
            cluster: ClusterId::named("quorate"),
            founding: None,
            host: HostBuilder::new(),
            door: Entrance(Some(Door::new(ASKS_MAX))),
            inbox: Inbox::new(InboxLimits::default()),
            config: NodeConfig::default(),
            frames: Vec::new(),
            problems: Vec::new(),
        }
    }
}

/// Asks that wait to be taken by the node; beyond it handles answer Busy (guess).
const ASKS_MAX: usize = 65_536;

/// Collects what a node is. Mistakes are kept and all told by [`NodeBuilder::build`], before anything runs.
#[derive(Debug)]
pub struct NodeBuilder {
    id: NodeId,
    cluster: ClusterId,
    founding: Option<Founding>,
    host: HostBuilder,
    door: Entrance,
    inbox: Inbox,
    config: NodeConfig,
    /// The largest frame that each scope may make.
    frames: Vec<(String, usize)>,
    problems: Vec<Problem>,
}

/// The door of a node that does not run yet. Should it never run, whoever knocks is told so.
#[derive(Debug)]
struct Entrance(Option<Door>);

impl Entrance {
    fn door(&self) -> Door {
        // There is one until the node is built, and a closed one keeps nobody waiting.
        self.0.clone().unwrap_or_else(|| {
            let door = Door::new(0);
            door.close();
            door
        })
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        if let Some(door) = &self.0 {
            door.close();
        }
    }
}

/// One thing that is wrong with a node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An agreement scope was added and nobody said who votes.
    #[error("scope \"{0}\" needs voters: say found([...]) or join([...]) before it is added")]
    NotFounded(String),
    /// Both were said, and they exclude each other.
    #[error("a node either founds or joins: say found([...]) or join([...]), once")]
    FoundedTwice,
    /// Two scopes of one kind have one name.
    #[error("there are two scopes \"{0}\"")]
    ScopeTwice(String),
    /// A founder must be one of the voters.
    #[error(
        "node {node} founds a cluster whose voters {voters:?} do not name it; use join([...]) for a node without a vote"
    )]
    NotAVoter {
        /// This node.
        node: NodeId,
        /// The voters named.
        voters: Vec<NodeId>,
    },
    /// A Raft scope's settings.
    #[error("scope \"{scope}\": {why}")]
    Raft {
        /// Its name.
        scope: String,
        /// What is wrong.
        why: RaftConfigError,
    },
    /// The settings of a scope of many groups.
    #[error("scope \"{scope}\": {why}")]
    Groups {
        /// Its name.
        scope: String,
        /// What is wrong.
        why: GroupsConfigError,
    },
    /// Another scope's settings.
    #[error("scope \"{scope}\": {why}")]
    Scope {
        /// Its name.
        scope: String,
        /// What is wrong.
        why: String,
    },
    /// The transport carries less than a scope may have to send, which would be dropped again and again.
    #[error(
        "scope \"{scope}\" may send frames of {needs} bytes and the transport carries {carries}; for Raft use \
         RaftConfig::for_frames({carries})"
    )]
    FramesTooSmall {
        /// Its name.
        scope: String,
        /// The largest frame that its settings lead to.
        needs: usize,
        /// What the transport carries.
        carries: usize,
    },
    /// Scopes that do not fit together.
    #[error(transparent)]
    Host(HostError),
}

/// A node that cannot be. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let lead = if i == 0 { "" } else { "; " };
            write!(f, "{lead}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A node did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It cannot be as it was built.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// Its journal or its threads said no.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl NodeBuilder {
    /// The cluster's name; frames of nodes of another name are refused. Default "quorate".
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = ClusterId::named(name);
        self
    }

    /// This node is one of the first voters; every founder names the same ones. On a journal that already holds this
    /// cluster it merely opens it, and the voters written there count. All founders must meet once before the
    /// first election; from then on a majority suffices. A founder that lost its disk is started with [`NodeBuilder::join`]:
    /// on an empty journal it would found anew. Best change to that for good once the cluster is founded.
    pub fn found<I: Into<NodeId>>(mut self, voters: impl IntoIterator<Item = I>) -> Self {
        let voters: Vec<NodeId> = voters.into_iter().map(Into::into).collect();
        if !voters.contains(&self.id) {
            self.problems.push(Problem::NotAVoter { node: self.id, voters: voters.clone() });
        }
        self.founded(Founding::Found(voters));
        self
    }

    /// This node has no vote: it is new, or lost its disk. It learns from whoever of these leads. On a journal that
    /// already holds this cluster it merely opens it.
    pub fn join<I: Into<NodeId>>(mut self, seeds: impl IntoIterator<Item = I>) -> Self {
        self.founded(Founding::Join(seeds.into_iter().map(Into::into).collect()));
        self
    }

    fn founded(&mut self, how: Founding) {
        if self.founding.replace(how).is_some() {
            self.problems.push(Problem::FoundedTwice);
        }
    }

    /// How the node runs: threads, bounds.
    pub fn config(mut self, config: NodeConfig) -> Self {
        self.config = config;
        self
    }

    /// Its name.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where its transport delivers what arrives.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Where its handles ask; for handles of protocols of your own.
    pub fn door(&self) -> Door {
        self.door.door()
    }

    /// Adds a replicated state machine. The name is the same on every node that has a replica of it, and so is the state, on
    /// those that come later too: the log is applied to it. Who founds or joins must have been said before.
    pub fn raft<S: StateMachine>(&mut self, name: &str, state: S) -> RaftHandle<S> {
        self.raft_with(name, state, NoDecider, RaftConfig::default())
    }

    /// The same with settings, and with a [`Decider`] for what only the leader decides.
    pub fn raft_with<S: StateMachine, D: Decider<S>>(
        &mut self,
        name: &str,
        state: S,
        decider: D,
        config: RaftConfig,
    ) -> RaftHandle<S, D> {
        let port = RaftPort::new(state, decider, config.clone());
        let scope = self.raft_scope(name, config, Raft::new, port);
        RaftHandle::new(self.door(), scope)
    }

    /// Takes part in the replicated state machine of this name as a witness: a voter that keeps the log for a while and no
    /// state. Two replicas and a witness outlive any one of the three: 1 and 2 say `found([1, 2, 3])` and `raft("kv", ..)`,
    /// 3 says `found([1, 2, 3])` and `witness("kv")`; later ones say `join` and get their vote by a change. It costs the disk
    /// writes of a log, and, while a replica is away, up to `witness_log_bytes` of memory here and on each replica. It is never
    /// elected and answers no reads. A node that was one is one for as long as it keeps its journal. Not for the groups of
    /// [`NodeBuilder::groups`].
    pub fn witness(&mut self, name: &str) -> WitnessHandle {
        self.witness_with(name, RaftConfig::default())
    }

    /// The same with settings.
    pub fn witness_with(&mut self, name: &str, config: RaftConfig) -> WitnessHandle {
        let port = RaftPort::of_witness(config.clone());
        let scope = self.raft_scope(name, config, Raft::witness, port);
        WitnessHandle::new(self.door(), scope)
    }

    fn raft_scope<S: StateMachine, D: Decider<S>>(
        &mut self,
        name: &str,
        config: RaftConfig,
        make: fn(NodeId, RaftConfig, Founding) -> Result<Raft, RaftConfigError>,
        port: RaftPort<S, D>,
    ) -> ScopeId {
        let scope = ScopeId::new("raft", name, 0);
        let again = self.frames.iter().any(|(other, _)| other == name);
        match self.founding.clone() {
            _ if again => self.problems.push(Problem::ScopeTwice(name.to_owned())),
            None => self.problems.push(Problem::NotFounded(name.to_owned())),
            Some(founding) => match make(self.id, config.clone(), founding) {
                Ok(raft) => {
                    self.frames.push((name.to_owned(), config.frame_bytes_max()));
                    self.host.scope(scope, raft, port);
                }
                Err(why) => self.problems.push(Problem::Raft { scope: name.to_owned(), why }),
            },
        }
        scope
    }

    /// Adds a scope of many groups, each a replicated state machine of its own that `make` makes the first state of. Groups
    /// are created through the handle, at any time; see [`GroupsHandle::create`]. Those that are named here are there from
    /// the start. Where `make` panics that group takes nothing on this node, and the others go on.
    pub fn groups<S: StateMachine>(
        &mut self,
        name: &str,
        groups: impl IntoIterator<Item = (GroupId, Founding)>,
        make: impl FnMut(GroupId) -> S + Send + 'static,
    ) -> GroupsHandle<S> {
        self.groups_with(name, groups, make, GroupsConfig::default())
    }

    /// The same with settings.
    pub fn groups_with<S: StateMachine>(
        &mut self,
        name: &str,
        groups: impl IntoIterator<Item = (GroupId, Founding)>,
        make: impl FnMut(GroupId) -> S + Send + 'static,
        config: GroupsConfig,
    ) -> GroupsHandle<S> {
        let scope = ScopeId::new("groups", name, 0);
        let again = self.frames.iter().any(|(other, _)| other == name);
        let named: Vec<(GroupId, Founding)> = groups.into_iter().collect();
        let refuse = |why| Problem::Groups { scope: name.to_owned(), why };
        for (_, founding) in &named {
            match founding.validated() {
                Ok(voters) if matches!(founding, Founding::Found(_)) && !voters.contains(&self.id) => {
                    self.problems.push(Problem::NotAVoter { node: self.id, voters });
                }
                Ok(_) => {}
                Err(why) => self.problems.push(refuse(why.into())),
            }
        }
        match Groups::new(self.id, config.clone()) {
            _ if again => self.problems.push(Problem::ScopeTwice(name.to_owned())),
            Ok(_) if named.len() > config.groups_max => {
                self.problems.push(refuse(GroupsConfigError::TooMany(named.len())));
            }
            Ok(mut groups) => {
                named.into_iter().for_each(|(group, founding)| groups.begin_with(group, founding));
                self.frames.push((name.to_owned(), config.frame_bytes_max()));
                self.host.scope(scope, groups, GroupsPort::new(make, &config));
            }
            Err(why) => self.problems.push(refuse(why)),
        }
        GroupsHandle::new(self.door(), scope)
    }

    /// Adds a protocol of your own: an equal of those of this library.
    pub fn scope<P, Q>(&mut self, id: ScopeId, protocol: P, port: Q) -> &mut Self
    where
        P: Protocol + Send + 'static,
        P::Msg: Wire + Send,
        P::Record: Wire + Send,
        P::Cmd: Send,
        P::Event: Send,
        Q: Port<P>,
    {
        self.host.scope(id, protocol, port);
        self
    }

    /// Carries what one scope tells as an ask to another; see [`HostBuilder::wire`].
    pub fn wire<N: 'static, A: Send + 'static>(
        &mut self,
        from: ScopeId,
        to: ScopeId,
        convert: impl FnMut(&N) -> Option<A> + Send + 'static,
    ) -> &mut Self {
        self.host.wire(from, to, convert);
        self
    }

    /// Keeps a mistake for [`NodeBuilder::build`].
    pub fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The node, to be driven by a world or by a driver of your own.
    ///
    /// # Errors
    /// Everything that is wrong with it. Its handles answer Rejected then.
    pub fn build(self) -> Result<Assembly, ConfigError> {
        self.parts().map(|(assembly, _, _)| assembly)
    }

    fn parts(mut self) -> Result<(Assembly, Inbox, NodeConfig), ConfigError> {
        // A scope that was refused leaves wires loose: the first mistake is the one to mend.
        if !self.problems.is_empty() {
            return Err(ConfigError(self.problems));
        }
        let host = self.host.build().map_err(|why| ConfigError(vec![Problem::Host(why)]))?;
        let door = self.door.door();
        self.door.0 = None;
        Ok((Assembly { id: self.id, cluster: self.cluster, host, door }, self.inbox, self.config))
    }

    /// Runs it on this machine: over this transport, on this journal. It runs until it is stopped or killed, or its
    /// handle is dropped.
    ///
    /// # Errors
    /// [`NodeError::Config`] tells everything that is wrong with it; then the journal was not touched.
    /// [`NodeError::Start`]: see [`StartError`]. Nothing was sent in either case, nothing runs, and its handles answer
    /// Rejected.
    pub fn start(
        mut self,
        transport: impl Transport + 'static,
        journal: impl Journal + 'static,
    ) -> Result<Running, NodeError> {
        let carries = transport.frame_bytes_max();
        for (scope, needs) in std::mem::take(&mut self.frames) {
            if needs > carries {
                self.problems.push(Problem::FramesTooSmall { scope, needs, carries });
            }
        }
        let (assembly, inbox, config) = self.parts()?;
        let door = assembly.door.clone();
        quorate_node::start(assembly, transport, inbox, journal, config).map_err(|why| {
            door.close();
            NodeError::Start(why)
        })
    }
}
