//! The tool for the day on which most of a cluster's disks are gone for ever. For nodes on redb journals, stopped.
//! Read "A lost quorum" in docs/OPERATIONS.md first: what only the lost disks held is lost.
//!
//!     recover examine DIR NODE SCOPE
//!     recover make DIR NODE SCOPE --lost NODE,NODE,.. [--other REMAINS]..
//!
//! `examine` prints one line, REMAINS, of every survivor; `make` goes on with the one whose log is greatest, and wants to be
//! told what the others hold and which voters are lost for good. For a cluster of the example `kv-node`:
//!
//!     cargo run --release --example recover -- examine /tmp/kv4 4 store

use quorate::journal::RedbJournal;
use quorate::raft::{LostForGood, Remains};
use quorate::recovery::{examine, recover};
use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "usage: recover examine DIR NODE SCOPE
       recover make DIR NODE SCOPE --lost NODE,NODE,.. [--other REMAINS]..";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("recover: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What these words do, and what it prints.
pub(crate) fn run(words: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let words: Vec<String> = words.collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["examine", dir, node, scope] => {
            // One that is not there would be made.
            std::fs::metadata(dir)?;
            Ok(serde_json::to_string(&examine(RedbJournal::open(dir)?, node.parse::<u64>()?, scope)?)?)
        }
        ["make", dir, node, scope, ref rest @ ..] => {
            std::fs::metadata(dir)?;
            let (mut lost, mut others) = (Vec::new(), Vec::<Remains>::new());
            for pair in rest.chunks(2) {
                match pair {
                    ["--lost", nodes] => {
                        lost = nodes.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?
                    }
                    ["--other", remains] => others.push(serde_json::from_str(remains)?),
                    _ => return Err(USAGE.into()),
                }
            }
            let lost = LostForGood::i_accept_the_loss_of(lost);
            let now = recover(RedbJournal::open(dir)?, node.parse::<u64>()?, scope, &others, &lost)?;
            Ok(format!(
                "node {node} goes on alone from {} as cluster {:016x}. Start it as ever; start all others on empty journals with \
                 join([{node}]), and give them their votes by a change",
                now.kept, now.group
            ))
        }
        _ => Err(USAGE.into()),
    }
}
