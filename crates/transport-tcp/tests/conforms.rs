//! The suite that every transport passes, plain and through a seam.

#![allow(clippy::unwrap_used)] // Helpers of tests may fail them.

use quorate_core::NodeId;
use quorate_transport::Inbox;
use quorate_transport::conformance::{Lab, NODES, check};
use quorate_transport_tcp::{Accepted, Plain, Secure, Stream, Tcp, TcpConfig};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Machines {
    addrs: BTreeMap<NodeId, SocketAddr>,
    secure: Arc<dyn Secure>,
    begun: Instant,
}

impl Machines {
    fn new(secure: Arc<dyn Secure>) -> Machines {
        // All at once, so that they differ; they are free again when this returns.
        let reserved: Vec<TcpListener> =
            NODES.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addrs = NODES.iter().zip(&reserved).map(|(id, l)| (*id, l.local_addr().unwrap())).collect();
        Machines { addrs, secure, begun: Instant::now() }
    }
}

impl Lab for Machines {
    type Net = Tcp;

    fn start(&mut self, id: NodeId, inbox: Inbox) -> Tcp {
        let config = TcpConfig::default();
        let tcp = Tcp::bind_with(self.addrs[&id], id, inbox, config, self.secure.clone()).unwrap();
        for (peer, addr) in self.addrs.iter().filter(|(peer, _)| **peer != id) {
            tcp.peers().set(*peer, *addr).unwrap();
        }
        tcp
    }

    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }

    fn now(&mut self) -> Duration {
        self.begun.elapsed()
    }
}

#[test]
fn tcp_conforms() {
    check(&mut Machines::new(Arc::new(Plain))).unwrap();
}

/// Stands where TLS would: both sides first exchange a byte, then all bytes are disguised.
struct Masked;

struct MaskedStream(TcpStream);

impl Read for MaskedStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        into[..read].iter_mut().for_each(|byte| *byte ^= 0x5a);
        Ok(read)
    }
}

impl Write for MaskedStream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let masked: Vec<u8> = from.iter().map(|byte| byte ^ 0x5a).collect();
        self.0.write(&masked)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Secure for Masked {
    fn connect(&self, mut tcp: TcpStream, _: NodeId) -> io::Result<Box<dyn Stream>> {
        tcp.write_all(b"?")?;
        tcp.read_exact(&mut [0])?;
        Ok(Box::new(MaskedStream(tcp)))
    }
    fn accept(&self, mut tcp: TcpStream) -> io::Result<Accepted> {
        tcp.read_exact(&mut [0])?;
        tcp.write_all(b"!")?;
        Ok(Accepted { stream: Box::new(MaskedStream(tcp)), peer: None })
    }
}

#[test]
fn tcp_conforms_when_something_secures_its_connections() {
    check(&mut Machines::new(Arc::new(Masked))).unwrap();
}
