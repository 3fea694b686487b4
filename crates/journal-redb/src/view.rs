//! A storage to look at: what is written to it stays in memory and is dropped with it.
//!
//! redb repairs a database by opening it. To find out first whether it should be, it is opened on a view: what is
//! found damaged is thereby left as it was found.

use crate::backend::Shared;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(crate) struct View {
    below: Shared,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of `below` behind this length are not seen any more: it was cut, then perhaps grew again.
    below_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl View {
    pub(crate) fn new(below: Shared) -> io::Result<View> {
        let len = below.len()?;
        let written = Written { len, below_len: len, blocks: BTreeMap::new() };
        Ok(View { below, written: Mutex::new(written) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // A panic of redb's may poison it; what is in it is then dropped unread.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn check(&self, offset: u64, bytes: usize) -> io::Result<()> {
        match offset.checked_add(bytes as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "beyond the end of the storage")),
        }
    }

    /// What is below, with zeros where it ends.
    fn below(&self, below: &Shared, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.below_len.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, behind) = out.split_at_mut(there);
        behind.fill(0);
        if there.is_empty() { Ok(()) } else { below.read(offset, there) }
    }
}

/// Cuts a range at the borders of blocks: (block, offset in it, range in the buffer).
fn pieces(offset: u64, bytes: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == bytes {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % BLOCK) as usize;
        let take = (BLOCK as usize - within).min(bytes - done);
        done += take;
        Some((at / BLOCK, within, done - take..done))
    })
}

impl StorageBackend for View {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        written.check(offset, out.len())?;
        written.below(&self.below, offset, out)?;
        for (block, within, range) in pieces(offset, out.len()) {
            if let Some(bytes) = written.blocks.get(&block) {
                let take = range.len();
                out[range].copy_from_slice(&bytes[within..within + take]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        if len < written.len {
            written.below_len = written.below_len.min(len);
            let kept = len.div_ceil(BLOCK);
            written.blocks.split_off(&kept);
            if let Some(last) = written.blocks.get_mut(&(len / BLOCK)) {
                last[(len % BLOCK) as usize..].fill(0);
            }
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        written.check(offset, data.len())?;
        for (block, within, range) in pieces(offset, data.len()) {
            if !written.blocks.contains_key(&block) {
                let mut bytes = vec![0; BLOCK as usize];
                written.below(&self.below, block * BLOCK, &mut bytes)?;
                written.blocks.insert(block, bytes.into());
            }
            if let Some(bytes) = written.blocks.get_mut(&block) {
                bytes[within..within + range.len()].copy_from_slice(&data[range]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Rng;
    use redb::backends::InMemoryBackend;

    #[test]
    fn it_shows_what_was_written_and_leaves_what_is_below_alone() {
        let below = Shared::new(InMemoryBackend::new());
        let mut rng = Rng::from_seed(1);
        let before: Vec<u8> = (0..30_000).map(|_| rng.bits() as u8).collect();
        below.set_len(before.len() as u64).unwrap();
        below.write(0, &before).unwrap();
        let view = View::new(below.clone()).unwrap();
        let mut twin = before.clone();
        for _ in 0..3000 {
            let at = rng.index(twin.len() + 1);
            let end = at + rng.index((twin.len() - at).min(9000) + 1);
            match rng.within(0..10) {
                0 => {
                    let len = 20_000 + rng.index(20_000);
                    twin.resize(len, 0);
                    view.set_len(len as u64).unwrap();
                }
                1..5 => {
                    twin[at..end].fill(rng.bits() as u8);
                    view.write(at as u64, &twin[at..end]).unwrap();
                }
                _ => {
                    let mut found = vec![1; end - at];
                    view.read(at as u64, &mut found).unwrap();
                    assert!(found == twin[at..end]);
                }
            }
            assert_eq!(view.len().unwrap(), twin.len() as u64);
        }
        assert!(view.read(twin.len() as u64, &mut [0]).is_err());
        assert!(view.read(u64::MAX, &mut [0]).is_err());
        let mut after = vec![0; before.len()];
        below.read(0, &mut after).unwrap();
        assert!(before == after && below.len().unwrap() == before.len() as u64);
    }
}
