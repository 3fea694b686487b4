//! Real processes, killed as `kill -9` kills: what they reported as synced is there. A harness of its own, because
//! this program is also the process that is killed.
//!
//! A journal that never syncs passes this too: the system keeps what a killed process wrote. What a sync promises
//! is therefore shown in `power.rs`, where the same lie is caught.

#![allow(clippy::unwrap_used, clippy::panic)] // what helps a test may fail as a test does

use quorate_core::Rng;
use quorate_journal::conformance::Contents;
use quorate_journal::{Journal, JournalId, Mark, MemoryBlobs, MemoryDisk, ScopeId};
use quorate_journal_redb::{Config, OpenError, RedbJournal};
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SCOPES: u64 = 3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, kind, dir] = args.as_slice()
        && flag == "--child"
    {
        return write_until_killed(kind, Path::new(dir));
    }
    if args.iter().any(|arg| arg == "--list") {
        return;
    }
    assert_eq!(rounds_with_a_loss("honest", 10, 60), 0);
    assert_eq!(rounds_with_a_loss("never syncs", 10, 60), 0, "see above");
    // That this test can fail: a process that reports and then syncs.
    assert!(rounds_with_a_loss("reports early", 8, 6) > 0);
}

/// Kills a process `rounds` times on one journal, after at most `reports` reports each, and counts how often
/// something was missing that it had reported.
fn rounds_with_a_loss(kind: &str, rounds: u64, reports: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::from_seed(4);
    let (mut life, mut losses) = (0, 0);
    for round in 0..rounds {
        let reported = run_and_kill(kind, dir.path(), rng.within(0..reports), &mut life);
        let mut journal = open(kind, dir.path()).unwrap();
        assert!(journal.opened().recovered, "round {round}: it was not killed");
        let boot = journal.begin_life().unwrap();
        assert!(boot.incarnation > life, "round {round}: life {} after {life}", boot.incarnation);
        life = boot.incarnation;
        losses += u64::from(written(&load(&mut journal)) < reported);
    }
    losses
}

/// Starts a process, reads `reports` of its reports, kills it, and answers how many records it reported.
fn run_and_kill(kind: &str, dir: &Path, reports: u64, life: &mut u64) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--child", kind])
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut reported = 0;
    let mut note = |line: io::Result<String>| {
        let line = line.unwrap();
        match line.split_once(' ') {
            Some(("life", n)) => *life = n.parse().unwrap(),
            Some(("synced", n)) => reported = n.parse().unwrap(),
            _ => panic!("{line:?}"),
        }
    };
    lines.by_ref().take(reports as usize + 1).for_each(&mut note);
    if kind != "never syncs" {
        let second = open(kind, dir);
        assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died it had promised.
    lines.for_each(note);
    reported
}

/// Record `n` goes to scope `n % 3`; scope 0 is compacted now and then.
fn write_until_killed(kind: &str, dir: &Path) {
    let mut journal = open(kind, dir).unwrap();
    let boot = journal.begin_life().unwrap();
    say(format_args!("life {}", boot.incarnation));
    let found = load(&mut journal);
    let mut next = written(&found);
    let mut mark = found.get(&ScopeId(0)).map_or(0, Vec::len) as u64;
    for batch in 0u64.. {
        for _ in 0..1 + batch % 7 {
            journal.append(ScopeId(next % SCOPES), next.to_string().into()).unwrap();
            mark += u64::from(next.is_multiple_of(SCOPES));
            next += 1;
        }
        if batch % 10 == 9 {
            let stands_for = format!("the first {}", next.div_ceil(SCOPES));
            journal.compact(ScopeId(0), Mark(mark), vec![stands_for.into()]).unwrap();
        }
        if kind == "reports early" {
            say(format_args!("synced {next}"));
            std::thread::sleep(Duration::from_millis(20));
        }
        journal.sync().unwrap();
        say(format_args!("synced {next}"));
    }
}

fn say(what: std::fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
}

/// How many records were written, after making sure that none is missing, changed or misplaced.
fn written(found: &Contents) -> u64 {
    let mut total = 0;
    for (scope, records) in found {
        let mut count = 0;
        for record in records {
            let text = std::str::from_utf8(record).unwrap();
            match text.strip_prefix("the first ") {
                Some(n) => count = n.parse().unwrap(),
                None => {
                    assert_eq!(text.parse(), Ok(scope.0 + SCOPES * count), "in {scope}");
                    count += 1;
                }
            }
        }
        total += count;
    }
    // A prefix over all scopes: each has as many as its turn gives it.
    for scope in 0..SCOPES {
        let due = (total + SCOPES - 1 - scope) / SCOPES;
        let last = found.get(&ScopeId(scope)).and_then(|records| records.last());
        let count = match last.map(|last| std::str::from_utf8(last).unwrap()) {
            None => 0,
            Some(text) => match text.strip_prefix("the first ") {
                Some(n) => n.parse().unwrap(),
                None => text.parse::<u64>().unwrap() / SCOPES + 1,
            },
        };
        assert_eq!(count, due, "scope {scope} of {total} records");
    }
    total
}

fn load(journal: &mut RedbJournal) -> Contents {
    let mut found = Contents::new();
    let each = &mut |scope, record| {
        found.entry(scope).or_default().push(record);
        Ok(())
    };
    journal.load(each).unwrap();
    found
}

fn open(kind: &str, dir: &Path) -> Result<RedbJournal, OpenError> {
    if kind != "never syncs" {
        return RedbJournal::open(dir);
    }
    let file = |name: &str| {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(dir.join(name));
        NeverSyncs(FileBackend::new(options.unwrap()).unwrap())
    };
    let blobs = MemoryBlobs::new(MemoryDisk::new(JournalId(0)));
    RedbJournal::open_on(&Config::default(), file("journal.redb"), file("witness"), move || {
        Box::new(blobs.clone())
    })
}

/// Says that it synced, and did not.
#[derive(Debug)]
struct NeverSyncs(FileBackend);

impl StorageBackend for NeverSyncs {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
