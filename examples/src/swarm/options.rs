//! What the swarm is told on its command line.

use std::path::PathBuf;

/// The options, with their defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// A WfFormat 1.5 file; `None` is the workflow made here.
    pub workflow: Option<PathBuf>,
    /// How much faster than traced tasks run; `None`: so that the work takes about 8 s in calm.
    pub speedup: Option<f64>,
    /// Coordinators.
    pub nodes: u64,
    /// Agents, over ten worker nodes (fewer if there are fewer agents).
    pub agents: u64,
    /// Of everything that is random here: the workflow made, victims, moments.
    pub seed: u64,
    /// What fails.
    pub faults: Faults,
    /// Over what nodes talk.
    pub transport: Wires,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Where the page goes; `None`: into the temporary folder.
    pub html: Option<PathBuf>,
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nothing.
    None,
    /// One of each kind.
    Default,
    /// Several of each kind, one after another until the work is done.
    Harsh,
}

/// Over what nodes talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wires {
    /// TCP on 127.0.0.1.
    Tcp,
    /// Inside this process.
    Loopback,
}

/// The help.
pub const HELP: &str = "\
quorate: a swarm of agents works through a task graph while nodes, agents and links fail

cargo run --release --example swarm -- [OPTIONS]

  --workflow FILE     a WfFormat 1.5 workflow (default: one of about 1,000 tasks, made here)
  --speedup X         tasks run X times faster than traced (default: the work takes about 8 s in calm)
  --nodes N           coordinators, 3 to 9 (default 5)
  --agents N          agents, 1 to 10,000, on up to ten worker nodes (default 200)
  --seed N            what is random here: the workflow made, victims, moments (default 1)
  --faults KIND       none, default or harsh
  --transport KIND    tcp or loopback (default tcp)
  --json FILE         write the figures there
  --html FILE         write the page there (default: a file in the folder for temporary files)
  --help              this

Exit code 0: nothing was lost or committed twice and the digest is right; 1: not so; 2: refused before it began;
130: interrupted.";

impl Default for Options {
    fn default() -> Self {
        Options {
            workflow: None,
            speedup: None,
            nodes: 5,
            agents: 200,
            seed: 1,
            faults: Faults::Default,
            transport: Wires::Tcp,
            json: None,
            html: None,
        }
    }
}

impl Options {
    /// Reads the arguments; `None` asks for the help. An error names the argument.
    pub fn parse(parser: &mut lexopt::Parser) -> Result<Option<Options>, String> {
        use lexopt::prelude::*;
        let mut options = Options::default();
        while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
            match argument {
                Long("help") | Short('h') => return Ok(None),
                Long("workflow") => options.workflow = Some(path(parser)?),
                Long("json") => options.json = Some(path(parser)?),
                Long("html") => options.html = Some(path(parser)?),
                Long("speedup") => {
                    let speedup: f64 = number(parser, "--speedup")?;
                    if !(speedup.is_finite() && speedup > 0.0) {
                        return Err("--speedup must be above 0".into());
                    }
                    options.speedup = Some(speedup);
                }
                Long("nodes") => options.nodes = within(parser, "--nodes", 3, 9)?,
                Long("agents") => options.agents = within(parser, "--agents", 1, 10_000)?,
                Long("seed") => options.seed = number(parser, "--seed")?,
                Long("faults") => {
                    options.faults = match text(parser)?.as_str() {
                        "none" => Faults::None,
                        "default" => Faults::Default,
                        "harsh" => Faults::Harsh,
                        other => return Err(format!("--faults takes none, default or harsh, not {other}")),
                    }
                }
                Long("transport") => {
                    options.transport = match text(parser)?.as_str() {
                        "tcp" => Wires::Tcp,
                        "loopback" => Wires::Loopback,
                        other => return Err(format!("--transport takes tcp or loopback, not {other}")),
                    }
                }
                other => return Err(other.unexpected().to_string()),
            }
        }
        Ok(Some(options))
    }
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.into_string().map_err(|value| format!("{} is not text", value.to_string_lossy()))
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, String> {
    parser.value().map(PathBuf::from).map_err(|e| e.to_string())
}

fn number<T: std::str::FromStr>(parser: &mut lexopt::Parser, name: &str) -> Result<T, String> {
    let value = text(parser)?;
    value.parse().map_err(|_| format!("{name} takes a number, not {value}"))
}

fn within(parser: &mut lexopt::Parser, name: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = number(parser, name)?;
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("{name} takes {least} to {most}, not {value}")),
    }
}
