//! The simulator's campaigns behind one program: whole clusters under every fault, seed after seed.

use quorate_examples::campaign::{
    Figures, Planted, Protocol, Ran, by_name, by_test, mutations, planted, table,
};
use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo run --release --example campaign -- [OPTIONS]

  --protocol NAME     which campaign: raft, groups or work (default raft)
  --seeds A..B        which seeds (default 0..1000)
  --jobs N            on how many threads (default: as many as there are cores); the results are the same
  --mutation NAME     plant this bug: the campaign should fail
  --oracle            plant each bug in turn, in its own campaign, and print how many seeds were needed to catch it
  --trace FILE        write a line there for everything that happens in a single seed
  --transitions FILE  write a line of JSON there for every transition of a Raft replica in a single seed (feature trace)
  --list-mutations    the names of the bugs, one a line
  --json FILE         write the figures there

Exit code 0: nothing was found; 1: something was, with the line that replays it; 2: not understood.";

struct Options {
    protocol: &'static Protocol,
    seeds: Range<u64>,
    jobs: NonZeroUsize,
    mutation: Option<String>,
    oracle: bool,
    json: Option<PathBuf>,
    trace: Option<PathBuf>,
    transitions: Option<PathBuf>,
}

fn main() -> ExitCode {
    match parse() {
        Err(why) => {
            eprintln!("{why}\n\n{HELP}");
            ExitCode::from(2)
        }
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(options)) if options.oracle => oracle(),
        Ok(Some(options)) => campaign(&options),
    }
}

fn campaign(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let mut shown = begun;
    let mut failed = 0;
    let (jobs, seeds) = (options.jobs, options.seeds.clone());
    let report = options.protocol.campaign_on(jobs, seeds, options.mutation.as_deref(), |progress| {
        if progress.outcome.violation.is_some() {
            failed += 1;
        }
        if shown.elapsed() > Duration::from_millis(500) {
            shown = Instant::now();
            eprint!("\r{} of {} seeds, {failed} failed ", progress.done, progress.of);
            let _ = std::io::stderr().flush();
        }
    });
    eprint!("\r                                        \r");
    let mutation = options.mutation.as_deref();
    let ran = Ran { seeds: options.seeds.clone(), jobs: options.jobs.get(), wall: begun.elapsed() };
    let figures = Figures::of(options.protocol.name, mutation, ran, &report);
    print!("{}", table(&figures));
    if let Some(path) = &options.json
        && let Err(why) = write_json(path, &figures)
    {
        eprintln!("{}: {why}", path.display());
        return ExitCode::from(2);
    }
    if let Some(path) = &options.trace
        && let Err(why) = write_trace(path, options)
    {
        eprintln!("{}: {why}", path.display());
        return ExitCode::from(2);
    }
    if let Some(path) = &options.transitions
        && let Err(why) = write_transitions(path, options)
    {
        eprintln!("{}: {why}", path.display());
        return ExitCode::from(2);
    }
    if figures.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plants each bug in turn. Fails if one is not caught within its budget of seeds.
fn oracle() -> ExitCode {
    println!("{:<34} {:>8} {:>12} {:>7}  caught by", "planted bug", "campaign", "seeds needed", "budget");
    let mut missed = false;
    for planted in planted() {
        let Planted { protocol, mutation, budget } = planted;
        let (needed, by) = match planted.catch() {
            Some(caught) => (caught.seeds.to_string(), caught.by),
            None => (format!("> {budget}"), "NOBODY".to_owned()),
        };
        missed |= by == "NOBODY";
        println!("{mutation:<34} {:>8} {needed:>12} {budget:>7}  {by}", protocol.name);
    }
    for (mutation, test) in by_test() {
        println!("{mutation:<34} {:>8} {:>12} {:>7}  {test}", "raft", "-", "-");
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn write_json(path: &Path, figures: &Figures) -> std::io::Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(figures)?)
}

/// Runs the seed once more, telling what happens.
fn write_trace(path: &Path, options: &Options) -> std::io::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let seed = options.seeds.start;
    options.protocol.trace(seed, options.mutation.as_deref(), Box::new(file));
    println!("  everything that happened is in {}", path.display());
    Ok(())
}

#[cfg(feature = "trace")]
fn write_transitions(path: &Path, options: &Options) -> std::io::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let seed = options.seeds.start;
    options.protocol.transitions(seed, options.mutation.as_deref(), Box::new(file));
    println!("  every transition is in {}", path.display());
    Ok(())
}

#[cfg(not(feature = "trace"))]
fn write_transitions(_: &Path, _: &Options) -> std::io::Result<()> {
    Err(std::io::Error::other("built without the feature trace"))
}

fn parse() -> Result<Option<Options>, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let (mut name, mut seeds) = ("raft".to_owned(), 0..1000);
    let (mut mutation, mut json, mut trace, mut transitions, mut is_oracle) = (None, None, None, None, false);
    let mut jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let text = |parser: &mut lexopt::Parser| -> Result<String, String> {
        parser.value().and_then(|value| value.string()).map_err(|e| e.to_string())
    };
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Long("protocol") => name = text(&mut parser)?,
            Long("seeds") => seeds = range(&text(&mut parser)?)?,
            Long("jobs") => {
                jobs = text(&mut parser)?.parse().map_err(|_| "--jobs takes a number from 1 on")?
            }
            Long("mutation") => mutation = Some(text(&mut parser)?),
            Long("oracle") => is_oracle = true,
            Long("json") => json = Some(PathBuf::from(text(&mut parser)?)),
            Long("trace") => trace = Some(PathBuf::from(text(&mut parser)?)),
            Long("transitions") => transitions = Some(PathBuf::from(text(&mut parser)?)),
            Long("list-mutations") => {
                mutations().iter().for_each(|name| println!("{name}"));
                return Ok(None);
            }
            Long("help") | Short('h') => {
                println!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    let protocol = by_name(&name).ok_or_else(|| format!("there is no campaign {name}"))?;
    if let Some(planted) = &mutation
        && !(protocol.mutations)().contains(&planted.as_str())
    {
        return Err(format!("the campaign {name} knows no mutation {planted}"));
    }
    if (trace.is_some() || transitions.is_some()) && seeds.end - seeds.start != 1 {
        return Err("--trace and --transitions take a single seed: --seeds A..B with B = A + 1".to_owned());
    }
    Ok(Some(Options { protocol, seeds, jobs, mutation, oracle: is_oracle, json, trace, transitions }))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parts
        .filter(|range| range.start < range.end)
        .ok_or_else(|| format!("--seeds takes A..B with A below B, not {text}"))
}
