//! Takes connections, and keeps the register of those taken: how many, whose, and how to break them off.

use crate::counters::count;
use crate::reader;
use crate::tcp::Shared;
use quorate_core::NodeId;
use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The connections taken.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    taken: BTreeMap<u64, Entry>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Entry {
    tcp: TcpStream,
    since: Instant,
    peer: Option<NodeId>,
}

impl Register {
    /// A place for a connection; `None` when there are too many, or too many that have not said whose they are.
    fn enter(&self, tcp: &TcpStream, shared: &Shared) -> io::Result<Option<u64>> {
        let tcp = tcp.try_clone()?;
        let mut entries = self.lock();
        entries.reap();
        let (config, now) = (&shared.config, Instant::now());
        let mut unnamed = 0;
        for entry in entries.taken.values().filter(|entry| entry.peer.is_none()) {
            unnamed += 1;
            if now.duration_since(entry.since) > config.preamble_timeout {
                // Its own thread would notice, unless it hangs in a handshake of the seam's.
                let _ = entry.tcp.shutdown(Shutdown::Both);
            }
        }
        if unnamed >= config.unnamed_max || entries.taken.len() >= config.connections_max {
            return Ok(None);
        }
        let id = entries.next;
        entries.next += 1;
        entries.taken.insert(id, Entry { tcp, since: now, peer: None });
        Ok(Some(id))
    }

    /// A connection has said whose it is. Whether an older one of that peer had to go.
    pub(crate) fn name(&self, id: u64, peer: NodeId, most: usize) -> bool {
        let mut entries = self.lock();
        if let Some(entry) = entries.taken.get_mut(&id) {
            entry.peer = Some(peer);
        }
        let mut same = entries.taken.values().filter(|entry| entry.peer == Some(peer));
        let oldest = same.next();
        match oldest {
            Some(oldest) if same.count() >= most => oldest.tcp.shutdown(Shutdown::Both).is_ok(),
            _ => false,
        }
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, id: u64) {
        self.lock().taken.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().taken.len()
    }

    /// Breaks off all connections. Their threads, to be joined.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        let mut entries = self.lock();
        for entry in entries.taken.values() {
            let _ = entry.tcp.shutdown(Shutdown::Both);
        }
        std::mem::take(&mut entries.threads)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Forgets the threads that have ended.
    fn reap(&mut self) {
        self.threads.retain(|thread| !thread.is_finished());
    }
}

/// Takes connections until the transport stops.
pub(crate) fn run(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let taken = listener.accept();
        if shared.stopped() {
            return;
        }
        let admitted = match taken {
            Ok((tcp, _)) => admit(&shared, tcp),
            Err(refused) => Err(refused),
        };
        if let Err(refused) = admitted {
            count(&shared.counters.accepts_failed);
            // Out of descriptors or memory: that does not change within a microsecond.
            if refused.kind() != io::ErrorKind::ConnectionAborted {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, tcp: TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(reader::TICK.min(shared.config.preamble_timeout)))?;
    tcp.set_write_timeout(Some(shared.config.write_timeout))?;
    let Some(id) = shared.register.enter(&tcp, shared)? else {
        count(&shared.counters.refused_too_many);
        return Ok(());
    };
    let theirs = shared.clone();
    let spawned = thread::Builder::new()
        .name(format!("{}-reads", shared.me))
        .spawn(move || reader::run(theirs, id, tcp));
    match spawned {
        Ok(thread) => {
            count(&shared.counters.accepted);
            shared.register.lock().threads.push(thread);
            Ok(())
        }
        Err(refused) => {
            shared.register.leave(id);
            Err(refused)
        }
    }
}

/// Makes a listener that waits for connections look up: it has no other ear. Where it listens everywhere it is
/// reached at home.
pub(crate) fn knock(mut addr: SocketAddr) {
    if addr.ip().is_unspecified() {
        match addr {
            SocketAddr::V4(_) => addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => addr.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        }
    }
    let _ = TcpStream::connect_timeout(&addr, Duration::from_millis(200));
}
