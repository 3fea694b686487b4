//! A journal's files with damage: it opens with what was synced, or is refused and left as it was.

use crate::script::Script;
use quorate_journal::{Boot, Journal, Mark, ScopeId};
use quorate_journal_redb::{Config, OpenError, RedbJournal};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Once, OnceLock};
use tempfile::TempDir;

const PAGE: usize = 4096;
const NAMES: [&str; 2] = ["journal.redb", "witness"];

type Contents = BTreeMap<ScopeId, Vec<Vec<u8>>>;

/// The files of a journal, and what must be found in them.
struct Image {
    files: [Vec<u8>; 2],
    boot: Boot,
    /// After each sync: the last is what must be there. An older one may be found only if the witness, which
    /// tells of the last, is lost as well.
    synced: Vec<Contents>,
    /// Pages that are not all zeros.
    pages: Vec<usize>,
}

/// How an opening ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// With all that was synced.
    Right,
    /// With less, the witness being lost too.
    Older,
    /// Refused.
    Refused,
}

/// The body.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The body; how the opening ended.
pub fn play(bytes: &[u8]) -> Ended {
    let mut script = Script::new(bytes);
    let image = &images()[script.below(2)];
    let mut files = image.files.clone();
    for _ in 0..=script.below(8) {
        bend(&mut files, image, &mut script);
    }
    judge(image, &files)
}

fn bend(files: &mut [Vec<u8>; 2], image: &Image, script: &mut Script<'_>) {
    let op = script.byte();
    let which = usize::from(op & 7 == 7);
    let len = files[which].len();
    if len == 0 {
        return;
    }
    let page = image.pages[usize::from(script.short()) % image.pages.len()] * PAGE;
    let at = if which == 0 { page + usize::from(script.short()) % PAGE } else { usize::from(script.short()) };
    let at = at % len;
    let other = image.pages[usize::from(script.byte()) % image.pages.len()] * PAGE;
    match op >> 3 & 7 {
        0 => files[which][at] ^= 1 << script.below(8),
        1 => files[which][at] = script.byte(),
        2 => {
            let bytes = script.bytes();
            let upto = (at + bytes.len()).min(len);
            files[which][at..upto].copy_from_slice(&bytes[..upto - at]);
        }
        3 => files[which].truncate(at),
        4 => files[which].resize(len + at % (4 * PAGE), 0),
        5 => {
            let upto = (at + 512).min(len);
            files[which][at..upto].fill(script.byte());
        }
        6 if which == 0 && page.max(other) + PAGE <= len => files[0].copy_within(other..other + PAGE, page),
        // The header is where most is decided.
        _ => files[which][at % 320 % len] ^= 1 << script.below(8),
    }
}

/// Opens damaged files, and panics on anything but the right content or a clear error.
fn judge(image: &Image, files: &[Vec<u8>; 2]) -> Ended {
    quiet();
    let dir = place().path();
    fill(dir, files);
    let witness_lost = files[1] != image.files[1];
    match RedbJournal::open_with(&config(), dir) {
        Ok(mut journal) => {
            let boot = journal.begin_life().expect("it opened");
            let found = load(&mut journal);
            if boot.journal == image.boot.journal && Some(&found) == image.synced.last() {
                assert!(boot.incarnation > image.boot.incarnation, "a life that was before");
                return Ended::Right;
            }
            assert!(witness_lost, "wrong content, and the witness told so");
            let made_anew = boot.journal != image.boot.journal;
            assert_eq!(journal.opened().created, made_anew);
            let known = made_anew && found.is_empty() || image.synced.contains(&found);
            assert!(known, "content that was never synced");
            Ended::Older
        }
        Err(error) => {
            assert!(
                matches!(error, OpenError::Damaged { .. } | OpenError::Version { .. }),
                "told as {error}"
            );
            let left = fs::read(dir.join(NAMES[0])).expect("the file is there");
            assert!(left == files[0], "the refused file was changed: {error}");
            Ended::Refused
        }
    }
}

fn config() -> Config {
    Config { cache_bytes: 1 << 20 }
}

fn load(journal: &mut RedbJournal) -> Contents {
    let mut found = Contents::new();
    let read = journal.load(&mut |scope, record| {
        found.entry(scope).or_default().push(record.to_vec());
        Ok(())
    });
    read.expect("it opened");
    found
}

fn fill(dir: &Path, files: &[Vec<u8>; 2]) {
    for (name, bytes) in NAMES.iter().zip(files) {
        fs::write(dir.join(name), bytes).expect("a temporary directory can be written to");
    }
}

/// Where damaged files are put; one for each thread, since a directory has one journal.
fn place() -> &'static TempDir {
    thread_local! {
        static PLACE: &'static TempDir = Box::leak(Box::new(temporary()));
    }
    PLACE.with(|place| *place)
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("there is room for a temporary directory")
}

/// One that was closed, and one as a crash after the last sync leaves it.
fn images() -> &'static [Image; 2] {
    static IMAGES: OnceLock<[Image; 2]> = OnceLock::new();
    IMAGES.get_or_init(|| [image(true), image(false)])
}

fn image(clean: bool) -> Image {
    let dir = temporary();
    let mut journal = RedbJournal::open_with(&config(), dir.path()).expect("a new one");
    let boot = journal.begin_life().expect("the first");
    let mut synced = vec![Contents::new()];
    for round in 0..4u64 {
        for n in 0..12 {
            let record = format!("record {round} {n} {}", "filling ".repeat(3 * n));
            journal.append(ScopeId(n as u64 % 3), record.into()).expect("memory");
        }
        if round == 2 {
            journal.compact(ScopeId(1), Mark(6), vec!["base".into(); 2]).expect("memory");
        }
        journal.sync().expect("a disk that works");
        synced.push(load(&mut journal));
    }
    if clean {
        drop(journal);
    }
    let files = NAMES.map(|name| fs::read(dir.path().join(name)).expect("it was written"));
    let filled = |page: &[u8]| page.iter().any(|byte| *byte != 0);
    let pages = (0..).zip(files[0].chunks(PAGE)).filter(|(_, page)| filled(page)).map(|(n, _)| n).collect();
    Image { files, boot, synced, pages }
}

/// Panics of redb's are expected and caught by the journal; libFuzzer's hook would end the process for them. A panic
/// that gets out of a body still does.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let ours = panic
                .location()
                .is_some_and(|at| at.file().contains("fuzz/") || at.file().starts_with("src/"));
            if ours {
                loud(panic);
            }
        }));
    });
}
