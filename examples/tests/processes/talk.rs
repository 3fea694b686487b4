//! Lines with one node, as `kv_node/lines.rs` has them.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A conversation.
pub struct Talk {
    to: TcpStream,
    from: BufReader<TcpStream>,
}

impl Talk {
    /// With the node whose clients' address this is; it has so much patience for a line.
    pub fn with(addr: SocketAddr, patience: Duration) -> Result<Talk> {
        let to = TcpStream::connect_timeout(&addr, patience)?;
        to.set_nodelay(true)?;
        to.set_read_timeout(Some(patience))?;
        to.set_write_timeout(Some(patience))?;
        let from = BufReader::new(to.try_clone()?);
        Ok(Talk { to, from })
    }

    pub fn say(&mut self, lines: &str) -> Result<()> {
        self.to.write_all(lines.as_bytes())
    }

    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        match self.from.read_line(&mut line)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.say(&format!("{line}\n"))?;
        self.hear()
    }
}

/// What a node said.
pub enum Said {
    Ok(String),
    /// Not done, and it never will be; who leads, if that was said; why.
    No(Option<u64>, String),
    /// Done or not, nobody knows; who leads, if that was said.
    Unknown(Option<u64>),
}

pub fn said(line: &str) -> Said {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    if kind == "ok" {
        return Said::Ok(rest.to_owned());
    }
    let (leader, why) = rest.split_once(' ').unwrap_or((rest, ""));
    match kind {
        "no" => Said::No(leader.parse().ok(), why.to_owned()),
        "unknown" => Said::Unknown(leader.parse().ok()),
        _ => panic!("a node said {line:?}"),
    }
}
