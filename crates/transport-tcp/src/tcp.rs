//! The transport itself: what its threads share, its peers, and its end.

use crate::config::{TcpConfig, TcpError};
use crate::counters::{Counting, TcpCounters, count};
use crate::listener::{self, Register};
use crate::stream::{Plain, Secure};
use crate::writer::{Peer, Writer};
use quorate_core::{Frame, NodeId, Rng};
use quorate_transport::{Inbox, Transport};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) me: NodeId,
    pub(crate) inbox: Inbox,
    pub(crate) config: TcpConfig,
    pub(crate) secure: Arc<dyn Secure>,
    pub(crate) counters: Counting,
    pub(crate) register: Register,
    addr: SocketAddr,
    stopped: AtomicBool,
    table: Mutex<Table>,
}

struct Table {
    peers: BTreeMap<NodeId, Arc<Peer>>,
    threads: Vec<JoinHandle<()>>,
    rng: Rng,
}

impl Shared {
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing that can panic runs under the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frames over TCP. Dropping it ends all its threads, closes its connections and frees its port; frames that
/// still wait are lost.
pub struct Tcp {
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// Who is where: a handle of a [`Tcp`] that can be cloned and kept, and that does not keep it alive.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

impl Tcp {
    /// Listens at `addr` (port 0: any free one) as `me`. What arrives goes into `inbox`.
    pub fn bind(
        addr: impl ToSocketAddrs,
        me: NodeId,
        inbox: Inbox,
        config: TcpConfig,
    ) -> Result<Tcp, TcpError> {
        Tcp::bind_with(addr, me, inbox, config, Arc::new(Plain))
    }

    /// The same over connections that `secure` makes safe.
    pub fn bind_with(
        addr: impl ToSocketAddrs,
        me: NodeId,
        inbox: Inbox,
        config: TcpConfig,
        secure: Arc<dyn Secure>,
    ) -> Result<Tcp, TcpError> {
        config.validate()?;
        let listener = TcpListener::bind(addr)?;
        // Only jitter is drawn from it.
        let rng = Rng::from_seed(RandomState::new().build_hasher().finish());
        let shared = Arc::new(Shared {
            me,
            inbox,
            config,
            secure,
            counters: Counting::default(),
            register: Register::default(),
            addr: listener.local_addr()?,
            stopped: AtomicBool::new(false),
            table: Mutex::new(Table { peers: BTreeMap::new(), threads: Vec::new(), rng }),
        });
        let theirs = shared.clone();
        let thread = thread::Builder::new()
            .name(format!("{me}-listens"))
            .spawn(move || listener::run(theirs, listener))?;
        Ok(Tcp { shared, listener: Some(thread) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// The handle that says who is where.
    pub fn peers(&self) -> Peers {
        Peers(self.shared.clone())
    }

    /// What was done and refused so far.
    pub fn counters(&self) -> TcpCounters {
        self.shared.counters.read()
    }

    /// Ends everything, as dropping does. Returns when all threads have ended and the port is free, at the
    /// latest after `connect_timeout` and a little.
    pub fn close(&mut self) {
        let shared = &self.shared;
        if shared.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut threads = Vec::new();
        {
            let mut table = shared.table();
            table.peers.values().for_each(|peer| peer.close());
            table.peers.clear();
            threads.append(&mut table.threads);
        }
        // First the one that makes others.
        if let Some(listener) = self.listener.take() {
            let begun = Instant::now();
            while !listener.is_finished() && begun.elapsed() < Duration::from_secs(5) {
                listener::knock(shared.addr);
                thread::sleep(Duration::from_micros(200));
            }
            // An interface that is gone lets nobody knock; better one thread that sleeps than one that waits
            // for it.
            if listener.is_finished() {
                join(listener);
            }
        }
        threads.append(&mut shared.register.close());
        threads.into_iter().for_each(join);
    }
}

/// A bell of the inbox may drop the transport from a thread of its own.
fn join(thread: JoinHandle<()>) {
    if thread.thread().id() != thread::current().id() {
        let _ = thread.join();
    }
}

impl Transport for Tcp {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let shared = &self.shared;
        if frame.len() > shared.config.frame_bytes_max {
            return count(&shared.counters.dropped_too_large);
        }
        let peer = shared.table().peers.get(&to).cloned();
        match peer {
            Some(peer) => peer.queue.push(frame, &shared.config, &shared.counters),
            None => count(&shared.counters.dropped_unknown_peer),
        }
    }

    fn frame_bytes_max(&self) -> usize {
        self.shared.config.frame_bytes_max
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.close();
    }
}

impl Peers {
    /// Says where a peer is, for the first time or anew. Frames that wait for it go to the new address; nothing
    /// happens if it is the old one.
    pub fn set(&self, id: NodeId, addr: SocketAddr) -> Result<(), TcpError> {
        let shared = &self.0;
        if id == shared.me {
            return Err(TcpError::Myself);
        }
        let mut table = shared.table();
        // Asked under the lock: who closes takes the peers out under it.
        if shared.stopped() {
            return Err(TcpError::Closed);
        }
        if let Some(peer) = table.peers.get(&id) {
            peer.queue.move_to(addr);
            return Ok(());
        }
        if table.peers.len() >= shared.config.peers_max {
            return Err(TcpError::TooManyPeers(table.peers.len()));
        }
        table.threads.retain(|thread| !thread.is_finished());
        let peer = Arc::new(Peer::new(id, addr));
        let writer = Writer::new(peer.clone(), shared.clone(), table.rng.fork());
        let thread =
            thread::Builder::new().name(format!("{}-to-{id}", shared.me)).spawn(move || writer.run())?;
        table.threads.push(thread);
        table.peers.insert(id, peer);
        Ok(())
    }

    /// Forgets a peer; what waits for it is lost. Whether it was known. Connections that it opened stay.
    pub fn remove(&self, id: NodeId) -> bool {
        let peer = self.0.table().peers.remove(&id);
        peer.inspect(|peer| peer.close()).is_some()
    }

    /// The peers and their addresses.
    pub fn list(&self) -> Vec<(NodeId, SocketAddr)> {
        self.0.table().peers.values().map(|peer| (peer.id, peer.queue.addr())).collect()
    }

    /// Connections taken that stand now.
    pub fn connections(&self) -> usize {
        self.0.register.len()
    }

    /// What was done and refused so far.
    pub fn counters(&self) -> TcpCounters {
        self.0.counters.read()
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tcp({} at {})", self.shared.me, self.shared.addr)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}
