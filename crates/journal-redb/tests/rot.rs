//! Rot: bits flip, pages are lost, swapped or old, the file is cut. Every open gives exactly what was synced or
//! a clear error, never anything else, and a refused file is left as it was.

#![allow(clippy::unwrap_used, clippy::panic)] // what helps a test may fail as a test does

mod common;

use common::{Machine, begin};
use quorate_core::{Mark, Rng};
use quorate_journal::conformance::Contents;
use quorate_journal::{Boot, Journal, JournalError, ScopeId};
use quorate_journal_redb::{Config, Damage, OpenError, RedbJournal};
use std::collections::BTreeMap;
use std::sync::Once;

const PAGE: usize = 4096;

/// The files of a journal, and what must be found in them.
struct Image {
    files: [Vec<u8>; 2],
    /// The database one page at a time as it was some syncs ago, for writes that never happened.
    before: Vec<u8>,
    contents: Contents,
    boot: Boot,
}

/// `clean` if it was closed, else as a crash after the last sync leaves it.
fn image(clean: bool) -> Image {
    let machine = Machine::default();
    let mut journal = machine.open().unwrap();
    journal.begin_life().unwrap();
    drop(journal);
    let mut journal = machine.open().unwrap();
    let (boot, _) = begin(&mut journal).unwrap();
    let mut before = Vec::new();
    for round in 0..8u64 {
        for n in 0..40 {
            let record = format!("record {round} {n} {}", "filling ".repeat(n));
            journal.append(ScopeId(n as u64 % 5), record.into()).unwrap();
        }
        if round % 3 == 2 {
            journal.compact(ScopeId(round % 5), Mark(8 * round), vec!["base".into(); 3]).unwrap();
        }
        journal.sync().unwrap();
        if round == 5 {
            before = machine.files()[0].clone();
        }
    }
    let contents = common::load(&mut journal).unwrap();
    if clean {
        drop(journal);
    }
    let files = machine.files();
    Image { files, before, contents, boot }
}

/// What openings led to, by kind.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn errors(&self) -> u64 {
        self.0.iter().filter(|(kind, _)| *kind != "right").map(|(_, n)| n).sum()
    }
    fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }
}

/// Panics of redb's are expected here; to print a trace of each takes longer than all the rest.
fn hush_redb() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|at| at.file().contains("/redb-")) {
                loud(panic);
            }
        }));
    });
}

impl Image {
    /// Opens damaged files, and panics on anything but the right content or a clear error.
    fn judge(&self, files: [Vec<u8>; 2], what: &str, tally: &mut Tally) {
        hush_redb();
        let machine = Machine::with(files.clone());
        let kind = match machine.open() {
            Ok(mut journal) => {
                let (boot, found) = begin(&mut journal).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(boot.journal, self.boot.journal, "{what}: another name");
                assert_eq!(boot.incarnation, self.boot.incarnation + 1, "{what}: another life");
                assert!(found == self.contents, "{what}: wrong content");
                if tally.of("right").is_multiple_of(4) {
                    self.goes_on(&machine, journal, what);
                }
                "right".to_owned()
            }
            Err(error) => {
                assert!(machine.files()[0] == files[0], "{what}: the refused file was changed: {error}");
                assert!(error.to_string().starts_with("journal.redb: "), "{what}: {error}");
                match error {
                    OpenError::Damaged { found, .. } => {
                        format!("{found:?}").split(['(', ' ']).next().unwrap_or_default().to_owned()
                    }
                    OpenError::Version { .. } => "Version".to_owned(),
                    error => panic!("{what}: rot is told as {error}"),
                }
            }
        };
        *tally.0.entry(kind).or_default() += 1;
    }

    /// A journal that opened takes more, and opens again with it.
    fn goes_on(&self, machine: &Machine, mut journal: RedbJournal, what: &str) {
        journal.append(ScopeId(1), "more".into()).unwrap();
        journal.compact(ScopeId(0), Mark(4), Vec::new()).unwrap();
        journal.sync().unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(journal);
        let mut journal = machine.open().unwrap_or_else(|error| panic!("{what}, and then: {error}"));
        let (_, found) = begin(&mut journal).unwrap();
        assert_eq!(found[&ScopeId(1)].len(), self.contents[&ScopeId(1)].len() + 1, "{what}");
        assert_eq!(found[&ScopeId(0)].len(), self.contents[&ScopeId(0)].len() - 4, "{what}");
    }

    fn flipped(&self, file: usize, bit: usize) -> [Vec<u8>; 2] {
        let mut files = self.files.clone();
        files[file][bit / 8] ^= 1 << (bit % 8);
        files
    }

    /// Pages of the database that are not all zeros.
    fn pages(&self) -> Vec<usize> {
        let filled = |page: &[u8]| page.iter().any(|byte| *byte != 0);
        (0..).zip(self.files[0].chunks(PAGE)).filter(|(_, page)| filled(page)).map(|(n, _)| n).collect()
    }
}

#[test]
fn every_bit_of_the_header_may_flip() {
    for clean in [true, false] {
        let image = image(clean);
        let mut tally = Tally::default();
        for bit in 0..320 * 8 {
            let what = format!("clean {clean}, bit {bit} of the header");
            image.judge(image.flipped(0, bit), &what, &mut tally);
        }
        assert!(tally.errors() > 0 && tally.of("right") > 0, "{:?}", tally.0);
        // Without the witness these would have lost the last sync without a word.
        assert!(clean || tally.of("RolledBack") > 0, "{:?}", tally.0);
    }
}

