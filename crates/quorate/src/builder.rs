//! What a node is: its scopes, its handles, and the wires between them. The same function builds it for a real
//! node and for a simulated world; where it runs is said at the very end.

use quorate_consensus::raft::{Founding, Raft, RaftConfig, RaftConfigError, RaftHandle, RaftPort};
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
            door: Door::new(ASKS_MAX),
            inbox: Inbox::new(InboxLimits::default()),
            config: NodeConfig::default(),
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
    door: Door,
    inbox: Inbox,
    config: NodeConfig,
    problems: Vec<Problem>,
}

/// One thing that is wrong with a node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An agreement scope was added and nobody said who votes.
    #[error("scope \"{0}\" needs voters: say found([...]) or join([...]) before it is added")]
    NotFounded(String),
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
    /// Another scope's settings.
    #[error("scope \"{scope}\": {why}")]
    Scope {
        /// Its name.
        scope: String,
        /// What is wrong.
        why: String,
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

    /// This node is one of the first voters. On a journal that already holds this cluster it merely opens it.
    pub fn found<I: Into<NodeId>>(mut self, voters: impl IntoIterator<Item = I>) -> Self {
        let voters: Vec<NodeId> = voters.into_iter().map(Into::into).collect();
        if !voters.contains(&self.id) {
            self.problems.push(Problem::NotAVoter { node: self.id, voters: voters.clone() });
        }
        self.founding = Some(Founding::Found(voters));
        self
    }

    /// This node has no vote: it is new, or lost its disk. It learns from whoever of these leads.
    pub fn join<I: Into<NodeId>>(mut self, seeds: impl IntoIterator<Item = I>) -> Self {
        self.founding = Some(Founding::Join(seeds.into_iter().map(Into::into).collect()));
        self
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
        self.door.clone()
    }

    /// Adds a replicated state machine.
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
        let scope = ScopeId::new("raft", name, 0);
        match self.founding.clone() {
            None => self.problems.push(Problem::NotFounded(name.to_owned())),
            Some(founding) => match Raft::new(self.id, config.clone(), founding) {
                Ok(raft) => {
                    self.host.scope(scope, raft, RaftPort::new(state, decider, config));
                }
                Err(why) => self.problems.push(Problem::Raft { scope: name.to_owned(), why }),
            },
        }
        RaftHandle::new(self.door(), scope)
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

    /// The node, to be driven by a world or by a driver of your own; or everything that is wrong with it.
    pub fn build(self) -> Result<Assembly, ConfigError> {
        self.parts().map(|(assembly, _, _)| assembly)
    }

    fn parts(mut self) -> Result<(Assembly, Inbox, NodeConfig), ConfigError> {
        let host = match self.host.build() {
            Ok(host) if self.problems.is_empty() => host,
            Ok(_) => return Err(ConfigError(self.problems)),
            Err(why) => {
                self.problems.push(Problem::Host(why));
                return Err(ConfigError(self.problems));
            }
        };
        Ok((Assembly { id: self.id, cluster: self.cluster, host, door: self.door }, self.inbox, self.config))
    }

    /// Runs it on this machine: over this transport, on this journal.
    pub fn start(
        self,
        transport: impl Transport + 'static,
        journal: impl Journal + 'static,
    ) -> Result<Running, NodeError> {
        let (assembly, inbox, config) = self.parts()?;
        Ok(quorate_node::start(assembly, transport, inbox, journal, config)?)
    }
}
