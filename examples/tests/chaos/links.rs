//! The network between the processes: each direction of each pair goes through a small proxy of this test, which can make
//! it slow, let it stand still, or break it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// How often those who wait look up.
const TICK: Duration = Duration::from_millis(5);

/// One way between two nodes.
pub type Way = (u64, u64);

/// What a way does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Open,
    /// Each piece is so long under way, and the next one waits for it.
    Slow(Duration),
    /// Nothing moves and nobody is told; what was under way arrives when it opens. As packets that are lost and repeated.
    Still,
    /// Connections break, and so do new ones.
    Broken,
}

/// All ways among some nodes. The nodes may move; the ways stay where they are.
pub struct Links {
    ways: BTreeMap<Way, Arc<Proxy>>,
}

struct Proxy {
    at: SocketAddr,
    line: Mutex<Line>,
    /// Where the node at the far end listens, while it runs.
    target: Mutex<Option<SocketAddr>>,
    ended: AtomicBool,
}

impl Links {
    pub fn among(nodes: &[u64]) -> Links {
        let pairs = nodes.iter().flat_map(|from| nodes.iter().map(move |to| (*from, *to)));
        Links { ways: pairs.filter(|(from, to)| from != to).map(|way| (way, Proxy::start())).collect() }
    }

    /// The address under which `from` finds `to`.
    pub fn address(&self, way: Way) -> SocketAddr {
        self.ways[&way].at
    }

    /// A node listens here now, or nowhere.
    pub fn set_target(&self, node: u64, target: Option<SocketAddr>) {
        for (_, proxy) in self.ways.iter().filter(|((_, to), _)| *to == node) {
            *proxy.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
        }
    }

    pub fn set(&self, way: Way, line: Line) {
        *self.ways[&way].line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for proxy in self.ways.values() {
            proxy.ended.store(true, Ordering::Relaxed);
            // Whoever accepts looks up once more.
            let _ = TcpStream::connect(proxy.at);
        }
    }
}

impl Proxy {
    fn start() -> Arc<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Arc::new(Proxy {
            at: listener.local_addr().unwrap(),
            line: Mutex::new(Line::Open),
            target: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = proxy.clone();
        spawn(move || {
            for near in listener.incoming().flatten() {
                if own.ended.load(Ordering::Relaxed) {
                    return;
                }
                let proxy = own.clone();
                // A connection that breaks is what is wanted here.
                spawn(move || proxy.carry(near));
            }
        });
        proxy
    }

    fn line(&self) -> Line {
        match self.ended.load(Ordering::Relaxed) {
            true => Line::Broken,
            false => *self.line.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Waits while nothing moves; then how long a piece is under way, or nothing if all is broken.
    fn passes(&self) -> Option<Duration> {
        loop {
            match self.line() {
                Line::Open => return Some(Duration::ZERO),
                Line::Slow(by) => return Some(by),
                Line::Broken => return None,
                Line::Still => sleep(TICK),
            }
        }
    }

    /// One connection, until one of its ends closes or it is broken.
    fn carry(self: Arc<Proxy>, near: TcpStream) -> Result<()> {
        let Some(_) = self.passes() else { return Ok(()) };
        let target = *self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(target) = target else { return Ok(()) };
        let far = TcpStream::connect(target)?;
        far.set_nodelay(true)?;
        near.set_read_timeout(Some(TICK))?;
        let (near_end, far_end, proxy) = (near.try_clone()?, far.try_clone()?, self.clone());
        // Nodes say nothing back; that the far one closes must be told.
        spawn(move || {
            let _ = (&far_end).read(&mut [0]);
            proxy.passes();
            let _ = near_end.shutdown(Shutdown::Both);
        });
        let ended = self.pump(&near, &far);
        let _ = far.shutdown(Shutdown::Both);
        ended
    }

    fn pump(&self, mut near: &TcpStream, mut far: &TcpStream) -> Result<()> {
        let mut piece = vec![0; 64 << 10];
        while self.passes().is_some() {
            let bytes = match near.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(bytes) => bytes,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error),
            };
            let Some(delay) = self.passes() else { return Ok(()) };
            if !delay.is_zero() {
                sleep(delay);
            }
            far.write_all(&piece[..bytes])?;
        }
        Ok(())
    }
}
