//! The seam where TLS goes: what turns a TCP connection into a stream that frames travel in.

use quorate_core::NodeId;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// What frames travel in.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// A connection taken, and whose it is if that was proven.
pub struct Accepted {
    /// What its frames come out of.
    pub stream: Box<dyn Stream>,
    /// The node that the handshake proved, from its certificate say. A preamble under another name is refused.
    /// `None` where nothing is proven.
    pub peer: Option<NodeId>,
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accepted({:?})", self.peer)
    }
}

/// Turns TCP connections into streams. Both calls run on the connection's own thread and may block; time-outs
/// for reading and writing are set on the socket, and a handshake that takes longer than `preamble_timeout` may
/// be cut off. Errors close the connection and are counted.
pub trait Secure: Send + Sync {
    /// For a connection that this node opened to `peer`, which must prove that it is that node.
    fn connect(&self, tcp: TcpStream, peer: NodeId) -> io::Result<Box<dyn Stream>>;
    /// For a connection that somebody opened to this node.
    fn accept(&self, tcp: TcpStream) -> io::Result<Accepted>;
}

/// No encryption and no proof: for networks that are trusted, or secured below (WireGuard, a mesh).
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Secure for Plain {
    fn connect(&self, tcp: TcpStream, _: NodeId) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(tcp))
    }
    fn accept(&self, tcp: TcpStream) -> io::Result<Accepted> {
        Ok(Accepted { stream: Box::new(tcp), peer: None })
    }
}