#[test]
fn any_bit_of_any_page_may_flip() {
    for clean in [true, false] {
        let image = image(clean);
        let pages = image.pages();
        let mut rng = Rng::from_seed(u64::from(clean));
        let mut tally = Tally::default();
        for _ in 0..1500 {
            let bit = pages[rng.index(pages.len())] * PAGE * 8 + rng.index(PAGE * 8);
            image.judge(image.flipped(0, bit), &format!("clean {clean}, bit {bit}"), &mut tally);
        }
        assert!(tally.errors() > 300 && tally.of("right") > 0, "{:?}", tally.0);
    }
}

#[test]
fn any_bit_of_the_witness_may_flip() {
    for clean in [true, false] {
        let image = image(clean);
        let mut tally = Tally::default();
        for bit in (0..image.files[1].len() * 8).step_by(11) {
            image.judge(
                image.flipped(1, bit),
                &format!("clean {clean}, bit {bit} of the witness"),
                &mut tally,
            );
        }
        assert_eq!(tally.errors(), 0, "{:?}", tally.0);
    }
}

#[test]
fn pages_may_be_lost_old_or_in_each_others_place() {
    for clean in [true, false] {
        let image = image(clean);
        let pages = image.pages();
        let mut rng = Rng::from_seed(2);
        let mut tally = Tally::default();
        for n in 0..400 {
            let mut files = image.files.clone();
            let page = pages[rng.index(pages.len())];
            let other = pages[rng.index(pages.len())];
            let (at, from) = (page * PAGE, other * PAGE);
            let what = match n % 5 {
                0 => {
                    files[0][at..at + PAGE].fill(0);
                    "lost"
                }
                1 => {
                    files[0][at..at + PAGE].fill_with(|| rng.bits() as u8);
                    "noise"
                }
                2 => {
                    files[0].copy_within(from..from + PAGE, at);
                    "misdirected"
                }
                3 => {
                    // The write of it never happened.
                    if let Some(old) = image.before.get(at..at + PAGE) {
                        files[0][at..at + PAGE].copy_from_slice(old);
                    }
                    "old"
                }
                _ => {
                    let sector = at + 512 * rng.index(8);
                    files[0][sector..sector + 512].fill(0xff);
                    "a sector of ones"
                }
            };
            image.judge(files, &format!("clean {clean}, page {page} is {what}"), &mut tally);
        }
        assert!(tally.errors() > 100, "{:?}", tally.0);
    }
}

#[test]
fn the_file_may_be_cut_anywhere_or_be_longer() {
    for clean in [true, false] {
        let image = image(clean);
        let len = image.files[0].len();
        let mut rng = Rng::from_seed(3);
        let mut tally = Tally::default();
        let edges = [
            0,
            1,
            8,
            9,
            63,
            64,
            319,
            320,
            PAGE - 1,
            PAGE,
            PAGE + 1,
            len - PAGE,
            len - 1,
            len + 1,
            len + PAGE,
        ];
        let random: Vec<usize> = (0..200).map(|_| rng.index(len)).collect();
        let pages = (0..len / PAGE).map(|page| page * PAGE);
        for cut in edges.into_iter().chain(random).chain(pages.step_by(7)) {
            let mut files = image.files.clone();
            files[0].resize(cut, 0);
            image.judge(files, &format!("clean {clean}, {cut} bytes of {len}"), &mut tally);
        }
        assert!(tally.of("Gone") > 0 && tally.errors() > 200, "{:?}", tally.0);
    }
}

#[test]
fn a_whole_file_of_some_syncs_ago_is_found_out_by_the_witness() {
    let image = image(false);
    let mut tally = Tally::default();
    let mut files = image.files.clone();
    files[0] = image.before.clone();
    image.judge(files, "an old file", &mut tally);
    assert_eq!(tally.of("RolledBack"), 1);
}

#[test]
fn bits_that_flip_under_an_open_journal_are_never_handed_out() {
    // More records than the cache holds, so that they are read again after the open, unchecked by redb.
    let machine = Machine::default();
    let mut journal = machine.open().unwrap();
    for n in 0..600u64 {
        journal.append(ScopeId(n % 3), format!("{n} ").repeat(1000).into()).unwrap();
    }
    journal.sync().unwrap();
    let contents = common::load(&mut journal).unwrap();
    drop(journal);
    let files = machine.files();
    let config = Config { cache_bytes: 1 << 20 };
    let mut rng = Rng::from_seed(8);
    let (mut right, mut refused) = (0, 0);
    for _ in 0..100 {
        let machine = Machine::with(files.clone());
        let mut journal = machine.open_with(&config).unwrap();
        let bit = rng.index(files[0].len() * 8);
        machine.flip(bit);
        match common::load(&mut journal) {
            Ok(found) => {
                assert!(found == contents, "bit {bit}: wrong content");
                right += 1;
            }
            Err(JournalError::Corrupt(_)) => {
                assert!(matches!(journal.sync(), Err(JournalError::Poisoned)));
                refused += 1;
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    assert!(right > 0 && refused > 20, "{right} right, {refused} refused");
}

#[test]
fn without_a_witness_a_flipped_header_loses_a_sync_unseen() {
    // That the witness is needed: this is the damage that nothing else tells from a crash.
    let image = image(false);
    let unseen = (0..320 * 8).step_by(8).filter(|bit| {
        let [database, _] = image.flipped(0, *bit);
        let machine = Machine::with([database, Vec::new()]);
        machine.open().is_ok_and(|mut journal| {
            assert!(!journal.opened().witnessed);
            begin(&mut journal).unwrap().1 != image.contents
        })
    });
    assert!(unseen.count() > 0);
}

#[test]
fn the_files_of_two_journals_are_not_mixed() {
    let (one, two) = (image(true), image(true));
    let mixed = Machine::with([one.files[0].clone(), two.files[1].clone()]).open();
    assert!(matches!(mixed, Err(OpenError::Damaged { found: Damage::Mixed, .. })), "{mixed:?}");
}
